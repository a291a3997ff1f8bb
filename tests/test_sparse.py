"""Files of holes, held against the `gguf` package, which reads what this program wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest
from architectures import CONFIGS, architecture

from advisor.gguf import ArrayLength, GgufHeader, GgufTensor, read_header
from advisor.gguf.metadata import metadata
from advisor.gguf.sparse import blueprint_by_rule, blueprint_of_header, write_sparse
from advisor.quantization import quantize
from advisor.tensors import tensors


def fields(path: Path) -> dict[str, Any]:
    """The keys and values that the gguf package reads."""
    reader = gguf.GGUFReader(path)
    return {name: f.contents() for name, f in reader.fields.items() if not name.startswith("GGUF.")}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_gguf_package_reads_the_same(name: str, tmp_path: Path) -> None:
    arch = architecture(name)
    quantization = "MXFP4" if arch.family == "gpt-oss" else "Q4_K_M"
    path = write_sparse(tmp_path / "x.gguf", arch, quantization)
    expected = {key: pytest.approx(value) for key, value in metadata(arch).items()}
    assert fields(path) == expected
    rows = tensors(arch)
    types = quantize(arch, rows, quantization)
    read = [(t.name, tuple(t.shape.tolist()), t.tensor_type.name) for t in gguf.GGUFReader(path).tensors]
    assert read == [(row.name, row.shape, kind) for row, kind in zip(rows, types, strict=True)]


def test_the_data_is_a_hole_of_the_true_size(tmp_path: Path) -> None:
    blueprint = blueprint_by_rule(architecture("llama-3.1-70b"), "Q4_K_M")
    stat = blueprint.write(tmp_path / "x.gguf").stat()
    assert stat.st_size == len(blueprint.header) + blueprint.data_bytes
    assert blueprint.data_bytes == 42_512_531_712  # as the published file, tokenizer aside
    assert stat.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(7, 7, id="number"),
        pytest.param(True, True, id="flag"),
        pytest.param(0.5, 0.5, id="float"),
        pytest.param("ümlaut", "ümlaut", id="text"),
        pytest.param((1, -2), [1, -2], id="numbers"),
        pytest.param((False, True), [False, True], id="flags"),
        pytest.param((0.5, 1.5), [0.5, 1.5], id="floats"),
        pytest.param((), None, id="an empty array"),
        pytest.param(ArrayLength(length=5000), None, id="an array that was not kept"),
        pytest.param(-1, None, id="a negative number"),
        pytest.param(1 << 32, None, id="a number beyond 32 bits"),
        pytest.param((1 << 31,), None, id="such a number in an array"),
        pytest.param(float("nan"), None, id="no number"),
        pytest.param(1e300, None, id="a float beyond 32 bits"),
    ],
)
def test_a_real_headers_values_are_copied_where_llama_reads_them(
    value: Any, written: Any, tmp_path: Path
) -> None:
    header = GgufHeader(
        metadata={
            "general.architecture": "llama",
            "llama.value": value,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.token_type_count": 2,
            "tokenizer.ggml.tokens": ArrayLength(length=320),
            "split.count": 3,
            "general.alignment": 64,
        },
        tensors=(GgufTensor(name="token_embd.weight", shape=(64, 320), type_name="Q8_0", offset=0),),
        alignment=64,
        data_offset=0,
        file_size=0,
    )
    path = blueprint_of_header(header).write(tmp_path / "x.gguf")
    expected = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "none",
        "tokenizer.ggml.token_type_count": 2,
        "llama.vocab_size": 320,
    }
    assert fields(path) == expected | ({} if written is None else {"llama.value": written})
    assert read_header(path).tensors == header.tensors
