"""Vision towers by rule, held against llama.cpp's multimodal library and against published files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from projector_usage import usage, write_projector

from advisor.errors import ConfigError
from advisor.projectors import (
    Tower,
    image_compute_bytes,
    max_image_tokens,
    projector_bytes,
    projector_tensors,
    tower_of,
)

TRANSFORMERS = {
    "so400m": {"n_layers": 27, "n_embd": 1152, "n_heads": 16, "n_ff": 4304},
    "qwen2.5": {"n_layers": 32, "n_embd": 1280, "n_heads": 16, "n_ff": 3420},
    "pixtral": {"n_layers": 24, "n_embd": 1024, "n_heads": 16, "n_ff": 4096},
    "llama4": {"n_layers": 34, "n_embd": 1408, "n_heads": 16, "n_ff": 5632},
    "qwen3.5-0.8b": {"n_layers": 12, "n_embd": 768, "n_heads": 12, "n_ff": 3072},
}


def tower(shape: str, **more: Any) -> Tower:
    return Tower(**TRANSFORMERS[shape], **more)


QWEN3 = {"kind": "qwen3vl", "patch_size": 16, "image_size": 768, "n_positions": 2304, "n_merge": 2}
TOWERS = {
    "qwen3-vl-8b": tower("so400m", **QWEN3, n_embd_out=4096, deepstack_layers=(8, 16, 24)),
    "qwen3.5-27b": tower("so400m", **QWEN3, n_embd_out=5120),
    "qwen2.5-vl-7b": tower(
        "qwen2.5",
        kind="qwen2.5vl",
        patch_size=14,
        image_size=560,
        n_merge=2,
        n_embd_out=3584,
        window_period=8,
    ),
    "gemma-3-4b": tower(
        "so400m",
        kind="gemma3",
        patch_size=14,
        image_size=896,
        n_positions=4096,
        n_merge=4,
        n_embd_out=2560,
    ),
    "gemma-4-26b": tower(
        "so400m",
        kind="gemma4v",
        patch_size=16,
        image_size=224,
        n_positions=10_240,
        n_merge=3,
        n_embd_out=2816,
        standardized=True,
    ),
    "mistral-small-3.2": tower(
        "pixtral",
        kind="pixtral",
        patch_size=14,
        image_size=1540,
        n_merge=2,
        n_embd_out=5120,
        projector_bias=False,
    ),
    "llama-4-scout": tower(
        "llama4",
        kind="llama4",
        patch_size=14,
        image_size=336,
        n_positions=577,
        n_merge=2,
        n_embd_between=4096,
        n_embd_out=5120,
    ),
    "kimi-k2.5": tower(
        "so400m",
        kind="kimik25",
        patch_size=14,
        image_size=896,
        n_positions=4096,
        n_merge=2,
        n_embd_out=7168,
    ),
}
FIRST_IMAGE = {
    "qwen3vl": 46 * 46,
    "qwen2.5vl": 46 * 46,
    "gemma3": 16 * 16,
    "gemma4v": 16 * 16,
    "pixtral": 16 * 16,
    "llama4": 12 * 12,
    "kimik25": 64 * 64,
}
"""Tokens of the image that llama.cpp's first graph is made for."""
NOT_QUITE = {"pixtral": 0.005, "llama4": 0.002}
"""Share of the graph that the rules miss: Pixtral's row breaks, Llama 4's class token."""


@pytest.mark.parametrize(
    ("name", "type_name"),
    [
        *((name, "F16") for name in TOWERS),
        *((name, "Q8_0") for name, tower in TOWERS.items() if tower.kind != "llama4"),
    ],
)
def test_llama_cpp_agrees(name: str, type_name: str, tmp_path: Path) -> None:
    tower = TOWERS[name]
    path = write_projector(tmp_path / "mmproj.gguf", tower, type_name)
    weights = projector_bytes(tower, type_name)
    compute = image_compute_bytes(tower, FIRST_IMAGE[tower.kind])
    assert usage(path) - weights == pytest.approx(compute, rel=NOT_QUITE.get(tower.kind, 0), abs=0)


def test_a_published_file() -> None:
    """mmproj-BF16.gguf of unsloth/Qwen3.5-0.8B-GGUF: 207,346,528 bytes.

    github.com/unslothai/unsloth/pull/5849, 2026-06-01.
    """
    published = 207_346_528
    ours = projector_bytes(tower("qwen3.5-0.8b", **QWEN3, n_embd_out=1024), "BF16")
    header = published - ours
    n_tensors = len(projector_tensors(tower("qwen3.5-0.8b", **QWEN3, n_embd_out=1024)))
    assert 50 * n_tensors < header < 100 * n_tensors


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("gemma-3-4b", 256),
        ("llama-4-scout", 144),
        ("qwen3-vl-8b", 4096),
        ("gemma-4-26b", 1120),
        ("mistral-small-3.2", 1024),
    ],
)
def test_largest_image(name: str, tokens: int) -> None:
    assert max_image_tokens(TOWERS[name]) == tokens


QWEN_VISION = {
    "depth": 27,
    "hidden_size": 1152,
    "num_heads": 16,
    "intermediate_size": 4304,
    "patch_size": 16,
    "num_position_embeddings": 2304,
    "spatial_merge_size": 2,
}
PIXTRAL_VISION = {
    "model_type": "pixtral",
    "num_hidden_layers": 24,
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "patch_size": 14,
    "image_size": 1540,
}


@pytest.mark.parametrize(
    ("config", "n_embd_out", "expected"),
    [
        pytest.param(
            {"model_type": "qwen3_5", "vision_config": {**QWEN_VISION, "deepstack_visual_indexes": []}},
            5120,
            "qwen3.5-27b",
            id="qwen3.5",
        ),
        pytest.param(
            {
                "model_type": "qwen3_vl",
                "vision_config": {**QWEN_VISION, "deepstack_visual_indexes": [8, 16, 24]},
            },
            4096,
            "qwen3-vl-8b",
            id="qwen3-vl",
        ),
        pytest.param(
            {
                "model_type": "mistral3",
                "spatial_merge_size": 2,
                "multimodal_projector_bias": False,
                "vision_config": PIXTRAL_VISION,
            },
            5120,
            "mistral-small-3.2",
            id="mistral3",
        ),
    ],
)
def test_config(config: dict[str, Any], n_embd_out: int, expected: str) -> None:
    assert tower_of(config, n_embd_out) == TOWERS[expected]


def test_no_tower() -> None:
    assert tower_of({"model_type": "qwen3"}, 4096) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param(
            {"model_type": "new_vl", "vision_config": {}},
            "the vision tower of 'new_vl' has no rules yet",
            id="kind",
        ),
        pytest.param(
            {"model_type": "qwen3_vl", "vision_config": {**QWEN_VISION, "depth": None}},
            "does not give depth",
            id="missing",
        ),
        pytest.param(
            {
                "model_type": "kimi_k25",
                "vision_config": {"init_pos_emb_height": 64, "init_pos_emb_width": 64},
            },
            "does not give vt_num_hidden_layers",
            id="kimi",
        ),
    ],
)
def test_refused_configs(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tower_of(config, 4096)


def test_unknown_type() -> None:
    with pytest.raises(ConfigError, match="F16, BF16, Q8_0, F32"):
        projector_bytes(TOWERS["gemma-3-4b"], "Q4_K_M")
