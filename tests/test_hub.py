"""Downloads, from a hub on the loopback interface: what is fetched, what is kept, and every refusal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import factories
import pytest
from fake_hub import FakeHub, serving
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from advisor import hub
from advisor.assessment import ArtifactChoice, Placement
from advisor.errors import DownloadError

REPO = "someone/A-Model-GGUF"
WEIGHTS = "a-model-q4_k_m.gguf"
DATA = bytes(range(256)) * 400
ARTIFACT = ArtifactChoice(repo=REPO, files=(WEIGHTS,), bytes=len(DATA))


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    """A hub with one file."""
    with serving(FakeHub(REPO, {WEIGHTS: DATA})) as server:
        yield server


@pytest.fixture(autouse=True)
def cache(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Point the hub's library, which read its environment when it was imported, to the fake hub."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "ENDPOINT", fake.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", fake.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the library's own retries
    close_session()
    yield folder
    close_session()


def _left_in(cache: Path) -> list[str]:
    """Whole or half files of models in the cache."""
    return [path.name for path in cache.rglob("*") if path.is_file() and path.parent.name == "blobs"]


def test_a_file_comes_with_progress(fake: FakeHub) -> None:
    seen: list[tuple[int, int]] = []
    (path,) = hub.download(ARTIFACT, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == DATA
    assert path.name == WEIGHTS
    assert seen[-1] == (len(DATA), len(DATA))


def test_what_is_in_the_cache_needs_no_network(fake: FakeHub) -> None:
    first = hub.download(ARTIFACT)
    fake.requests.clear()
    assert hub.download(ARTIFACT) == first
    assert fake.requests == []


def test_the_cache_serves_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    first = hub.download(ARTIFACT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.download(ARTIFACT) == first


def test_offline_without_the_file_is_told_so(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set: unset it, or give a file"):
        hub.download(ARTIFACT)
    assert fake.requests == []


def test_several_files_come_in_order(fake: FakeHub) -> None:
    names = ("part-00001-of-00002.gguf", "part-00002-of-00002.gguf")
    fake.files = {names[0]: b"one" * 100, names[1]: b"two" * 100}
    seen: list[int] = []
    artifact = ArtifactChoice(repo=REPO, files=names, bytes=None)
    paths = hub.download(artifact, progress=lambda done, total: seen.append(done))
    assert [path.name for path in paths] == list(names)
    assert len({path.parent for path in paths}) == 1  # llama.cpp looks for the others beside the first
    assert seen[-1] == 600


def test_the_token_is_sent(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.download(ARTIFACT)
    assert fake.tokens == {"Bearer hf_secret"}


def test_a_broken_connection_is_resumed(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # whole chunks are kept
    fake.cuts = [1000, 2000]
    (path,) = hub.download(ARTIFACT)
    assert path.read_bytes() == DATA
    ranges = [request.partition("bytes=")[2] for request in fake.downloads()]
    assert ranges == ["", "1000-", "3000-"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"status": 401, "error_code": "RepoNotFound"},
            "there is no repository",
            id="401: no such repository",
        ),
        pytest.param({"status": 401}, "wants a valid token", id="401: token"),
        pytest.param(
            {"status": 401, "error_code": "GatedRepo"},
            f"is gated: accept its licence at http://127.0.0.1:[0-9]+/{REPO}, and set HF_TOKEN",
            id="401: gated, no token",
        ),
        pytest.param(
            {"status": 403, "error_code": "GatedRepo"}, "is gated: accept its licence", id="403: gated"
        ),
        pytest.param({"status": 403}, "forbidden", id="403"),
        pytest.param({"status": 404, "error_code": "RepoNotFound"}, "there is no repository", id="404"),
        pytest.param({"files": {}}, f"has no file {WEIGHTS}", id="no such file"),
        pytest.param({"status": 429}, "asked too often", id="429"),
        pytest.param({"status_of_bodies": 429}, "asked too often", id="429 during the download"),
        pytest.param({"status": 503}, "status 503: try again later", id="503"),
        pytest.param({"cuts": [500] + [0] * 20}, "broke off again and again", id="truncated body"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    fake: FakeHub, cache: Path, changes: dict[str, Any], message: str
) -> None:
    for name, value in changes.items():
        setattr(fake, name, value)
    with pytest.raises(DownloadError, match=message) as raised:
        hub.download(ARTIFACT)
    assert "\n" not in str(raised.value)
    assert _left_in(cache) == []


def test_a_hub_that_does_not_answer(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    with pytest.raises(DownloadError, match=f"{nobody} cannot be reached .no connection."):
        hub.download(ARTIFACT)


def test_a_hub_that_is_silent(fake: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    fake.is_stalled = True
    with pytest.raises(DownloadError, match="no answer in time"):
        hub.download(ARTIFACT)
    assert _left_in(cache) == []


def test_a_disk_that_is_too_small_is_seen_before(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(DATA)))
    with pytest.raises(DownloadError, match="the disk is too small: the download takes 100"):
        hub.download(ARTIFACT)
    assert fake.downloads() == []


def test_a_disk_that_becomes_full(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DownloadError, match="the disk became full"):
        hub.download(ARTIFACT, progress=full)
    assert _left_in(cache) == []


def test_ctrl_c_leaves_nothing(cache: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.download(ARTIFACT, progress=interrupt)
    assert _left_in(cache) == []


@pytest.mark.parametrize(
    "artifact",
    [
        pytest.param(ArtifactChoice(repo=REPO, files=(), bytes=None), id="no files"),
        pytest.param(
            ArtifactChoice(repo=REPO, files=("../../evil.gguf",), bytes=None), id="out of the cache"
        ),
        pytest.param(ArtifactChoice(repo="../..", files=(WEIGHTS,), bytes=None), id="not a repository"),
    ],
)
def test_a_plan_that_was_tampered_with(artifact: ArtifactChoice) -> None:
    with pytest.raises(DownloadError):
        hub.download(artifact)


def _environment(fake: FakeHub, home: Path) -> dict[str, str]:
    return {**os.environ, "HF_ENDPOINT": fake.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}


def _plan(folder: Path) -> Path:
    from advisor import api

    machine = api.detect()
    choice = factories.candidate(artifact=ARTIFACT, placement=Placement(n_gpu_layers=0), n_ctx=512)
    path = folder / "plan.json"
    path.write_text(factories.recommendation(machine=machine, choice=choice).model_dump_json())
    return path


@pytest.mark.slow
def test_a_plan_is_downloaded_and_run(fake: FakeHub, tmp_path: Path) -> None:
    from gguf_files import make_gguf

    fake.files[WEIGHTS] = make_gguf(tmp_path / "tiny.gguf", n_layers=2, n_embd=256, n_ff=512).read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "advisor", "smoke-test", str(_plan(tmp_path)), "--json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=_environment(fake, tmp_path / "home"),
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "home") in done.stdout
    assert len(fake.downloads()) == 1


@pytest.mark.slow
def test_ctrl_c_in_a_download_exits_with_130(fake: FakeHub, tmp_path: Path) -> None:
    fake.is_stalled = True
    process = subprocess.Popen(
        [sys.executable, "-m", "advisor", "smoke-test", str(_plan(tmp_path)), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=_environment(fake, tmp_path / "home"),
    )
    assert fake.started.wait(60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.strip().splitlines()[-1] == "advisor: interrupted"
    assert "Traceback" not in err
    assert _left_in(tmp_path / "home") == []
