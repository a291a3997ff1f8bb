"""Families by rule: their makers' parameter counts, and llama.cpp's own plan for files of their shapes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest
from plan_memory import plan
from published_mixtures import MIXTURES
from published_models import PUBLISHED
from quantize_types import quantizer_types

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.gguf.sparse import write_sparse
from advisor.hf_config import architecture_of
from advisor.memory import kv_cache_bytes, recurrent_bytes
from advisor.quantization import quantize
from advisor.settings import Settings
from advisor.tensors import tensors
from advisor.weights import weights_by_rule

STORED_TWICE = {"gemma3n"}
"""Without mmap, llama.cpp gives Gemma 3n's output matrix memory of its own; with mmap, the default, not."""


def architecture(name: str) -> Architecture:
    return architecture_of(PUBLISHED[name].config)


def billions(count: float, digits: str) -> str:
    """A count in billions with as many decimals as `digits` has."""
    return f"{count / 1e9:.{len(digits.partition('.')[2])}f}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name: str) -> None:
    published, arch = PUBLISHED[name], architecture(name)
    counts = {row.name: prod(row.shape) for row in tensors(arch)}
    total = sum(counts.values())
    assert billions(total, published.n_params) == published.n_params
    assert (published.n_active is None) == (arch.moe is None)
    if arch.moe and published.n_active:
        idle = 1 - arch.moe.n_experts_used / arch.moe.n_experts
        routed = sum(count for name, count in counts.items() if "_exps." in name)
        assert billions(total - routed * idle, published.n_active) == published.n_active


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_rules_are_what_llama_plans(name: str, tmp_path: Path) -> None:
    arch = architecture(name)
    settings = Settings(n_ctx=8192, n_seqs=2, n_outputs_max=2)
    if arch.is_encoder:
        settings = Settings(n_ctx=512, n_batch=512, embeddings=True, n_outputs_max=512)
    theirs = plan(write_sparse(tmp_path / "model.gguf", arch, "Q4_K_M"), settings)

    weights = weights_by_rule(arch, "Q4_K_M")
    again = weights.tied_bytes if arch.family in STORED_TWICE else 0
    assert weights.total_bytes + again == theirs["weights"]
    cache = kv_cache_bytes(arch, settings) + recurrent_bytes(arch, settings)
    assert sum(cache) == theirs["context"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nemotron-3-super-120b-a12b", id="latent experts, one block a layer"),
        pytest.param("falcon-h1-tiny-90m", id="two mixers a layer"),
        pytest.param("gemma-3n-e2b", id="altup and laurel keep 16 bits"),
        pytest.param("starcoder2-3b", id="biases"),
        pytest.param("nomic-embed-text-v2-moe", id="an encoder of experts"),
    ],
)
def test_mixes_are_what_the_quantizer_chooses(name: str, tmp_path: Path) -> None:
    arch = architecture(name)
    rows = tensors(arch)
    path = write_sparse(tmp_path / "model.gguf", arch, "F16")
    for quantization, theirs in quantizer_types(path, ("Q3_K_M", "Q4_K_M", "Q5_K_S")).items():
        ours = dict(zip((row.name for row in rows), quantize(arch, rows, quantization), strict=True))
        assert theirs == ours, quantization


def changed(name: str, **fields: Any) -> dict[str, Any]:
    return {**PUBLISHED[name].config, **fields}


def pruned(**attention: Any) -> dict[str, Any]:
    """A Llama-Nemotron of two layers, the second without attention unless `attention` says otherwise."""
    whole = {"attention": {"n_heads_in_group": 8}, "ffn": {"ffn_mult": 2.625}}
    config = {
        "model_type": "nemotron-nas",
        "hidden_size": 8192,
        "num_hidden_layers": 2,
        "num_attention_heads": 64,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    }
    second = {"attention": {"n_heads_in_group": None, **attention}, "ffn": {"ffn_mult": None}}
    return config | {"block_configs": [whole, second]}


def test_pruned_layers_keep_only_what_they_have() -> None:
    names = [row.name for row in tensors(architecture_of(pruned())) if row.name.startswith("blk.")]
    assert "blk.0.ffn_norm.weight" in names
    assert not [name for name in names if name.startswith("blk.1.")]
    first, second = architecture_of(pruned()).layers
    assert (first.n_kv_heads, first.n_ff) == (8, 14336)
    assert (second.n_heads, second.n_kv_heads, second.n_ff) == (0, 0, 0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param(pruned(replace_with_linear=True), "attention by a linear layer", id="linear attention"),
        pytest.param(pruned(n_heads_in_group=7), "n_heads_in_group 7 does not divide", id="odd groups"),
        pytest.param(
            pruned() | {"num_hidden_layers": 3}, "block_configs for every layer", id="too few blocks"
        ),
        pytest.param(changed("nemotron-h-8b", mlp_bias=True), "mlp_bias is set", id="biases"),
        pytest.param(
            changed("nemotron-h-8b", hybrid_override_pattern="MQ*-"), "unknown block type 'Q'", id="block"
        ),
        pytest.param(
            changed("nemotron-h-8b", hybrid_override_pattern=None), "the kinds of its layers", id="no blocks"
        ),
        pytest.param(
            changed("nemotron-h-8b", num_hidden_layers=51), "52 blocks are listed for 51", id="blocks"
        ),
        pytest.param(changed("gemma-3n-e4b", laurel_rank=32), "laurel_rank is 32", id="another rank"),
        pytest.param(changed("gemma-3n-e4b", num_kv_shared_layers=10), "25 layers have", id="more caches"),
        pytest.param(
            changed("gemma-3n-e4b", intermediate_size=[1, 2]), "intermediate_size differs", id="widths"
        ),
        pytest.param(changed("command-r", use_qk_norm=True), "use_qk_norm is True with 40", id="norms"),
        pytest.param(changed("falcon-h1-7b", mamba_d_ssm=None), "does not give mamba_d_ssm", id="no width"),
        pytest.param(changed("jamba-1.5-mini", mamba_expand=4), "mamba_expand is not 2", id="expansion"),
        pytest.param(changed("stablelm-2-1.6b", qk_layernorm=True), "qk_layernorm is set", id="stablelm 12B"),
        pytest.param(
            changed("nomic-embed-text-v2-moe", moe_every_n_layers=3), "moe_every_n_layers is 3", id="every 3"
        ),
    ],
)
def test_what_has_no_rules_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture_of(config)


DAMAGE = [
    *(None, True, "", "ab", "9" * 20),
    *(-1, 0, 5, 0.5, 10**5, 10**12, 10**30, 1e308, float("inf"), float("nan")),
    *([], [None], [1, 2], [{}], ["x"], ["full_attention"] * 3, {}, {"a": 1}),
]


def damaged(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The config with each of its values, those one level down included, replaced by each kind of damage."""
    for key, value in config.items():
        yield from ({**config, key: damage} for damage in DAMAGE)
        if isinstance(value, dict):
            yield from ({**config, key: part} for part in damaged(value))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ({**config, key: [part, *value[1:]]} for part in damaged(value[0]))


CONFIGS = {name: entry.config for name, entry in (PUBLISHED | MIXTURES).items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_any_config_gives_an_architecture_or_a_reason(name: str) -> None:
    for config in damaged(CONFIGS[name]):
        with contextlib.suppress(ConfigError):  # any other error fails the test, one of memory included
            assert isinstance(architecture_of(config), Architecture)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param("command-r7b", "sliding_window_pattern", id="cohere2"),
        pytest.param("jamba-1.5-mini", "num_hidden_layers", id="jamba"),
        pytest.param("modernbert-base", "global_attn_every_n_layers", id="modernbert"),
        pytest.param("llama-4-scout", "interleave_moe_layer_step", id="llama4"),
        pytest.param("phi-4", "num_hidden_layers", id="layers"),
    ],
)
def test_what_is_repeated_is_bounded_by_name(name: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}.* is above 1,024"):
        architecture_of({**CONFIGS[name], key: 10**8})
