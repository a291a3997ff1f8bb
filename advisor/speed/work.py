"""How long a placement's work takes: a roofline over what its devices read and compute.

Decoding one token reads every active weight and the sequence's cache once, so its time is bytes over the
bandwidth that the kernels reach, plus a fixed cost of launching each layer. Devices that share the layers
work one after the other: a second GPU adds capacity, not speed. Reading a prompt is compute-bound instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Final, NamedTuple

from advisor.engine_steps import FITTED as ENGINE_STEPS
from advisor.engine_steps import Driver, chosen_share
from advisor.i18n import N_, _
from advisor.speed.constants import Constants
from advisor.speed.fitted import FITTED
from advisor.speed.load import DeviceLoad, Engine
from advisor.speed.rates import Band, Rates, kernel_of, rates_key
from advisor.units import GB

CACHE_SHARE: Final = 0.7
"""Of the bandwidth, while reading the cache: Strix Halo, whose attention is bound by nothing else."""
CACHE_AT: Final = 1_000 * GB
"""The bandwidth at which `Rates.cache` holds."""
CACHE_POWER: Final = 0.5
"""By which the attention kernels handle more cache on devices of more bandwidth: they have more units as
well, which one sequence keeps busy only in part (M1 Max to M2 Ultra, RTX 3070 to H100, 2024-05)."""
MOST_WEIGHTS: Final = 0.97
"""No kernel reads weights faster than this share of the bandwidth."""
N_UBATCH: Final = 512
"""Prompt tokens of one graph, llama.cpp's default: the weights are read once for each."""
N_PIPELINED: Final = 4
"""Graphs of one batch, 2,048 tokens of 512 each: as many can be on their way through several GPUs."""
COPY_BATCH: Final = 32
"""llama.cpp copies host weights to a GPU for batches of at least this many tokens, and computes there."""
PCIE_BYTES_PER_S: Final = 12 * GB
"""What such copies reach: about half of PCIe 4.0 x16, since the source is not pinned memory."""
PLACEMENTS: Final[Mapping[str, str]] = {
    "one NVIDIA GPU": N_("one NVIDIA GPU"),
    "mixtures of experts on one GPU": N_("mixtures of experts on one GPU"),
    "several GPUs": N_("several GPUs"),
    "AMD GPUs": N_("AMD GPUs"),
    "Apple GPUs": N_("Apple GPUs"),
    "other GPUs": N_("other GPUs"),
    "CPUs": N_("CPUs"),
    "GPU and CPU together": N_("GPU and CPU together"),
}
"""The rows of `Constants.bands` in words."""
WIDER: Final = 0.6
"""On the low end of the band where the memory is faster than any measured: kernels may bind first."""


class Work(NamedTuple):
    """A placement and what runs it."""

    loads: tuple[DeviceLoad, ...]
    backend: Engine
    quantization: str
    n_experts: int = 0
    n_experts_used: int = 0
    constants: Constants = FITTED

    @property
    def gpus(self) -> tuple[DeviceLoad, ...]:
        """The GPUs among the devices."""
        return tuple(load for load in self.loads if load.kind == "gpu")

    @property
    def is_split(self) -> bool:
        """Whether several GPUs have the layers, each its own, and the host has none."""
        return 1 < len(self.gpus) == len(self.loads)

    def rates(self, load: DeviceLoad) -> Rates:
        """What the engine reaches on a device."""
        return self.constants.rates[rates_key(load, self.backend)]

    def weights_share(self, load: DeviceLoad) -> float:
        """The share of a device's bandwidth that the kernels of this quantization reach on weights."""
        share = self.rates(load).weights
        if load.kind == "gpu":
            share *= self.constants.kernels[kernel_of(self.quantization, load.bits)]
        elif load.sockets > 1:
            share *= self.constants.sockets_share
        return min(MOST_WEIGHTS, share)

    def step_bytes(self, load: DeviceLoad, n_tokens: int) -> float:
        """Weights that one graph of `n_tokens` tokens reads on a device.

        Tokens share everything but the routed experts; of those a layer reads as many as the tokens are
        expected to choose between them; tokens of one text choose more alike than by chance.
        """
        if n_tokens == 1 or not load.expert_bytes_total or not self.n_experts:
            return load.weight_bytes
        chosen = chosen_share(self.n_experts_used / self.n_experts, n_tokens)
        return float(load.shared_bytes + load.expert_bytes_total * chosen)

    def decode_s(self, n_seqs: int, n_tokens: int = 1) -> float | None:
        """Seconds of a step through `n_tokens` tokens of each of `n_seqs` sequences; None: no bandwidth.

        More than one token a sequence is what a draft model proposed, to be verified together.
        """
        times = [self._device_decode_s(load, n_seqs, n_tokens) for load in self.loads]
        if not times or None in times:
            return None
        step_s = max(self.rates(load).step_s for load in self.loads)
        return sum(t for t in times if t is not None) + step_s + self._boundaries_s() + self._more_s(n_seqs)

    def prompt_s(self, n_tokens: int, first: int = 0) -> float | None:
        """Seconds to read a prompt behind `first` tokens; None where a compute rate is not known."""
        times = [self._device_prompt_s(load, n_tokens, first) for load in self.loads]
        if not times or None in times:
            return None
        n_graphs = ceil(n_tokens / N_UBATCH)
        device_s = sum(t for t in times if t is not None)
        return device_s / self._overlap(n_graphs) + self._boundaries_s() * n_graphs

    def band(self) -> tuple[str, Band]:
        """The kind of placement, in words, whose measurements tell how far off this may be."""
        name = self.band_name()
        text, band = _(PLACEMENTS[name]), self.constants.bands[name]
        if any((load.bandwidth_bytes_per_s or 0) > self.constants.measured_bandwidth for load in self.gpus):
            text = _("{placement} (its memory is faster than any measured)").format(placement=text)
            return text, band._replace(low=band.low * WIDER)
        return text, band

    def band_name(self) -> str:
        """The row of `Constants.bands` for this placement."""
        gpus = self.gpus
        if not gpus:
            return "CPUs"
        if len(gpus) < len(self.loads):
            return "GPU and CPU together"
        if len(gpus) > 1:
            return "several GPUs"
        if self.n_experts:
            return "mixtures of experts on one GPU"
        return {"nvidia": "one NVIDIA GPU", "apple": "Apple GPUs", "amd": "AMD GPUs"}.get(
            gpus[0].vendor or "", "other GPUs"
        )

    def _overlap(self, n_graphs: int) -> float:
        """How many GPUs of a split are busy at once: a prompt's graphs follow each other through them."""
        if not self.is_split:
            return 1.0
        n_batches = ceil(n_graphs / N_PIPELINED)
        steps = n_graphs + n_batches * (len(self.gpus) - 1)
        return 1 + (n_graphs * len(self.gpus) / steps - 1) * self.constants.pipeline_share

    def _boundaries_s(self) -> float:
        """Seconds a graph spends between GPUs that share the layers."""
        return sqrt(len(self.gpus) - 1) * self.constants.boundary_s if self.is_split else 0.0

    def _more_s(self, n_seqs: int) -> float:
        """Seconds that sequences after the first take beside their caches and tokens."""
        if not self.gpus:
            return 0.0
        driver: Driver = "metal" if self.gpus[0].vendor == "apple" else "llama.cpp"
        return (n_seqs - 1) * ENGINE_STEPS.sequence_s[driver]

    def _device_decode_s(self, load: DeviceLoad, n_seqs: int, n_tokens: int) -> float | None:
        if load.bandwidth_bytes_per_s is None:
            return None
        rates, bandwidth = self.rates(load), load.bandwidth_bytes_per_s
        weights_s = self.step_bytes(load, n_seqs * n_tokens) / (bandwidth * self.weights_share(load))
        cache_s = (load.kv_bytes + load.recurrent_bytes) / (bandwidth * CACHE_SHARE)
        if rates.cache:
            rate = rates.cache * (bandwidth / CACHE_AT) ** CACHE_POWER
            cache_s += load.kv_bytes_attended / rate
        if load.kind == "cpu" and load.physical_cores:
            weights_s = max(weights_s, self.cpu_decode_s(load))
            cache_s = max(cache_s, load.kv_bytes_attended / (load.physical_cores * self.constants.core_cache))
        flops = self._prefill_flops(load)
        token_s = 2 * load.n_params_active / flops if flops else weights_s * self.constants.sequence_share
        more_s = token_s * (n_seqs * n_tokens - 1)
        return weights_s + cache_s * n_seqs + more_s + load.n_layers * rates.layer_s

    def cpu_decode_s(self, load: DeviceLoad) -> float:
        """Seconds in which the cores unpack and multiply the weights for one token."""
        if not load.n_params_active or not load.physical_cores:
            return 0.0
        flops = self._core_rates(load)[0] * load.physical_cores
        return 2 * load.n_params_active / flops

    def _core_rates(self, load: DeviceLoad) -> tuple[float, float]:
        """FLOP/s of one core while decoding and on a prompt."""
        core = self.constants.cores[kernel_of(self.quantization, load.bits)]
        decode, prefill = core
        if "avx512f" not in load.features:
            decode, prefill = (n * share for n, share in zip(core, self.constants.plain_core, strict=True))
        elif "avx_vnni" in load.features:
            prefill *= self.constants.wide_prefill
        return decode, prefill * (self.constants.sockets_share if load.sockets > 1 else 1.0)

    def _prefill_flops(self, load: DeviceLoad) -> float | None:
        """FLOP/s that a device reaches on a prompt through dense layers; None where it is not known."""
        if load.kind == "cpu":
            return self._core_rates(load)[1] * load.physical_cores if load.physical_cores else None
        share = self.rates(load).prefill
        return load.fp16_flops * share if load.fp16_flops and share else None

    def _device_prompt_s(self, load: DeviceLoad, n_tokens: int, first: int) -> float | None:
        """Seconds a device's layers take for a prompt, on the GPU where that is where they are computed."""
        place = self._prompt_place(load, n_tokens)
        flops = self._prefill_flops(place)
        if flops is None or load.bandwidth_bytes_per_s is None:
            return None
        n_graphs = ceil(n_tokens / N_UBATCH)
        graph_bytes = self.step_bytes(load, min(n_tokens, N_UBATCH))
        experts_dearer = 1 + load.expert_share * (1 / self.constants.experts_prefill - 1)
        matrices = 2 * load.n_params_active * n_tokens * experts_dearer
        attention = load.attention_flops(first, n_tokens) * self.constants.attention_prefill
        compute_s = (matrices + attention) / flops
        copied = place is not load
        bandwidth = PCIE_BYTES_PER_S if copied else load.bandwidth_bytes_per_s * self.weights_share(load)
        read_s = n_graphs * graph_bytes / bandwidth
        busy_s = read_s + compute_s if copied else max(read_s, compute_s)
        return busy_s + n_graphs * load.n_layers * self.rates(place).layer_s

    def _prompt_place(self, load: DeviceLoad, n_tokens: int) -> DeviceLoad:
        """The device that computes a load's prompts: a discrete GPU also those of the host's weights."""
        discrete = [gpu for gpu in self.gpus if not gpu.unified]
        return discrete[0] if load.kind == "cpu" and discrete and n_tokens >= COPY_BATCH else load
