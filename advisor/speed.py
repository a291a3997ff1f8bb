"""How fast a placement decodes and reads a prompt: a roofline, with the band that measurements leave.

Decoding one token reads every active weight and the sequence's cache once, so its time is bytes over the
bandwidth that the kernels reach, plus a fixed cost of launching each layer. Devices that share the layers
work one after the other: a second GPU adds capacity, not speed. Reading a prompt is compute-bound instead.

The constants below are fitted to runs of 2023-08 to 2026-11 by tests/benchmarks/fit_speed.py, which prints
them as they stand here; the bands are what it leaves on devices held back from the fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final, Literal, NamedTuple

from pydantic import Field

from advisor.assessment import SpeedEstimate
from advisor.units import GB
from advisor.usecase import Backend
from advisor.value import Value

Engine = Backend
Link = Literal["nvlink", "pcie"]


class Rates(NamedTuple):
    """What an engine's kernels reach on one kind of device."""

    weights: float
    """Share of the bandwidth reached while reading weights."""
    cache: float | None
    """Bytes/s of cache that the attention kernels handle, on top of what reading it takes; None: no limit."""
    layer_s: float
    """Launching one layer's kernels, in seconds."""
    step_s: float
    """What else a decode step costs, in seconds."""
    prefill: float | None
    """Share of the FP16 rate reached on a prompt; None where no run tells."""


class Band(NamedTuple):
    """Factors on the expected rate between which four of five measurements lie."""

    low: float
    high: float
    n_rows: int
    """Runs it rests on; 0: judgement."""


# By compute capability for NVIDIA: the kernels bind older and HBM parts before their memory does. Not by
# quantization: on GPUs F16, 8 and 4 bits differ by less than the sources do.
RATES: Final[Mapping[str, Rates]] = {
    "nvidia": Rates(0.81, 2.7e11, 5.0e-5, 0.0, 0.39),  # generation not known
    "nvidia 6.0": Rates(0.35, 2.7e11, 5.0e-5, 0.0, 0.69),
    "nvidia 6.1": Rates(0.60, 2.7e11, 5.0e-5, 0.0, None),
    "nvidia 7.5": Rates(0.74, 2.7e11, 5.0e-5, 0.0, 0.41),
    "nvidia 8.0": Rates(0.52, 2.7e11, 5.0e-5, 0.0, 0.30),
    "nvidia 8.6": Rates(0.80, 2.7e11, 5.0e-5, 0.0, 0.43),
    "nvidia 8.9": Rates(0.92, 2.7e11, 5.0e-5, 0.0, 0.38),
    "nvidia 9.0": Rates(0.58, 2.7e11, 5.0e-5, 0.0, 0.16),
    "nvidia 12.0": Rates(0.95, 2.7e11, 5.0e-5, 0.0, 0.61),
    "nvidia unified": Rates(0.67, 2.7e11, 5.0e-5, 0.0, 0.83),
    "amd": Rates(0.95, None, 5.8e-5, 2.1e-3, 0.44),
    "amd unified": Rates(0.87, None, 1.0e-4, 2.1e-3, 0.28),
    "apple": Rates(0.92, 7.1e10, 1.6e-4, 0.0, 0.76),
    "mlx": Rates(0.88, None, 6.4e-5, 5.0e-4, 0.96),
    "intel": Rates(0.81, None, 8.0e-5, 1.5e-3, 0.40),
    "cpu": Rates(0.74, None, 1.0e-4, 0.0, None),
    "vllm": Rates(0.81, None, 4.0e-5, 0.0, 0.45),
}

BANDS: Final[Mapping[str, Band]] = {
    "one NVIDIA GPU": Band(0.79, 1.13, 191),
    "mixtures of experts on one GPU": Band(0.63, 1.28, 130),
    "several GPUs": Band(0.75, 1.11, 146),
    "AMD GPUs": Band(0.75, 1.23, 72),
    "Apple GPUs": Band(0.76, 1.07, 63),
    "other GPUs": Band(0.51, 1.86, 5),
    "CPUs": Band(0.76, 1.33, 36),
    "vLLM": Band(0.77, 1.30, 17),
    "GPU and CPU together": Band(0.55, 1.40, 0),
}

CACHE_SHARE: Final = 0.7
"""Of the bandwidth, while reading the cache: Strix Halo, whose attention is bound by nothing else."""
MOE_PREFILL: Final = 0.49
"""Of a dense model's share of the FP16 rate on prompts: each expert sees few of a batch's tokens."""
PREFILL_CACHE_FLOPS: Final = 14.0
"""Operations by which a prompt token attends to one byte of cache: the query heads that share a KV head
(4 to 8), times what the attention kernels fall short of the matrix ones."""
SPLIT_LAYER_S: Final = 4.0e-5
"""Added a layer where GPUs share the layers: llama.cpp then launches kernels singly, without CUDA graphs."""
PIPELINE_GPUS: Final = 2
"""GPUs of a split that are busy at once on a long prompt: 1.0 to 2.2 on 2 to 8 of them (2024-05)."""
ALL_REDUCE_S: Final[Mapping[Link, float]] = {"nvlink": 8e-6, "pcie": 1e-4}
"""Tensor parallel, a layer and device: two all-reduces (vLLM: 8 × H200, 2025-05; 2 to 8 cards, 2023-10)."""
SEQUENCE_SHARE: Final = 0.06
"""What each further sequence of a batch adds to reading the weights where no compute rate is known: 0.02 to
0.06 on GPUs whose rate is."""
MEASURED_BANDWIDTH: Final = 2_040 * GB
"""The fastest memory among the runs (H100 PCIe); above it a share of the bandwidth is an extrapolation."""

CPU_FLOPS: Final = (
    (12, 32e9),  # F16, BF16
    (7, 40e9),  # Q8_0
    (5.25, 47e9),  # Q5_0, Q5_K, Q6_K
    (0, 70e9),  # Q4_0, Q4_K and below
)
"""What one core computes while decoding, FLOP/s, from so many bits per weight on: Zen 4 (two threads,
2024-12) and Zen 5 (2026-11). Few cores are bound by unpacking weights before memory is."""
CPU_IQ_FLOPS: Final = 43e9
"""The same for the IQ types, whose values are looked up in tables (28 to 61e9 in the same runs)."""
CPU_CACHE_BYTES_PER_S: Final = 1.8 * GB
"""Cache that one core attends to in a second: 1.7 to 2.4 in runs at 3,000 to 16,000 tokens."""
CPU_PREFILL_FLOPS: Final = 95e9
"""What one core computes on prompts, FLOP/s: desktop and laptop cores with AVX2 (26 to 108e9, to 2026-03)."""
CPU_PREFILL_FLOPS_AVX512: Final = 220e9
"""The same with AVX-512 and llama.cpp's repacked weights (Zen 5, 2026-11)."""

N_UBATCH: Final = 512
"""Prompt tokens of one graph, llama.cpp's default: the weights are read once for each."""
COPY_BATCH: Final = 32
"""llama.cpp copies host weights to a GPU for batches of at least this many tokens, and computes there."""
PCIE_BYTES_PER_S: Final = 12 * GB
"""What such copies reach: about half of PCIe 4.0 x16, since the source is not pinned memory."""


class DeviceLoad(Value):
    """What one decode step of one sequence makes a device do."""

    name: str
    kind: Literal["gpu", "cpu"]
    vendor: str | None = None
    unified: bool = False
    """A GPU that shares the host's memory."""
    bandwidth_bytes_per_s: int | None = Field(default=None, gt=0)
    fp16_flops: int | None = Field(default=None, gt=0)
    """Dense FP16 rate of the tensor cores (GeForce: with FP16 accumulation, which the INT8 kernels scale
    with), or of the shaders where there are none."""
    compute_capability: str | None = None
    physical_cores: int | None = Field(default=None, gt=0)
    features: tuple[str, ...] = ()
    """SIMD extensions of a CPU, as in `Cpu.features`."""
    weight_bytes: int = Field(ge=0)
    """Weights read: with experts, only the active ones'; looked-up rows of the embedding do not count."""
    shared_bytes: int = Field(default=0, ge=0)
    """The part of `weight_bytes` outside the routed experts."""
    expert_bytes_total: int = Field(default=0, ge=0)
    """All routed experts that the device holds, active or not; 0 for dense models."""
    kv_bytes: int = Field(default=0, ge=0)
    """Cache read at the depth."""
    recurrent_bytes: int = Field(default=0, ge=0)
    """Recurrent states, read whatever the depth."""
    n_params_active: int = Field(ge=0)
    """Parameters a token is multiplied with on this device."""
    n_layers: int = Field(ge=0)
    """Layers it runs."""


def estimate_speed(
    loads: Sequence[DeviceLoad],
    *,
    backend: Engine,
    quantization: str,
    n_seqs: int,
    depth: int,
    prompt_tokens: int,
    n_experts: int = 0,
    n_experts_used: int = 0,
    tensor_parallel: int = 1,
    link: Link = "pcie",
) -> SpeedEstimate | None:
    """Estimate the speed of a placement; None when a bandwidth that it needs is not known.

    The time to the first token is that of one prompt while the other sequences go on decoding.
    """
    busy = tuple(load for load in loads if load.weight_bytes or load.kv_bytes)
    work = Work(busy, backend, quantization, n_experts, n_experts_used, tensor_parallel, link)
    step_s = work.decode_s(n_seqs)
    if step_s is None:
        return None
    prefill_s = work.prompt_s(prompt_tokens, depth)
    waiting_s = step_s * ceil(prompt_tokens / N_UBATCH) if n_seqs > 1 else 0.0
    name, band = work.band()
    rate = 1 / step_s
    return SpeedEstimate(
        decode_tokens_per_s=rate,
        low=rate * band.low,
        high=rate * band.high,
        throughput_tokens_per_s=rate * n_seqs,
        prefill_tokens_per_s=None if prefill_s is None else prompt_tokens / prefill_s,
        ttft_s=None if prefill_s is None else prefill_s + waiting_s,
        depth=depth,
        prompt_tokens=prompt_tokens,
        basis=f"roofline: {_sources(work)}; {_band_text(name, band)}",
    )


class Work(NamedTuple):
    """A placement and what runs it."""

    loads: tuple[DeviceLoad, ...]
    backend: Engine
    quantization: str
    n_experts: int = 0
    n_experts_used: int = 0
    tensor_parallel: int = 1
    link: Link = "pcie"
    table: Mapping[str, Rates] = RATES

    @property
    def gpus(self) -> tuple[DeviceLoad, ...]:
        """The GPUs among the devices."""
        return tuple(load for load in self.loads if load.kind == "gpu")

    @property
    def is_split(self) -> bool:
        """Whether several GPUs have the layers, each its own, and the host has none."""
        return 1 < len(self.gpus) == len(self.loads) and self.tensor_parallel == 1

    def rates(self, load: DeviceLoad) -> Rates:
        """What the engine reaches on a device."""
        return self.table[rates_key(load, self.backend)]

    def step_bytes(self, load: DeviceLoad, n_tokens: int) -> float:
        """Weights that one graph of `n_tokens` tokens reads on a device.

        Tokens share everything but the routed experts; of those a layer reads as many as the tokens are
        expected to choose between them, if every expert is as likely.
        """
        if n_tokens == 1 or not load.expert_bytes_total or not self.n_experts:
            return load.weight_bytes
        missed = (1 - self.n_experts_used / self.n_experts) ** n_tokens
        return load.shared_bytes + load.expert_bytes_total * (1 - missed)

    def decode_s(self, n_seqs: int) -> float | None:
        """Seconds of a step that gives each of `n_seqs` sequences a token; None without a bandwidth."""
        times = [self._device_decode_s(load, n_seqs) for load in self.loads]
        if not times or None in times:
            return None
        step_s = max(self.rates(load).step_s for load in self.loads)
        return sum(t for t in times if t is not None) / self.tensor_parallel + step_s + self._links_s()

    def prompt_s(self, n_tokens: int, depth: int) -> float | None:
        """Seconds to read a prompt into an empty cache; None where a compute rate is not known.

        `depth` is the number of tokens that the loads' `kv_bytes` stand for.
        """
        times = [self._device_prompt_s(load, n_tokens, depth) for load in self.loads]
        if not times or None in times:
            return None
        n_graphs = ceil(n_tokens / N_UBATCH)
        n_busy = PIPELINE_GPUS if self.is_split else 1
        overlap = (n_graphs + n_busy - 1) / (n_graphs * n_busy)
        device_s = sum(t for t in times if t is not None) / self.tensor_parallel * overlap
        return device_s + self._links_s() * n_graphs

    def band(self) -> tuple[str, Band]:
        """The kind of placement whose measurements tell how far off this may be."""
        name = self.band_name()
        band = BANDS[name]
        if any((load.bandwidth_bytes_per_s or 0) > MEASURED_BANDWIDTH for load in self.gpus):
            return f"{name} (its memory is faster than any measured)", band._replace(low=band.low * 0.6)
        return name, band

    def band_name(self) -> str:
        """The row of `BANDS` for this placement."""
        gpus = self.gpus
        if not gpus:
            return "CPUs"
        if len(gpus) < len(self.loads):
            return "GPU and CPU together"
        if self.backend in ("vllm", "sglang"):
            return "vLLM"
        if len(gpus) > 1:
            return "several GPUs"
        if self.n_experts:
            return "mixtures of experts on one GPU"
        return {"nvidia": "one NVIDIA GPU", "apple": "Apple GPUs", "amd": "AMD GPUs"}.get(
            gpus[0].vendor or "", "other GPUs"
        )

    def _links_s(self) -> float:
        """Seconds a graph spends between GPUs that work on it together."""
        if self.tensor_parallel > 1:
            n_layers = max((load.n_layers for load in self.gpus), default=0)
            return n_layers * self.tensor_parallel * ALL_REDUCE_S[self.link]
        return sum(load.n_layers for load in self.gpus) * SPLIT_LAYER_S if self.is_split else 0.0

    def _device_decode_s(self, load: DeviceLoad, n_seqs: int) -> float | None:
        if load.bandwidth_bytes_per_s is None:
            return None
        rates, bandwidth = self.rates(load), load.bandwidth_bytes_per_s
        weights_s = self.step_bytes(load, n_seqs) / (bandwidth * rates.weights)
        cache_s = (load.kv_bytes + load.recurrent_bytes) / (bandwidth * CACHE_SHARE)
        if rates.cache:
            cache_s += load.kv_bytes / rates.cache
        if load.kind == "cpu" and load.physical_cores:
            weights_s = max(weights_s, self.cpu_decode_s(load))
            cache_s = max(cache_s, load.kv_bytes / (load.physical_cores * CPU_CACHE_BYTES_PER_S))
        flops = self._prefill_flops(load)
        token_s = 2 * load.n_params_active / flops if flops else weights_s * SEQUENCE_SHARE
        return weights_s + cache_s * n_seqs + token_s * (n_seqs - 1) + load.n_layers * rates.layer_s

    def cpu_decode_s(self, load: DeviceLoad) -> float:
        """Seconds in which the cores unpack and multiply the weights for one token."""
        if not load.n_params_active or not load.physical_cores:
            return 0.0
        bits = 8 * load.weight_bytes / load.n_params_active
        flops = next(rate for least, rate in CPU_FLOPS if bits >= least)
        if self.quantization.upper().startswith("IQ"):
            flops = CPU_IQ_FLOPS
        return 2 * load.n_params_active / (load.physical_cores * flops)

    def _prefill_flops(self, load: DeviceLoad) -> float | None:
        """FLOP/s that a device reaches on a prompt; None where it is not known."""
        if load.kind == "cpu":
            core = CPU_PREFILL_FLOPS_AVX512 if "avx512f" in load.features else CPU_PREFILL_FLOPS
            flops = load.physical_cores * core if load.physical_cores else None
        else:
            share = self.rates(load).prefill
            flops = load.fp16_flops * share if load.fp16_flops and share else None
        return flops * MOE_PREFILL if flops and self.n_experts else flops

    def _device_prompt_s(self, load: DeviceLoad, n_tokens: int, depth: int) -> float | None:
        """Seconds a device's layers take for a prompt, on the GPU where that is where they are computed."""
        place = self._prompt_place(load, n_tokens)
        flops = self._prefill_flops(place)
        if flops is None or load.bandwidth_bytes_per_s is None:
            return None
        n_graphs = ceil(n_tokens / N_UBATCH)
        graph_bytes = self.step_bytes(load, min(n_tokens, N_UBATCH))
        attended = load.kv_bytes / max(depth, 1) * n_tokens**2 / 2
        compute_s = (2 * load.n_params_active * n_tokens + attended * PREFILL_CACHE_FLOPS) / flops
        copied = place is not load
        bandwidth = PCIE_BYTES_PER_S if copied else load.bandwidth_bytes_per_s * self.rates(load).weights
        read_s = n_graphs * graph_bytes / bandwidth
        busy_s = read_s + compute_s if copied else max(read_s, compute_s)
        return busy_s + n_graphs * load.n_layers * self.rates(place).layer_s

    def _prompt_place(self, load: DeviceLoad, n_tokens: int) -> DeviceLoad:
        """The device that computes a load's prompts: a discrete GPU also those of the host's weights."""
        discrete = [gpu for gpu in self.gpus if not gpu.unified]
        return discrete[0] if load.kind == "cpu" and discrete and n_tokens >= COPY_BATCH else load


def rates_key(load: DeviceLoad, backend: Engine) -> str:
    """The row of `RATES` for a device under an engine."""
    if load.kind == "cpu":
        return "cpu"
    if backend in ("vllm", "sglang"):
        return "vllm"
    if backend == "mlx":
        return "mlx"
    vendor = load.vendor if load.vendor in ("nvidia", "amd", "apple") else "intel"
    if load.unified and vendor in ("nvidia", "amd"):
        return f"{vendor} unified"
    if vendor != "nvidia" or not load.compute_capability:
        return vendor
    return f"nvidia {_generation(load.compute_capability)}"


def _generation(capability: str) -> str:
    """The measured compute capability whose kernels a GPU runs like: "8.0" is HBM Ampere, "8.6" GeForce."""
    if capability in ("6.0", "8.0", "8.9"):
        return capability
    major = int(capability.split(".")[0])
    nearest = {7: "7.5", 8: "8.6", 9: "9.0", 10: "9.0"}
    return nearest.get(major, "6.1" if major < 7 else "12.0")


def _sources(work: Work) -> str:
    """What each device reads for a token, at what rate: "2 × …" where several read alike."""
    texts = Counter(_source(work, load) for load in work.loads)
    return "; ".join(text if n == 1 else f"{n} × ({text})" for text, n in texts.items())


def _source(work: Work, load: DeviceLoad) -> str:
    rates = work.rates(load)
    bandwidth = (load.bandwidth_bytes_per_s or 0) / GB
    cache = f" and {load.kv_bytes / GB:.1f} GB of cache" if load.kv_bytes >= GB // 20 else ""
    text = f"{load.weight_bytes / GB:.2g} GB of weights{cache} per token"
    if load.kind == "cpu" and load.physical_cores:
        memory_s = load.weight_bytes / (rates.weights * bandwidth * GB)
        if work.cpu_decode_s(load) > memory_s:
            limits = f"compute (cores: {load.physical_cores}), not by {bandwidth:.0f} GB/s"
            return f"{text}, limited by {limits} ({load.name})"
    return f"{text} at {rates.weights:.0%} of {bandwidth:.0f} GB/s ({load.name})"


def _band_text(name: str, band: Band) -> str:
    if not band.n_rows:
        return f"band by judgement, no measured run of this kind ({name}) is known"
    return f"band from {band.n_rows} measured runs ({name})"
