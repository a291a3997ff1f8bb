"""Writing files: whole or not at all, and never over someone's work unasked."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from advisor.errors import OutputError
from advisor.i18n import _


def write_whole(path: Path, text: str, *, force: bool) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all.

    A file that holds the same already is left alone; one that differs is replaced only with `force`, and
    keeps its permissions. Raises `OutputError`, with nothing left behind, when there is a file and no
    `force`, when something other than a file is in the way, or when the system refuses (missing folder,
    no permission, full disk).
    """
    data = text.encode()
    target = Path(os.path.realpath(path))  # replace what a link points to, not the link
    try:
        if target.is_file():
            if _holds(target, data):
                return
            if not force:
                raise OutputError(
                    _("{path} exists already: choose another name, or replace it with --force.").format(
                        path=path
                    )
                )
        elif target.exists():
            raise OutputError(_("{path} is not a regular file: name a file to write to.").format(path=path))
        elif not target.parent.is_dir():
            raise OutputError(
                _("The folder {folder} does not exist: create it first.").format(folder=target.parent)
            )
        _replace(target, data)
    except OSError as error:
        raise _not_written(path, error) from error


def write_folder(folder: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Write several files, by name, into `folder`: all of them, or none.

    The folder is made where it is missing. Files that hold the same already are left alone; if any differs,
    nothing is written without `force`. Raises `OutputError`, with nothing left behind, as `write_whole`.
    """
    root = Path(os.path.realpath(folder))
    try:
        changes = _changes(folder, {root / name: text.encode() for name, text in texts.items()}, force=force)
        if changes:
            _replace_all(root, changes)
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(path: Path, error: OSError) -> OutputError:
    reason = _(error.strerror) if error.strerror else type(error).__name__
    text = _("{path} could not be written ({reason}): free some space or choose another folder.")
    return OutputError(text.format(path=path, reason=reason))


def _changes(folder: Path, files: Mapping[Path, bytes], *, force: bool) -> dict[Path, bytes]:
    """The files that are missing or differ."""
    changes = {
        target: data for target, data in files.items() if not (target.is_file() and _holds(target, data))
    }
    blocked = [target.name for target in changes if target.exists() and not target.is_file()]
    if blocked:
        raise OutputError(
            _("{folder} holds something other than a file named {name}: move it away.").format(
                folder=folder, name=blocked[0]
            )
        )
    differing = [target.name for target in changes if target.exists()]
    if differing and not force:
        raise OutputError(
            _(
                "{folder} holds {names} already, with other content: choose another folder, or replace with"
                " --force."
            ).format(folder=folder, names=", ".join(differing))
        )
    return changes


def _replace_all(root: Path, changes: Mapping[Path, bytes]) -> None:
    made = [path for path in (root, *root.parents) if not path.exists()]
    root.mkdir(parents=True, exist_ok=True)
    staged: dict[Path, Path] = {}
    try:
        for target, data in changes.items():
            staged[target] = _stage(target, data)
        for target, temporary in staged.items():
            temporary.replace(target)
    except BaseException:
        for temporary in staged.values():
            _discard(temporary)
        with suppress(OSError):  # only folders that are empty, hence new, go
            for path in made:
                path.rmdir()
        raise


def _holds(target: Path, data: bytes) -> bool:
    try:
        return target.stat().st_size == len(data) and target.read_bytes() == data
    except PermissionError:
        return False


def _replace(target: Path, data: bytes) -> None:
    temporary = _stage(target, data)
    try:
        temporary.replace(target)
    except BaseException:  # Ctrl-C included: nothing stays half-written
        _discard(temporary)
        raise


def _stage(target: Path, data: bytes) -> Path:
    """Write the data beside its target, with the target's permissions."""
    # In the same folder, since a rename is atomic only within a file system.
    temporary = target.with_name(f".advisor-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # quotas and network disks report "full" only here
        if target.exists():
            shutil.copymode(target, temporary)
    except BaseException:
        _discard(temporary)
        raise
    return temporary


def _discard(temporary: Path) -> None:
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
