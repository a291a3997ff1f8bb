"""config.json → architecture: what is read, and what is refused by name."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from architectures import CONFIGS, architecture
from hypothesis import given
from hypothesis import strategies as st

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hf_config import architecture_of, shorten_pattern


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(
            "qwen3-8b",
            {"family": "qwen3", "head_dim": 128, "n_kv_heads": 8, "layer_pattern": "f"},
            id="dense",
        ),
        pytest.param(
            "gemma-3-12b", {"layer_pattern": "sssssf", "n_swa": 1024, "tied_embeddings": True}, id="windows"
        ),
        pytest.param("gpt-oss-20b", {"layer_pattern": "sf", "n_swa": 128, "n_ff": 0}, id="listed layers"),
        pytest.param("granite-4.0-h-tiny", {"layer_pattern": "rrrrrfrrrr"}, id="hybrid, one period"),
        pytest.param("qwen3.5-0.8b", {"layer_pattern": "rrrf", "n_mtp_layers": 1}, id="interval"),
        pytest.param("phi-4-mini", {"rope_factors": "longrope", "n_rot": 96}, id="partly rotated"),
        pytest.param(
            "gemma-4-e2b",
            {"head_dim_full": 512, "n_kv_shared_layers": 20, "n_ff_shared_kv": 12288},
            id="shared caches",
        ),
        pytest.param("all-minilm-l6-v2", {"is_encoder": True, "n_positions": 512}, id="encoder"),
    ],
)
def test_fields(name: str, expected: dict[str, Any]) -> None:
    arch = architecture(name)
    assert {field: getattr(arch, field) for field in expected} == expected


def without(name: str, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in CONFIGS[name].items() if key not in keys}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({}, "does not give model_type", id="empty"),
        pytest.param(
            {"model_type": "warp9"}, "unknown model_type 'warp9'; known: apertus", id="unknown type"
        ),
        pytest.param({"model_type": "mllama"}, "Llama 3.2 Vision .* cannot load it", id="not in llama.cpp"),
        pytest.param(without("qwen3-8b", "vocab_size"), "does not give vocab_size", id="no vocabulary"),
        pytest.param(without("gpt-oss-20b", "layer_types"), "does not give layer_types", id="no layer kinds"),
        pytest.param(without("gemma-2-9b", "sliding_window"), "does not give sliding_window", id="no window"),
        pytest.param(without("qwen3-30b-a3b", "num_experts"), "does not give num_experts", id="no experts"),
        pytest.param(
            CONFIGS["qwen3-8b"] | {"hidden_size": "4096"}, "hidden_size is '4096'", id="text for a number"
        ),
        pytest.param(CONFIGS["qwen3-8b"] | {"hidden_size": -1}, "hidden_size is -1", id="negative"),
        pytest.param(CONFIGS["qwen3-8b"] | {"num_hidden_layers": 10**9}, "n_layers", id="absurd"),
        pytest.param(
            CONFIGS["gpt-oss-20b"] | {"layer_types": ["full_attention"]},
            "1 entries for 24 layers",
            id="too few kinds",
        ),
        pytest.param(
            CONFIGS["granite-4.0-h-tiny"] | {"layer_types": ["warp"] * 40},
            "unknown layer type 'warp'",
            id="unknown kind",
        ),
        pytest.param(
            CONFIGS["qwen3-30b-a3b"] | {"num_experts_per_tok": 999},
            "n_experts_used 999 exceeds",
            id="contradiction",
        ),
    ],
)
def test_refusals_name_the_field(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture_of(config)


def test_a_multimodal_config_gives_its_language_part() -> None:
    nested = {"model_type": "qwen3_vl", "text_config": {**CONFIGS["qwen3-8b"], "model_type": "qwen3_vl_text"}}
    assert architecture_of(nested).n_layers == 36


@given(st.text("sfr", min_size=1, max_size=12), st.integers(1, 6))
def test_a_shortened_pattern_repeats_to_the_whole(period: str, times: int) -> None:
    letters = period * times
    short = shorten_pattern(letters)
    assert len(short) <= len(period)
    assert (short * len(letters))[: len(letters)] == letters


@given(
    st.sampled_from(sorted(CONFIGS)),
    st.dictionaries(
        st.sampled_from(
            ["hidden_size", "num_hidden_layers", "layer_types", "rope_scaling", "num_experts", "head_dim"]
        ),
        st.none()
        | st.integers(-5, 5)
        | st.text(max_size=4)
        | st.lists(st.text(max_size=3), max_size=3)
        | st.floats(),
        max_size=3,
    ),
)
def test_any_config_gives_an_architecture_or_a_reason(name: str, damage: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):  # any other error fails the test
        assert isinstance(architecture_of(CONFIGS[name] | damage), Architecture)
