"""GGUF headers of files in a folder, local or remote, split ones included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from advisor.errors import GgufError
from advisor.folders import Folder, LocalFolder, naming
from advisor.gguf.header import GgufHeader, GgufTensor, parse_header, shown
from advisor.i18n import _
from advisor.units import shortened

_PART_NAME: Final = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})\.gguf", re.DOTALL)
"""What gguf-split writes, and the only naming that llama.cpp looks for."""
MAX_NAMED: Final = 3
"""Missing parts that a message names."""


def read_header(path: Path) -> GgufHeader:
    """The header of a local .gguf; of a split file, whichever part is given, that of all parts together.

    Raises as `read_header_in`.
    """
    if path.exists() and not path.is_file():
        raise GgufError(_("{path}: not a file; give the path of a .gguf").format(path=path))
    return read_header_in(LocalFolder(path.parent), path.name)


def read_header_in(folder: Folder, name: str) -> GgufHeader:
    """The same of a file in a folder.

    Raises `GgufError`, with the file's name, for a file that is unreadable, broken, truncated or hostile,
    and for a split file of which a part is missing.
    """
    header = _read_one(folder, name)
    count = header.metadata.get("split.count", 1)
    if type(count) is not int or count <= 1:
        return header
    names = _part_names(folder, name, count)
    labels = [folder.label(part) for part in names]
    return _join(labels, [header if part == name else _read_one(folder, part) for part in names])


def _read_one(folder: Folder, name: str) -> GgufHeader:
    with naming(folder.label(name), GgufError):
        if not folder.has(name):
            raise GgufError(_("no such file"))
        with folder.open(name) as opened:
            return parse_header(opened.read, opened.size)


def first_part(name: str) -> str:
    """The name under which a split file is known, whichever part is given; other names as they are."""
    match = _PART_NAME.fullmatch(name)
    return _part_name(match[1], 1, int(match[3])) if match else name


def _part_name(stem: str, number: int, count: int) -> str:
    return f"{stem}-{number:05}-of-{count:05}.gguf"


def _part_names(folder: Folder, name: str, count: int) -> tuple[str, ...]:
    match = _PART_NAME.fullmatch(name)
    if not match or int(match[3]) != count:
        raise GgufError(
            _(
                "{name}: one of {count:,} parts, but not named so; rename the parts to {pattern} and so on"
            ).format(name=folder.label(name), count=count, pattern=_part_name("NAME", 1, count))
        )
    names = tuple(_part_name(match[1], i + 1, count) for i in range(count))
    missing = [Path(part).name for part in names if not folder.has(part)]
    if missing:
        raise GgufError(
            _(
                "{name}: {n_missing:,} of its {count:,} parts missing beside it ({names}); download them too"
            ).format(
                name=folder.label(name),
                n_missing=len(missing),
                count=count,
                names=shortened(missing, MAX_NAMED),
            )
        )
    return names


def _join(labels: Sequence[str], parts: Sequence[GgufHeader]) -> GgufHeader:
    tensors: dict[str, GgufTensor] = {}
    for i, (label, part) in enumerate(zip(labels, parts, strict=True)):
        if part.metadata.get("split.no") != i or part.metadata.get("split.count") != len(parts):
            raise GgufError(
                _("{label}: not part {number} of {count} as its name says; download it again").format(
                    label=label, number=i + 1, count=len(parts)
                )
            )
        for tensor in part.tensors:
            if tensor.name in tensors:
                raise GgufError(
                    _("{label}: the tensor {tensor} is in an earlier part already").format(
                        label=label, tensor=shown(tensor.name)
                    )
                )
            tensors[tensor.name] = tensor
    first = parts[0]
    expected = first.metadata.get("split.tensors.count", len(tensors))
    if expected != len(tensors):
        raise GgufError(
            _("{label}: its parts hold {n_tensors:,} tensors instead of {expected}").format(
                label=labels[0], n_tensors=len(tensors), expected=expected
            )
        )
    size = sum(part.file_size for part in parts)
    return first.model_copy(update={"tensors": tuple(tensors.values()), "file_size": size})
