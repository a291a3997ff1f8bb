"""Which constants hold for a device under an engine, and what they mean; their values are in `fitted`."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from advisor.speed.load import DeviceLoad, Engine

Kernel = Literal["16 bit", "8 bit", "5 and 6 bit", "4 bit", "K", "IQ4", "IQ"]
"""Kinds of weights whose kernels are alike: "4 bit" are plain blocks (Q4_0, IQ4_NL, MXFP4), "K" the blocks
of blocks up to Q4_K, "IQ4" IQ4_XS, "IQ" the types whose values are looked up in larger tables."""
_MORE_BITS: Final = 5.25
"""Bits a weight from which a mix of K blocks is mostly of Q5_K and Q6_K, as where rows divide no block."""


class Rates(NamedTuple):
    """What an engine's kernels reach on one kind of device."""

    weights: float
    """Share of the bandwidth reached while reading weights."""
    cache: float | None
    """Bytes/s of cache that the attention kernels handle on a device of 1 TB/s, beside reading it; None: no
    limit."""
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
    n_devices: int = 0
    """Devices that those runs were on."""


class CoreRates(NamedTuple):
    """What one CPU core computes with one kind of weights, FLOP/s."""

    decode: float
    prefill: float


_GENERATIONS: Final = {7: "7.5", 8: "8.6", 9: "9.0", 10: "9.0"}
"""The measured compute capability whose kernels others of its major version run like."""


def rates_key(load: DeviceLoad, backend: Engine) -> str:
    """The row of `fitted.RATES` for a device under an engine."""
    if load.kind == "cpu":
        return "cpu measured" if load.measured else "cpu"
    if backend == "mlx":
        return "mlx"
    vendor = load.vendor if load.vendor in ("nvidia", "amd", "apple") else "intel"
    if vendor == "amd":
        words = ("amd", "unified" if load.unified else "", "vulkan" if load.accelerator == "vulkan" else "")
        return " ".join(filter(None, words))
    if vendor == "nvidia" and load.unified:
        return "nvidia unified"
    if vendor != "nvidia" or not load.compute_capability:
        return vendor
    return f"nvidia {_generation(load.compute_capability)}"


def _generation(capability: str) -> str:
    """The measured compute capability that a GPU runs like: "8.0" is HBM Ampere, "8.6" GeForce."""
    if capability in ("6.0", "8.0", "8.9"):
        return capability
    major = int(capability.split(".")[0])
    return _GENERATIONS.get(major, "6.1" if major < 7 else "12.0")


def kernel_of(quantization: str, bits: float) -> Kernel:
    """The kernels that run a quantization's weights; `bits` a weight, as they are."""
    name = quantization.upper()
    if name.startswith(("IQ4_NL", "MXFP4", "Q4_0", "Q4_1", "NVFP4")):
        return "4 bit"
    if name.startswith("IQ"):
        return "IQ4" if name.startswith("IQ4") else "IQ"
    if name.startswith("Q8"):
        return "8 bit"
    if name.startswith("Q"):
        return "K" if bits < _MORE_BITS else "5 and 6 bit"
    return "16 bit"
