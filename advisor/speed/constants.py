"""The shape of what tests/benchmarks/fit_speed.py fits; `fitted` holds the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from advisor.speed.rates import Band, CoreRates, Kernel, Rates


class Constants(NamedTuple):
    """Everything in the speed model that is measured and not known beforehand."""

    rates: Mapping[str, Rates]
    """By kind of device, as `rates_key` names it."""
    kernels: Mapping[Kernel, float]
    """On GPUs: by what factor other kinds of weights are read faster than K blocks."""
    cores: Mapping[Kernel, CoreRates]
    """One CPU core with AVX-512."""
    plain_core: CoreRates
    """A core without it, as a share of one with it; no unit."""
    wide_prefill: float
    """How much faster a core reads prompts that has AVX-VNNI as well (Zen 5, Sapphire Rapids and later)."""
    core_cache: float
    """Bytes/s of cache that one core attends to while decoding."""
    sockets_share: float
    """Of what one processor reaches of its bandwidth and cores, where several share the memory: a core reads
    most of it from another's."""
    attention_prefill: float
    """FLOPs of the matrices that cost as much as one of attention on a prompt."""
    experts_prefill: float
    """Of the rate on dense layers: routed experts, each of which sees few of a batch's tokens."""
    boundary_s: float
    """Added where two GPUs share the layers: what they hand over, and wait. It grows with the root of the
    GPUs beyond the first (2 to 8 RTX 3090 and 4090, 2024-05)."""
    pipeline_share: float
    """Of what GPUs that share the layers could gain on a prompt by working on several graphs at once."""
    sequence_share: float
    """What each further sequence of a batch adds to reading the weights where no compute rate is known."""
    bands: Mapping[str, Band]
    """By kind of placement, as `Work.band_name` names it."""
    measured_bandwidth: int
    """The fastest memory among the runs, bytes/s; above it a share of the bandwidth is an extrapolation."""
