"""Models on a hub on the loopback interface: how little is read of them, what is kept, and every refusal."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import pytest
from click.testing import CliRunner
from fake_hub import COMMIT, FakeHub, serving
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import close_session
from safetensors_files import CONFIG, tiny_model
from safetensors_files import write as write_safetensors
from tiny_gguf import SHAPES, write

from advisor import kept_files
from advisor.catalog import load_catalog
from advisor.cli import advisor
from advisor.errors import AdvisorError, DownloadError, GgufError, UnknownModelError
from advisor.gguf import read_header, read_header_in
from advisor.hub_folder import repository
from advisor.hub_models import HubName, hub_name
from advisor.model_files import model_files, quantization_in
from advisor.resolve import Subject, resolve_model
from advisor.safetensors import read_safetensors
from advisor.units import MIB

REPO = "someone/A-Model-GGUF"
Q4, Q8 = "a-model-Q4_K_M.gguf", "a-model-Q8_0.gguf"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    """A hub with a model in two quantizations, and its projector."""
    files = {}
    for name, file_type in ((Q4, 15), (Q8, 7)):
        path = write(tmp_path / name, "llama", {"general.file_type": file_type})
        files[name] = path.read_bytes()
    with serving(FakeHub(REPO, {**files, "mmproj-F16.gguf": b"no model", "README.md": b"#"})) as server:
        yield server


@pytest.fixture(autouse=True)
def caches(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Point the hub's library, which read its environment when it was imported, to the fake hub."""
    monkeypatch.setattr(constants, "ENDPOINT", fake.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", fake.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    monkeypatch.setattr(kept_files, "cache_folder", lambda name: tmp_path / "kept" / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    close_session()
    yield tmp_path / "kept"
    close_session()


def resolve(name: str, *, fetch: bool = True, quantization: str | None = None) -> Subject:
    return resolve_model(name, load_catalog, fetch=fetch, quantization=quantization)


# --- reading in ranges ---


def test_the_header_is_that_of_the_file(fake: FakeHub, tmp_path: Path) -> None:
    folder = repository(REPO)
    assert read_header_in(folder, Q4) == read_header(tmp_path / Q4)
    assert folder.commit == COMMIT


def test_only_the_header_of_a_large_file_is_fetched(fake: FakeHub, tmp_path: Path) -> None:
    tokens = [f"token {i}" for i in range(150_000)]
    shapes = {**SHAPES, "output.weight": (64, 320)}
    path = write(tmp_path / "large.gguf", "llama", {"tokens": tokens}, shapes)
    data = path.read_bytes()
    end = read_header(path).data_offset
    fake.files[Q4] = data + bytes(64 * MIB)
    folder = repository(REPO)
    tracemalloc.start()
    header = read_header_in(folder, Q4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.tensors == read_header(path).tensors
    assert end <= folder.bytes_fetched <= end + 2 * MIB
    assert peak < 200 * MIB  # the server is in this process, and slices its file


@pytest.mark.parametrize("given_part", [1, 2, 3])
def test_all_parts_of_a_split_file_are_read(fake: FakeHub, given_part: int, tmp_path: Path) -> None:
    write(tmp_path / "split.gguf", "llama", {}, split_max_tensors=5)
    parts = sorted(tmp_path.glob("split-*.gguf"))
    fake.files |= {f"UD/{part.name}": part.read_bytes() for part in parts}
    header = read_header_in(repository(REPO), f"UD/split-{given_part:05}-of-00003.gguf")
    assert header == read_header(parts[0])


def test_a_missing_part_is_named(fake: FakeHub, tmp_path: Path) -> None:
    write(tmp_path / "split.gguf", "llama", {}, split_max_tensors=5)
    first = min(tmp_path.glob("split-*.gguf"))
    fake.files[first.name] = first.read_bytes()
    with pytest.raises(GgufError, match=rf"{REPO}/split-00001-of-00003\.gguf: 2 of its 3 parts missing"):
        read_header_in(repository(REPO), first.name)


def test_what_was_downloaded_is_read_from_the_cache(fake: FakeHub) -> None:
    hf_hub_download(REPO, Q4)
    folder = repository(REPO)
    fake.requests.clear()
    read_header_in(folder, Q4)
    assert (fake.requests, folder.bytes_fetched) == ([], 0)


def test_a_redirect_is_followed_without_the_token(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(FakeHub(REPO, fake.files)) as cdn:
        fake.cdn = cdn.url
        assert read_header_in(repository(REPO), Q4) == read_header(tmp_path / Q4)
        assert cdn.tokens == {None}
    assert fake.tokens == {"Bearer hf_secret"}
    assert fake.downloads() == []


def test_shards_are_joined(fake: FakeHub, tmp_path: Path) -> None:
    rows = tiny_model()
    names = list(rows)
    weight_map = {}
    for i, part in enumerate((names[:5], names[5:]), 1):
        file = f"model-{i:05}-of-00002.safetensors"
        fake.files[file] = write_safetensors(tmp_path / file, {n: rows[n] for n in part}).read_bytes()
        weight_map |= dict.fromkeys(part, file)
    fake.files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    assert read_safetensors(repository(REPO)).tensors.keys() == rows.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"status": 401, "error_code": "RepoNotFound"}, "there is no repository", id="no repo"),
        pytest.param({"status": 401}, "wants a valid token", id="401"),
        pytest.param({"status": 403, "error_code": "GatedRepo"}, "is gated: accept its licence", id="gated"),
        pytest.param({"status": 403}, "forbidden", id="403"),
        pytest.param({"status": 404, "error_code": "RepoNotFound"}, "there is no repository", id="404"),
        pytest.param({"status": 429}, "asked too often", id="429"),
        pytest.param({"status": 503}, "status 503: try again later", id="503"),
        pytest.param({"status_of_bodies": 403, "error_code": "GatedRepo"}, "is gated", id="gated files"),
        pytest.param({"status_of_bodies": 429}, "asked too often", id="429 in the middle"),
        pytest.param({"ignores_ranges": True}, "does not send parts of", id="no ranges"),
        pytest.param({"cuts": [100]}, "broke off", id="truncated body"),
        pytest.param({"is_stalled": True}, "no answer in time", id="silence"),
    ],
)
def test_a_refusal_is_one_line(fake: FakeHub, changes: dict[str, Any], message: str, caches: Path) -> None:
    for name, value in changes.items():
        setattr(fake, name, value)
    with pytest.raises(DownloadError, match=message) as raised:
        resolve(f"{REPO}:Q4_K_M")
    assert "\n" not in str(raised.value)
    assert not list(caches.rglob("*.json"))


def test_a_server_without_ranges_is_not_read_to_the_end(fake: FakeHub) -> None:
    fake.files[Q4] += bytes(64 * MIB)
    fake.ignores_ranges = True
    folder = repository(REPO)
    with pytest.raises(DownloadError, match="does not send parts"):
        read_header_in(folder, Q4)
    assert folder.bytes_fetched == 0


def test_offline_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set: unset it, or give the path"):
        resolve(REPO)


# --- the model that is meant ---


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("owner/name", HubName("owner/name")),
        ("owner/name:Q4_K_M", HubName("owner/name", "Q4_K_M")),
        ("owner/name/file.gguf", HubName("owner/name", None, "file.gguf")),
        (
            "owner/name/Q8_0/file-00001-of-00002.gguf",
            HubName("owner/name", None, "Q8_0/file-00001-of-00002.gguf"),
        ),
        ("name", None),
        ("./owner/name", None),
        ("../name", None),
        ("owner/../name.gguf", None),
        ("/owner/name", None),
        ("owner/name/more", None),
    ],
)
def test_names_of_the_hub(text: str, name: HubName | None) -> None:
    assert hub_name(text) == name


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q5_k_m.gguf", "Q5_K_M"),
        ("Q4_K_M/big.Q4_K_M-00001-of-00003.gguf", "Q4_K_M"),
        ("Llama-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("model-IQ2_XXS.gguf", "IQ2_XXS"),
        ("model-bf16.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("model.gguf", None),
    ],
)
def test_quantizations_in_the_names_of_files(file: str, label: str | None) -> None:
    assert quantization_in(file) == label


def test_parts_are_one_model_and_projectors_none() -> None:
    names = [
        "b-Q8_0-00002-of-00002.gguf",
        "b-Q8_0-00001-of-00002.gguf",
        "mmproj-b.gguf",
        "x.imatrix.gguf",
        "a",
    ]
    assert model_files(names) == {"b-Q8_0-00001-of-00002.gguf": "Q8_0"}


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        pytest.param(REPO, "Q4_K_M", id="the usual one"),
        pytest.param(f"{REPO}:q8_0", "Q8_0", id="by quantization"),
        pytest.param(f"{REPO}/{Q8}", "Q8_0", id="by file"),
    ],
)
def test_one_of_several_is_picked(name: str, quantization: str) -> None:
    subject = resolve(name)
    assert (subject.default_quantization, subject.source) == (quantization, "gguf-header")
    assert any(COMMIT[:8] in note for note in subject.notes)


def test_the_flag_names_the_quantization_as_well() -> None:
    assert resolve(REPO, quantization="Q8_0").default_quantization == "Q8_0"


def test_what_there_is_is_listed(fake: FakeHub) -> None:
    with pytest.raises(
        UnknownModelError, match=f"no file of Q5_K_M; give one of: {REPO}:Q4_K_M, {REPO}:Q8_0"
    ):
        resolve(f"{REPO}:Q5_K_M")
    fake.files["other-Q8_0.gguf"] = fake.files[Q8]
    with pytest.raises(UnknownModelError, match=f"several files of Q8_0; give one of: {REPO}/{Q4}, "):
        resolve(f"{REPO}:Q8_0")
    with pytest.raises(UnknownModelError, match=rf"has no file gone\.gguf; give one of: {REPO}/"):
        resolve(f"{REPO}/gone.gguf")
    fake.files = {"README.md": b"#"}
    with pytest.raises(UnknownModelError, match=r"neither a \.gguf nor a config\.json"):
        resolve(REPO)


def test_a_repository_of_safetensors(fake: FakeHub, tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "model.safetensors", tiny_model())
    fake.files = {"config.json": json.dumps(CONFIG).encode(), path.name: path.read_bytes()}
    subject = resolve(REPO)
    assert subject.checkpoint
    assert subject.checkpoint.quantization == "BF16"
    assert subject.checkpoint.weights.total_bytes == subject.checkpoint.data_bytes
    assert resolve(REPO, fetch=False).checkpoint == subject.checkpoint


# --- without the network ---


def test_without_fetch_nothing_is_asked(fake: FakeHub) -> None:
    with pytest.raises(UnknownModelError, match="--fetch reads its header"):
        resolve(REPO, fetch=False)
    assert fake.requests == []


def test_what_was_read_is_known_offline(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = resolve(REPO)
    fake.requests.clear()
    again = resolve(REPO, fetch=False)
    assert fake.requests == []
    assert (again.architecture, again.notes) == (first.architecture, first.notes)
    assert again.weights("Q4_K_M") == first.weights("Q4_K_M")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve(REPO).architecture == first.architecture


def test_fetching_again_asks_only_for_the_commit(fake: FakeHub) -> None:
    resolve(REPO)
    fake.requests.clear()
    resolve(REPO)
    assert [request.partition("?")[0] for request in fake.requests] == [f"GET /api/models/{REPO}"]


def test_what_is_kept_and_broken_is_read_anew(caches: Path) -> None:
    resolve(REPO)
    (kept,) = caches.rglob("*.json")
    kept.write_text(kept.read_text()[:100])
    with pytest.raises(UnknownModelError):
        resolve(REPO, fetch=False)
    assert resolve(REPO).default_quantization == "Q4_K_M"


def test_what_was_downloaded_is_known_without_fetch(fake: FakeHub) -> None:
    hf_hub_download(REPO, Q4)
    fake.requests.clear()
    assert resolve(f"{REPO}:Q4_K_M", fetch=False).default_quantization == "Q4_K_M"
    assert fake.requests == []


def test_a_hostile_file_is_refused(fake: FakeHub) -> None:
    fake.files[Q4] = fake.files[Q4].replace(b"llama.block_count", b"llama.block_c\nunt")
    with pytest.raises(AdvisorError) as raised:
        resolve(REPO)
    assert "\n" not in str(raised.value)


def test_the_command_line(fake: FakeHub) -> None:
    line = [
        "estimate",
        f"{REPO}:Q8_0",
        "--hardware",
        "CPU only, 16 GB RAM, 8 cores",
        "--method",
        "rules",
        "--json",
    ]
    run = CliRunner().invoke(advisor, [*line, "--fetch"])
    assert run.exit_code == 0, run.output
    document = json.loads(run.stdout)
    assert (document["quantization"], document["memory"]["source"]) == ("Q8_0", "gguf-header")
    assert any(COMMIT[:8] in note for note in document["assumptions"])
    assert json.loads(CliRunner().invoke(advisor, line).stdout) == document


def test_a_folder_with_one_gguf_model(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    write(folder / "one.gguf", "llama", {}, split_max_tensors=5)
    write(folder / "mmproj.gguf", "clip", {})
    assert resolve(str(folder), fetch=False).architecture.n_layers == 4
    write(folder / "two.gguf", "llama", {})
    with pytest.raises(
        UnknownModelError, match="holds 2 GGUF models; give the path of one of them: one-00001"
    ):
        resolve(str(folder), fetch=False)


def test_the_written_files_are_what_the_gguf_package_reads(tmp_path: Path, fake: FakeHub) -> None:
    (tmp_path / "copy.gguf").write_bytes(fake.files[Q4])
    assert len(gguf.GGUFReader(tmp_path / "copy.gguf").tensors) == len(SHAPES)
