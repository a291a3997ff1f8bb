"""Models on the disk: the stores as their programs lay them out, what is found in them, and what it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from huggingface_hub import scan_cache_dir

from advisor.api import machine_of, recommend
from advisor.catalog import load_catalog
from advisor.cli import advisor
from advisor.downloaded import (
    EQUAL_SHARE,
    Download,
    by_choice,
    downloaded_first,
    downloaded_reason,
    held,
    is_equal,
    name_key,
)
from advisor.downloads import find_downloads
from advisor.quality import fidelity

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CATALOG = load_catalog()
MODEL = CATALOG.get("qwen3-8b")
Q4 = next(a for a in MODEL.artifacts if a.quantization == "Q4_K_M")


def in_hub_cache(cache: Path, repo: str, files: dict[str, bytes]) -> Path:
    """A repository as huggingface-hub keeps it: blobs, and links to them."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for part in (folder / "blobs", folder / "refs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name, data in files.items():
        blob = folder / "blobs" / hashlib.sha256(name.encode() + data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


def in_ollama(store: Path, name: str, data: bytes, **config: str) -> Path:
    """A model as Ollama keeps it; name: host/namespace/model/tag."""
    blobs = store / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(content: bytes) -> tuple[str, Path]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / f"sha256-{digest}").write_bytes(content)
        return f"sha256:{digest}", blobs / f"sha256-{digest}"

    weights, path = blob(data)
    about, _ = blob(json.dumps({"model_format": "gguf", **config}).encode())
    manifest = {
        "config": {"digest": about},
        "layers": [
            {"mediaType": "application/vnd.ollama.image.template", "digest": about, "size": 1},
            {"mediaType": "application/vnd.ollama.image.model", "digest": weights, "size": len(data)},
        ],
    }
    file = store / "manifests" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(manifest))
    return path


def found(home: Path, environ: dict[str, str] | None = None, **limits: Any) -> tuple[Download, ...]:
    return find_downloads(environ or {}, home, platform="linux", **limits)


# --- the stores ---


def test_the_hub_cache(tmp_path: Path) -> None:
    cache = tmp_path / ".cache" / "huggingface" / "hub"
    ggufs = in_hub_cache(cache, Q4.repo, {Q4.files[0]: b"x" * 90, "mmproj-F16.gguf": b"x", "README.md": b"#"})
    shards = {f"model-0000{i}-of-00002.safetensors": b"x" * i for i in (1, 2)}
    whole = in_hub_cache(cache, "Qwen/Qwen3-8B", {"config.json": b"{}", **shards})
    in_hub_cache(cache, "some/half", {"config.json": b"{}", "model-00001-of-00002.safetensors": b"x"})
    (cache / "datasets--a--b").mkdir()
    rows = {row.path: row for row in found(tmp_path)}
    assert set(rows) == {str(ggufs / Q4.files[0]), str(whole)}
    gguf = rows[str(ggufs / Q4.files[0])]
    assert (gguf.repo, gguf.file, gguf.quantization, gguf.bytes) == (Q4.repo, Q4.files[0], "Q4_K_M", 90)
    assert (rows[str(whole)].repo, rows[str(whole)].bytes) == ("Qwen/Qwen3-8B", 3)


def test_the_hubs_own_scan_sees_the_same(tmp_path: Path) -> None:
    in_hub_cache(tmp_path, Q4.repo, {Q4.files[0]: b"x" * 90})
    in_hub_cache(tmp_path, "Qwen/Qwen3-8B", {"config.json": b"{}", "model.safetensors": b"x"})
    scanned = {repo.repo_id for repo in scan_cache_dir(tmp_path).repos}
    assert {row.repo for row in found(tmp_path / "home", {"HF_HUB_CACHE": str(tmp_path)})} == scanned


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        pytest.param("HF_HUB_CACHE", "", id="HF_HUB_CACHE"),
        pytest.param("HF_HOME", "hub", id="HF_HOME"),
        pytest.param("XDG_CACHE_HOME", "huggingface/hub", id="XDG_CACHE_HOME"),
        pytest.param("LLAMA_CACHE", "", id="LLAMA_CACHE in the hub's layout"),
    ],
)
def test_the_hub_cache_elsewhere(tmp_path: Path, variable: str, below: str) -> None:
    in_hub_cache(tmp_path / "there" / below, Q4.repo, {Q4.files[0]: b"x"})
    (row,) = found(tmp_path, {variable: str(tmp_path / "there")})
    assert row.file == Q4.files[0]


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        pytest.param("linux", ".cache/llama.cpp", id="Linux"),
        pytest.param("darwin", "Library/Caches/llama.cpp", id="macOS"),
        pytest.param("win32", "AppData/Local/llama.cpp", id="Windows"),
    ],
)
def test_llama_cpps_cache(tmp_path: Path, platform: str, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    name = f"{Q4.repo.replace('/', '_')}_{Q4.files[0]}"
    (folder / name).write_bytes(b"x" * 80)
    (folder / f"{name}.json").write_text("{}")
    (folder / "other.gguf.downloadInProgress").write_bytes(b"x")
    (row,) = find_downloads({}, tmp_path, platform=platform)
    assert (row.store, row.path, row.bytes) == ("llama.cpp", str(folder / name), 80)
    (match,) = held(CATALOG.models, [row])
    assert (match.model, match.quantization) == (MODEL.id, "Q4_K_M")


def test_lm_studios_folder(tmp_path: Path) -> None:
    own = tmp_path / "studio"
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{own}\n")
    folder = own / "models" / "lmstudio-community" / "Qwen3-8B-GGUF"
    folder.mkdir(parents=True)
    for name, size in (("Qwen3-8B-Q8_0-00001-of-00002.gguf", 5), ("Qwen3-8B-Q8_0-00002-of-00002.gguf", 6)):
        (folder / name).write_bytes(b"x" * size)
    (folder / "Qwen3-8B-Q6_K-00001-of-00002.gguf").write_bytes(b"half")
    chosen = tmp_path / "chosen" / "unsloth" / "Qwen3-8B-GGUF"
    chosen.mkdir(parents=True)
    (chosen / "Qwen3-8B-Q5_K_M.gguf").write_bytes(b"x")
    (own / "settings.json").write_text(json.dumps({"downloadsFolder": str(tmp_path / "chosen")}))
    rows = found(tmp_path)
    assert [(row.repo, row.quantization, row.bytes) for row in rows] == [
        ("unsloth/Qwen3-8B-GGUF", "Q5_K_M", 1),
        ("lmstudio-community/Qwen3-8B-GGUF", "Q8_0", 11),
    ]
    assert [(row.model, row.quantization) for row in held(CATALOG.models, rows)] == [
        (MODEL.id, "Q5_K_M"),
        (MODEL.id, "Q8_0"),
    ]


def test_ollamas_store(tmp_path: Path) -> None:
    store = tmp_path / ".ollama" / "models"
    host = "registry.ollama.ai/library"
    path = in_ollama(store, f"{host}/qwen3/8b", b"x" * 70, file_type="Q4_K_M", model_type="8.2B")
    in_ollama(store, f"{host}/qwen3/latest", b"x" * 70, file_type="Q4_K_M", model_type="8.2B")
    in_ollama(store, f"{host}/qwen3/mine", b"y" * 60, file_type="Q8_0", model_type="8.2B")
    in_ollama(store, "hf.co/bartowski/Qwen3-8B-GGUF/Q5_K_M", b"z" * 50, file_type="unknown")
    broken = in_ollama(store, f"{host}/gemma3/1b", b"w" * 40)
    broken.write_bytes(b"half")
    (store / "manifests" / host / "phi4").mkdir()
    (store / "manifests" / host / "phi4" / "latest").write_text("{not JSON")
    rows = found(tmp_path)
    by_tags = {row.tags: row for row in rows}
    assert set(by_tags) == {
        ("hf.co/bartowski/Qwen3-8B-GGUF:Q5_K_M",),
        ("qwen3:8b", "qwen3:latest"),
        ("qwen3:mine",),
    }
    first = by_tags["qwen3:8b", "qwen3:latest"]
    assert (first.path, first.bytes, first.quantization) == (str(path), 70, "Q4_K_M")
    matches = {row.download.tags[0]: (row.model, row.quantization) for row in held(CATALOG.models, rows)}
    assert matches["qwen3:8b"] == (MODEL.id, "Q4_K_M")
    assert matches["qwen3:mine"] == (MODEL.id, "Q8_0")
    assert matches["hf.co/bartowski/Qwen3-8B-GGUF:Q5_K_M"] == (MODEL.id, "Q5_K_M")


def test_ollama_elsewhere(tmp_path: Path) -> None:
    in_ollama(tmp_path / "there", "registry.ollama.ai/library/qwen3/8b", b"x")
    (row,) = found(tmp_path, {"OLLAMA_MODELS": str(tmp_path / "there")})
    assert row.tags == ("qwen3:8b",)


@pytest.mark.parametrize(
    "digest", ["sha256:../../../etc/passwd", "sha256:" + "0" * 63, "md5:" + "0" * 64, 7, None]
)
def test_a_hostile_manifest_leads_nowhere(tmp_path: Path, digest: object) -> None:
    store = tmp_path / ".ollama" / "models"
    in_ollama(store, "registry.ollama.ai/library/qwen3/8b", b"x")
    manifest = store / "manifests" / "registry.ollama.ai" / "library" / "qwen3" / "8b"
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": 1}
    manifest.write_text(json.dumps({"layers": [layer]}))
    assert found(tmp_path) == ()


# --- bounds ---


def test_nothing_anywhere(tmp_path: Path) -> None:
    assert found(tmp_path) == ()


def test_the_look_is_bounded(tmp_path: Path) -> None:
    cache = tmp_path / ".cache" / "huggingface" / "hub"
    for i in range(20):
        in_hub_cache(cache, f"some/m{i}", {f"m{i}-Q4_K_M.gguf": b"x"})
    assert len(found(tmp_path)) == 20
    assert len(found(tmp_path, max_rows=30)) < 20
    assert found(tmp_path, max_seconds=0.0) == ()


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    folder = tmp_path / ".lmstudio" / "models" / "someone"
    folder.mkdir(parents=True)
    (folder / "again").symlink_to(tmp_path / ".lmstudio" / "models")
    assert found(tmp_path) == ()


# --- what it is ---


@pytest.mark.parametrize(
    ("download", "match"),
    [
        pytest.param(
            {"repo": Q4.repo, "file": Q4.files[0], "quantization": "Q4_K_M"},
            (MODEL.id, "Q4_K_M"),
            id="the packager's file",
        ),
        pytest.param({"repo": "Qwen/Qwen3-8B"}, (MODEL.id, "BF16"), id="the maker's checkpoint"),
        pytest.param(
            {"repo": "else/where", "file": "Qwen_Qwen3-8B-Q6_K.gguf", "quantization": "Q6_K"},
            (MODEL.id, "Q6_K"),
            id="another packager's file of the name",
        ),
        pytest.param(
            {"repo": "else/where", "file": "Qwen3-8B-Coder-Tune-Q6_K.gguf", "quantization": "Q6_K"},
            None,
            id="a derived model's",
        ),
        pytest.param({"repo": "else/where", "file": "qwen3-8b.gguf"}, None, id="no quantization"),
        pytest.param({"tags": ("qwen3:8b",), "quantization": "Q4_K_M"}, (MODEL.id, "Q4_K_M"), id="a tag"),
        pytest.param(
            {"tags": ("qwen3:latest",), "parameters": "8.2B", "quantization": "Q4_K_M"},
            (MODEL.id, "Q4_K_M"),
            id="a tag by its size",
        ),
        pytest.param({"tags": ("qwen3:latest",), "parameters": "9.9B"}, None, id="a size nobody has"),
    ],
)
def test_a_download_is_told_by_what_the_store_knows(
    download: dict[str, Any], match: tuple[str, str | None] | None
) -> None:
    rows = held(CATALOG.models, [Download(store="LM Studio", path="/x", bytes=1, **download)])
    assert [(row.model, row.quantization) for row in rows] == ([match] if match else [])


def test_every_file_of_the_catalog_is_told() -> None:
    expected = [
        (model.id, a.quantization, a.repo, a.files[0])
        for model in CATALOG.models
        for a in model.artifacts
        if a.files
    ]
    downloads = [
        Download(store="Hugging Face", path=f"{repo}/{file}", bytes=1, repo=repo, file=file)
        for _, _, repo, file in expected
    ]
    rows = held(CATALOG.models, downloads)
    told = [(row.model, row.quantization, row.download.repo, row.download.file) for row in rows]
    assert told == expected


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "qwen3-8b"),
        ("Qwen3-8B-UD-Q4_K_XL.gguf", "qwen3-8b"),
        ("gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b"),
        ("Phi-4-mini-instruct.BF16.gguf", "phi-4-mini-instruct"),
        ("big-Q8_0-00001-of-00004.gguf", "big"),
        ("Qwen3-8B-GGUF", "qwen3-8b"),
    ],
)
def test_names_are_compared_without_what_packagers_add(name: str, key: str) -> None:
    assert name_key(name) == key


# --- ties ---


@pytest.mark.parametrize(
    ("scores", "here", "expected"),
    [
        pytest.param([50, 50, 40], {1}, [1, 0, 2], id="an equal that is here leads"),
        pytest.param([50, 50 * (1 - EQUAL_SHARE), 40], {1}, [1, 0, 2], id="nearly equal"),
        pytest.param([50, 49, 40], {1, 2}, [0, 1, 2], id="better counts more"),
        pytest.param([50, 50, 50], {0, 2}, [0, 2, 1], id="the order is otherwise kept"),
        pytest.param([50, 40, 50], {2}, [0, 1, 2], id="what a rule put behind stays behind"),
        pytest.param([], set(), [], id="nothing"),
    ],
)
def test_a_tie_goes_to_what_is_on_the_disk(scores: list[float], here: set[int], expected: list[int]) -> None:
    rows = list(range(len(scores)))
    assert [*downloaded_first(rows, lambda i: scores[i], lambda _: 0, lambda i: i in here)] == expected


def test_a_slow_one_does_not_lead_for_being_on_the_disk() -> None:
    assert [*downloaded_first([0, 1], lambda _: 50, lambda i: i, lambda i: i == 1)] == [0, 1]


def test_the_reason_names_the_store() -> None:
    one = Download(store="Ollama", path="/x", bytes=5 << 30, tags=("qwen3:8b",), quantization="Q4_K_M")
    choice = by_choice(held(CATALOG.models, [one]))[MODEL.id, "Q4_K_M"]
    assert downloaded_reason(choice) == "already downloaded: 5.00 GiB in Ollama's store"


# --- the command ---


def test_the_command_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "LLAMA_CACHE", "OLLAMA_MODELS"):
        monkeypatch.delenv(variable, raising=False)
    list_them = ["models", "list", "--downloaded"]
    assert "No model was found" in CliRunner().invoke(advisor, list_them).stdout
    cache = tmp_path / ".cache" / "huggingface" / "hub"
    in_hub_cache(cache, Q4.repo, {Q4.files[0]: b"x" * 90})
    in_hub_cache(cache, "some/unknown", {"unknown-Q4_K_M.gguf": b"x"})
    result = CliRunner().invoke(advisor, list_them)
    assert result.exit_code == 0
    assert MODEL.id in result.stdout
    assert "not in the catalog: some/unknown/unknown-Q4_K_M.gguf" in result.stdout
    document = json.loads(CliRunner().invoke(advisor, [*list_them, "--json"]).stdout)
    (row,) = document["models"]
    assert (row["model"], row["quantization"], row["store"]) == (MODEL.id, "Q4_K_M", "Hugging Face")
    assert [other["repo"] for other in document["others"]] == ["some/unknown"]


# --- what a recommendation makes of them ---


def on_disk(model: str, quantization: str) -> Download:
    artifact = next(a for a in CATALOG.get(model).artifacts if a.is_gguf and a.quantization == quantization)
    (file, *_) = artifact.files
    return Download(store="llama.cpp", path=f"/models/{file}", bytes=5 << 30, repo=artifact.repo, file=file)


def test_a_file_as_good_as_the_best_leads_where_it_is_on_the_disk() -> None:
    machine = machine_of("RTX 4090, 64 GB RAM")
    pick = recommend(machine=machine).choice
    assert pick is not None
    kept = fidelity(pick.quantization, pick.n_params, CATALOG.quality)
    files = [a.quantization for a in CATALOG.get(pick.model).artifacts if a.is_gguf]
    others = {q: fidelity(q, pick.n_params, CATALOG.quality) for q in files if q != pick.quantization}
    near = max((q for q in others if others[q] < kept), key=lambda q: others[q])
    far = min(others, key=lambda q: others[q])
    assert is_equal(others[near], kept)
    assert not is_equal(others[far], kept)
    for quantization, expected in ((near, near), (far, pick.quantization)):
        again = recommend(machine=machine, downloads=[on_disk(pick.model, quantization)]).choice
        assert again is not None
        assert (again.model, again.quantization) == (pick.model, expected)
        assert any(reason.startswith("already downloaded") for reason in again.reasons) is (expected == near)
