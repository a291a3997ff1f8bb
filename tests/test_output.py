"""Files are written whole or not at all, and never over someone's work unasked."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.errors import OutputError
from advisor.output import write_whole


def test_writes_utf8(tmp_path: Path) -> None:
    write_whole(tmp_path / "plan.json", "2 × 가\n", force=False)
    assert (tmp_path / "plan.json").read_bytes() == "2 × 가\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_an_identical_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("same")
    before = path.stat()
    write_whole(path, "same", force=False)
    assert path.stat().st_ino == before.st_ino


def test_a_different_file_is_kept_without_force(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"plan\.json exists already: .*--force"):
        write_whole(path, "new", force=False)
    assert path.read_text() == "mine"


def test_force_replaces_and_keeps_the_permissions(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("old")
    path.chmod(0o600)
    write_whole(path, "new", force=True)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", "new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def folder(tmp_path: Path) -> Path:
    return tmp_path


def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def missing_folder(tmp_path: Path) -> Path:
    return tmp_path / "missing" / "plan.json"


def file_as_folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "plan.json"


def long_name(tmp_path: Path) -> Path:
    return tmp_path / ("x" * 300)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        pytest.param(folder, "is not a regular file", id="folder"),
        pytest.param(pipe, "is not a regular file", id="pipe"),
        pytest.param(missing_folder, "does not exist: create it first", id="missing-folder"),
        pytest.param(file_as_folder, "does not exist: create it first", id="file-as-folder"),
        pytest.param(long_name, "could not be written", id="long-name"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    place: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=message) as caught:
        write_whole(place(tmp_path), "text", force=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        pytest.param(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutputError, id="full-disk"),
        pytest.param(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), OutputError, id="not-allowed"),
        pytest.param(KeyboardInterrupt(), KeyboardInterrupt, id="ctrl-c"),
    ],
)
@pytest.mark.parametrize(
    "step", [pytest.param((os, "fsync"), id="data"), pytest.param((Path, "replace"), id="name")]
)
def test_a_failure_leaves_nothing_behind(
    failure: BaseException,
    raised: type[BaseException],
    step: tuple[object, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    path = tmp_path / "plan.json"
    path.write_text("mine")
    monkeypatch.setattr(*step, fail)
    with pytest.raises(raised):
        write_whole(path, "new", force=True)
    assert path.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_device_is_never_replaced() -> None:
    with pytest.raises(OutputError, match="not a regular file"):
        write_whole(Path("/dev/full"), "text", force=True)
