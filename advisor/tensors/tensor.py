"""One tensor of a model file, and the ways they are written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Tensor(NamedTuple):
    """One tensor of a model file."""

    name: str
    shape: tuple[int, ...]
    keep_f32: bool = False
    """Stored as F32 whatever the quantization: vectors, norms, routers, convolutions."""
    native_mxfp4: bool = False
    """The checkpoint itself stores it in MXFP4."""
    is_table: bool = False
    """Whole numbers, stored as I32."""


def matrix(name: str, *shape: int, native_mxfp4: bool = False) -> Tensor:
    return Tensor(f"{name}.weight", shape, False, native_mxfp4)


def f32(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, True)


def i32(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, keep_f32=True, is_table=True)


def norm(name: str, n: int, *, bias: bool = False) -> Iterator[Tensor]:
    yield f32(f"{name}.weight", n)
    if bias:
        yield f32(f"{name}.bias", n)
