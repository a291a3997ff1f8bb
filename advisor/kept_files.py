"""Values that were dear to find, kept: one small file each, in a folder of the user's cache.

Files are written whole and replaced at once, so that several writers do no harm; one that cannot be read is
as good as none. The oldest go when there are too many.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from advisor.errors import OutputError
from advisor.output import write_whole
from advisor.value import Value

Kept = TypeVar("Kept", bound=Value)


def cache_folder(name: str) -> Path:
    """A folder of that name among the user's caches; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("advisor", appauthor=False)) / name


def kept(folder: Path, key: str, kind: type[Kept], max_bytes: int) -> Kept | None:
    """The value under a key; None for a file that is missing, broken or far above a value's size."""
    try:
        with _file(folder, key).open("rb") as file:
            return kind.model_validate_json(file.read(max_bytes))
    except (OSError, ValidationError):
        return None


def keep(folder: Path, key: str, value: Value, *, max_files: int, kept_files: int) -> None:
    """Keep a value; where the folder cannot be written, it has to be found again.

    Beyond `max_files`, the oldest go until `kept_files` are left, so that not every writer cleans up.
    """
    with suppress(OSError, OutputError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(_file(folder, key), value.model_dump_json(), force=True)
        _clean_up(folder, max_files, kept_files)


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"


def _clean_up(folder: Path, max_files: int, kept_files: int) -> None:
    """Remove the oldest files where there are too many; another process may be at it as well."""
    files = list(folder.iterdir())
    if len(files) <= max_files:
        return
    by_age = sorted(files, key=_written)
    for file in by_age[: len(files) - kept_files]:
        file.unlink(missing_ok=True)


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
