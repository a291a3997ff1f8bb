"""Caches, states, outputs and graphs, against what llama.cpp allocated (llama-cpp-python 0.3.36)."""

from __future__ import annotations

from typing import Any

import pytest
from architectures import architecture

from advisor.caches import kv_cache_bytes, output_bytes, recurrent_bytes
from advisor.memory import Buffers, Split, allocate, footprint_of
from advisor.settings import Settings
from advisor.units import MIB
from advisor.weights import weights_by_rule


@pytest.mark.parametrize(
    ("name", "settings", "mib"),
    [
        # 2 (K and V) × 8 heads × 128 × 2 bytes × 32 layers = 128 KiB a token
        pytest.param("llama-3.1-8b", {"n_ctx": 8192}, 1024, id="grouped heads"),
        pytest.param("llama-3.1-8b", {"n_ctx": 5000}, 640, id="5000 tokens are padded to 5120"),
        pytest.param("llama-3.1-8b", {"n_ctx": 2048, "n_seqs": 4}, 1024, id="four caches"),
        pytest.param("llama-3.1-8b", {"n_ctx": 100, "n_seqs": 4}, 128, id="four caches, each padded"),
        pytest.param(
            "llama-3.1-8b", {"n_ctx": 100, "n_seqs": 4, "kv_unified": True}, 64, id="one, padded once"
        ),
        pytest.param("llama-3.1-8b", {"n_ctx": 32768, "kv_type": "q8_0"}, 2176, id="q8_0: 34 bytes per 32"),
        pytest.param("llama-3.1-8b", {"n_ctx": 32768, "kv_type": "q4_0"}, 1152, id="q4_0: 18 bytes per 32"),
        pytest.param("gemma-2-9b", {"n_ctx": 32768}, 6132, id="every other layer a window of 4096"),
        pytest.param("gemma-3-12b", {"n_ctx": 32768}, 2528, id="five of six a window of 1024"),
        pytest.param("gemma-3-12b", {"n_ctx": 32768, "swa_full": True}, 12288, id="windows kept whole"),
        pytest.param("gpt-oss-20b", {"n_ctx": 8192}, 210, id="windows of 128"),
        pytest.param("deepseek-v2-lite", {"n_ctx": 8192}, 243, id="one latent of 576, no V"),
        pytest.param("granite-4.0-h-tiny", {"n_ctx": 8192}, 64, id="four attention layers of forty"),
        pytest.param("gemma-4-e2b", {"n_ctx": 4096}, 36, id="15 layers have a cache, 20 read one"),
        pytest.param("nomic-embed-text-v1.5", {"n_ctx": 2048}, 0, id="an encoder has none"),
    ],
)
def test_kv_cache(name: str, settings: dict[str, Any], mib: float) -> None:
    assert sum(kv_cache_bytes(architecture(name), Settings(**settings))) == mib * MIB


@pytest.mark.parametrize(
    ("name", "n_seqs", "expected"),
    [
        # 36 Mamba layers × 4 bytes × (3 × (3072 + 2 × 128) + 128 × 3072)
        pytest.param("granite-4.0-h-tiny", 1, 36 * 4 * (3 * 3328 + 128 * 3072), id="mamba-2"),
        pytest.param("granite-4.0-h-tiny", 4, 4 * 36 * 4 * (3 * 3328 + 128 * 3072), id="a state a sequence"),
        pytest.param("qwen3.5-0.8b", 1, 18 * 4 * (3 * 6144 + 128 * 2048), id="gated delta net"),
        pytest.param("qwen3-8b", 1, 0, id="none"),
    ],
)
def test_recurrent_state(name: str, n_seqs: int, expected: int) -> None:
    for n_ctx in (256, 32768):  # the context does not matter
        assert sum(recurrent_bytes(architecture(name), Settings(n_ctx=n_ctx, n_seqs=n_seqs))) == expected


def test_output_is_a_row_of_logits_a_sequence() -> None:
    arch = architecture("llama-3.1-8b")
    assert output_bytes(arch, Settings()) == 4 * 128256
    assert output_bytes(arch, Settings(n_seqs=4)) == 4 * 4 * 128256
    assert output_bytes(arch, Settings(embeddings=True)) == 4 * (128256 + 4096)


def on_host(name: str, quantization: str, **settings: Any) -> Buffers:
    arch = architecture(name)
    footprint = footprint_of(arch, weights_by_rule(arch, quantization), Settings(**settings))
    return allocate(footprint, Split())[1]


@pytest.mark.parametrize(
    ("name", "settings", "mib"),
    [
        pytest.param("llama-3.1-8b", {"n_outputs_max": 512}, 266.50, id="logits of a whole batch"),
        pytest.param("llama-3.1-8b", {}, 124.01, id="one row of logits, as the server"),
        pytest.param(
            "llama-3.1-8b", {"flash_attn": False}, 572.01, id="scores are stored without flash attention"
        ),
        pytest.param("llama-3.1-70b", {}, 240.01, id="70B"),
        pytest.param("mistral-7b", {}, 124.01, id="a small vocabulary"),
        pytest.param("gemma-2-9b", {}, 125.52, id="two masks"),
        pytest.param("gemma-3-12b", {}, 130.02, id="two masks, most layers windows"),
        pytest.param("qwen2.5-7b", {}, 147.01, id="wide feed-forward"),
        pytest.param("qwen3-30b-a3b", {}, 96.01, id="eight experts at work"),
        pytest.param("gpt-oss-20b", {}, 101.14, id="experts and windows"),
    ],
)
def test_compute_buffer(name: str, settings: dict[str, Any], mib: float) -> None:
    quantization = "MXFP4" if name.startswith("gpt-oss") else "Q4_K_M"
    assert on_host(name, quantization, n_ctx=8192, **settings).compute_bytes / MIB == pytest.approx(
        mib, abs=0.05
    )


def offload(name: str, *gpu_layers: int, n_cpu_moe: int = 0) -> tuple[tuple[Buffers, ...], Buffers]:
    arch = architecture(name)
    footprint = footprint_of(arch, weights_by_rule(arch, "Q4_K_M"), Settings(n_ctx=8192))
    return allocate(footprint, Split(gpu_layers=gpu_layers, n_cpu_moe=n_cpu_moe))


def test_everything_on_one_gpu_leaves_the_embedding_on_the_host() -> None:
    (gpu,), host = offload("llama-3.1-8b", 33)
    assert host.weights_bytes == 128256 * 4096 // 256 * 144
    assert host.kv_cache_bytes == 0
    assert gpu.weights_bytes / MIB == pytest.approx(4403.49, abs=0.01)
    assert gpu.kv_cache_bytes == 1024 * MIB


def test_more_layers_than_there_are_is_everything() -> None:
    assert offload("llama-3.1-8b", 999) == offload("llama-3.1-8b", 33)


@pytest.mark.parametrize(
    ("name", "again"),
    [("gemma-3-12b", 262208 * 3840 // 256 * 210), ("llama-3.1-8b", 0)],
    ids=["tied: stored twice", "not tied"],
)
def test_a_tied_embedding_is_stored_on_both_sides(name: str, again: int) -> None:
    rope = 256 if name == "llama-3.1-8b" else 0  # copied to each side that has layers
    whole = on_host(name, "Q4_K_M", n_ctx=8192).weights_bytes
    for k in (1, 10):
        (gpu,), host = offload(name, k)
        assert gpu.weights_bytes + host.weights_bytes == whole + again + (rope if k > 1 else 0)


def test_the_output_layer_alone_is_one_layer() -> None:
    (gpu,), host = offload("llama-3.1-8b", 1)
    assert gpu.kv_cache_bytes == 0
    assert host.kv_cache_bytes == 1024 * MIB
    assert gpu.weights_bytes == 128256 * 4096 // 256 * 210 + 4 * 4096


def test_experts_on_the_host_take_only_the_experts_along() -> None:
    (whole,), host = offload("qwen3-30b-a3b", 49)
    (part,), bigger = offload("qwen3-30b-a3b", 49, n_cpu_moe=10)
    arch = architecture("qwen3-30b-a3b")
    moved = sum(weights_by_rule(arch, "Q4_K_M").experts[:10])
    assert whole.weights_bytes - part.weights_bytes == moved == bigger.weights_bytes - host.weights_bytes
    assert part.kv_cache_bytes == whole.kv_cache_bytes


def test_two_gpus_share_the_layers_and_keep_copies() -> None:
    (one,), _ = offload("llama-3.1-8b", 33)
    (first, second), host = offload("llama-3.1-8b", 16, 17)
    assert first.kv_cache_bytes == second.kv_cache_bytes == 512 * MIB
    assert first.weights_bytes + second.weights_bytes == one.weights_bytes + 256  # rope factors on both
    assert host.compute_bytes / MIB == pytest.approx(72, abs=0.1)
    # Measured: 172.04 MiB where the first device of a pipeline needs its copies of the inputs.
    assert first.compute_bytes / MIB == pytest.approx(172.04, abs=0.1)


def test_a_gpu_left_out_holds_nothing() -> None:
    (left_out, used), _ = offload("llama-3.1-8b", 0, 33)
    assert left_out == Buffers()
    assert used.kv_cache_bytes == 1024 * MIB
