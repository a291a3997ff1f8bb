"""GGUF headers, written: keys and a tensor list as bytes, the weights left to whoever has them.

Format: version 3 as ggml/src/gguf.cpp of llama-cpp-python 0.3.36 (2026-10-01) reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from advisor.gguf.header import MAGIC
from advisor.tensor_types import ALIGNMENT, GGML_TYPE_NUMBERS, tensor_bytes
from advisor.units import pad

KeyValue = bool | int | float | str | Sequence[bool | int | float]
"""A flag, a whole number, a float, a text, or an array of flags, numbers or floats; all of 32 bits."""

_VERSION: Final = 3
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_FORMS: Final[dict[type, tuple[int, struct.Struct]]] = {
    bool: (7, struct.Struct("<?")),
    int: (4, _U32),
    float: (6, struct.Struct("<f")),
}
_ITEMS: Final = {**_FORMS, int: (5, struct.Struct("<i"))}
"""The same inside an array, where llama.cpp's converter writes signed numbers."""
_STRING: Final = 8
_ARRAY: Final = 9
_TYPE_NUMBERS: Final = {name: number for number, name in GGML_TYPE_NUMBERS.items()}


class TensorRow(NamedTuple):
    """One tensor of a file to be written."""

    name: str
    shape: tuple[int, ...]
    """ggml's order: the first dimension is the row."""
    type_name: str


def header_bytes(keys: Mapping[str, KeyValue], rows: Sequence[TensorRow]) -> bytes:
    """Everything before the weights, up to the first byte of them."""
    parts = [MAGIC, _U32.pack(_VERSION), _U64.pack(len(rows)), _U64.pack(len(keys))]
    parts += (_text(key) + _value(value) for key, value in keys.items())
    offset = 0
    for row in rows:
        parts.append(_info(row, offset))
        offset += _padded_bytes(row)
    raw = b"".join(parts)
    return raw.ljust(pad(len(raw), ALIGNMENT), b"\0")


def data_bytes(rows: Sequence[TensorRow]) -> int:
    """Bytes of the weights behind the header, each tensor padded."""
    return sum(map(_padded_bytes, rows))


def _padded_bytes(row: TensorRow) -> int:
    return pad(tensor_bytes(row.shape, row.type_name), ALIGNMENT)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _U64.pack(len(raw)) + raw


def _value(value: KeyValue) -> bytes:
    if isinstance(value, str):
        return _U32.pack(_STRING) + _text(value)
    if isinstance(value, bool | int | float):
        number, form = _FORMS[type(value)]
        return _U32.pack(number) + form.pack(value)
    number, form = _ITEMS[type(value[0])]
    length = _U64.pack(len(value))
    return _U32.pack(_ARRAY) + _U32.pack(number) + length + b"".join(map(form.pack, value))


def _info(row: TensorRow, offset: int) -> bytes:
    dimensions = b"".join(map(_U64.pack, row.shape))
    kind = _U32.pack(_TYPE_NUMBERS[row.type_name])
    return _text(row.name) + _U32.pack(len(row.shape)) + dimensions + kind + _U64.pack(offset)
