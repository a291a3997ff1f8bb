"""The table of block sizes, against the reference implementation of the format and ggml's own table."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import gguf
import pytest

from advisor.tensor_types import GGML_TYPE_NUMBERS, GGML_TYPES, tensor_bytes

GGML_TYPE_COUNT = 43
"""Of llama-cpp-python 0.3.36: ggml aborts when it is asked beyond it."""


@cache
def ggml() -> ctypes.CDLL:
    """The library of llama-cpp-python, without importing the package."""
    spec = find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "lib"
    library = ctypes.CDLL(str(next(path for path in folder.iterdir() if "ggml-base" in path.name)))
    library.ggml_blck_size.restype = ctypes.c_int64
    library.ggml_type_size.restype = ctypes.c_size_t
    library.ggml_type_name.restype = ctypes.c_char_p
    return library


NEWER_THAN_THE_PACKAGE = {"Q2_0"}
"""Types that the released `gguf` package does not know yet."""


@pytest.mark.parametrize("name", [name for name in GGML_TYPES if name not in NEWER_THAN_THE_PACKAGE])
def test_blocks_are_those_of_the_format(name: str) -> None:
    assert tuple(GGML_TYPES[name]) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]


@pytest.mark.parametrize(("number", "name"), GGML_TYPE_NUMBERS.items())
def test_rows_are_those_of_ggml(number: int, name: str) -> None:
    library = ggml()
    assert library.ggml_type_name(number).decode().upper() == name
    assert (library.ggml_blck_size(number), library.ggml_type_size(number)) == tuple(GGML_TYPES[name])


def test_every_type_of_ggml_has_a_row() -> None:
    alive = {n for n in range(GGML_TYPE_COUNT) if ggml().ggml_blck_size(n)}
    intermediate = {9, 15}  # Q8_1 and Q8_K, of activations: no file has them
    assert alive - intermediate == set(GGML_TYPE_NUMBERS)


@pytest.mark.parametrize(
    ("number", "name"), [row for row in GGML_TYPE_NUMBERS.items() if row[1] not in NEWER_THAN_THE_PACKAGE]
)
def test_numbers_are_those_of_the_format(number: int, name: str) -> None:
    assert gguf.GGMLQuantizationType(number).name == name


@pytest.mark.parametrize(
    ("shape", "type_name", "expected"),
    [
        pytest.param((32,), "Q8_0", 34, id="one block: 32 int8 and a half-precision scale"),
        pytest.param((4096, 14336), "Q4_K", 4096 * 14336 // 256 * 144, id="a Llama 8B projection"),
        pytest.param((2880, 2880, 32), "MXFP4", 2880 * 2880 * 32 // 32 * 17, id="gpt-oss experts"),
        pytest.param((7,), "F32", 28, id="a vector"),
    ],
)
def test_tensor_bytes(shape: tuple[int, ...], type_name: str, expected: int) -> None:
    assert tensor_bytes(shape, type_name) == expected
