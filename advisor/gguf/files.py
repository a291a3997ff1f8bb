"""GGUF headers of local files, split ones included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from advisor.errors import GgufError
from advisor.gguf.header import GgufHeader, GgufTensor, parse_header, shown

_PART_NAME: Final = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})\.gguf")
"""What gguf-split writes, and the only naming that llama.cpp looks for."""
MAX_NAMED: Final = 3
"""Missing parts that a message names."""


def read_header(path: Path) -> GgufHeader:
    """The header of a .gguf; of a split file, whichever part is given, that of all parts together.

    Raises `GgufError`, with the file's name, for a file that is unreadable, broken, truncated or hostile,
    and for a split file of which a part is missing.
    """
    header = _read_one(path)
    count = header.metadata.get("split.count", 1)
    if type(count) is not int or count <= 1:
        return header
    paths = _part_paths(path, count)
    return _join(paths, [header if part == path else _read_one(part) for part in paths])


def _read_one(path: Path) -> GgufHeader:
    if not path.exists():
        raise GgufError(f"{path}: no such file")
    if not path.is_file():
        raise GgufError(f"{path}: not a file; give the path of a .gguf")
    try:
        with path.open("rb") as file:

            def read(offset: int, n: int) -> bytes:
                file.seek(offset)
                return file.read(n)

            return parse_header(read, path.stat().st_size)
    except OSError as error:
        raise GgufError(f"{path}: cannot be read: {error.strerror}") from error
    except GgufError as error:
        raise GgufError(f"{path}: {error}") from error


def _part_paths(path: Path, count: int) -> tuple[Path, ...]:
    match = _PART_NAME.fullmatch(path.name)
    if not match or int(match[3]) != count:
        raise GgufError(
            f"{path}: one of {count:,} parts, but not named so; rename the parts to "
            f"NAME-00001-of-{count:05}.gguf and so on"
        )
    paths = tuple(path.with_name(f"{match[1]}-{i + 1:05}-of-{match[3]}.gguf") for i in range(count))
    missing = [part.name for part in paths if not part.is_file()]
    if missing:
        more = f" and {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
        raise GgufError(
            f"{path}: {len(missing):,} of its {count:,} parts missing beside it "
            f"({', '.join(missing[:MAX_NAMED])}{more}); download them too"
        )
    return paths


def _join(paths: Sequence[Path], parts: Sequence[GgufHeader]) -> GgufHeader:
    tensors: dict[str, GgufTensor] = {}
    for i, (path, part) in enumerate(zip(paths, parts, strict=True)):
        if part.metadata.get("split.no") != i or part.metadata.get("split.count") != len(parts):
            raise GgufError(f"{path}: not part {i + 1} of {len(parts)} as its name says; download it again")
        for tensor in part.tensors:
            if tensor.name in tensors:
                raise GgufError(f"{path}: the tensor {shown(tensor.name)} is in an earlier part already")
            tensors[tensor.name] = tensor
    first = parts[0]
    expected = first.metadata.get("split.tensors.count", len(tensors))
    if expected != len(tensors):
        raise GgufError(f"{paths[0]}: its parts hold {len(tensors):,} tensors instead of {expected}")
    size = sum(part.file_size for part in parts)
    return first.model_copy(update={"tensors": tuple(tensors.values()), "file_size": size})
