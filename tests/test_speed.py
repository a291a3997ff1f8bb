"""The speed estimate: its arithmetic, what must never turn round, and published runs inside the band."""

from __future__ import annotations

import pytest

from advisor.speed import BANDS, RATES, DeviceLoad, Rates, Work, estimate_speed, rates_key
from advisor.units import GB, GIB

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


def tokens_per_s(*loads: DeviceLoad, n_seqs: int = 1, n_experts: int = 0, tensor_parallel: int = 1) -> float:
    """What one sequence gets."""
    speed = estimate_speed(
        loads,
        backend="llama.cpp",
        quantization="Q4_K_M",
        n_seqs=n_seqs,
        depth=4096,
        prompt_tokens=512,
        n_experts=n_experts,
        n_experts_used=16 if n_experts else 0,
        tensor_parallel=tensor_parallel,
    )
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
        # of which attention handles 200 GB/s = 7 ms more
        pytest.param(
            {"weight_bytes": 4 * GB, "kv_bytes": 14 * GB // 10},
            Rates(0.5, 2e11, 0, 0, None),
            1,
            0.032,
            id="attention",
        ),
        # 10 layers of 100 µs, and 1 ms a step
        pytest.param(
            {"weight_bytes": 4 * GB, "n_layers": 10}, Rates(0.5, None, 1e-4, 1e-3, None), 1, 0.022, id="fixed"
        ),
        # three sequences: weights once, cache three times, twice 2 GFLOP at half of 4 TFLOP/s = 2 ms
        pytest.param(
            {
                "weight_bytes": 4 * GB,
                "kv_bytes": 14 * GB // 10,
                "n_params_active": 10**9,
                "fp16_flops": 4 * 10**12,
            },
            Rates(0.5, None, 0, 0, 0.5),
            3,
            0.037,
            id="three-sequences",
        ),
    ],
)
def test_step_is_computable_by_hand(
    load: dict[str, int], rates: Rates, n_seqs: int, expected_s: float
) -> None:
    fields = {"n_params_active": 0, "n_layers": 0} | load
    device = DeviceLoad(name="A", kind="gpu", vendor="apple", bandwidth_bytes_per_s=400 * GB, **fields)
    work = Work((device,), "llama.cpp", "Q4_K_M", table={"apple": rates})
    assert work.decode_s(n_seqs) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("cores", "quantization", "bits", "expected_s"),
    [
        pytest.param(64, "Q4_K_M", 4.5, 4.5 / 48, id="memory"),  # 4.5 GB at 80 % of 60 GB/s
        pytest.param(1, "Q4_K_M", 4.5, 16 / 70, id="one-core-q4"),  # 16 GFLOP at 70 GFLOP/s
        pytest.param(1, "Q4_K_M", 6.3, 16 / 47, id="q4-mix-of-odd-rows"),  # by its bits, not by its name
        pytest.param(1, "Q8_0", 8.5, 16 / 40, id="one-core-q8"),
        pytest.param(1, "F16", 16, 16 / 32, id="one-core-f16"),
        pytest.param(1, "IQ4_XS", 4.25, 16 / 43, id="one-core-iq"),
    ],
)
def test_few_cores_bind_before_memory(cores: int, quantization: str, bits: float, expected_s: float) -> None:
    load = CPU.model_copy(
        update={
            "weight_bytes": int(bits * 10**9),
            "n_params_active": 8 * 10**9,
            "kv_bytes": 0,
            "n_layers": 0,
            "physical_cores": cores,
        }
    )
    work = Work((load,), "llama.cpp", quantization, table={"cpu": Rates(0.8, None, 0, 0, None)})
    expected_s = expected_s if cores == 1 else bits / 48
    assert work.decode_s(1) == pytest.approx(expected_s)


def test_a_batch_reads_the_experts_it_is_expected_to_choose() -> None:
    work = Work((EXPERTS,), "llama.cpp", "Q4_K_M", n_experts=256, n_experts_used=16)
    assert work.step_bytes(EXPERTS, 1) == EXPERTS.weight_bytes
    # 1 - (15/16)^2 = 12.1 % of 9.6 GB
    assert work.step_bytes(EXPERTS, 2) == pytest.approx(0.4e9 + 9.6e9 * (1 - 0.9375**2))
    assert work.step_bytes(EXPERTS, 10_000) == pytest.approx(10e9)


def test_prompt_is_bound_by_compute_and_never_faster_than_the_weights_are_read() -> None:
    # 512 times 15 GFLOP at half of 80 TFLOP/s = 192 ms; the weights: 4.6 GB at 224 GB/s
    gpu = GPU.model_copy(update={"fp16_flops": 80 * 10**12, "kv_bytes": 0, "n_layers": 0})
    work = Work((gpu,), "llama.cpp", "Q4_K_M", table={"nvidia 8.6": Rates(0.5, None, 0, 0, 0.5)})
    assert work.prompt_s(512, 4096) == pytest.approx(0.192)
    assert work.prompt_s(8, 4096) == pytest.approx(4.6 / 224)
    deeper = work._replace(loads=(GPU.model_copy(update={"fp16_flops": 80 * 10**12, "n_layers": 0}),))
    linear, quadratic = work.prompt_s(4096, 4096), deeper.prompt_s(4096, 4096)
    assert linear is not None
    assert quadratic is not None
    assert quadratic > linear


def test_a_discrete_gpu_computes_the_prompt_of_host_weights() -> None:
    host, gpu = part(CPU, 0.5), part(GPU, 0.5)
    work = Work((gpu, host), "llama.cpp", "Q4_K_M")
    alone = Work((CPU,), "llama.cpp", "Q4_K_M")
    long, short = work.prompt_s(512, 4096), work.prompt_s(16, 4096)
    on_cpu = alone.prompt_s(512, 4096)
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


def test_tensor_parallel_is_faster_than_one_gpu_of_a_large_model_and_pays_for_its_link() -> None:
    large = part(GPU, 10).model_copy(update={"n_layers": 80})
    halves = (part(large, 0.5).model_copy(update={"n_layers": 80}),) * 2
    speeds = [
        estimate_speed(
            halves,
            backend="vllm",
            quantization="AWQ",
            n_seqs=1,
            depth=4096,
            prompt_tokens=512,
            tensor_parallel=2,
            link=link,
        )
        for link in ("pcie", "nvlink")
    ]
    pcie, nvlink = (speed.decode_tokens_per_s for speed in speeds if speed is not None)
    assert tokens_per_s(large) < pcie < nvlink


@pytest.mark.parametrize(
    "loads",
    [
        pytest.param((GPU.model_copy(update={"bandwidth_bytes_per_s": None}),), id="gpu"),
        pytest.param((part(GPU, 0.5), CPU.model_copy(update={"bandwidth_bytes_per_s": None})), id="host"),
        pytest.param((), id="nothing"),
    ],
)
def test_no_estimate_without_a_bandwidth(loads: tuple[DeviceLoad, ...]) -> None:
    speed = estimate_speed(
        loads, backend="llama.cpp", quantization="Q4_K_M", n_seqs=1, depth=0, prompt_tokens=512
    )
    assert speed is None


def test_a_device_with_nothing_to_read_does_not_count() -> None:
    idle = DeviceLoad(name="host", kind="cpu", weight_bytes=0, n_params_active=0, n_layers=0)
    assert tokens_per_s(GPU, idle) == tokens_per_s(GPU)


def test_prefill_is_unknown_where_the_compute_rate_is() -> None:
    speed = estimate_speed(
        [GPU.model_copy(update={"fp16_flops": None})],
        backend="ollama",
        quantization="Q4_K_M",
        n_seqs=1,
        depth=4096,
        prompt_tokens=512,
    )
    assert speed is not None
    assert speed.prefill_tokens_per_s is None
    assert speed.ttft_s is None


def test_time_to_the_first_token_is_longer_while_others_decode() -> None:
    times = []
    for n_seqs in (1, 4):
        speed = estimate_speed(
            [GPU], backend="llama.cpp", quantization="Q4_K_M", n_seqs=n_seqs, depth=4096, prompt_tokens=2048
        )
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
        pytest.param({"vendor": "intel", "unified": True}, "llama.cpp", "intel", id="intel-igpu"),
        pytest.param({"vendor": None}, "llama.cpp", "intel", id="no-vendor"),
        pytest.param({"vendor": "apple", "unified": True}, "mlx", "mlx", id="mlx"),
        pytest.param({"compute_capability": "8.9"}, "vllm", "vllm", id="vllm"),
        pytest.param({"kind": "cpu"}, "vllm", "cpu", id="cpu"),
    ],
)
def test_every_device_has_rates(fields: dict[str, object], backend: str, key: str) -> None:
    load = GPU.model_copy(update=fields)
    assert rates_key(load, backend) == key  # type: ignore[arg-type]  # a parameter of the table
    assert key in RATES


def test_bands_surround_the_estimate_and_constants_are_shares() -> None:
    assert all(band.low < 1 < band.high for band in BANDS.values())
    assert all(0 < rates.weights < 1 for rates in RATES.values())


def test_memory_faster_than_any_measured_widens_the_band() -> None:
    h200 = GPU.model_copy(update={"compute_capability": "9.0", "bandwidth_bytes_per_s": 4800 * GB})
    name, band = Work((h200,), "llama.cpp", "Q4_K_M").band()
    assert band.low < BANDS["one NVIDIA GPU"].low
    assert "faster than any measured" in name


@pytest.mark.parametrize(
    ("loads", "basis"),
    [
        pytest.param(
            (GPU,),
            "roofline: 4.6 GB of weights and 0.5 GB of cache per token at 80% of 448 GB/s "
            "(GeForce RTX 3070); band from 191 measured runs (one NVIDIA GPU)",
            id="gpu",
        ),
        pytest.param(
            (CPU.model_copy(update={"physical_cores": 1, "kv_bytes": 0}),),
            "roofline: 4.6 GB of weights per token, limited by compute (cores: 1), not by 60 GB/s (host); "
            "band from 36 measured runs (CPUs)",
            id="cores",
        ),
        pytest.param(
            (part(GPU, 0.5), part(GPU, 0.5)),
            "roofline: 2 × (2.3 GB of weights and 0.3 GB of cache per token at 80% of 448 GB/s "
            "(GeForce RTX 3070)); band from 146 measured runs (several GPUs)",
            id="split",
        ),
        pytest.param(
            (part(GPU, 0.5), part(CPU, 0.5)),
            "roofline: 2.3 GB of weights and 0.3 GB of cache per token at 80% of 448 GB/s "
            "(GeForce RTX 3070); 2.3 GB of weights and 0.3 GB of cache per token at 74% of 60 GB/s "
            "(host); band by judgement, no measured run of this kind (GPU and CPU together) is known",
            id="spilled",
        ),
    ],
)
def test_basis_names_what_it_rests_on(loads: tuple[DeviceLoad, ...], basis: str) -> None:
    speed = estimate_speed(
        loads, backend="llama.cpp", quantization="Q4_K_M", n_seqs=1, depth=4096, prompt_tokens=512
    )
    assert speed is not None
    assert speed.basis == basis


LLAMA_3_8B = {"n_params_active": 7_505_000_000, "n_layers": 32}
LLAMA_2_7B = {"n_params_active": 6_607_000_000, "n_layers": 32}
GPU_BENCHMARKS = "https://github.com/XiongjieDai/GPU-Benchmarks-on-LLM-Inference"


@pytest.mark.parametrize(
    ("device", "model", "weights_gib", "cache_mib", "published", "source"),
    [
        pytest.param(("nvidia", "8.6", 448), LLAMA_3_8B, 4.28, 64, 70.94, GPU_BENCHMARKS, id="3070-q4_k_m"),
        pytest.param(("nvidia", "8.6", 448), LLAMA_3_8B, 4.28, 512, 61.64, GPU_BENCHMARKS, id="3070-4k-deep"),
        pytest.param(("nvidia", "8.9", 1008), LLAMA_3_8B, 4.28, 64, 127.74, GPU_BENCHMARKS, id="4090-q4_k_m"),
        pytest.param(("nvidia", "8.9", 1008), LLAMA_3_8B, 13.98, 64, 54.34, GPU_BENCHMARKS, id="4090-f16"),
        pytest.param(("nvidia", "8.0", 1935), LLAMA_3_8B, 4.28, 64, 138.31, GPU_BENCHMARKS, id="a100-q4_k_m"),
        pytest.param(("apple", None, 800), LLAMA_3_8B, 4.28, 64, 76.28, GPU_BENCHMARKS, id="m2-ultra-q4_k_m"),
        pytest.param(
            ("apple", None, 150),
            LLAMA_2_7B,
            6.51,
            32,
            17.53,
            "https://github.com/ggml-org/llama.cpp/discussions/4167",
            id="m3-pro-q8_0",
        ),
        pytest.param(
            ("amd", None, 800),
            LLAMA_2_7B,
            3.49,
            32,
            116.15,
            "https://github.com/ggml-org/llama.cpp/discussions/15021",
            id="7900-xt-q4_0",
        ),
    ],
)
def test_published_runs_lie_inside_the_band(
    device: tuple[str, str | None, int],
    model: dict[str, int],
    weights_gib: float,
    cache_mib: int,
    published: float,
    source: str,
) -> None:
    """`weights_gib` is the published size less the embedding, of which a token reads one row."""
    vendor, capability, bandwidth = device
    load = DeviceLoad(
        name=source,
        kind="gpu",
        vendor=vendor,
        unified=vendor == "apple",
        bandwidth_bytes_per_s=bandwidth * GB,
        compute_capability=capability,
        weight_bytes=int(weights_gib * GIB),
        kv_bytes=cache_mib << 20,
        **model,
    )
    speed = estimate_speed(
        [load], backend="llama.cpp", quantization="Q4_K_M", n_seqs=1, depth=512, prompt_tokens=512
    )
    assert speed is not None
    assert speed.low < published < speed.high
    assert speed.low < speed.decode_tokens_per_s < speed.high
