"""The model catalog: its entries are sound, the compiled files are fresh, and a broken one is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from advisor.catalog import (
    COMPILED,
    SCHEMA,
    Catalog,
    buffers_of,
    buffers_of_model,
    compile_catalog,
    compile_sizes,
    compiled_text,
    load_catalog,
    main,
    schema_text,
)
from advisor.cli.models import command
from advisor.errors import AdvisorError, CatalogError, UnknownModelError
from advisor.model import Model, ModelKind
from advisor.quantization import MIXES
from advisor.resources import CATALOG_DIR
from advisor.weights import weights_by_rule

CATALOG = load_catalog()

NAMED_IN_THE_PLAN = {
    "llama3:8b": "llama-3-8b-instruct",
    "llama3:70b": "llama-3-70b-instruct",
    "llama3.1:8b": "llama-3.1-8b-instruct",
    "llama3.1:70b": "llama-3.1-70b-instruct",
    "llama3.2:3b": "llama-3.2-3b-instruct",
    "mistral:7b": "mistral-7b-instruct-v0.3",
    "gemma:2b": "gemma-2b-it",
    "gemma:7b": "gemma-7b-it",
    "gemma2:9b": "gemma-2-9b-it",
    "phi3:mini": "phi-3-mini-4k-instruct",
    "phi-4-mini": "phi-4-mini-instruct",
    "gpt-oss:20b": "gpt-oss-20b",
    "qwen2.5:0.5b": "qwen2.5-0.5b-instruct",
    "qwen2.5:1.5b": "qwen2.5-1.5b-instruct",
    "qwen2.5:3b": "qwen2.5-3b-instruct",
    "qwen2.5:7b": "qwen2.5-7b-instruct",
    "qwen2.5:14b": "qwen2.5-14b-instruct",
    "qwen2.5:32b": "qwen2.5-32b-instruct",
    "nomic-embed-text": "nomic-embed-text-v1.5",
    "mxbai-embed-large": "mxbai-embed-large-v1",
    "all-minilm": "all-minilm-l6-v2",
    "all-mpnet-base-v2": "all-mpnet-base-v2",
    "Qwen/Qwen3.6-27B": "qwen3.6-27b",
    "QWEN3:8B": "qwen3-8b",
}
LISTED = (
    *("qwen3.8-27b", "qwen3.6-35b-a3b", "qwen3.5-9b", "qwen3.5-0.8b", "gemma-4-31b-it", "gemma-4-26b-a4b-it"),
    *("gemma-4-12b-it", "gemma-4-e2b-it", "qwen3-coder-30b-a3b-instruct", "qwen3-coder-next", "gpt-oss-120b"),
    *("qwen3-next-80b-a3b-instruct", "glm-4.7-flash", "ministral-3-8b-instruct", "devstral-small-2-24b"),
    *("granite-4.1-8b", "lfm2.5-8b-a1b", "exaone-4.0-32b", "qwen3-embedding-0.6b", "embeddinggemma-300m"),
    *("bge-m3", "bge-reranker-v2-m3", "qwen3-reranker-0.6b"),
)
PACKAGERS = {
    "bartowski",
    "unsloth",
    "ggml-org",
    "lmstudio-community",
    "lmstudio-ai",
    "second-state",
    "gpustack",
    "mradermacher",
    # the only ones who pack a certain model; its note names them
    *("CompendiumLabs", "Casual-Autopsy", "DevQuasar", "MaziyarPanahi", "Ralriki", "TheBloke"),
    *("Voodisss", "mykor", "naver-ellm"),
}
"""Who packs other makers' models well enough to be proposed."""

ENTRY = """\
- id: tiny-1b
  name: Tiny 1B
  family: tiny
  publisher: Nobody
  released: 2025-04-29
  license: {id: apache-2.0, commercial: true}
  n_params: 596_049_920
  aliases: [Nobody/Tiny-1B]
  ollama_tag: "tiny:1b"
  architecture: {family: qwen3, n_layers: 28, n_embd: 1024, n_vocab: 151_936, n_ctx_train: 40_960,
    n_heads: 16, n_kv_heads: 8, head_dim: 128, n_ff: 3072, tied_embeddings: true}
  architecture_source: config.json
  artifacts:
    - {quantization: Q8_0, format: gguf, repo: Nobody/Tiny-1B-GGUF}
  sources: [the model card]
  checked: 2026-11-21
"""


@pytest.fixture(scope="module")
def sizes() -> Catalog:
    return compile_sizes()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A catalog folder with one file of models; the figures of quality are the real ones."""

    def folder(text: str, name: str = "tiny.yaml") -> Path:
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).write_text(text, encoding="utf-8")
        (tmp_path / "quality.yaml").write_bytes((CATALOG_DIR / "quality.yaml").read_bytes())
        return tmp_path

    return folder


def test_the_compiled_files_are_fresh(sizes: Catalog) -> None:
    """After editing the YAML: python -m advisor.catalog."""
    whole = sizes.model_copy(update={"compute": CATALOG.compute})
    assert (CATALOG_DIR / COMPILED).read_text(encoding="utf-8") == compiled_text(whole)
    assert (CATALOG_DIR / "models" / SCHEMA).read_text(encoding="utf-8") == schema_text()
    assert list(CATALOG.compute) == [m.id for m in sizes.models if any(a.is_gguf for a in m.artifacts)]
    assert whole == CATALOG


QUICKLY_COMPUTED = 130
"""Layouts, of which some families have a thousand: those are left to the slow test below."""
SMALLEST_OF_ITS_FAMILY = {
    model.architecture.family: model.id
    for model in sorted(CATALOG.models, key=lambda model: -model.architecture.n_layers)
    if model.id in CATALOG.compute and len(CATALOG.compute[model.id]) < QUICKLY_COMPUTED
}


@pytest.mark.parametrize("name", SMALLEST_OF_ITS_FAMILY.values(), ids=str)
def test_the_compute_buffers_of_a_family_are_fresh(name: str) -> None:
    assert buffers_of_model(CATALOG.get(name)) == CATALOG.compute[name]


SAMPLED = 25
"""Every so many models in the slow test: each of them takes about a second."""


@pytest.mark.slow
def test_the_compute_buffers_of_a_sample_are_fresh() -> None:
    sample = [model for model in CATALOG.models if model.id in CATALOG.compute][::SAMPLED]
    assert buffers_of(sample) == {model.id: CATALOG.compute[model.id] for model in sample}


def test_one_line_a_model_so_that_changes_can_be_reviewed() -> None:
    lines = (CATALOG_DIR / COMPILED).read_text(encoding="utf-8").splitlines()
    for model in CATALOG.models:
        assert sum(f'"id":"{model.id}"' in line for line in lines) == 1


def test_the_json_is_small_enough_to_read_at_every_start() -> None:
    assert (CATALOG_DIR / COMPILED).stat().st_size < 4_000_000


@pytest.mark.parametrize(("name", "model"), NAMED_IN_THE_PLAN.items())
def test_a_name_people_type_finds_its_model(name: str, model: str) -> None:
    assert CATALOG.get(name).id == model


@pytest.mark.parametrize("name", LISTED)
def test_the_strongest_of_each_size_are_there(name: str) -> None:
    assert CATALOG.get(name).id == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        pytest.param("qwen3-8bb", "qwen3-8b", id="typing error"),
        pytest.param("llama3.1-8b", "llama-3.1-8b-instruct", id="tag with a dash"),
        pytest.param("gemma-4-32b-it", "gemma-4-31b-it", id="size"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownModelError, match=re.escape(near)):
        CATALOG.get(name)


@pytest.mark.parametrize("name", ["", "!", "x" * 10_000])
def test_a_senseless_name_is_one_line(name: str) -> None:
    with pytest.raises(UnknownModelError) as error:
        CATALOG.get(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.id)
def test_entry_is_plausible(model: Model) -> None:
    maker = {name.split("/")[0] for name in model.aliases if "/" in name}
    for artifact in model.artifacts:
        if artifact.format == "gguf":
            assert artifact.quantization in MIXES
            assert artifact.repo.split("/")[0] in maker | PACKAGERS, artifact.repo
        if artifact.bytes and artifact.format == "gguf":
            ruled = CATALOG.weights[model.id][artifact.quantization].total_bytes
            # Packagers give some tensors better types: Gemma 4's per-layer embeddings, above all.
            assert artifact.bytes == pytest.approx(ruled, rel=0.18), artifact.quantization
    assert model.architecture.n_ctx_train >= 256
    assert (
        model.kind is ModelKind.CHAT
        or model.architecture.is_encoder
        or model.architecture.family in ("qwen2", "qwen3", "qwen3vl")
    )


def test_no_figure_is_without_a_source() -> None:
    for model in CATALOG.models:
        texts = (*model.sources, model.architecture_source, *(cell.source for cell in model.quality))
        assert all(text.strip() for text in texts)


def test_languages_are_two_letters_each_once() -> None:
    for model in CATALOG.models:
        assert all(re.fullmatch("[a-z]{2}", code) for code in model.languages), model.id
        assert len(set(model.languages)) == len(model.languages), model.id


def test_a_recent_chat_model_lists_its_languages_or_says_why_not() -> None:
    """Without a list `recommend --language` knows nothing of it: someone must at least have looked."""
    for model in CATALOG.models:
        if model.kind is ModelKind.CHAT and model.released >= date(2025, 6, 1) and not model.languages:
            assert "languages" in " ".join((model.note or "", *model.sources)).lower(), model.id


def test_generations_lead_to_the_current_one() -> None:
    chain, model = [], CATALOG.get("qwen2.5-32b-instruct")
    while model.superseded_by:
        model = CATALOG.get(model.superseded_by)
        chain.append(model.id)
    assert chain == ["qwen3-32b", "qwen3.6-27b", "qwen3.8-27b"]


def test_successors_are_newer() -> None:
    for model in CATALOG.models:
        if model.superseded_by:
            assert CATALOG.get(model.superseded_by).released > model.released


@pytest.mark.parametrize("name", ["qwen3-8b", "gpt-oss-20b", "bge-m3", "qwen3.6-35b-a3b"])
def test_compiled_weights_are_those_of_the_rules(name: str) -> None:
    model = CATALOG.get(name)
    for quantization, weights in CATALOG.weights[model.id].items():
        assert weights == weights_by_rule(model.architecture, quantization)


def test_a_model_without_a_gguf_stays_to_be_turned_down_by_name() -> None:
    model = CATALOG.get("all-mpnet-base-v2")
    assert {artifact.format for artifact in model.artifacts} == {"safetensors"}
    assert model.id not in CATALOG.weights


def test_a_good_file_compiles(write: Callable[..., Path]) -> None:
    catalog = compile_catalog(write(ENTRY))
    assert [model.id for model in catalog.models] == ["tiny-1b"]
    # 34 bytes for 32 weights, norms in F32: the matrices of 28 layers and the tied embedding.
    norms = 28 * (2 * 1024 + 2 * 128) + 1024
    matrices = 596_049_920 - norms
    assert catalog.weights["tiny-1b"]["Q8_0"].total_bytes == matrices * 34 // 32 + norms * 4


@pytest.mark.parametrize(
    ("change", "field", "fix"),
    [
        pytest.param(
            ("name: Tiny 1B", "name: A\n  name: B"), "duplicate key 'name'", "correct", id="key twice"
        ),
        pytest.param(("released: 2025-04-29", "released: soon"), "released", "correct", id="date"),
        pytest.param(
            ("released: 2025-04-29", "released: 2027-01-01"), "released", "correct", id="the future"
        ),
        pytest.param(("n_params: 596_049_920", "n_params: 8e9"), "n_params", "correct", id="8e9 is a text"),
        pytest.param(("n_params: 596_049_920", "n_params: 8_000_000_000"), "n_params", "correct", id="count"),
        pytest.param(
            ("n_params: 596", "n_params_active: 9\n  n_params: 596"),
            "n_params_active",
            "mixtures",
            id="dense",
        ),
        pytest.param(("n_heads: 16", "heads: 16"), "architecture.n_heads", "correct", id="field missing"),
        pytest.param(("name: Tiny", "nmae: Tiny"), "name", "correct", id="field unknown"),
        pytest.param(
            ("family: qwen3,", "family: qwen9,"), "architecture", "correct", id="family without rules"
        ),
        pytest.param(("quantization: Q8_0", "quantization: Q9_0"), "Q9_0", "correct", id="quantization"),
        pytest.param(("format: gguf", "format: onnx"), "artifacts.0.format", "correct", id="format"),
        pytest.param(("repo: Nobody/Tiny-1B-GGUF", "repo: Tiny"), "artifacts.0.repo", "correct", id="repo"),
        pytest.param(("sources: [the model card]", "sources: []"), "sources", "correct", id="no source"),
        pytest.param(
            ("  aliases", "  superseded_by: tiny-2b\n  aliases"), "superseded_by", "leave", id="successor"
        ),
        pytest.param(("- id: tiny-1b", "- id: Tiny 1B"), "id", "correct", id="id"),
        pytest.param(
            (
                "    - {quantization",
                "    - {quantization: Q8_0, format: gguf, repo: a/b}\n    - {quantization",
            ),
            "artifacts",
            "keep",
            id="offered twice",
        ),
        pytest.param(
            (
                "    - {quantization",
                "    - {quantization: 4bit, format: mlx, repo: a/b}\n"
                "    - {quantization: 4bit, format: mlx, repo: a/c}\n    - {quantization",
            ),
            "artifacts",
            "keep",
            id="MLX offered twice",
        ),
        pytest.param(
            ("  aliases", "  sampling: {temperature: 3, source: its card}\n  aliases"),
            "sampling.temperature",
            "correct",
            id="too hot",
        ),
        pytest.param(
            ("  aliases", "  sampling: {top_p: 0, source: its card}\n  aliases"),
            "sampling.top_p",
            "correct",
            id="nothing to choose from",
        ),
        pytest.param(
            ("  aliases", "  sampling: {temperature: 1}\n  aliases"),
            "sampling.source",
            "correct",
            id="sampling of nobody",
        ),
        pytest.param(
            ("  aliases", "  sampling: {source: its card}\n  aliases"),
            "sampling",
            "leave it out",
            id="sampling without a value",
        ),
        pytest.param(
            ("  aliases", "  n_ctx_effective: 32_768\n  aliases"),
            "n_ctx_effective_source",
            "give it",
            id="effective context of nobody",
        ),
        pytest.param(
            ("  aliases", "  n_ctx_effective: 1_000_000\n  n_ctx_effective_source: RULER\n  aliases"),
            "n_ctx_effective",
            "correct",
            id="effective far beyond trained",
        ),
    ],
)
def test_a_broken_entry_names_file_field_and_fix(
    write: Callable[..., Path], change: tuple[str, str], field: str, fix: str
) -> None:
    assert change[0] in ENTRY
    folder = write(ENTRY.replace(*change, 1))
    with pytest.raises(CatalogError) as error:
        compile_catalog(folder)
    message = str(error.value)
    assert "tiny.yaml" in message
    assert field in message
    assert fix in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "list of models", id="empty"),
        pytest.param("models: []", "list of models", id="a mapping"),
        pytest.param("- 3", "entry 1", id="a number"),
        pytest.param("- id: [", "not valid YAML", id="not YAML"),
        pytest.param("\x00", "not valid YAML", id="bytes"),
    ],
)
def test_a_file_that_is_no_list_of_models(write: Callable[..., Path], text: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=r"tiny\.yaml") as error:
        compile_catalog(write(text))
    assert reason in str(error.value) or "correct the file" in str(error.value)


def test_entries_out_of_order(write: Callable[..., Path]) -> None:
    other = ENTRY.replace("tiny-1b", "a-1b").replace("tiny:1b", "a:1b").replace("Tiny-1B]", "A]")
    with pytest.raises(CatalogError, match="a-1b: id: stands behind tiny-1b; sort"):
        compile_catalog(write(ENTRY + other))


def test_a_name_of_two_models(write: Callable[..., Path]) -> None:
    other = ENTRY.replace("tiny-1b", "tiny-2b").replace("Nobody/Tiny-1B]", "Nobody/Tiny-2B]")
    with pytest.raises(CatalogError, match="tiny-2b: aliases: 'tiny:1b' is also a name of tiny-1b"):
        compile_catalog(write(ENTRY + other))


def test_an_id_in_two_files(write: Callable[..., Path]) -> None:
    write(ENTRY)
    with pytest.raises(CatalogError, match="tiny-1b: id: is used twice"):
        compile_catalog(write(ENTRY, "more.yaml"))


def test_broken_quality_figures(write: Callable[..., Path]) -> None:
    folder = write(ENTRY)
    (folder / "quality.yaml").write_text("checked: 2026-11-21\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"quality\.yaml: axes: Field required; correct"):
        compile_catalog(folder)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(b"\xff\x00", id="bytes"),
        pytest.param(b"[" * 100_000, id="nested"),
    ],
)
def test_a_broken_compiled_file_says_how_to_compile(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / COMPILED).write_bytes(content)
    with pytest.raises(CatalogError, match=r"python -m advisor\.catalog") as error:
        load_catalog(tmp_path)
    assert "\n" not in str(error.value)


def test_the_compiler_ends_with_one_line_and_writes_nothing(write: Callable[..., Path]) -> None:
    folder = write("- 3")
    with pytest.raises(SystemExit, match=r"tiny\.yaml"):
        main(folder)
    assert not (folder / COMPILED).exists()


def test_the_compiler_writes_what_is_read(write: Callable[..., Path]) -> None:
    folder = write(ENTRY)
    main(folder)
    assert load_catalog(folder).get("Nobody/tiny-1b").id == "tiny-1b"
    assert json.loads((folder / "models" / SCHEMA).read_text(encoding="utf-8"))["type"] == "array"


def models(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param((), len(CATALOG.models), id="all"),
        pytest.param(
            ("--kind", "rerank"), sum(m.kind is ModelKind.RERANK for m in CATALOG.models), id="kind"
        ),
        pytest.param(("--family", "GPT-OSS"), 2, id="family"),
        pytest.param(
            ("--kind", "chat", "--max-params", "500M"),
            sum(m.kind is ModelKind.CHAT and m.n_params <= 500_000_000 for m in CATALOG.models),
            id="size",
        ),
        pytest.param(("--max-params", "1"), 0, id="nothing"),
    ],
)
def test_list(arguments: tuple[str, ...], expected: int) -> None:
    document = json.loads(models("list", "--json", *arguments))
    assert document["schema_version"] == 1
    assert len(document["models"]) == expected
    text = models("list", *arguments)
    assert f"{expected} models" in text if expected else "No model" in text


def test_search_needs_every_word() -> None:
    found = [row["id"] for row in json.loads(models("search", "qwen", "3.6", "--json"))["models"]]
    assert found == ["qwen3.6-27b", "qwen3.6-35b-a3b"]


def test_show_tells_everything_with_its_source() -> None:
    text = models("show", "llama3.1:8b")
    model = CATALOG.get("llama3.1:8b")
    for expected in (model.name, "llama3.1 (commercial use allowed", "8.0B", "131,072", *model.sources):
        assert expected in text
    for artifact in model.artifacts:
        assert artifact.repo in text
    assert "holds its quality to about 32,768 tokens (github.com/NVIDIA/RULER" in text
    assert "temperature 0.6, top-p 0.9 (github.com/meta-llama/llama-models" in text
    assert "Harmony" in models("show", "gpt-oss-20b")
    assert json.loads(models("show", "llama3.1:8b", "--json"))["n_params"] == 8_030_261_248


def test_unknown_models_and_sizes() -> None:
    with pytest.raises(AdvisorError, match="nearest"):
        CliRunner().invoke(command, ["show", "qwen9"], catch_exceptions=False)
    result = CliRunner().invoke(command, ["list", "--max-params", "4X"])
    assert result.exit_code == 2
    assert "'4X' is not a number of parameters" in result.output
