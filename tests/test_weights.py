"""Tensor lists and quantization mixes, against the sizes of published files."""

from __future__ import annotations

import pytest
from architectures import CONFIGS, architecture

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.quantization import MIXES, quantize
from advisor.tensor_types import GGML_TYPES
from advisor.tensors import FAMILIES, tensors
from advisor.weights import TOKENIZER_BYTES_MAX, as_large_as, weights_by_rule

# A published file is its tensor data, its metadata and its tokenizer; the last two do not depend on the
# quantization. Sizes: the files' pages on the Hugging Face hub, read 2026-11-21.
LLAMA3_TOKENIZER = 7_840_928
PUBLISHED = [
    ("llama-3.1-8b", "Q4_K_M", 4_920_739_232, LLAMA3_TOKENIZER),
    ("llama-3.1-8b", "Q5_K_M", 5_732_992_416, LLAMA3_TOKENIZER),
    ("llama-3.1-8b", "Q6_K", 6_596_011_424, LLAMA3_TOKENIZER),
    ("llama-3.1-8b", "Q8_0", 8_540_775_840, LLAMA3_TOKENIZER),
    ("mistral-7b", "Q4_K_M", 4_368_439_584, 735_520),
    ("gemma-2-9b", "Q4_K_M", 5_761_057_728, 6_056_896),
    ("gemma-3-12b", "Q4_K_M", 7_300_574_976, 6_348_672),
    ("qwen2.5-0.5b", "Q4_K_M", 397_808_192, 5_948_480),
    ("qwen2.5-7b", "Q4_K_M", 4_683_074_240, 5_954_240),
    ("qwen3-8b", "Q4_K_M", 5_027_784_512, 5_957_440),
    ("gpt-oss-20b", "MXFP4", 12_109_566_560, 13_008_224),
    ("granite-4.0-h-tiny", "Q4_K_M", 4_230_976_352, 3_588_704),
    ("nomic-embed-text-v1.5", "F16", 274_290_560, 756_608),
]


@pytest.mark.parametrize(("name", "quantization", "file", "tokenizer"), PUBLISHED)
def test_published_files_are_the_tensors_and_a_tokenizer(
    name: str, quantization: str, file: int, tokenizer: int
) -> None:
    assert weights_by_rule(architecture(name), quantization).total_bytes == file - tokenizer


def types_of(name: str, quantization: str) -> dict[str, str]:
    arch = architecture(name)
    rows = tensors(arch)
    return dict(zip((row.name for row in rows), quantize(arch, rows, quantization), strict=True))


@pytest.mark.parametrize(
    ("name", "quantization", "tensor", "expected"),
    [
        pytest.param("llama-3.1-8b", "Q4_K_M", "blk.0.attn_v.weight", "Q6_K", id="first eighth: more bits"),
        pytest.param("llama-3.1-8b", "Q4_K_M", "blk.4.attn_v.weight", "Q4_K", id="between: the base type"),
        pytest.param("llama-3.1-8b", "Q4_K_M", "blk.6.ffn_down.weight", "Q6_K", id="every third: more bits"),
        pytest.param("llama-3.1-8b", "Q4_K_M", "output.weight", "Q6_K", id="output matrix"),
        pytest.param("llama-3.1-8b", "Q4_K_M", "token_embd.weight", "Q4_K", id="untied embedding"),
        pytest.param(
            "llama-3.2-3b", "Q4_K_M", "token_embd.weight", "Q6_K", id="tied embedding is the output"
        ),
        pytest.param("llama-3.1-70b", "Q4_K_M", "blk.40.attn_v.weight", "Q5_K", id="70B: V is small"),
        pytest.param("mixtral-8x7b", "Q4_K_M", "blk.9.attn_k.weight", "Q8_0", id="eight experts: K"),
        pytest.param(
            "mixtral-8x7b", "Q4_K_M", "blk.9.attn_output.weight", "Q5_K", id="eight experts: output"
        ),
        pytest.param(
            "qwen2.5-0.5b", "Q4_K_M", "blk.5.attn_q.weight", "Q5_0", id="896 is not a multiple of 256"
        ),
        pytest.param("qwen2.5-7b", "Q3_K_M", "blk.0.attn_v.weight", "Q5_K", id="Q3_K_M: the first two"),
        pytest.param("qwen2.5-7b", "Q3_K_M", "blk.9.attn_output.weight", "Q4_K", id="Q3_K_M: output"),
        pytest.param("qwen3-8b", "IQ4_XS", "blk.9.attn_v.weight", "Q5_K", id="grouped heads: V"),
        pytest.param("gpt-oss-20b", "MXFP4", "blk.0.ffn_up_exps.weight", "MXFP4", id="experts"),
        pytest.param("gpt-oss-20b", "MXFP4", "blk.0.attn_q.weight", "Q8_0", id="beside the experts"),
        pytest.param("qwen3-30b-a3b", "Q4_K_M", "blk.0.ffn_gate_inp.weight", "F32", id="router"),
        pytest.param("qwen3-30b-a3b", "Q8_0", "blk.0.attn_norm.weight", "F32", id="norm"),
    ],
)
def test_types(name: str, quantization: str, tensor: str, expected: str) -> None:
    assert types_of(name, quantization)[tensor] == expected


@pytest.mark.parametrize("quantization", [q for q in MIXES if q not in ("MXFP4", "Q1_0")])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_row_is_whole_blocks(name: str, quantization: str) -> None:
    rows = {row.name: row for row in tensors(architecture(name))}
    for tensor, type_name in types_of(name, quantization).items():
        assert rows[tensor].shape[0] % GGML_TYPES[type_name].block == 0


@pytest.mark.parametrize("name", [n for n in CONFIGS if n != "gpt-oss-20b"])  # MXFP4 from the start
def test_more_bits_never_take_less(name: str) -> None:
    ladder = ("Q2_K", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16", "F32")
    sizes = [weights_by_rule(architecture(name), q).total_bytes for q in ladder]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("name", "n_params"),
    [
        ("llama-3.1-8b", 8_030_261_248 + 64),  # the hub's count, and the 64 rope factors that the file stores
        ("qwen3-30b-a3b", 30_532_122_624),
        ("gpt-oss-20b", 20_914_757_184),
        ("qwen2.5-0.5b", 494_032_768),
    ],
)
def test_parameter_counts_are_the_published_ones(name: str, n_params: int) -> None:
    total = 0
    for row in tensors(architecture(name)):
        n = 1
        for dimension in row.shape:
            n *= dimension
        total += n
    assert total == n_params


def test_a_larger_published_file_counts() -> None:
    weights = weights_by_rule(architecture("qwen3-8b"), "Q4_K_M")
    own_mix = weights.total_bytes + TOKENIZER_BYTES_MAX + 500_000_000
    assert 0 <= as_large_as(weights, own_mix).total_bytes - weights.total_bytes - 500_000_000 < 36
    assert as_large_as(weights, weights.total_bytes + TOKENIZER_BYTES_MAX) == weights
    assert as_large_as(weights, None) == weights


def test_an_unknown_quantization_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no rule for the quantization 'Q9_K'; known: F32"):
        weights_by_rule(architecture("llama-3.1-8b"), "Q9_K")


def test_mxfp4_needs_experts() -> None:
    with pytest.raises(ConfigError, match="no experts"):
        weights_by_rule(architecture("llama-3.1-8b"), "MXFP4")


def test_an_unknown_family_says_what_can_be_done() -> None:
    arch = architecture("llama-3.1-8b").model_copy(update={"family": "starcoder"})
    with pytest.raises(ConfigError, match="'starcoder' has no rules yet; a \\.gguf of the model can be"):
        tensors(arch)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_lists_each_tensor_once(family: str) -> None:
    arch: Architecture = architecture("qwen3-30b-a3b").model_copy(update={"family": family, "n_ff": 1024})
    names = [row.name for row in tensors(arch)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v2-lite", "phi-4-mini"])
def test_feed_forward_blocks_are_a_part_of_their_layers(name: str) -> None:
    weights = weights_by_rule(architecture(name), "Q4_K_M")
    assert all(0 <= part < whole for part, whole in zip(weights.ffn, weights.layers, strict=False))
    assert bool(weights.ffn) == (name != "qwen3-30b-a3b")
    assert weights.largest_experts < max(weights.experts, default=1)
    assert 0 < weights.largest_matrix < max(weights.layers)


def test_the_largest_matrix_is_the_widest_at_its_type() -> None:
    weights = weights_by_rule(architecture("llama-3.1-8b"), "Q4_K_M")
    assert weights.largest_matrix == 4096 * 14336 * 210 // 256  # ffn_down at Q6_K
    mixture = weights_by_rule(architecture("qwen3-30b-a3b"), "Q4_K_M")
    assert mixture.largest_experts == 128 * 2048 * 768 * 210 // 256
