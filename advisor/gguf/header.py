"""The GGUF format: metadata and tensor list, read through a callback.

Whatever the bytes are, the result is a header or one `GgufError`, in bounded time and memory: no length
that a file claims is believed before it was held against the file's size and the limits below, and long
arrays (a vocabulary has 150,000 strings) are walked over block by block, never held.
Format: versions 2 and 3 as ggml/src/gguf.cpp of llama-cpp-python 0.3.36 (2026-10-01) reads them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from math import prod
from typing import Final

from pydantic import Field

from advisor.errors import GgufError
from advisor.folders import Read
from advisor.i18n import N_, _
from advisor.tensor_types import ALIGNMENT, GGML_TYPE_NUMBERS, GGML_TYPES, tensor_bytes
from advisor.units import MIB, format_bytes, pad
from advisor.value import Value

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
"""Version 1 was replaced within weeks, in August 2023; llama.cpp refuses it too."""

MAX_HEADER_BYTES: Final = 64 * MIB
"""The longest known header is gpt-oss's, 13 MB of tokenizer; this bounds the time and memory of it all."""
MAX_KEYS: Final = 4096
"""Real files carry under a hundred."""
MAX_TENSORS: Final = 65_536
"""512 layers, llama.cpp's most, of 128 tensors each; the largest real files have some 2,000."""
MAX_KEY_BYTES: Final = 65_535
"""The format's own limit."""
MAX_NAME_BYTES: Final = 64
"""Of a tensor: ggml's GGML_MAX_NAME."""
MAX_DIMENSIONS: Final = 4
"""ggml's GGML_MAX_DIMS."""
MAX_ELEMENTS: Final = (1 << 63) - 1
"""Of a tensor: ggml counts them in a signed 64-bit integer."""
MAX_ARRAY: Final = 1024
"""Numbers of an array that is kept: per-layer lists are as long as the model has layers, 512 at the most."""
BLOCK_BYTES: Final = MIB
"""Read at once: a local file costs a few calls, an HTTP range a few requests."""
MAX_SHOWN: Final = 80
"""Characters of a foreign name in a message."""

_STRING: Final = 8
_ARRAY: Final = 9
_NUMBERS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""The format's value types, strings (8) and arrays (9) aside."""
_U32: Final = _NUMBERS[4]
_U64: Final = _NUMBERS[10]
_BLOCK_NAME: Final = re.compile(r"blk\.[0-9]+\..+")


class ArrayLength(Value):
    """Stands for an array of texts, or of more than `MAX_ARRAY` numbers, which was walked over."""

    length: int


Number = bool | int | float
MetadataValue = Number | str | tuple[Number, ...] | ArrayLength


class GgufTensor(Value):
    """One tensor of the file."""

    name: str
    shape: tuple[int, ...]
    """ggml's order: the first dimension is the row."""
    type_name: str
    """ggml's name: "F32", "Q4_K" …"""
    offset: int
    """Bytes from the start of its file's tensor data."""

    @property
    def size_bytes(self) -> int:
        """Its data, without padding."""
        return tensor_bytes(self.shape, self.type_name)


class GgufHeader(Value):
    """Everything in a model file but the weights; of a split file, all parts together."""

    metadata: Mapping[str, MetadataValue] = Field(repr=False)
    """Of the first part, which carries all of it."""
    tensors: tuple[GgufTensor, ...] = Field(repr=False)
    alignment: int
    """Bytes that every tensor's offset is a multiple of."""
    data_offset: int
    """Bytes from the start of the (first) file to its tensor data."""
    file_size: int
    """Bytes; of all parts."""


def shown(name: str) -> str:
    """A name out of a file, safe in a one-line message."""
    text = repr(name)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def parse_header(read: Read, file_size: int) -> GgufHeader:
    """Read a header of a file of `file_size` bytes.

    Raises `GgufError` for anything that is not a whole GGUF file of a known version.
    """
    cursor = _Cursor(read, file_size)
    n_tensors, n_keys = _preamble(cursor)
    metadata = _metadata(cursor, n_keys)
    alignment = _alignment(metadata)
    tensors = _tensors(cursor, n_tensors)
    data_offset = pad(cursor.at, alignment)
    end = data_offset + _data_bytes(tensors, alignment)
    if tensors and end > file_size:
        raise GgufError(
            _(
                "truncated: {missing:,} of {total:,} bytes ({size}) are missing at its end; download it again"
            ).format(missing=end - file_size, total=end, size=format_bytes(end - file_size))
        )
    return GgufHeader(
        metadata=metadata,
        tensors=tensors,
        alignment=alignment,
        data_offset=data_offset,
        file_size=file_size,
    )


class _Cursor:
    """Walks through the header, a block in memory at a time."""

    def __init__(self, read: Read, file_size: int) -> None:
        self.at = 0
        self._read, self._size = read, file_size
        self._block, self._start = b"", 0

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        self._need(n)
        start = self.at - self._start
        if start + n > len(self._block):
            self._load(n)
            start = 0
        self.at += n
        return self._block[start : start + n]

    def number(self, form: struct.Struct) -> Number:
        """The next number of that form."""
        value: Number = form.unpack(self.take(form.size))[0]
        return value

    def u32(self) -> int:
        return int(self.number(_U32))

    def u64(self) -> int:
        return int(self.number(_U64))

    def skip(self, n: int) -> None:
        """Pass over `n` bytes without reading them."""
        self._need(n)
        self.at += n

    def skip_strings(self, count: int) -> None:
        """Pass over an array of texts, each its length and its bytes."""
        self._need(count * _U64.size)
        length_at = _U64.unpack_from
        while count:
            self._need(_U64.size)
            if self.at - self._start + _U64.size > len(self._block):
                self._load(_U64.size)
            block, at = self._block, self.at - self._start
            last, left = len(block) - _U64.size, count
            while left and at <= last:
                at += _U64.size + length_at(block, at)[0]
                left -= 1
            count = left
            self.skip(self._start + at - self.at)

    def _need(self, n: int) -> None:
        if n > self._size - self.at:
            raise GgufError(
                _("ends inside its header, after {size:,} bytes: download it again, it is incomplete").format(
                    size=self._size
                )
            )
        if self.at + n > MAX_HEADER_BYTES:
            raise GgufError(
                _("its header exceeds {most}, which no real model's does").format(
                    most=format_bytes(MAX_HEADER_BYTES)
                )
            )

    def _load(self, n: int) -> None:
        self._start, self._block = self.at, self._read(self.at, max(n, BLOCK_BYTES))
        if len(self._block) < n:
            raise GgufError(_("ended while it was being read; is it still being written?"))


def _preamble(cursor: _Cursor) -> tuple[int, int]:
    """(number of tensors, number of keys), once magic and version are right."""
    magic = cursor.take(len(MAGIC))
    if magic != MAGIC:
        raise GgufError(
            _(
                "not a GGUF file: it starts with {magic!r} (a failed download often leaves a web "
                "page or a Git LFS pointer)"
            ).format(magic=magic)
        )
    version = cursor.u32()
    if version & 0xFFFF == 0:
        raise GgufError(_("a big-endian file, which llama.cpp cannot load here; get the little-endian one"))
    if version not in VERSIONS:
        raise GgufError(
            _("GGUF version {version} is not known (known: 2 and 3); convert the model again").format(
                version=version
            )
        )
    n_tensors, n_keys = cursor.u64(), cursor.u64()
    if n_tensors > MAX_TENSORS or n_keys > MAX_KEYS:
        raise GgufError(
            _(
                "claims {n_tensors:,} tensors and {n_keys:,} keys; more than {most_tensors:,} and "
                "{most_keys:,} are not a model's"
            ).format(n_tensors=n_tensors, n_keys=n_keys, most_tensors=MAX_TENSORS, most_keys=MAX_KEYS)
        )
    return n_tensors, n_keys


def _text(cursor: _Cursor, limit: int, what: str) -> str:
    """A name, which must be text of `limit` bytes at the most."""
    length = cursor.u64()
    if not 0 < length <= limit:
        raise GgufError(
            _("{what} of {length:,} bytes; between 1 and {limit:,} are allowed").format(
                what=_(what), length=length, limit=limit
            )
        )
    try:
        return cursor.take(length).decode()
    except UnicodeDecodeError as error:
        raise GgufError(_("{what} that is not text; the file is damaged").format(what=_(what))) from error


def _metadata(cursor: _Cursor, n_keys: int) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {}
    for _number in range(n_keys):
        key = _text(cursor, MAX_KEY_BYTES, N_("a key"))
        if key in metadata:
            raise GgufError(_("the key {key} stands there twice; the file is damaged").format(key=shown(key)))
        metadata[key] = _value(cursor, key)
    return metadata


def _value(cursor: _Cursor, key: str) -> MetadataValue:
    type_number = cursor.u32()
    if type_number == _STRING:
        return cursor.take(cursor.u64()).decode(errors="replace")
    if type_number == _ARRAY:
        return _array(cursor, key)
    return cursor.number(_number_form(type_number, key))


def _array(cursor: _Cursor, key: str) -> tuple[Number, ...] | ArrayLength:
    type_number, length = cursor.u32(), cursor.u64()
    if type_number == _STRING:
        cursor.skip_strings(length)
        return ArrayLength(length=length)
    form = _number_form(type_number, key)
    if length > MAX_ARRAY:
        cursor.skip(length * form.size)
        return ArrayLength(length=length)
    return tuple(value for (value,) in form.iter_unpack(cursor.take(length * form.size)))


def _number_form(type_number: int, key: str) -> struct.Struct:
    form = _NUMBERS.get(type_number)
    if form is None:
        text = (
            _("the key {key} holds an array of arrays; the file is damaged, or newer than this program")
            if type_number == _ARRAY
            else _(
                "the key {key} holds a value of the unknown type {type}; the file is damaged, or newer than "
                "this program"
            )
        )
        raise GgufError(text.format(key=shown(key), type=type_number))
    return form


def _alignment(metadata: Mapping[str, MetadataValue]) -> int:
    value = metadata.get("general.alignment", ALIGNMENT)
    if type(value) is not int or value <= 0 or value & (value - 1):
        raise GgufError(_("general.alignment must be a power of two; the file is damaged"))
    return value


def _tensors(cursor: _Cursor, n_tensors: int) -> tuple[GgufTensor, ...]:
    tensors: dict[str, GgufTensor] = {}
    for _number in range(n_tensors):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            raise GgufError(
                _("the tensor {name} stands there twice; the file is damaged").format(name=shown(tensor.name))
            )
        tensors[tensor.name] = tensor
    return tuple(tensors.values())


def _tensor(cursor: _Cursor) -> GgufTensor:
    name = _text(cursor, MAX_NAME_BYTES, N_("a tensor's name"))
    if name.startswith("blk.") and not _BLOCK_NAME.fullmatch(name):
        raise GgufError(
            _("the tensor {name} has no layer number in its name; the file is damaged").format(
                name=shown(name)
            )
        )
    n_dimensions = cursor.u32()
    if n_dimensions > MAX_DIMENSIONS:
        raise GgufError(
            _("the tensor {name} has {n_dimensions:,} dimensions; {most} is the most").format(
                name=shown(name), n_dimensions=n_dimensions, most=MAX_DIMENSIONS
            )
        )
    shape = tuple(cursor.u64() for _axis in range(n_dimensions))
    if prod(n or 1 for n in shape) > MAX_ELEMENTS:
        raise GgufError(
            _("the tensor {name} has an absurd shape {shape}; the file is damaged").format(
                name=shown(name), shape=shape
            )
        )
    number, offset = cursor.u32(), cursor.u64()
    type_name = GGML_TYPE_NUMBERS.get(number)
    if type_name is None:
        raise GgufError(
            _(
                "the tensor {name} is of the unknown type {number}: a newer or a withdrawn quantization"
            ).format(name=shown(name), number=number)
        )
    block = GGML_TYPES[type_name].block
    if shape and shape[0] % block:
        raise GgufError(
            _("the tensor {name} has rows of {width:,} values; {type_name} stores {block} at once").format(
                name=shown(name), width=shape[0], type_name=type_name, block=block
            )
        )
    return GgufTensor(name=name, shape=shape, type_name=type_name, offset=offset)


def _data_bytes(tensors: tuple[GgufTensor, ...], alignment: int) -> int:
    """Bytes up to the end of the last tensor; each must start where the one before it ends, padded."""
    at = end = 0
    for tensor in tensors:
        if tensor.offset != at:
            raise GgufError(
                _("the tensor {name} starts at {offset:,} instead of {at:,}; the file is damaged").format(
                    name=shown(tensor.name), offset=tensor.offset, at=at
                )
            )
        end = at + tensor.size_bytes
        at = pad(end, alignment)
    return end
