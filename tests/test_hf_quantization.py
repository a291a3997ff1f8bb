"""Checkpoints of the hub: dialects of quantization, and the bytes that follow, against published totals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from architectures import CONFIGS, architecture
from published_checkpoints import DEEPSEEK_V3, FP8_BLOCKS, PUBLISHED, Published

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_config import architecture_of
from advisor.hf_quantization import (
    HfQuantization,
    hf_file_bytes,
    hf_tensors,
    hf_weights,
    scheme_named,
    scheme_of,
)
from advisor.hf_quantization.formats import MODELOPT, awq, bnb_4bit, fp8_blocks, gptq
from advisor.weights import Weights


def _prediction_layer(row: Published, arch: Architecture, scheme: HfQuantization) -> int:
    """Bytes of the last layer once more."""
    if row.prediction_layer == "none":
        return 0
    stored = scheme if row.prediction_layer == "quantized" else scheme_named("BF16")
    last = f"blk.{arch.n_layers - 1}."
    return sum(t.stored_bytes(stored) for t in hf_tensors(arch) if t.row.startswith(last))


@pytest.mark.parametrize("name", PUBLISHED)
def test_checkpoints_have_their_published_size(name: str) -> None:
    row = PUBLISHED[name]
    arch = architecture_of(row.config)
    scheme = scheme_of({} if row.quantization is None else {"quantization_config": row.quantization})
    total = hf_file_bytes(arch, scheme) + _prediction_layer(row, arch, scheme) + row.beside
    print(f"{name}: {total - row.total:+,} of {row.total:,} bytes ({row.source})")
    assert total == pytest.approx(row.total, rel=row.tolerance)


def test_a_rounded_size_is_met_as_well() -> None:
    """The log of vLLM with Qwen2.5-7B-Instruct-AWQ: "Checkpoint size: 5.19 GiB" (quoted publicly, 2026)."""
    assert hf_file_bytes(architecture("qwen2.5-7b"), scheme_named("AWQ")) / 2**30 == pytest.approx(
        5.19, abs=0.005
    )


@pytest.mark.parametrize(
    ("layer", "config", "module_bytes"),
    [
        pytest.param("awq", awq(4, 128), 4096 * 4096 // 2 + 32 * 4096 * 2 + 32 * 4096 // 2, id="AWQ"),
        pytest.param("gptq", gptq(4, 128), 4096 * 4096 // 2 + 32 * 4096 * 5 // 2 + 4096 * 4, id="GPTQ"),
        pytest.param("whole", gptq(4, -1), 4096 * 4096 // 2 + 4096 * 5 // 2 + 4096 * 4, id="one group"),
        pytest.param("fp8", fp8_blocks(), 4096 * 4096 + 32 * 32 * 4, id="FP8 blocks"),
        pytest.param("nvfp4", MODELOPT["NVFP4"], 4096 * 4096 // 2 + 4096 * 4096 // 16 + 8, id="NVFP4"),
        pytest.param(
            "nf4",
            bnb_4bit("nf4", double=True),
            4096 * 4096 // 2 + 4096 * 64 + 4096 * 64 // 256 * 4 + 64 + 1024 + 80,
            id="nf4, doubled",
        ),
        pytest.param(
            "fp4", bnb_4bit("fp4", double=False), 4096 * 4096 // 2 + 4096 * 64 * 4 + 64 + 80, id="fp4"
        ),
    ],
)
def test_a_matrix_of_4096(layer: str, config: Any, module_bytes: int) -> None:
    assert config.stored_bytes(4096, 4096) == module_bytes


def test_blocks_that_do_not_divide_are_rounded_up() -> None:
    assert fp8_blocks().stored_bytes(576, 7168) == 576 * 7168 + 5 * 56 * 4
    bf16_scales = {"model_type": "qwen3", "quantization_config": FP8_BLOCKS}
    form = scheme_of(bf16_scales).format_of("model.layers.0.mlp.up_proj")
    # Qwen3.8-Flash-Next-FP8: 200 bytes of scales for an expert's matrix of 640 × 2560 (shard headers, quoted
    # publicly 2026-08-26).
    assert form is not None
    assert form.stored_bytes(640, 2560) == 640 * 2560 + 200


def formats(scheme: HfQuantization, arch: Architecture) -> dict[str, str]:
    """The format of every kind of module, by what follows its layer's number."""
    found = {}
    for tensor in hf_tensors(arch):
        if tensor.module:
            form = scheme.format_of(tensor.module)
            found[tensor.module.split(".", 3)[-1]] = form.name if form else "plain"
    return found


LINEAR: Mapping[str, Any] = {
    "targets": ["Linear"],
    "weights": {"num_bits": 8, "type": "int", "strategy": "channel"},
}
INT8 = {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"a": LINEAR}}
CASES = [
    pytest.param(
        "qwen3-30b-a3b",
        {"quant_method": "awq", "bits": 4, "group_size": 128, "modules_to_not_convert": ["self_attn"]},
        {"self_attn.q_proj": "plain", "mlp.experts.0.up_proj": "AWQ 4 bit", "lm_head": "plain"},
        id="AWQ: a part of the names",
    ),
    pytest.param(
        "qwen3-8b",
        INT8,
        {"self_attn.q_proj": "INT8", "lm_head": "plain"},
        id="compressed-tensors INT8",
    ),
    pytest.param(
        "qwen3-8b",
        {
            "quant_method": "compressed-tensors",
            "format": "nvfp4-pack-quantized",
            "ignore": ["lm_head", "re:.*self_attn.*"],
            "config_groups": {
                "a": {
                    "targets": ["Linear"],
                    "input_activations": {"dynamic": "local"},
                    "weights": {"num_bits": 4, "type": "float", "group_size": 16},
                }
            },
        },
        {"self_attn.q_proj": "plain", "mlp.up_proj": "NVFP4"},
        id="compressed-tensors NVFP4 with an expression",
    ),
    pytest.param(
        "qwen3-8b",
        {"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]},
        {"mlp.up_proj": "bitsandbytes int8", "lm_head": "plain"},
        id="bitsandbytes",
    ),
    pytest.param(
        "qwen3-8b",
        {"quant_algo": "NVFP4", "exclude_modules": ["*.mlp.down_proj", "model.layers.*.self_attn*"]},
        {"mlp.up_proj": "NVFP4", "mlp.down_proj": "plain", "self_attn.o_proj": "plain"},
        id="modelopt: globs",
    ),
    pytest.param(
        "qwen3-8b",
        {
            "quant_algo": "MIXED_PRECISION",
            "quantized_layers": {
                **{
                    f"model.language_model.layers.{i}.mlp.up_proj": {"quant_algo": "W4A16_NVFP4"}
                    for i in range(36)
                },
                **{
                    f"model.language_model.layers.{i}.self_attn.q_proj": {"quant_algo": "FP8"}
                    for i in range(36)
                },
                "lm_head": {"quant_algo": "FP8"},
            },
        },
        {"mlp.up_proj": "NVFP4", "self_attn.q_proj": "FP8", "lm_head": "FP8", "mlp.down_proj": "plain"},
        id="modelopt: layer by layer",
    ),
    pytest.param(
        "qwen3-8b",
        {"quant_method": "gptq", "bits": 4, "group_size": 32, "dynamic": {"-:.*down_proj": {}}},
        {"mlp.up_proj": "GPTQ 4 bit", "mlp.down_proj": "plain"},
        id="GPTQ: modules left out",
    ),
]


@pytest.mark.parametrize(("name", "raw", "expected"), CASES)
def test_dialects(name: str, raw: dict[str, Any], expected: dict[str, str]) -> None:
    found = formats(scheme_of({"quantization_config": raw}), architecture(name))
    assert {module: found[module] for module in expected} == expected


def test_modelopt_file_and_config_exclude_together() -> None:
    described = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    scheme = scheme_of({"quantization_config": {"ignore": ["model.layers.0.*"]}}, described)
    assert scheme.format_of("model.layers.0.mlp.up_proj") is None
    assert scheme.format_of("model.layers.1.mlp.up_proj") is not None
    assert scheme.fp8_kv_cache


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param({"quant_method": "hqq"}, "no rule for the quantization method 'hqq'", id="method"),
        pytest.param({"quant_algo": "W4A8_AWQ"}, "no rule for modelopt's W4A8_AWQ", id="algorithm"),
        pytest.param({"quant_method": "awq", "group_size": 128}, "does not give bits or w_bit", id="bits"),
        pytest.param({"quant_method": "compressed-tensors"}, "has no config_groups", id="no groups"),
        pytest.param(
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float", "strategy": "token"}}},
            },
            "no rule for scales by 'token'",
            id="strategy",
        ),
        pytest.param("fp8", "must be an object", id="not an object"),
        pytest.param(
            {"quant_method": "fp8", "modules_to_not_convert": [7]}, "7 is not the name", id="no name"
        ),
        pytest.param(
            {**INT8, "ignore": ["re:(lm_head"]}, r"'re:\(lm_head' is not an expression", id="expression"
        ),
        pytest.param({"quant_method": "fp8", "weight_block_size": 128}, "weight_block_size", id="block"),
        pytest.param(
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:.*": {"bits": 8}}},
            "change a module's bits",
            id="dynamic bits",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(raw: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scheme_of({"quantization_config": raw})


def test_a_family_without_names_is_refused_only_where_they_matter() -> None:
    arch = architecture("all-minilm-l6-v2")
    assert hf_weights(arch, scheme_named("BF16")).total_bytes > 0
    with pytest.raises(ConfigError, match="what checkpoints of 'bert' call their modules is not known"):
        hf_weights(arch, scheme_named("FP8"))


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no rule for the format 'EXL2'; known: BF16"):
        scheme_named("EXL2")


@pytest.mark.parametrize("name", [n for n in CONFIGS if not architecture(n).is_encoder])
def test_every_decoder_has_names(name: str) -> None:
    arch = architecture(name)
    weights = hf_weights(arch, scheme_named("FP8"))
    plain = hf_weights(arch, scheme_named("BF16"))
    assert isinstance(weights, Weights)
    assert len(weights.layers) == arch.n_layers
    assert weights.input_bytes == plain.input_bytes
    assert all(a < b for a, b in zip(weights.layers, plain.layers, strict=True))


def test_latent_attention_is_one_matrix_in_a_checkpoint() -> None:
    modules = {t.module: t for t in hf_tensors(architecture_of(DEEPSEEK_V3))}
    kv_b = modules["model.layers.0.self_attn.kv_b_proj"]
    assert (kv_b.n_out, kv_b.n_in) == (128 * (128 + 128), 512)
    experts = modules["model.layers.3.mlp.experts.0.up_proj"]
    assert (experts.n_out, experts.n_in, experts.n_matrices) == (2048, 7168, 256)
