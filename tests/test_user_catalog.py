"""The user's own catalog: what is read of a hub on the loopback interface and written, and every refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from fake_hub import COMMIT, FakeHub, serving
from huggingface_hub import constants
from huggingface_hub.utils import close_session
from safetensors_files import CONFIG, tiny_model
from safetensors_files import write as write_safetensors
from tiny_gguf import write as write_gguf
from untranslated import english_in

from advisor import catalog, kept_files
from advisor.cli import advisor, error_funnel
from advisor.cli.models import asking
from advisor.errors import OutputError
from advisor.i18n import LANGUAGES
from advisor.model import ModelKind
from advisor.upkeep import findings_offline
from advisor.user_catalog import load_catalog, own_ids, read_user_catalog, user_folder, write_entry

REPO, PACKAGED = "someone/Tiny-4B", "packager/Tiny-4B-GGUF"
TODAY = date(2026, 11, 21)
CARD = {
    "license": "apache-2.0",
    "language": ["en", "ko", "multilingual"],
    "base_model": "someone/Tiny-4B-Base",
}
ABOUT = {
    "cardData": CARD,
    "createdAt": "2026-03-04T05:06:07.000Z",
    "pipeline_tag": "text-generation",
    "gated": False,
    "tags": ["conversational", "license:apache-2.0"],
    "config": {"tokenizer_config": {"chat_template": "{% if tools %}x{% endif %}<think>"}},
}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    """A hub with a small model, and a packager's GGUF files of it."""
    weights = write_safetensors(tmp_path / "model.safetensors", tiny_model()).read_bytes()
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": weights, "README.md": b"#"}
    ggufs = {
        "Tiny-4B-Q4_K_M.gguf": b"x" * 100,
        "Tiny-4B-Q8_0-00001-of-00002.gguf": b"x" * 60,
        "Tiny-4B-Q8_0-00002-of-00002.gguf": b"x" * 70,
        "Tiny-4B-UD-Q4_K_XL.gguf": b"x" * 90,
        "mmproj-F16.gguf": b"x",
    }
    with serving(FakeHub(REPO, files, about=dict(ABOUT), more={PACKAGED: ggufs})) as server:
        yield server


@pytest.fixture(autouse=True)
def slept(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Point the hub's library to the fake hub, the user's folder to an empty one; waiting takes no time."""
    monkeypatch.setattr(constants, "ENDPOINT", fake.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", fake.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    monkeypatch.setattr(kept_files, "cache_folder", lambda name: tmp_path / "kept" / name)
    monkeypatch.setattr(asking, "today", lambda: TODAY)
    monkeypatch.setenv("ADVISOR_CATALOG", str(tmp_path / "own"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    close_session()
    yield seconds
    close_session()


def run(*arguments: str) -> Result:
    """The command as `main` runs it, errors in one line included."""

    def whole() -> None:
        with error_funnel():
            advisor.main(arguments, standalone_mode=False, prog_name="advisor")

    runner = CliRunner()
    with runner.isolation() as (out, err, _):
        code = 0
        try:
            whole()
        except SystemExit as end:
            code = int(end.code or 0)
        return Result(runner, out.getvalue(), err.getvalue(), b"", None, code, None)


def added(*options: str) -> dict[str, Any]:
    """The document of a successful `models add`."""
    result = run("models", "add", REPO, "--json", *options)
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


# --- add ---


def test_the_hub_is_read_into_an_entry() -> None:
    document = added("--gguf", PACKAGED)
    model = document["model"]
    assert (model["id"], model["publisher"], model["released"]) == ("tiny-4b", "someone", "2026-03-04")
    assert model["license"] == {"id": "apache-2.0", "commercial": True, "gated": False}
    assert (model["languages"], model["reasoning"], model["tools"]) == (["en", "ko"], True, True)
    assert (model["kind"], model["checked"]) == ("chat", "2026-11-21")
    assert model["architecture"]["family"] == "qwen3"
    offers = {row["quantization"]: (row["repo"], row["files"], row["bytes"]) for row in model["artifacts"]}
    assert offers["Q4_K_M"] == (PACKAGED, ["Tiny-4B-Q4_K_M.gguf"], 100)
    assert offers["Q8_0"][2] == 130
    assert offers["BF16"][:2] == (REPO, [])
    assert "UD-Q4_K_XL" in model["note"]
    assert COMMIT[:8] in model["sources"][0]
    assert document["unknown"] == []


def test_a_repository_of_gguf_files_is_read_by_a_header(fake: FakeHub, tmp_path: Path) -> None:
    data = write_gguf(tmp_path / "tiny.gguf", "llama", {"general.file_type": 15}).read_bytes()
    fake.files = {"Other-Q4_K_M.gguf": data, "Other-Q8_0.gguf": data + b"x", "mmproj-F16.gguf": b"x"}
    fake.repo = "packager/Other-GGUF"
    result = run("models", "add", fake.repo, "--json")
    assert result.exit_code == 0, result.stderr
    model = json.loads(result.stdout)["model"]
    assert (model["id"], model["name"], model["modalities"]) == ("other", "Other", ["text", "image"])
    assert (model["architecture"]["n_layers"], model["architecture"]["n_vocab"]) == (4, 320)
    assert {a["quantization"]: a["bytes"] for a in model["artifacts"]} == {
        "Q4_K_M": len(data),
        "Q8_0": len(data) + 1,
    }
    assert "GGUF header" in model["architecture_source"]


def test_what_the_hub_does_not_say_is_named_and_not_invented(fake: FakeHub) -> None:
    fake.about = {"createdAt": ABOUT["createdAt"]}
    document = added()
    assert document["unknown"] == ["license", "languages", "kind", "reasoning", "tools"]
    assert document["model"]["license"] == {"id": "unknown", "commercial": None, "gated": False}
    assert document["model"]["languages"] == []


def test_a_repository_without_a_date_asks_for_one(fake: FakeHub) -> None:
    fake.about = {}
    assert "give --released" in run("models", "add", REPO).stderr
    assert added("--released", "2026-01-31")["model"]["released"] == "2026-01-31"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        pytest.param({"pipeline_tag": "feature-extraction"}, "embedding", id="embedder"),
        pytest.param({"pipeline_tag": "text-ranking"}, "rerank", id="reranker"),
        pytest.param({"pipeline_tag": None}, "chat", id="not said"),
    ],
)
def test_the_kind_is_the_hubs(fake: FakeHub, changes: dict[str, Any], kind: str) -> None:
    fake.about |= changes
    assert added()["model"]["kind"] == kind


def test_another_task_asks_for_the_kind(fake: FakeHub) -> None:
    fake.about["pipeline_tag"] = "text-to-image"
    assert "for text-to-image: say what it is for with --kind" in run("models", "add", REPO).stderr
    assert added("--kind", "chat")["model"]["kind"] == "chat"


@pytest.mark.parametrize(
    ("card", "license_id", "commercial"),
    [
        pytest.param(
            {"license": "other", "license_name": "Some License v2"}, "some-license-v2", None, id="own"
        ),
        pytest.param({"license": "cc-by-nc-4.0"}, "cc-by-nc-4.0", False, id="not commercial"),
        pytest.param({"license": ["mit"]}, "mit", True, id="a list"),
    ],
)
def test_licences(fake: FakeHub, card: dict[str, Any], license_id: str, commercial: bool | None) -> None:
    fake.about |= {"cardData": card, "tags": []}
    terms = added()["model"]["license"]
    assert (terms["id"], terms["commercial"]) == (license_id, commercial)


def test_the_entry_is_used_by_the_other_commands() -> None:
    added("--gguf", PACKAGED)
    hardware = ("--hardware", "RTX 3070 8 GB, 32 GB RAM", "--json")
    assert json.loads(run("estimate", REPO, *hardware).stdout)["model"] == "tiny-4b"
    document = json.loads(run("recommend", "--yes", *hardware).stdout)
    named = [document["choice"], *document["alternatives"], *document["rejected"]]
    assert sum(row["model"] == "tiny-4b" for row in named) == 1
    assert json.loads(run("models", "show", "tiny-4b", "--json").stdout)["origin"] == "user"
    assert "of your own catalog" in run("models", "show", "tiny-4b").stdout
    listed = json.loads(run("models", "list", "--own", "--json").stdout)["models"]
    assert [row["id"] for row in listed] == ["tiny-4b"]


def test_an_id_in_use_is_refused_without_force() -> None:
    added()
    again = run("models", "add", REPO)
    assert again.exit_code == 1
    assert "tiny-4b is in your catalog already" in again.stderr
    assert added("--force", "--kind", "embedding")["model"]["kind"] == "embedding"
    shipped = run("models", "add", REPO, "--as", "qwen3-8b")
    assert "qwen3-8b is in the shipped catalog already" in shipped.stderr
    added("--force", "--as", "qwen3-8b")
    known = load_catalog()
    assert known.get("qwen3-8b").publisher == "someone"
    assert "qwen3-8b" in own_ids(known)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"status": 401}, "set HF_TOKEN", id="401"),
        pytest.param(
            {"status": 403, "error_code": "GatedRepo"}, "is gated: accept its licence at", id="403 gated"
        ),
        pytest.param({"status": 403}, "forbidden (403): ask for it at", id="403"),
        pytest.param({"status": 429}, "asked too often (429)", id="429 without a time"),
        pytest.param({"status": 503}, "status 503", id="503"),
        pytest.param({"stalls_answers": True}, "cannot be reached (no answer in time)", id="timeout"),
        pytest.param({"cut_answers": 40}, "broke off again and again", id="truncated answer"),
        pytest.param({"files": {"README.md": b"#"}}, "neither a .gguf nor a config.json", id="no model"),
        pytest.param({"files": {"config.json": b"{"}}, "is not JSON", id="broken config"),
        pytest.param({"cuts": [10]}, "broke off again and again", id="truncated file"),
    ],
)
def test_a_refusal_is_one_line_and_nothing_is_written(
    fake: FakeHub, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for name, value in changes.items():
        setattr(fake, name, value)
    result = run("models", "add", REPO)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "hf_secret" not in result.stderr
    assert not user_folder().exists()


def test_a_wrong_name_gets_the_nearest(fake: FakeHub) -> None:
    result = run("models", "add", "someone/Tiny-4BB")
    assert "there is no repository someone/Tiny-4BB" in result.stderr
    assert f"nearest: {REPO}" in result.stderr
    assert run("models", "add", "no-repository").exit_code == 2


def test_a_limit_is_waited_for_once_and_told(fake: FakeHub, slept: list[float]) -> None:
    fake.retry_after = [7]
    result = run("models", "add", REPO)
    assert (result.exit_code, slept) == (0, [7])
    assert "(429): waiting 7 s" in result.stderr
    fake.retry_after = [7, 8]
    assert run("models", "sync").exit_code == 1
    fake.retry_after = [4000]
    slept.clear()
    assert run("models", "sync").exit_code == 1
    assert slept == []


def test_offline_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set: unset it" in run("models", "add", REPO).stderr


def test_the_token_is_sent_and_not_written(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    document = added()
    assert fake.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in json.dumps(document) + (user_folder() / "tiny-4b.yaml").read_text()


# --- the files ---


def test_what_is_written_is_read_again() -> None:
    added("--gguf", PACKAGED)
    (ready,) = read_user_catalog(user_folder()).entries
    write_entry(user_folder(), ready.entry, force=False)  # the same: nothing to replace
    changed = ready.entry.model.model_copy(update={"name": "Another"})
    with pytest.raises(OutputError, match="--force"):
        write_entry(user_folder(), ready.entry.model_copy(update={"model": changed}), force=False)
    assert set(ready.weights) == {"Q4_K_M", "Q8_0"}


def test_an_edit_counts() -> None:
    added()
    path = user_folder() / "tiny-4b.yaml"
    assert "tiny-4b" in own_ids(load_catalog())
    document = yaml.safe_load(path.read_text())
    document["model"]["languages"] = ["de"]
    path.write_text(yaml.safe_dump(document))
    assert load_catalog().get("tiny-4b").languages == ("de",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("model: [", "not valid YAML", id="no YAML"),
        pytest.param("model: {id: x}", "Field required", id="fields missing"),
    ],
)
def test_a_broken_file_is_left_out_and_told(
    text: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    user_folder().mkdir()
    (user_folder() / "bad.yaml").write_text(text)
    assert load_catalog() == catalog.load_catalog()
    assert "bad.yaml" in caplog.text
    result = run("models", "check", "--own", "--offline")
    assert result.exit_code == 1
    assert "broken" in result.stdout
    assert len(read_user_catalog(user_folder()).problems) == 1
    assert "bad.yaml" in read_user_catalog(user_folder()).problems[0]


def test_without_a_folder_the_shipped_catalog_is_all() -> None:
    assert load_catalog() == catalog.load_catalog()
    assert own_ids(load_catalog()) == frozenset()


# --- sync ---


def test_sync_tells_what_changed_upstream(fake: FakeHub) -> None:
    added("--gguf", PACKAGED, "--kind", "embedding")
    assert run("models", "sync").stdout == "tiny-4b: nothing changed\n"
    fake.about |= {"cardData": {**CARD, "license": "mit"}, "gated": "manual", "tags": []}
    fake.more[PACKAGED]["Tiny-4B-Q6_K.gguf"] = b"x" * 110
    fake.more[PACKAGED]["Tiny-4B-Q4_K_M.gguf"] = b"x" * 101
    del fake.more[PACKAGED]["Tiny-4B-UD-Q4_K_XL.gguf"]
    result = run("models", "sync", "--json")
    (row,) = json.loads(result.stdout)["models"]
    assert (result.exit_code, row["failed"]) == (0, None)
    assert row["changes"] == [
        "licence: apache-2.0 became mit",
        "it is gated now",
        f"new in {PACKAGED}: Tiny-4B-Q6_K.gguf",
        f"gone in {PACKAGED}: Tiny-4B-UD-Q4_K_XL.gguf",
        f"of another size in {PACKAGED}: Tiny-4B-Q4_K_M.gguf",
    ]
    model = load_catalog().get("tiny-4b")
    assert (model.kind, model.license.id, model.license.gated) == (ModelKind.EMBEDDING, "mit", True)
    assert {a.quantization for a in model.artifacts} == {"BF16", "Q4_K_M", "Q6_K", "Q8_0"}


def test_sync_keeps_an_entry_whose_repository_is_gone(fake: FakeHub) -> None:
    added()
    before = (user_folder() / "tiny-4b.yaml").read_text()
    fake.repo = "someone/else"
    result = run("models", "sync")
    assert result.exit_code == 1
    assert "tiny-4b: left as it was: there is no repository" in result.stdout
    assert (user_folder() / "tiny-4b.yaml").read_text() == before


def test_sync_without_network_changes_nothing(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    added()
    before = (user_folder() / "tiny-4b.yaml").read_text()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    result = run("models", "sync")
    assert result.exit_code == 1
    assert "cannot be reached (no connection)" in result.stderr
    assert "nothing was changed" in result.stderr
    assert (user_folder() / "tiny-4b.yaml").read_text() == before


def test_sync_of_nothing(fake: FakeHub) -> None:
    assert "Your catalog is empty" in run("models", "sync").stdout
    assert "is not in your catalog" in run("models", "sync", "qwen3-8b").stderr
    assert fake.requests == []


# --- check ---


def test_a_sound_entry_has_no_findings(fake: FakeHub) -> None:
    added("--gguf", PACKAGED)
    result = run("models", "check", "--own")
    assert (result.exit_code, result.stdout) == (0, "1 models checked: nothing to report.\n")


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        pytest.param({"repo": "someone/else"}, 1, "someone/Tiny-4B is gone from the hub", id="gone"),
        pytest.param({"status": 403, "error_code": "GatedRepo"}, 1, "gated: someone/Tiny-4B", id="closed"),
        pytest.param(
            {"repo": "someone/New", "renamed": {REPO: "someone/New"}},
            0,
            "now called someone/New",
            id="renamed",
        ),
        pytest.param({"about": {**ABOUT, "gated": "auto"}}, 0, "gated on the hub", id="gated"),
        pytest.param({"more": {PACKAGED: {}}}, 1, "has no file Tiny-4B-Q4_K_M.gguf", id="file renamed"),
        pytest.param(
            {"files": {"config.json": b"{}", "model.safetensors": b"x"}}, 0, "(1 bytes), not", id="size"
        ),
    ],
)
def test_check_asks_the_hub(fake: FakeHub, changes: dict[str, Any], status: int, message: str) -> None:
    added("--gguf", PACKAGED)
    for name, value in changes.items():
        setattr(fake, name, value)
    result = run("models", "check", "--own")
    assert message in result.stdout
    assert result.exit_code == status


def test_check_offline_asks_nobody(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    result = run("models", "check", "--offline", "--json")
    document = json.loads(result.stdout)
    assert document["checked"] == len(catalog.load_catalog().models)
    assert fake.requests == []
    refused = run("models", "check", "qwen3-8b")
    assert "--offline checks what needs no network" in refused.stderr


def test_ages_and_dangling_references_are_found() -> None:
    model = catalog.load_catalog().get("qwen3-8b").model_copy(update={"superseded_by": "gone"})
    found = {f.level.value: f.text for f in findings_offline([model], date(2028, 11, 21))}
    assert "24 months ago" in found["stale"]
    assert "which no catalog has" in found["broken"]
    assert [*findings_offline([model.model_copy(update={"superseded_by": None})], TODAY)] == []


# --- compare ---


def test_models_side_by_side(fake: FakeHub) -> None:
    names = ("qwen3-8b", "gemma-3-12b-it")
    result = run("models", "compare", *names, "--hardware", "RTX 3070 8 GB, 32 GB RAM", "--json")
    document = json.loads(result.stdout)
    assert [row["model"] for row in document["models"]] == list(names)
    for row in document["models"]:
        alone = run("estimate", row["model"], "--hardware", "RTX 3070 8 GB, 32 GB RAM", "--json")
        assert row["estimate"] == json.loads(alone.stdout)
        assert {score["use_case"] for score in row["scores"]} == {"chat", "coding", "reasoning"}
    assert any("times as fast" in sentence for sentence in document["differences"])
    assert fake.requests == []


def test_a_comparison_tells_who_does_not_fit() -> None:
    hardware = ("--hardware", "CPU only, 16 GB RAM, 8 cores")
    result = run("models", "compare", "qwen3-8b", "gpt-oss-120b", *hardware)
    assert result.exit_code == 0
    assert "gpt-oss-120b" in result.stdout
    assert "missing) does not fit" in result.stdout
    assert "name two models or more" in run("models", "compare", "qwen3-8b", *hardware).stderr
    assert "nearest" in run("models", "compare", "qwen3-8b", "qwen3-8bb", *hardware).stderr


# --- in words ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_is_told_in_one_language(
    language: str, fake: FakeHub, golden: Callable[[str, str], None], tmp_path: Path
) -> None:
    """An entry's life: made, changed upstream, checked, gone."""

    def told(*words: str) -> str:
        result = run("models", *words, "--locale", language)
        return f"$ models {' '.join(words)}\n{result.stdout}{result.stderr}"

    text = told("add", REPO, "--gguf", PACKAGED) + told("add", REPO) + told("show", "tiny-4b")
    fake.about |= {"cardData": {**CARD, "license": "mit"}, "gated": "manual"}
    fake.more[PACKAGED]["Tiny-4B-Q6_K.gguf"] = b"x" * 110
    fake.more[PACKAGED]["Tiny-4B-Q4_K_M.gguf"] = b"x" * 101
    text += told("check", "--own") + told("sync") + told("sync")
    fake.repo = "someone/else"
    text += told("sync") + told("check", "--own") + told("list", "--own")
    text = text.replace(str(tmp_path), "").replace(fake.url, "http://hub")
    golden(f"{language}/models-own.txt", "".join(f"{line.rstrip()}\n" for line in text.splitlines()))
    if language == "ko":
        assert english_in(re.sub(r"(?m)^\$.*$", "", text)) == []
