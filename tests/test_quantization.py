"""The recipes of quantizations that llama.cpp has beside the usual ones, and older recipes of the same names.

All of them, tensor by tensor, against llama.cpp's own quantizer: test_rules_against_llama.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import pytest
from architectures import architecture
from published_mixtures import MIXTURES
from quantize_types import FTYPES

from advisor.architecture import Architecture
from advisor.catalog import load_catalog
from advisor.errors import ConfigError
from advisor.file_size import file_bytes, older_files, older_notes, tokenizer_bytes
from advisor.hf_config import architecture_of
from advisor.quantization import MIXES, WITH_IMATRIX, WITHOUT_IMATRIX, Mix, base_bits, quantize
from advisor.tensors import tensors

CATALOG = {model.id: model for model in load_catalog().models}


def type_of(name: str, quantization: str, tensor: str, mixes: Mapping[str, Mix] = MIXES) -> str:
    arch = architecture(name)
    rows = tensors(arch)
    types = quantize(arch, rows, quantization, mixes)
    return next(t for row, t in zip(rows, types, strict=True) if row.name == tensor)


def test_every_type_of_the_quantizer_has_a_recipe() -> None:
    assert set(MIXES) == {*FTYPES, "F32", "F16", "BF16"}
    assert set(WITH_IMATRIX) == set(WITHOUT_IMATRIX) == set(MIXES)


@pytest.mark.parametrize(
    ("name", "quantization", "tensor", "expected"),
    [
        pytest.param("llama-3.1-8b", "IQ1_S", "blk.9.attn_output.weight", "IQ2_XXS", id="1 bit: output"),
        pytest.param("llama-3.1-8b", "IQ2_XXS", "token_embd.weight", "Q2_K", id="2 bits: embedding"),
        pytest.param("llama-3.1-8b", "IQ2_M", "output.weight", "Q5_K", id="2 bits: output matrix"),
        pytest.param("llama-3.1-70b", "IQ2_S", "blk.40.attn_v.weight", "Q4_K", id="2 bits: no 70B exception"),
        pytest.param("phi-4-mini", "IQ2_XS", "blk.9.attn_qkv.weight", "Q2_K", id="2 bits: not grouped"),
        pytest.param("mixtral-8x7b", "IQ2_XS", "blk.9.attn_k.weight", "Q4_K", id="2 bits: eight experts"),
        pytest.param("llama-3.1-8b", "IQ3_XS", "blk.15.ffn_up.weight", "IQ3_XXS", id="IQ3_XS: inner layers"),
        pytest.param("llama-3.1-8b", "IQ3_XS", "blk.0.ffn_up.weight", "IQ3_S", id="IQ3_XS: outer layers"),
        pytest.param("mixtral-8x7b", "IQ3_M", "blk.6.ffn_down_exps.weight", "Q4_K", id="IQ3_M: more bits"),
        pytest.param("llama-3.1-8b", "TQ1_0", "token_embd.weight", "Q4_K", id="ternary: embedding"),
        pytest.param("qwen2.5-0.5b", "IQ2_XS", "blk.5.attn_q.weight", "IQ4_NL", id="IQ fallback"),
        pytest.param("qwen2.5-0.5b", "TQ2_0", "blk.5.attn_q.weight", "Q4_0", id="ternary fallback"),
    ],
)
def test_types(name: str, quantization: str, tensor: str, expected: str) -> None:
    assert type_of(name, quantization, tensor) == expected


@pytest.mark.parametrize(
    ("quantization", "tensor", "with_it", "without"),
    [
        pytest.param("Q4_0", "blk.0.ffn_down.weight", "Q4_1", "Q4_0", id="Q4_0"),
        pytest.param("Q5_0", "blk.0.ffn_down.weight", "Q5_1", "Q5_0", id="Q5_0"),
        pytest.param("IQ4_XS", "blk.0.ffn_down.weight", "IQ4_XS", "Q5_K", id="IQ4_XS"),
        pytest.param("IQ3_XXS", "blk.9.ffn_down.weight", "IQ3_XXS", "Q3_K", id="IQ3_XXS"),
        pytest.param("Q4_K_M", "blk.0.ffn_down.weight", "Q6_K", "Q6_K", id="Q4_K_M: the same"),
    ],
)
def test_an_importance_matrix_changes_the_recipe(
    quantization: str, tensor: str, with_it: str, without: str
) -> None:
    assert type_of("llama-3.1-8b", quantization, tensor, WITH_IMATRIX) == with_it
    assert type_of("llama-3.1-8b", quantization, tensor, WITHOUT_IMATRIX) == without
    needs_one = quantization == "IQ3_XXS"
    assert type_of("llama-3.1-8b", quantization, tensor) == (with_it if needs_one else without)


def test_rows_that_no_block_divides_are_refused_by_name() -> None:
    arch = architecture("qwen2.5-0.5b").model_copy(update={"n_ff": 4800})
    with pytest.raises(
        ConfigError, match=re.escape("Q1_0 needs rows of a multiple of 128, but blk.0.ffn_down")
    ):
        quantize(arch, tensors(arch), "Q1_0")


def test_a_type_that_only_the_converter_writes_is_no_recipe() -> None:
    arch = architecture("qwen3-8b")
    with pytest.raises(ConfigError, match="no rule for the quantization 'NVFP4'"):
        quantize(arch, tensors(arch), "NVFP4")


def test_recipes_are_listed_from_wide_to_narrow() -> None:
    widths = [base_bits(name) for name in MIXES if name not in ("F32", "IQ4_NL", "IQ4_XS", "MXFP4")]
    assert all(narrower <= wider + 0.5 for wider, narrower in pairwise(widths))


MIXED_BY_ITS_PACKAGER = {
    *("gemma-3-4b-it", "gemma-3-12b-it", "gemma-3-27b-it", "gemma-4-e2b-it", "gemma-4-e4b-it"),
    *("granite-4.1-8b", "mxbai-embed-large-v1", "qwen3-coder-next", "qwen3-next-80b-a3b-instruct"),
    *("qwen3.5-0.8b", "qwen3.5-2b", "qwen3.5-4b", "qwen3.5-9b", "qwen3.5-27b", "qwen3.6-27b"),
    *("qwen3.5-35b-a3b", "qwen3.5-122b-a10b"),
}
"""Files whose tensors have other types than the recipe of their name (or another precision of some)."""
TOKENIZER_UNKNOWN = {
    "exaone-4.5-33b",
    "hyperclovax-seed-text-1.5b-instruct",
    "midm-2.0-mini-instruct",
}
BYTES_A_TOKEN = (35, 65)
"""What a byte-pair tokenizer with its merges takes in a header, from Granite 4 to gpt-oss (file_size.py)."""
PUBLISHED = [
    pytest.param(model.id, artifact.quantization, artifact.bytes, id=f"{model.id} {artifact.quantization}")
    for model in CATALOG.values()
    for artifact in model.artifacts
    if artifact.format == "gguf"
    and artifact.bytes
    and model.id not in MIXED_BY_ITS_PACKAGER | TOKENIZER_UNKNOWN
]


@pytest.mark.parametrize(("name", "quantization", "published"), PUBLISHED)
def test_published_files_have_the_size_of_the_rule(name: str, quantization: str, published: int) -> None:
    arch = CATALOG[name].architecture
    sizes = [file_bytes(arch, quantization, mixes) for mixes in (MIXES, WITH_IMATRIX)]
    sizes += (old.bytes for old in older_files(arch, quantization))
    assert min(abs(size - published) for size in sizes) <= 0.0005 * published


@pytest.mark.parametrize("name", sorted(TOKENIZER_UNKNOWN))
def test_what_a_published_file_has_beyond_the_rule_is_its_tokenizer(name: str) -> None:
    arch = CATALOG[name].architecture
    (artifact,) = (file for file in CATALOG[name].artifacts if file.format == "gguf" and file.bytes)
    assert artifact.bytes is not None
    assert tokenizer_bytes(arch) is None
    ruled = file_bytes(arch, artifact.quantization) + prediction_blocks(arch, artifact.quantization)
    low, high = BYTES_A_TOKEN
    assert low * arch.n_vocab <= artifact.bytes - ruled <= high * arch.n_vocab


def prediction_blocks(arch: Architecture, quantization: str) -> int:
    """Bytes of EXAONE 4.5's further blocks: a layer, the matrix that joins two rows, and three norms."""
    if not arch.n_mtp_layers:
        return 0
    n_blocks = arch.n_layers + arch.n_mtp_layers
    deeper = Architecture.model_validate(arch.model_dump() | {"n_layers": n_blocks, "n_mtp_layers": 0})
    layers = file_bytes(deeper, quantization) - file_bytes(arch, quantization)
    join_q4_k = 2 * arch.n_embd * arch.n_embd // 256 * 144
    return layers + arch.n_mtp_layers * (join_q4_k + 3 * 4 * arch.n_embd)


@pytest.mark.parametrize(
    ("name", "quantization", "published", "recipe"),
    [
        pytest.param("phi-4-mini-instruct", "Q4_K_M", 2_491_874_688, 0, id="Phi-4 mini, 2025-03"),
        pytest.param("nomic-embed-text-v1.5", "Q3_K_M", 67_169_408, 1, id="nomic Q3_K_M, 2024-02"),
        pytest.param("nomic-embed-text-v1.5", "Q4_0", 77_802_880, 0, id="nomic Q4_0"),
        pytest.param("nomic-embed-text-v1.5", "Q4_K_M", 84_106_624, 1, id="nomic Q4_K_M"),
        pytest.param("nomic-embed-text-v1.5", "Q5_K_M", 99_588_928, 1, id="nomic Q5_K_M"),
    ],
)
def test_older_files_have_the_size_of_their_recipe(
    name: str, quantization: str, published: int, recipe: int
) -> None:
    older = older_files(CATALOG[name].architecture, quantization)
    assert older[recipe].bytes == published


@pytest.mark.parametrize(
    ("name", "quantization", "notes"),
    [
        pytest.param("phi-4-mini-instruct", "Q4_K_M", ["1,966,080 bytes smaller.*bartowski"], id="fused QKV"),
        pytest.param(
            "nomic-embed-text-v1.5", "Q4_K_M", ["Phi-4 mini", "smaller: .*nomic-ai"], id="an encoder's"
        ),
        pytest.param("phi-4-mini-instruct", "F16", [], id="no recipe"),
        pytest.param("llama-3.2-1b-instruct", "Q4_K_M", [], id="tied, and younger than that recipe"),
    ],
)
def test_older_files_are_told_of(name: str, quantization: str, notes: list[str]) -> None:
    told = list(older_notes(CATALOG[name].architecture, quantization))
    assert len(told) == len(notes)
    for text, expected in zip(told, notes, strict=True):
        assert re.search(expected, text)


@pytest.mark.parametrize(
    ("quantization", "expected"), [("F16", "F32"), ("BF16", "F32"), ("Q8_0", "Q8_0"), ("Q4_K_M", "Q4_K")]
)
def test_the_converter_keeps_the_weights_of_an_indexs_heads(quantization: str, expected: str) -> None:
    arch = architecture_of(MIXTURES["deepseek-v3.2"].config)
    rows = tensors(arch)
    types = zip(rows, quantize(arch, rows, quantization), strict=True)
    assert {kind for row, kind in types if row.name.endswith("indexer.proj.weight")} == {expected}


def test_an_unknown_tokenizer_is_unknown() -> None:
    arch = architecture("llama-3.1-8b").model_copy(update={"n_vocab": 77_777})
    assert tokenizer_bytes(arch) is None
