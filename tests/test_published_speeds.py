"""Published runs, asked for as a user would: inside the band, and moving the right way and amount."""

from __future__ import annotations

import pytest

from advisor.api import machine_of, workload_of
from advisor.assessment import SpeedEstimate
from advisor.catalog import load_catalog
from advisor.estimation import Estimate, Pace, estimate_on
from advisor.memory import Split
from advisor.resolve import resolve_model
from advisor.settings import Settings
from advisor.usecase import KvType

SCOREBOARD_CUDA = "https://github.com/ggml-org/llama.cpp/discussions/15013"
SCOREBOARD_METAL = "https://github.com/ggml-org/llama.cpp/discussions/4167"
GPU_BENCHMARKS = "https://github.com/XiongjieDai/GPU-Benchmarks-on-LLM-Inference"
COMMUNITY = "https://github.com/AlexsJones/llmfit"
STRIX_HALO = "https://github.com/kyuz0/amd-strix-halo-toolboxes"


def speed_of(
    hardware: str,
    model: str,
    quantization: str = "Q4_K_M",
    *,
    depth: int = 128,
    split: Split | None = None,
    kv_type: KvType = "f16",
    accelerator: str | None = None,
) -> SpeedEstimate:
    """The estimate with every layer on the GPUs, or under a split."""
    machine = machine_of(hardware)
    machine = machine.model_copy(
        update={"gpus": tuple(gpu.model_copy(update={"accelerator": accelerator}) for gpu in machine.gpus)}
    )
    subject = resolve_model(model, load_catalog)
    settings = Settings(n_ctx=max(8192, 2 * depth), kv_type=kv_type)
    workload = workload_of(subject, settings, quantization=quantization, depth=depth)
    n_layers, n_gpus = subject.architecture.n_layers + 1, len(machine.gpus)
    even = tuple(n_layers // n_gpus + (i < n_layers % n_gpus) for i in range(n_gpus)) if n_gpus else ()
    speed = Pace(workload, machine).speed(split or Split(gpu_layers=even))
    assert speed is not None
    return speed


@pytest.mark.parametrize(
    ("hardware", "model", "quantization", "depth", "measured", "source"),
    [
        ("RTX 3070", "llama-3-8b-instruct", "Q4_K_M", 256, 72.79, GPU_BENCHMARKS),
        ("RTX 3090", "llama-3-8b-instruct", "Q4_K_M", 4096, 87.49, GPU_BENCHMARKS),
        ("RTX 3090", "llama-3-8b-instruct", "F16", 512, 46.51, GPU_BENCHMARKS),
        ("RTX 4090", "llama-3-8b-instruct", "Q4_K_M", 512, 127.74, GPU_BENCHMARKS),
        ("A100 80GB PCIe", "llama-3-70b-instruct", "Q4_K_M", 512, 22.11, GPU_BENCHMARKS),
        ("4x RTX 3090", "llama-3-70b-instruct", "Q4_K_M", 512, 16.89, GPU_BENCHMARKS),
        ("RTX 5070", "qwen3-14b", "Q4_K_M", 128, 59.01, COMMUNITY),
        ("RTX 5070", "qwen2.5-7b-instruct", "Q4_K_M", 128, 110.96, COMMUNITY),
        ("GB10", "gemma-4-31b-it", "Q4_0", 128, 11.55, COMMUNITY),
        ("GB10", "granite-4.1-8b", "Q4_K_M", 128, 36.12, COMMUNITY),
        ("M4 Pro 20-core GPU", "qwen3-14b", "Q4_K_M", 128, 26.64, COMMUNITY),
        ("M4 Pro 20-core GPU", "gemma-3-27b-it", "Q4_K_M", 128, 13.24, COMMUNITY),
        ("M3 Max 40-core GPU", "llama-3-8b-instruct", "F16", 512, 22.39, GPU_BENCHMARKS),
    ],
)
def test_published_runs_lie_inside_the_band(
    hardware: str, model: str, quantization: str, depth: int, measured: float, source: str
) -> None:
    speed = speed_of(hardware, model, quantization, depth=depth)
    assert speed.low < measured < speed.high, source
    assert speed.low < speed.decode_tokens_per_s < speed.high


@pytest.mark.parametrize(
    ("hardware", "model", "quantization", "accelerator", "depths", "measured", "source"),
    [
        ("RTX 3070", "llama-3-8b-instruct", "Q4_K_M", None, (256, 4096), 61.64 / 72.79, GPU_BENCHMARKS),
        ("RTX 3090", "llama-3-8b-instruct", "Q4_K_M", None, (256, 4096), 87.49 / 115.42, GPU_BENCHMARKS),
        ("RTX 4090", "llama-3-8b-instruct", "F16", None, (256, 4096), 50.88 / 54.84, GPU_BENCHMARKS),
        (
            "M2 Ultra",
            "llama-3-8b-instruct",
            "Q4_K_M",
            None,
            (256, 4096),
            54.13 / 78.81,
            GPU_BENCHMARKS,
        ),
        (
            "Ryzen AI Max+ 395 128 GB",
            "gpt-oss-120b",
            "MXFP4",
            "vulkan",
            (64, 32784),
            43.01 / 56.61,
            STRIX_HALO,
        ),
    ],
)
def test_depth_costs_what_it_was_measured_to_cost(
    hardware: str,
    model: str,
    quantization: str,
    accelerator: str | None,
    depths: tuple[int, int],
    measured: float,
    source: str,
) -> None:
    near, far = (
        speed_of(hardware, model, quantization, depth=depth, accelerator=accelerator).decode_tokens_per_s
        for depth in depths
    )
    assert far / near == pytest.approx(measured, rel=0.15), source


@pytest.mark.parametrize(
    ("one", "several", "model", "measured"),
    [
        ("RTX 3090", "2x RTX 3090", "llama-3-8b-instruct", 111.67 / 115.42),
        ("RTX 3090", "6x RTX 3090", "llama-3-8b-instruct", 104.17 / 115.42),
        ("RTX 4090", "8x RTX 4090", "llama-3-8b-instruct", 118.09 / 130.58),
    ],
)
def test_gpus_that_share_the_layers_add_no_speed(one: str, several: str, model: str, measured: float) -> None:
    """From GPU_BENCHMARKS, 512 tokens generated."""
    ratio = speed_of(several, model).decode_tokens_per_s / speed_of(one, model).decode_tokens_per_s
    assert ratio == pytest.approx(measured, rel=0.1)
    assert ratio < 1


HOST = "RTX 2080, Core i9-10900X, 64 GB RAM"


@pytest.mark.parametrize(
    ("model", "quantization", "split", "measured", "pull"),
    [
        ("qwen3-14b", "Q4_K_M", Split(gpu_layers=(32,)), 16.9, 774),
        ("phi-4", "Q4_K_M", Split(gpu_layers=(32,)), 16.7, 774),
        ("gemma-3-12b-it", "Q4_K_M", Split(gpu_layers=(44,)), 26.1, 774),
        ("qwen2.5-14b-instruct", "Q4_K_M", Split(gpu_layers=(42,)), 20.8, 778),
        ("mistral-small-3.2-24b-instruct", "Q4_K_M", Split(gpu_layers=(16,)), 5.2, 775),
        ("gpt-oss-20b", "MXFP4", Split(gpu_layers=(25,), n_cpu_moe=12), 36.4, 775),
        ("qwen3-30b-a3b-instruct-2507", "Q4_K_M", Split(gpu_layers=(49,), n_cpu_moe=36), 36.7, 755),
    ],
)
def test_what_spills_is_read_from_ram(
    model: str, quantization: str, split: Split, measured: float, pull: int
) -> None:
    speed = speed_of(HOST, model, quantization, split=split)
    assert speed.low < measured < speed.high, f"{COMMUNITY}/pull/{pull}"


def test_a_quarter_of_a_model_in_ram_costs_more_than_half_its_speed() -> None:
    """28 % of the layers of an 8B model; both sides as the RTX 2080's runs were fitted."""
    all_on, spilled = (
        speed_of(HOST, "llama-3.1-8b-instruct", split=Split(gpu_layers=(n,))).decode_tokens_per_s
        for n in (33, 24)
    )
    assert 0.25 < spilled / all_on < 0.5


def test_a_smaller_cache_type_is_faster_the_deeper_it_is() -> None:
    def gain(depth: int) -> float:
        small, plain = (
            speed_of("RTX 4090", "llama-3.1-8b-instruct", depth=depth, kv_type=kind).decode_tokens_per_s
            for kind in ("q8_0", "f16")
        )
        return small / plain

    assert 1 < gain(2048) < gain(32_768) < 1.5


def served(hardware: str, model: str, quantization: str, n_seqs: int) -> Estimate:
    """The estimate under vLLM, with the plan that fits first."""
    workload = workload_of(
        resolve_model(model, load_catalog),
        Settings(n_ctx=2048, n_seqs=n_seqs),
        quantization=quantization,
        backend="vllm",
        depth=512,
    )
    estimate = estimate_on(workload, machine_of(hardware))
    assert estimate.speed is not None
    return estimate


def test_tensor_parallel_gains_speed_and_pays_for_its_link() -> None:
    """Llama 2 70B in 16 bits on two and four A100: 15.3 and 17.6 tokens/s over PCIe in 2023 (mlc-ai)."""
    rates = {}
    for link in ("PCIe", "SXM"):
        for n, memory in ((2, 80), (4, 40)):
            estimate = served(f"{n}x A100 {memory}GB {link}, 512 GB RAM", "llama-3.3-70b-instruct", "BF16", 1)
            assert estimate.placement.tensor_parallel == n
            assert estimate.speed is not None
            rates[link, n] = estimate.speed.decode_tokens_per_s
    assert 1.1 < rates["PCIe", 4] / rates["PCIe", 2] < 1.7
    assert rates["PCIe", 4] < rates["SXM", 4]


@pytest.mark.parametrize(
    ("hardware", "model", "quantization", "n_seqs", "measured", "source"),
    [
        ("RTX 4090", "mistral-7b-instruct-v0.3", "BF16", 8, 377, "https://mushfiqrahman.dev/?p=1668"),
        ("RTX 4090", "mistral-7b-instruct-v0.3", "BF16", 16, 644, "https://mushfiqrahman.dev/?p=1668"),
    ],
)
def test_published_throughput_lies_near(
    hardware: str, model: str, quantization: str, n_seqs: int, measured: float, source: str
) -> None:
    """Prompts of 256 and answers of 100 tokens: the estimate is of decoding alone, hence above."""
    speed = served(f"{hardware}, 64 GB RAM", model, quantization, n_seqs).speed
    assert speed is not None
    assert 0.8 * speed.throughput_tokens_per_s * 0.71 < measured < speed.throughput_tokens_per_s * 1.2, source
