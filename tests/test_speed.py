"""The speed estimate: its arithmetic, what must never turn round, and published runs inside the band."""

from __future__ import annotations

import re

import pytest

from advisor.speed import FITTED, DeviceLoad, Rates, Work, estimate_speed, rates_key
from advisor.speed.rates import CoreRates, kernel_of
from advisor.speed.speculative import speculative_speed
from advisor.units import GB

GPU = DeviceLoad(
    name="GeForce RTX 3070",
    kind="gpu",
    vendor="nvidia",
    bandwidth_bytes_per_s=448 * GB,
    fp16_flops=81 * 10**12,
    compute_capability="8.6",
    weight_bytes=4_600_000_000,
    shared_bytes=4_600_000_000,
    kv_bytes=512 << 20,
    n_params_active=7_500_000_000,
    n_layers=32,
)
"""An 8B model at Q4_K_M with 4,096 tokens in its cache."""
CPU = GPU.model_copy(
    update={
        "name": "host",
        "kind": "cpu",
        "vendor": None,
        "bandwidth_bytes_per_s": 60 * GB,
        "fp16_flops": None,
        "compute_capability": None,
        "physical_cores": 8,
    }
)
EXPERTS = GPU.model_copy(
    update={
        "weight_bytes": 1_000_000_000,
        "shared_bytes": 400_000_000,
        "expert_bytes_total": 9_600_000_000,
        "n_params_active": 1_700_000_000,
    }
)
"""16 of 256 experts a token: 0.4 GB shared, 0.6 of 9.6 GB routed."""


def tokens_per_s(*loads: DeviceLoad, n_seqs: int = 1, n_experts: int = 0) -> float:
    """What one sequence gets."""
    work = Work(loads, "llama.cpp", "Q4_K_M", n_experts, 16 if n_experts else 0)
    speed = estimate_speed(work, n_seqs=n_seqs, depth=4096, prompt_tokens=512)
    assert speed is not None
    return speed.decode_tokens_per_s


def part(load: DeviceLoad, share: float) -> DeviceLoad:
    """A share of a load's layers."""
    fields = ("weight_bytes", "shared_bytes", "kv_bytes", "n_params_active", "n_layers")
    return load.model_copy(update={name: int(getattr(load, name) * share) for name in fields})


@pytest.mark.parametrize(
    ("load", "rates", "n_seqs", "expected_s"),
    [
        # 4 GB at half of 400 GB/s = 20 ms
        pytest.param({"weight_bytes": 4 * GB}, Rates(0.5, None, 0, 0, None), 1, 0.020, id="weights"),
        # and 1.4 GB of cache or state at 70 % of it = 5 ms
        pytest.param(
            {"weight_bytes": 4 * GB, "kv_bytes": 14 * GB // 10},
            Rates(0.5, None, 0, 0, None),
            1,
            0.025,
            id="cache",
        ),
        pytest.param(
            {"weight_bytes": 4 * GB, "recurrent_bytes": 14 * GB // 10},
            Rates(0.5, 2e11, 0, 0, None),
            1,
            0.025,
            id="state",
        ),
        # of which attention handles 200 GB/s = 7 ms more: at 1 TB/s, and at 400 GB/s by its root
        pytest.param(
            {"weight_bytes": 4 * GB, "kv_bytes": 14 * GB // 10},
            Rates(0.5, 2e11 / 0.4**0.5, 0, 0, None),
            1,
            0.032,
            id="attention",
        ),
        # 10 layers of 100 µs, and 1 ms a step
        pytest.param(
            {"weight_bytes": 4 * GB, "n_layers": 10}, Rates(0.5, None, 1e-4, 1e-3, None), 1, 0.022, id="fixed"
        ),
        # three sequences: weights once, cache three times, twice 2 GFLOP at half of 4 TFLOP/s = 2 ms, and
        # 1.6 ms for each after the first
        pytest.param(
            {
                "weight_bytes": 4 * GB,
                "kv_bytes": 14 * GB // 10,
                "n_params_active": 10**9,
                "fp16_flops": 4 * 10**12,
            },
            Rates(0.5, None, 0, 0, 0.5),
            3,
            0.037 + 2 * 1.6e-3,
            id="three-sequences",
        ),
    ],
)
def test_step_is_computable_by_hand(
    load: dict[str, int], rates: Rates, n_seqs: int, expected_s: float
) -> None:
    fields = {"n_params_active": 0, "n_layers": 0} | load
    device = DeviceLoad(name="A", kind="gpu", vendor="apple", bandwidth_bytes_per_s=400 * GB, **fields)
    constants = FITTED._replace(rates={"apple": rates}, kernels=dict.fromkeys(FITTED.kernels, 1.0))
    work = Work((device,), "llama.cpp", "Q4_K_M", constants=constants)
    assert work.decode_s(n_seqs) == pytest.approx(expected_s)


CORE = CoreRates(50e9, 100e9)


@pytest.mark.parametrize(
    ("cores", "features", "expected_s"),
    [
        pytest.param(64, ("avx512f",), 4.5 / 48, id="memory: 4.5 GB at 80 % of 60 GB/s"),
        pytest.param(1, ("avx512f",), 16 / 50, id="one core: 16 GFLOP at 50 GFLOP/s"),
        pytest.param(1, ("avx2",), 16 / 25, id="one core without AVX-512: half of that"),
    ],
)
def test_few_cores_bind_before_memory(cores: int, features: tuple[str, ...], expected_s: float) -> None:
    load = CPU.model_copy(
        update={
            "weight_bytes": 45 * 10**8,
            "n_params_active": 8 * 10**9,
            "kv_bytes": 0,
            "n_layers": 0,
            "physical_cores": cores,
            "features": features,
        }
    )
    constants = FITTED._replace(
        rates={"cpu": Rates(0.8, None, 0, 0, None)}, cores={"K": CORE}, plain_core=CoreRates(0.5, 0.5)
    )
    work = Work((load,), "llama.cpp", "Q4_K_M", constants=constants)
    assert work.decode_s(1) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("quantization", "bits", "kernel"),
    [
        ("F16", 16, "16 bit"),
        ("BF16", 16, "16 bit"),
        ("Q8_0", 8.5, "8 bit"),
        ("Q6_K", 6.6, "5 and 6 bit"),
        ("Q5_0", 5.5, "5 and 6 bit"),
        ("Q4_K_M", 4.9, "K"),
        ("Q4_K_M", 6.3, "5 and 6 bit"),  # a model whose rows no K block divides: by its bits, not its name
        ("Q2_K", 3.0, "K"),
        ("Q4_0", 4.5, "4 bit"),
        ("MXFP4", 4.3, "4 bit"),
        ("IQ4_NL", 4.5, "4 bit"),
        ("IQ4_XS", 4.3, "IQ4"),
        ("IQ2_XXS", 2.1, "IQ"),
    ],
)
def test_kernels_by_quantization(quantization: str, bits: float, kernel: str) -> None:
    assert kernel_of(quantization, bits) == kernel


def test_a_batch_reads_the_experts_it_is_expected_to_choose() -> None:
    work = Work((EXPERTS,), "llama.cpp", "Q4_K_M", n_experts=256, n_experts_used=16)
    assert work.step_bytes(EXPERTS, 1) == EXPERTS.weight_bytes
    # two tokens choose like 1.55 that know nothing of each other: 9.5 % of 9.6 GB, of which one reads 6.25 %
    assert work.step_bytes(EXPERTS, 2) == pytest.approx(0.4e9 + 9.6e9 * 0.095, rel=0.01)
    assert work.step_bytes(EXPERTS, 10_000) == pytest.approx(10e9)


def test_prompt_is_bound_by_compute_and_never_faster_than_the_weights_are_read() -> None:
    # 512 times 15 GFLOP at half of 80 TFLOP/s = 192 ms; the weights: 4.6 GB at 224 GB/s
    gpu = GPU.model_copy(update={"fp16_flops": 80 * 10**12, "kv_bytes": 0, "n_layers": 0})
    constants = FITTED._replace(rates={"nvidia 8.6": Rates(0.5, None, 0, 0, 0.5)}, attention_prefill=2.0)
    work = Work((gpu,), "llama.cpp", "Q4_K_M", constants=constants)
    assert work.prompt_s(512) == pytest.approx(0.192)
    assert work.prompt_s(8) == pytest.approx(4.6 / 224)
    # 1 GFLOP a token attended to: 4,096 tokens attend to 4,096^2 / 2; with a window of 1,024 to fewer
    attends = work._replace(loads=(gpu.model_copy(update={"attention": ((10**9, 10**6),)}),))
    assert attends.prompt_s(4096) == pytest.approx(8 * 0.192 + 2 * 4096**2 / 2 * 1e9 / 40e12)
    slides = work._replace(loads=(gpu.model_copy(update={"attention": ((10**9, 1024),)}),))
    attended = 1024**2 / 2 + (4096 - 1024) * 1024
    assert slides.prompt_s(4096) == pytest.approx(8 * 0.192 + 2 * attended * 1e9 / 40e12)
    # behind 4,096 tokens that are in the cache, 512 more attend to those as well
    behind = attends.prompt_s(512, first=4096)
    assert behind == pytest.approx(0.192 + 2 * (4096 * 512 + 512**2 / 2) * 1e9 / 40e12)


def test_experts_are_dearer_on_prompts_than_dense_layers_of_their_flops() -> None:
    gpu = GPU.model_copy(update={"n_layers": 0, "shared_bytes": GPU.weight_bytes // 2})
    experts = gpu.model_copy(update={"expert_bytes_total": 10 * GPU.weight_bytes})
    constants = FITTED._replace(experts_prefill=0.25)
    dense, mixed = (Work((one,), "llama.cpp", "Q4_K_M", constants=constants) for one in (gpu, experts))
    alone, dearer = dense.prompt_s(4096), mixed.prompt_s(4096)
    assert alone is not None
    assert dearer == pytest.approx(alone * (0.5 + 0.5 / 0.25))


@pytest.mark.parametrize(
    ("n_tokens", "n_gpus", "busy"),
    [
        pytest.param(512, 4, 1, id="one graph: one GPU at a time"),
        pytest.param(2048, 2, 1.6, id="four graphs through two: five steps for eight"),
        pytest.param(2048, 4, 16 / 7, id="through four"),
        pytest.param(8192, 4, 16 / 7, id="batch after batch"),
    ],
)
def test_a_long_prompt_keeps_several_gpus_busy(n_tokens: int, n_gpus: int, busy: float) -> None:
    constants = FITTED._replace(pipeline_share=1.0, boundary_s=0.0)
    parts = tuple(part(GPU, 1 / n_gpus) for _ in range(n_gpus))
    split = Work(parts, "llama.cpp", "Q4_K_M", constants=constants)
    each = sum(split._replace(loads=(one,)).prompt_s(n_tokens) or 0 for one in parts)
    assert split.prompt_s(n_tokens) == pytest.approx(each / busy)


def test_a_discrete_gpu_computes_the_prompt_of_host_weights() -> None:
    host, gpu = part(CPU, 0.5), part(GPU, 0.5)
    work = Work((gpu, host), "llama.cpp", "Q4_K_M")
    alone = Work((CPU,), "llama.cpp", "Q4_K_M")
    long, short = work.prompt_s(512), work.prompt_s(16)
    on_cpu = alone.prompt_s(512)
    assert long is not None
    assert short is not None
    assert on_cpu is not None
    assert long < on_cpu / 2
    # copied over PCIe once a graph: at least 2.3 GB at 12 GB/s; 16 tokens are computed where they lie
    assert long > 2.3 / 12
    assert short / 16 < on_cpu / 512 * 16


def test_more_bandwidth_is_never_slower() -> None:
    rates = [
        tokens_per_s(GPU.model_copy(update={"bandwidth_bytes_per_s": n * GB})) for n in (100, 448, 1000, 4000)
    ]
    assert rates == sorted(rates)
    assert len(set(rates)) == len(rates)


@pytest.mark.parametrize("load", [pytest.param(GPU, id="gpu"), pytest.param(CPU, id="cpu")])
def test_more_depth_is_never_faster(load: DeviceLoad) -> None:
    rates = [tokens_per_s(load.model_copy(update={"kv_bytes": n << 20})) for n in (0, 64, 512, 4096)]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == len(rates)


def test_experts_are_faster_than_a_dense_model_of_their_size() -> None:
    whole = 10_000_000_000
    dense = GPU.model_copy(
        update={"weight_bytes": whole, "shared_bytes": whole, "n_params_active": 16 * 10**9}
    )
    assert tokens_per_s(EXPERTS, n_experts=256) > 2 * tokens_per_s(dense)


@pytest.mark.parametrize(
    ("load", "n_experts"),
    [
        pytest.param(GPU, 0, id="gpu"),
        pytest.param(GPU.model_copy(update={"fp16_flops": None}), 0, id="gpu-of-unknown-compute"),
        pytest.param(CPU, 0, id="cpu"),
        pytest.param(EXPERTS, 256, id="experts"),
    ],
)
def test_sequences_raise_the_throughput_and_lower_each_rate(load: DeviceLoad, n_experts: int) -> None:
    counts = (1, 2, 4, 8, 16, 32)
    rates = [tokens_per_s(load, n_seqs=n, n_experts=n_experts) for n in counts]
    throughput = [rate * n for rate, n in zip(rates, counts, strict=True)]
    assert rates == sorted(rates, reverse=True)
    assert throughput == sorted(throughput)


def test_what_spills_to_the_host_is_slower_the_more_it_is() -> None:
    rates = [tokens_per_s(part(GPU, 1 - n), part(CPU, n)) for n in (0.1, 0.28, 0.5, 0.9)]
    assert [tokens_per_s(GPU), *rates, tokens_per_s(CPU)] == sorted(
        [tokens_per_s(GPU), *rates, tokens_per_s(CPU)], reverse=True
    )
    assert rates[1] < 0.6 * tokens_per_s(GPU)


def test_a_second_gpu_that_shares_the_layers_adds_no_speed() -> None:
    split = tokens_per_s(part(GPU, 0.5), part(GPU, 0.5))
    assert 0.8 * tokens_per_s(GPU) < split <= tokens_per_s(GPU)


@pytest.mark.parametrize(
    "loads",
    [
        pytest.param((GPU.model_copy(update={"bandwidth_bytes_per_s": None}),), id="gpu"),
        pytest.param((part(GPU, 0.5), CPU.model_copy(update={"bandwidth_bytes_per_s": None})), id="host"),
        pytest.param((), id="nothing"),
    ],
)
def test_no_estimate_without_a_bandwidth(loads: tuple[DeviceLoad, ...]) -> None:
    assert estimate_speed(Work(loads, "llama.cpp", "Q4_K_M"), n_seqs=1, depth=0, prompt_tokens=512) is None


def test_a_device_with_nothing_to_read_does_not_count() -> None:
    idle = DeviceLoad(name="host", kind="cpu", weight_bytes=0, n_params_active=0, n_layers=0)
    assert tokens_per_s(GPU, idle) == tokens_per_s(GPU)


def test_prefill_is_unknown_where_the_compute_rate_is() -> None:
    work = Work((GPU.model_copy(update={"fp16_flops": None}),), "ollama", "Q4_K_M")
    speed = estimate_speed(work, n_seqs=1, depth=4096, prompt_tokens=512)
    assert speed is not None
    assert speed.prefill_tokens_per_s is None
    assert speed.ttft_s is None


def test_time_to_the_first_token_is_longer_while_others_decode() -> None:
    times = []
    for n_seqs in (1, 4):
        work = Work((GPU,), "llama.cpp", "Q4_K_M")
        speed = estimate_speed(work, n_seqs=n_seqs, depth=4096, prompt_tokens=2048)
        assert speed is not None
        assert speed.ttft_s is not None
        times.append(speed.ttft_s)
    assert times[0] < times[1]


@pytest.mark.parametrize(
    ("fields", "backend", "key"),
    [
        pytest.param({"compute_capability": "8.6"}, "llama.cpp", "nvidia 8.6", id="ampere"),
        pytest.param({"compute_capability": "8.0"}, "ollama", "nvidia 8.0", id="a100"),
        pytest.param({"compute_capability": "5.2"}, "llama.cpp", "nvidia 6.1", id="maxwell-as-pascal"),
        pytest.param({"compute_capability": "7.0"}, "llama.cpp", "nvidia 7.5", id="volta-as-turing"),
        pytest.param({"compute_capability": "10.0"}, "llama.cpp", "nvidia 9.0", id="b200-as-hopper"),
        pytest.param({"compute_capability": "12.0"}, "llama.cpp", "nvidia 12.0", id="blackwell"),
        pytest.param({"compute_capability": "14.1"}, "llama.cpp", "nvidia 12.0", id="a-later-one"),
        pytest.param(
            {"compute_capability": "12.1", "unified": True}, "llama.cpp", "nvidia unified", id="gb10"
        ),
        pytest.param({"compute_capability": None}, "llama.cpp", "nvidia", id="not-known"),
        pytest.param({"vendor": "amd", "unified": True}, "llama.cpp", "amd unified", id="strix-halo"),
        pytest.param({"vendor": "amd", "accelerator": "vulkan"}, "llama.cpp", "amd vulkan", id="radv"),
        pytest.param({"vendor": "amd", "accelerator": "rocm"}, "ollama", "amd", id="rocm"),
        pytest.param({"kind": "cpu", "measured": True}, "llama.cpp", "cpu measured", id="this-machine"),
        pytest.param({"vendor": "intel", "unified": True}, "llama.cpp", "intel", id="intel-igpu"),
        pytest.param({"vendor": None}, "llama.cpp", "intel", id="no-vendor"),
        pytest.param({"vendor": "apple", "unified": True}, "mlx", "mlx", id="mlx"),
        pytest.param({"kind": "cpu"}, "ollama", "cpu", id="cpu"),
    ],
)
def test_every_device_has_rates(fields: dict[str, object], backend: str, key: str) -> None:
    load = GPU.model_copy(update=fields)
    assert rates_key(load, backend) == key  # type: ignore[arg-type]  # a parameter of the table
    assert key in FITTED.rates


def test_bands_surround_the_estimate_and_constants_are_shares() -> None:
    assert all(band.low < 1 < band.high for band in FITTED.bands.values())
    assert all(0 < rates.weights < 1 for rates in FITTED.rates.values())


def test_memory_faster_than_any_measured_widens_the_band() -> None:
    b200 = GPU.model_copy(update={"compute_capability": "10.0", "bandwidth_bytes_per_s": 8000 * GB})
    name, band = Work((b200,), "llama.cpp", "Q4_K_M").band()
    assert band.low < FITTED.bands["one NVIDIA GPU"].low
    assert "faster than any measured" in name


@pytest.mark.parametrize(
    ("loads", "basis"),
    [
        pytest.param(
            (GPU,),
            r"roofline: 4\.6 GB of weights and 0\.5 GB of cache per token at \d\d% of 448 GB/s "
            r"\(GeForce RTX 3070\); band from \d+ measured runs on \d+ devices \(one NVIDIA GPU\)",
            id="gpu",
        ),
        pytest.param(
            (CPU.model_copy(update={"physical_cores": 1, "kv_bytes": 0}),),
            r"roofline: 4\.6 GB of weights per token, limited by compute \(cores: 1\), not by 60 GB/s "
            r"\(host\); "
            r"band from \d+ measured runs on \d+ devices \(CPUs\)",
            id="cores",
        ),
        pytest.param(
            (part(GPU, 0.5), part(GPU, 0.5)),
            r"roofline: 2 × \(2\.3 GB of weights and 0\.3 GB of cache per token at \d\d% of 448 GB/s "
            r"\(GeForce RTX 3070\)\); band from \d+ measured runs on \d+ devices \(several GPUs\)",
            id="split",
        ),
        pytest.param(
            (part(GPU, 0.5), part(CPU, 0.5)),
            r"roofline: 2\.3 GB of weights and 0\.3 GB of cache per token at \d\d% of 448 GB/s "
            r"\(GeForce RTX 3070\); 2\.3 GB of weights and 0\.3 GB of cache per token at \d\d% of 60 GB/s "
            r"\(host\); band from \d+ measured runs on 1 device \(GPU and CPU together\)",
            id="spilled",
        ),
    ],
)
def test_basis_names_what_it_rests_on(loads: tuple[DeviceLoad, ...], basis: str) -> None:
    speed = estimate_speed(Work(loads, "llama.cpp", "Q4_K_M"), n_seqs=1, depth=4096, prompt_tokens=512)
    assert speed is not None
    assert re.fullmatch(basis, speed.basis)


@pytest.mark.parametrize(
    ("weights_gb", "bandwidth", "share", "gain", "card"),
    [
        pytest.param(15.2, 1008, 0.56, 76.3 / 47.7, "RTX 4090", id="rtx-4090"),
        pytest.param(15.2, 1008, 0.75, 74.8 / 36.1, "RTX 4090", id="rtx-4090-code"),
        pytest.param(15.2, 645, 0.73, 41.6 / 22.1, "RX 9070", id="rx-9070"),
        pytest.param(15.2, 448, 0.735, 42.8 / 22.1, "RTX 5060 Ti", id="rtx-5060-ti"),
        pytest.param(15.2, 1792, 0.735, 97.1 / 45.7, "RTX PRO 6000", id="rtx-pro-6000"),
        pytest.param(15.2, 256, 0.73, 23.7 / 11.5, "Radeon 8060S", id="strix-halo"),
    ],
)
def test_a_draft_gains_what_published_pairs_gained(
    weights_gb: float, bandwidth: int, share: float, gain: float, card: str
) -> None:
    """Qwen3.8 27B with its own prediction head, two tokens at a time (github.com/sudoingX/qwen38-mtp)."""
    load = GPU.model_copy(
        update={
            "weight_bytes": int(weights_gb * GB),
            "bandwidth_bytes_per_s": bandwidth * GB,
            "n_params_active": 26 * 10**9,
            "kv_bytes": 0,
            "n_layers": 64,
        }
    )
    work = Work((load,), "llama.cpp", "Q4_K_M")
    alone_s = work.decode_s(1)
    assert alone_s is not None
    # the head: one of 64 layers, and the output matrix of 1 GB
    speed = speculative_speed(work, draft_s=alone_s * (1 / 64 + 1 / weights_gb), n_draft=2)
    assert speed is not None
    low, high = speed.decode_tokens_per_s[0] * alone_s, speed.decode_tokens_per_s[-1] * alone_s
    at_share = low + (high - low) * (share - speed.accepted[0]) / (speed.accepted[-1] - speed.accepted[0])
    assert at_share == pytest.approx(gain, rel=0.2), card


def test_a_draft_as_large_as_the_model_gains_nothing() -> None:
    work = Work((GPU,), "llama.cpp", "Q4_K_M")
    alone_s = work.decode_s(1)
    assert alone_s is not None
    speed = speculative_speed(work, draft_s=alone_s)
    assert speed is not None
    assert speed.decode_tokens_per_s[-1] < 1 / alone_s
