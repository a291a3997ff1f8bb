"""A GGUF of a model's true shapes whose data is a hole: llama.cpp plans with it, the disk holds none.

The tokenizer is "none" with a vocabulary size: it changes no buffer, and it saves the quarter of a second
that a real vocabulary takes to load.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, TypeGuard

from advisor.architecture import Architecture
from advisor.gguf.header import ArrayLength, GgufHeader, MetadataValue, Number
from advisor.gguf.metadata import NO_TOKENIZER, metadata
from advisor.gguf.writer import KeyValue, TensorRow, data_bytes, header_bytes
from advisor.quantization import quantize
from advisor.tensors import tensors

_LEFT_OUT: Final = ("tokenizer.", "split.", "general.alignment")
"""Keys of a real file that do not hold for its copy: another tokenizer, one part, the usual alignment."""
_KEPT: Final = "tokenizer.ggml.token_type_count"
"""Rows of an encoder's segment embedding, for once among the tokenizer's keys."""
_TOKEN_EMBEDDING: Final = "token_embd.weight"
_U32: Final = range(1 << 32)
_I32: Final = range(-(1 << 31), 1 << 31)
_MAX_FLOAT: Final = 3.4e38
"""Largest number of a 32-bit float; NaN and infinity are above it too."""


class Blueprint(NamedTuple):
    """What llama.cpp needs of a model file to plan with it."""

    header: bytes
    data_bytes: int
    """Size of the weights, each tensor padded."""

    def write(self, path: Path) -> Path:
        """Write the file, its weights a hole; raises `OSError` where the file system has no room for it.

        On Windows the hole takes disk space while the file exists.
        """
        with path.open("wb") as file:
            file.write(self.header)
            file.truncate(len(self.header) + self.data_bytes)
        return path


def blueprint_by_rule(arch: Architecture, quantization: str) -> Blueprint:
    """The file that the rules describe.

    Raises `ConfigError` for a family or quantization without rules.
    """
    rows = tensors(arch)
    types = quantize(arch, rows, quantization)
    return _blueprint(
        metadata(arch), (TensorRow(row.name, row.shape, name) for row, name in zip(rows, types, strict=True))
    )


def blueprint_of_header(header: GgufHeader) -> Blueprint:
    """A copy of a real file without its weights and its tokenizer; split files become one."""
    keys: dict[str, KeyValue] = {
        name: value
        for name, value in header.metadata.items()
        if (name == _KEPT or not name.startswith(_LEFT_OUT)) and _can_be_written(value)
    }
    family = header.metadata.get("general.architecture")
    n_vocab = next((t.shape[1] for t in header.tensors if t.name == _TOKEN_EMBEDDING), 0)
    keys |= {**NO_TOKENIZER, f"{family}.vocab_size": n_vocab}
    return _blueprint(keys, (TensorRow(t.name, t.shape, t.type_name) for t in header.tensors))


def write_sparse(path: Path, arch: Architecture, quantization: str) -> Path:
    """Write the file that the rules describe, as `blueprint_by_rule`."""
    return blueprint_by_rule(arch, quantization).write(path)


def _blueprint(keys: dict[str, KeyValue], rows: Iterable[TensorRow]) -> Blueprint:
    rows = tuple(rows)
    return Blueprint(header_bytes(keys, rows), data_bytes(rows))


def _can_be_written(value: MetadataValue) -> TypeGuard[KeyValue]:
    """Whether the writer's 32 bits hold the value; what they do not hold, llama.cpp does not read."""
    if isinstance(value, str):
        return True
    if isinstance(value, ArrayLength):
        return False
    if isinstance(value, tuple):
        return bool(value) and all(_fits(item, _I32) for item in value)
    return _fits(value, _U32)


def _fits(number: Number, allowed: range) -> bool:
    return number in allowed if isinstance(number, int) else abs(number) <= _MAX_FLOAT
