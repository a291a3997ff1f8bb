"""What a decode step reads on every device: nothing is lost or read twice, however a model is split."""

from __future__ import annotations

import pytest
from architectures import architecture
from published_mixtures import MIXTURES
from simulated import machine

from advisor.hf_config import architecture_of
from advisor.loads import Loads
from advisor.memory import Split
from advisor.settings import Settings
from advisor.speed import DeviceLoad
from advisor.weights import weights_by_rule


def loads(name: str, split: Split, *, n_gpus: int = 1, kv_offload: bool = True) -> dict[str, DeviceLoad]:
    arch = architecture(name)
    model = Loads(
        arch,
        weights_by_rule(arch, "Q4_K_M"),
        Settings(kv_offload=kv_offload),
        machine(*[24.0] * n_gpus),
        depth=4096,
        n_params_active=3 * 10**9,
    )
    return {load.name: load for load in model.under(split)}


SPLITS = [
    pytest.param(Split(gpu_layers=(0,)), id="on the host"),
    pytest.param(Split(gpu_layers=(20,)), id="layers"),
    pytest.param(Split(gpu_layers=(12, 9)), id="two GPUs"),
    pytest.param(Split(gpu_layers=(99,), n_cpu_moe=7), id="experts"),
    pytest.param(Split(gpu_layers=(99,), n_cpu_ffn=7), id="feed-forward blocks"),
    pytest.param(Split(gpu_layers=(20,), n_cpu_moe=40, n_cpu_ffn=40), id="layers and blocks"),
]


@pytest.mark.parametrize("kv_offload", [True, False], ids=["caches with layers", "caches on the host"])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-30b-a3b", "granite-4.0-h-tiny"])
def test_a_split_reads_what_the_whole_reads(name: str, split: Split, kv_offload: bool) -> None:
    (whole,) = loads(name, Split()).values()
    parts = loads(name, split, n_gpus=2, kv_offload=kv_offload).values()
    for what in ("shared_bytes", "expert_bytes_total", "kv_bytes", "recurrent_bytes"):
        assert sum(getattr(part, what) for part in parts) == getattr(whole, what)
    assert sum(part.weight_bytes for part in parts) == pytest.approx(whole.weight_bytes, abs=len(parts))


def test_blocks_on_the_host_are_read_there() -> None:
    weights = weights_by_rule(architecture("llama-3.1-8b"), "Q4_K_M")
    parts = loads("llama-3.1-8b", Split(gpu_layers=(33,), n_cpu_ffn=5))
    assert parts["CPU"].weight_bytes == sum(weights.ffn[:5])
    assert (parts["CPU"].n_layers, parts["CPU"].kv_bytes) == (5, 0)


def test_caches_on_the_host_are_read_there() -> None:
    parts = loads("llama-3.1-8b", Split(gpu_layers=(33,)), kv_offload=False)
    assert parts["GPU 0"].kv_bytes == 0
    assert parts["CPU"].kv_bytes > 0
    assert parts["CPU"].n_layers == 32


LATENT, INDEX = (512 + 64) * 2, 128 * 2
"""Bytes of a token in DeepSeek's and GLM's caches."""


@pytest.mark.parametrize(
    ("name", "depth", "kv_bytes"),
    [
        pytest.param("deepseek-v3.2", 4000, 61 * 4000 * (LATENT + INDEX), id="short: all of it"),
        pytest.param(
            "deepseek-v3.2", 32_768, 61 * (2048 * LATENT + 32_768 * INDEX), id="what the index chooses"
        ),
        pytest.param(
            "glm-5.2", 32_768, 78 * 2048 * LATENT + 21 * 32_768 * INDEX, id="an earlier layer's choice"
        ),
        pytest.param(
            "minimax-m3",
            32_768,
            (3 * 32_768 + 57 * 16 * 128) * 4 * 256 * 2 + 57 * 32_768 * 128 * 2,
            id="blocks, after dense layers",
        ),
        pytest.param(
            "deepseek-v4-flash",
            32_768,
            # 43 windows; of 21 layers, an index over 8,192 summaries chooses 512; 20 read all of 256
            43 * 128 * 1024 + 21 * (8192 * INDEX + 512 * 1024) + 20 * 256 * 1024,
            id="a window and summaries",
        ),
        pytest.param("mimo-v2-flash", 4096, (9 * 4096 * 4 + 39 * 128 * 8) * (192 + 128) * 2, id="V narrower"),
        pytest.param("kimi-linear-48b-a3b", 4096, 7 * 4096 * LATENT, id="few layers have a cache"),
    ],
)
def test_a_token_reads_of_the_caches(name: str, depth: int, kv_bytes: int) -> None:
    arch = architecture_of(MIXTURES[name].config)
    weights = weights_by_rule(arch, "Q4_K_M")
    model = Loads(arch, weights, Settings(), machine(24.0), depth=depth, n_params_active=3 * 10**9)
    (whole,) = model.under(Split())
    assert whole.kv_bytes == kv_bytes
