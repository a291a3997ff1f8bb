"""Names of GGUF files: which are models, and what their packagers call the quantization."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Final

from advisor.gguf.files import first_part

_PART: Final = re.compile(r"-[0-9]{5}-of-[0-9]{5}\.gguf$")
_LABEL: Final = re.compile(r"(?:^|[-._/])((?:UD-)?(?:I?Q|TQ)[1-8]_\w+|BF16|F16|F32|MXFP4\w*|NVFP4)$", re.I)
"""What packagers call the quantization, at the end of the file's name."""
_NO_MODELS: Final = ("mmproj", "imatrix")
"""Other things that come as .gguf: projectors and importance matrices."""


def model_files(names: Iterable[str]) -> dict[str, str | None]:
    """The GGUF models among files, each with its quantization where its name tells; parts are one model."""
    models: dict[str, str | None] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.suffix == ".gguf" and not any(word in path.name.lower() for word in _NO_MODELS):
            models.setdefault(first_part(name), quantization_in(name))
    return models


def quantization_in(name: str) -> str | None:
    """The quantization that a file's name ends with, in capitals."""
    stem = first_part(name).removesuffix(".gguf")
    match = _LABEL.search(re.sub(r"-00001-of-[0-9]{5}$", "", stem))
    return match[1].upper() if match else None


def parts_of(first: str, names: Collection[str]) -> tuple[str, ...]:
    """All parts of a split file by its first; a file that is not split stands alone."""
    if not _PART.search(first):
        return (first,)
    stem = _PART.sub("", first)
    return tuple(sorted(name for name in names if _PART.sub("", name) == stem and _PART.search(name)))
