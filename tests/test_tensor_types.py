"""The table of block sizes, against the reference implementation of the format."""

from __future__ import annotations

import gguf
import pytest

from advisor.tensor_types import GGML_TYPE_NUMBERS, GGML_TYPES, tensor_bytes


@pytest.mark.parametrize("name", GGML_TYPES)
def test_blocks_are_those_of_the_format(name: str) -> None:
    assert tuple(GGML_TYPES[name]) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]


@pytest.mark.parametrize(("number", "name"), GGML_TYPE_NUMBERS.items())
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
