"""Large mixtures and sparse attention by rule: makers' parameters, llama.cpp's own plan and its quantizer."""

from __future__ import annotations

import contextlib
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_memory import plan
from published_mixtures import MIXTURES
from quantize_types import quantizer_types

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.gguf.sparse import write_sparse
from advisor.hf_config import architecture_of
from advisor.memory import Split, allocate, footprint_of, kv_cache_bytes
from advisor.quantization import WITHOUT_IMATRIX, quantize
from advisor.settings import Settings
from advisor.tensors import tensors
from advisor.weights import weights_by_rule

TOTAL_SHARE, ACTIVE_SHARE = 0.04, 0.08
"""How far makers' figures may be off: they round, and count some parts in or out."""
COMPUTE_SHARE = 0.02
"""Of the total: how far a compute buffer by rule may be off."""

SETTINGS = {
    "one sequence": Settings(n_ctx=8192, n_outputs_max=1),
    "four sequences, quantized cache": Settings(n_ctx=5000, n_seqs=4, kv_type="q8_0", n_outputs_max=4),
    "unified": Settings(n_ctx=4096, n_seqs=2, kv_unified=True, n_outputs_max=2),
}


QUICK, THOROUGH = ("one sequence",), ("four sequences, quantized cache", "unified")
SPECIAL = {
    "llama-4-maverick": "interleaved experts",
    "glm-5.2": "shared indexes",
    "deepseek-v4-flash": "summaries",
    "minimax-m3": "an index over blocks",
    "mimo-v2-flash": "heads by kind",
    "step-3.5-flash": "query heads by kind",
    "kimi-linear-48b-a3b": "delta attention",
    "phi-3.5-moe": "biases",
}
"""Models whose caches or tensors are of a kind of their own."""
CASES = [
    pytest.param(name, setting, id=f"{name}, {setting}")
    for name in MIXTURES
    for setting in QUICK + THOROUGH * (name in SPECIAL)
]


def architecture(name: str) -> Architecture:
    return architecture_of(MIXTURES[name].config)


@pytest.mark.parametrize("name", MIXTURES)
def test_parameters_are_the_published_ones(name: str) -> None:
    published, arch = MIXTURES[name], architecture(name)
    counts = {row.name: prod(row.shape) for row in tensors(arch)}
    total = sum(counts.values())
    assert total / 1e9 == pytest.approx(published.n_params, rel=TOTAL_SHARE)
    idle = 1 - arch.moe.n_experts_used / arch.moe.n_experts if arch.moe else 0
    active = total - idle * sum(count for row, count in counts.items() if "_exps." in row)
    if published.n_active is not None:
        # A token uses one row of its embedding: some makers count the table, others do not.
        counted = (active, active - counts["token_embd.weight"])
        assert min(abs(n / 1e9 / published.n_active - 1) for n in counted) <= ACTIVE_SHARE


@pytest.mark.slow
@pytest.mark.parametrize(("name", "setting"), CASES)
def test_rules_are_what_llama_plans(name: str, setting: str, tmp_path: Path) -> None:
    arch, settings = architecture(name), SETTINGS[setting]
    theirs = plan(write_sparse(tmp_path / "model.gguf", arch, "Q4_K_M"), settings)
    _, ours = allocate(footprint_of(arch, weights_by_rule(arch, "Q4_K_M"), settings), Split())
    assert ours.weights_bytes == theirs["weights"]
    assert ours.kv_cache_bytes + ours.recurrent_bytes == theirs["context"]
    assert abs(ours.compute_bytes - theirs["compute"]) <= COMPUTE_SHARE * sum(theirs.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, id=kind) for name, kind in SPECIAL.items()])
def test_mixes_are_what_the_quantizer_chooses(name: str, tmp_path: Path) -> None:
    # The file leaves prediction blocks out, which the rules count among the layers as a real file does.
    arch = architecture(name).model_copy(update={"n_mtp_layers": 0})
    path, rows = write_sparse(tmp_path / "model.gguf", arch, "F16"), tensors(arch)
    asked = ["Q4_K_M", "Q2_K", "IQ4_XS"]
    for quantization, theirs in quantizer_types(path, asked, imatrix=False).items():
        types = quantize(arch, rows, quantization, WITHOUT_IMATRIX)
        ours = {row.name: type_name for row, type_name in zip(rows, types, strict=True)}
        assert {n: (ours[n], t) for n, t in theirs.items() if ours[n] != t} == {}, quantization


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("llama-4-maverick", {"layer_pattern": "sssf", "ffn_pattern": "de"}, id="interleaved"),
        pytest.param("mimo-v2-flash", {"n_kv_heads": 8, "n_kv_heads_full": 4, "n_mtp_layers": 3}, id="kinds"),
        pytest.param("deepseek-v4-flash", {"n_hyper_connections": 4, "n_swa": 128}, id="summaries"),
        pytest.param("glm-5", {"family": "glm-dsa", "n_mtp_layers": 1}, id="an index everywhere"),
        pytest.param("kimi-linear-48b-a3b", {"family": "kimi-linear", "n_ff": 9216}, id="delta attention"),
        pytest.param("mistral-small-4", {"family": "mistral4", "n_ff": 0}, id="no dense layers"),
    ],
)
def test_fields(name: str, expected: dict[str, Any]) -> None:
    arch = architecture(name)
    assert {field: getattr(arch, field) for field in expected} == expected


def test_layers_differ_in_heads_index_and_summaries() -> None:
    step, glm, v4 = (architecture(name).layers for name in ("step-3.5-flash", "glm-5.2", "deepseek-v4-flash"))
    assert [layer.n_heads for layer in step[:5]] == [64, 96, 96, 96, 64]
    assert [layer.index_dim for layer in glm[:7]] == [128, 128, 128, 0, 0, 0, 128]
    assert [(layer.compress_ratio, layer.index_dim) for layer in v4[:4]] == [
        (0, 0),
        (0, 0),
        (4, 128),
        (128, 0),
    ]
    assert [layer.hashes_experts for layer in v4[:4]] == [True, True, True, False]


def test_summaries_grow_with_the_context_and_the_window_does_not() -> None:
    arch = architecture("deepseek-v4-flash")
    short, long = (kv_cache_bytes(arch, Settings(n_ctx=n)) for n in (65536, 131072))
    assert short[0] == long[0]
    assert 1.9 < long[2] / short[2] < 2.0


def without(name: str, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in MIXTURES[name].config.items() if key not in keys}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param(
            without("step-3.5-flash", "attention_other_setting"),
            "attention_other_setting",
            id="heads by kind",
        ),
        pytest.param(without("step-3.5-flash", "moe_layers_enum"), "moe_layers_enum", id="layers of experts"),
        pytest.param(without("deepseek-v4-pro", "compress_ratios"), "compress_ratios", id="no ratios"),
        pytest.param(
            MIXTURES["deepseek-v4-pro"].config | {"compress_ratios": [16] * 62}, "has 16", id="another ratio"
        ),
        pytest.param(without("glm-5", "index_topk"), "index_topk", id="no index"),
        pytest.param(
            MIXTURES["glm-5.2"].config | {"indexer_types": ["half"] * 78}, "indexer type 'half'", id="index"
        ),
        pytest.param(
            MIXTURES["glm-5.2"].config | {"indexer_types": ["full"]},
            "indexer_types for its 78 layers",
            id="one type",
        ),
        pytest.param(
            MIXTURES["llama-4-scout"].config | {"attention_chunk_size": 4096}, "expects 8192", id="chunk"
        ),
        pytest.param(
            MIXTURES["mimo-v2-flash"].config | {"swa_head_dim": 128}, "swa_head_dim is not", id="widths"
        ),
        pytest.param(without("kimi-k3", "linear_attn_config"), "num_heads", id="no delta attention"),
        pytest.param(without("kimi-k3", "mla_use_output_gate"), "mla_use_output_gate", id="another K3"),
        pytest.param({"model_type": "mimo"}, "MiMo 7B .* llama.cpp cannot load it", id="not in llama.cpp"),
    ],
)
def test_refusals_name_the_field(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture_of(config)


KEYS = sorted({key for mixture in MIXTURES.values() for key in mixture.config} - {"model_type"})


@given(
    st.sampled_from(sorted(MIXTURES)),
    st.dictionaries(
        st.sampled_from(KEYS),
        st.none()
        | st.integers(-5, 5)
        | st.text(max_size=4)
        | st.lists(st.integers(-1, 4) | st.text(max_size=3), max_size=3)
        | st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
        max_size=3,
    ),
)
def test_any_config_gives_an_architecture_or_a_reason(name: str, damage: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):  # any other error fails the test
        assert isinstance(architecture_of(MIXTURES[name].config | damage), Architecture)
