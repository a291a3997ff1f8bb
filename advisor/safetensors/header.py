"""The safetensors format: the JSON that names and places a file's tensors, read through a callback.

Whatever the bytes are, the result is a header or one `SafetensorsError`. The JSON is walked over entry by
entry, since a parser that takes it whole can be made to hold many times the file's size.
Format: https://huggingface.co/docs/safetensors (read 2026-11-21): 8 bytes of length, the JSON, the data.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final, NamedTuple, TypeGuard

from pydantic import Field

from advisor.errors import SafetensorsError
from advisor.folders import Read
from advisor.i18n import _
from advisor.units import MIB, format_bytes
from advisor.value import Value

MAX_HEADER_BYTES: Final = 32 * MIB
"""The format allows 100 MB; the longest real headers, of experts stored one by one, have a few."""
MAX_TENSORS: Final = 200_000
"""Of a model; the largest real ones, of experts stored one by one, have some 150,000."""
MAX_NAME_BYTES: Final = 512
MAX_ENTRY_BYTES: Final = 1024
"""Of one tensor's type, shape and place; real ones take under a hundred."""
MAX_DIMENSIONS: Final = 16
MAX_ELEMENTS: Final = (1 << 63) - 1
FIRST_READ_BYTES: Final = MIB
"""Holds most headers whole, so that a remote file costs one request."""
MAX_SHOWN: Final = 80
"""Characters of a foreign name in a message."""

DTYPE_BITS: Final = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of one value, by the type's name (safetensors/src/tensor.rs, version 0.8, read 2026-11-21)."""

_LENGTH: Final = struct.Struct("<Q")
_STRING: Final = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_OPEN: Final = re.compile(rb"\s*+\{\s*+")
_KEY: Final = re.compile(rb"\s*+" + _STRING + rb"\s*+:\s*+")
_ENTRY: Final = re.compile(rb"\{[^{}]{0,%d}\}" % MAX_ENTRY_BYTES)
_TEXTS: Final = re.compile(
    rb"\{\s*+(?:" + _STRING + rb"\s*+:\s*+" + _STRING + rb"\s*+(?:,\s*+(?=\")|(?=\})))*+\}"
)
"""The file's own notes: texts by name."""
_NEXT: Final = re.compile(rb"\s*+([,}])")
_NOTES: Final = "__metadata__"


class SafeTensor(NamedTuple):
    """One tensor of the file."""

    dtype: str
    """The format's name: "BF16", "F8_E4M3" …"""
    shape: tuple[int, ...]
    """The last dimension is the row, other than ggml's."""
    size_bytes: int


class SafetensorsHeader(Value):
    """The tensors of a model; of a sharded one, those of all files together."""

    tensors: Mapping[str, SafeTensor] = Field(repr=False)
    file_bytes: int
    """Of all files, headers included."""

    @property
    def data_bytes(self) -> int:
        """The tensors without the headers."""
        return sum(tensor.size_bytes for tensor in self.tensors.values())


def parse_safetensors(read: Read, file_size: int) -> SafetensorsHeader:
    """Read the header of a file of `file_size` bytes.

    Raises `SafetensorsError` for anything that is not a whole safetensors file.
    """
    text = _header_text(read, file_size)
    tensors: dict[str, SafeTensor] = {}
    places: list[tuple[int, int, str]] = []
    for name, entry in _entries(text):
        if name in tensors:
            raise SafetensorsError(
                _("the tensor {name} stands there twice; the file is damaged").format(name=_shown(name))
            )
        tensors[name], begin, end = _tensor(name, entry)
        places.append((begin, end, name))
        if len(places) > MAX_TENSORS:
            raise SafetensorsError(
                _("names more than {most:,} tensors, which no real model has").format(most=MAX_TENSORS)
            )
    _check_places(places, file_size - _LENGTH.size - len(text))
    return SafetensorsHeader(tensors=tensors, file_bytes=file_size)


def _shown(name: str) -> str:
    text = repr(name)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _header_text(read: Read, file_size: int) -> bytes:
    start = read(0, min(file_size, FIRST_READ_BYTES))
    if len(start) < _LENGTH.size:
        raise SafetensorsError(_("has no safetensors header: it is empty or incomplete; download it again"))
    (length,) = _LENGTH.unpack_from(start)
    if length > MAX_HEADER_BYTES:
        raise SafetensorsError(
            _(
                "not a safetensors file: it claims a header of {length:,} bytes, of which {most} are "
                "the most (a failed download often leaves a web page or a Git LFS pointer)"
            ).format(length=length, most=format_bytes(MAX_HEADER_BYTES))
        )
    end = _LENGTH.size + length
    if end > file_size:
        raise SafetensorsError(
            _(
                "truncated: it ends inside its header, after {file_size:,} of {end:,} bytes; "
                "download it again"
            ).format(file_size=file_size, end=end)
        )
    text = start[_LENGTH.size : end]
    if len(text) < length:
        text += read(len(start), end - len(start))
    if len(text) < length:
        raise SafetensorsError(_("ended while it was being read; is it still being written?"))
    return text


def _entries(text: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, entry) of every tensor, in the order of the file."""
    at = _expect(_OPEN, text, 0).end()
    if text[at : at + 1] == b"}":
        return
    while True:
        key = _expect(_KEY, text, at)
        name = _name(key[1])
        value = _expect(_TEXTS if name == _NOTES else _ENTRY, text, key.end())
        if name != _NOTES:
            yield name, _fields(name, value[0])
        following = _expect(_NEXT, text, value.end())
        at = following.end()
        if following[1] == b"}":
            return


def _expect(pattern: re.Pattern[bytes], text: bytes, at: int) -> re.Match[bytes]:
    match = pattern.match(text, at)
    if match is None:
        raise SafetensorsError(
            _("its header is not a list of tensors (at byte {at:,}); the file is damaged").format(
                at=at + _LENGTH.size
            )
        )
    return match


def _name(raw: bytes) -> str:
    if len(raw) > MAX_NAME_BYTES:
        raise SafetensorsError(
            _("a tensor's name has {n:,} bytes; {most} are allowed").format(n=len(raw), most=MAX_NAME_BYTES)
        )
    try:
        name = json.loads(b'"' + raw + b'"')
    except ValueError as error:
        raise SafetensorsError(_("a tensor's name is not text; the file is damaged")) from error
    return str(name)


def _fields(name: str, raw: bytes) -> dict[str, Any]:
    try:
        pairs = json.loads(raw, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(
            _("the tensor {name} is not described in JSON").format(name=_shown(name))
        ) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise SafetensorsError(
            _("the tensor {name} has a field twice; the file is damaged").format(name=_shown(name))
        )
    return fields


def _tensor(name: str, fields: dict[str, Any]) -> tuple[SafeTensor, int, int]:
    """The tensor and where it begins and ends within the data."""
    dtype, shape = fields.get("dtype"), fields.get("shape")
    bits = DTYPE_BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise SafetensorsError(
            _("the tensor {name} is of the unknown type {dtype}").format(
                name=_shown(name), dtype=_shown(str(dtype))
            )
        )
    offsets = fields.get("data_offsets")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS or not _are_counts(offsets) or len(offsets) != 2:
        raise SafetensorsError(
            _("the tensor {name} has no possible shape or place").format(name=_shown(name))
        )
    elements = prod(shape)
    if prod(n or 1 for n in shape) > MAX_ELEMENTS or elements * bits % 8:
        raise SafetensorsError(
            _("the tensor {name} has an absurd shape; the file is damaged").format(name=_shown(name))
        )
    (begin, end), size = offsets, elements * bits // 8
    if end - begin != size:
        raise SafetensorsError(
            _(
                "the tensor {name} takes {taken:,} bytes where its shape and type need {size:,}; the "
                "file is damaged"
            ).format(name=_shown(name), taken=end - begin, size=size)
        )
    return SafeTensor(str(dtype), tuple(shape), size), begin, end


def _are_counts(values: Any) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(n) is int and 0 <= n <= MAX_ELEMENTS for n in values)


def _check_places(places: list[tuple[int, int, str]], data_bytes: int) -> None:
    """The data must be the tensors one after the other, nothing between and nothing behind."""
    at = 0
    for begin, end, name in sorted(places):
        if begin != at:
            raise SafetensorsError(
                _(
                    "the tensor {name} starts at {begin:,} instead of {at:,}: tensors overlap or leave a "
                    "gap; the file is damaged"
                ).format(name=_shown(name), begin=begin, at=at)
            )
        at = end
    if at > data_bytes:
        missing = at - data_bytes
        raise SafetensorsError(
            _(
                "truncated: {missing:,} of {total:,} bytes ({size}) of its tensors are missing; "
                "download it again"
            ).format(missing=missing, total=at, size=format_bytes(missing))
        )
    if at < data_bytes:
        raise SafetensorsError(
            _("has {n:,} bytes behind its last tensor; the file is damaged").format(n=data_bytes - at)
        )
