"""Detected GPUs and the hardware catalog's rows: what drivers do not tell, the makers' figures do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from advisor.hardware import Gpu, GpuSpec

VRAM_TOLERANCE: Final = 0.1
"""Drivers report a little less than the row where error correction is on (1/16 of GDDR6), while variants
of one name differ by a sixth or more (10 and 12 GB)."""
MIG_MEMORY_SLICES: Final = 8
"""A card in MIG mode is divided into eighths of its memory, bandwidth included (NVIDIA's MIG user guide)."""
MIG_MARK: Final = " MIG "
"""NVML names a slice "NVIDIA H100 80GB HBM3 MIG 1g.10gb": the card's name, this, the profile."""


def find_spec(gpu: Gpu, specs: Sequence[GpuSpec]) -> GpuSpec | None:
    """The row with exactly the driver's name; among variants, the one with that much memory."""
    name = gpu.name.partition(MIG_MARK)[0]
    named = [spec for spec in specs if spec.vendor == gpu.vendor and name in spec.match]
    if gpu.mig or gpu.unified:  # its memory is not the card's own
        return named[0] if len(named) == 1 else None
    near = [spec for spec in named if _vram_gap(gpu, spec) <= VRAM_TOLERANCE]
    return min(near, key=lambda spec: _vram_gap(gpu, spec), default=None)


def complete(gpu: Gpu, specs: Sequence[GpuSpec]) -> Gpu:
    """The GPU with the catalog's figures; unchanged where there is no row for it."""
    spec = find_spec(gpu, specs)
    if spec is None:
        return gpu
    if gpu.mig:  # shares of compute and power are not stated, hence unknown
        return gpu.model_copy(
            update={"catalog_id": spec.id, "bandwidth_bytes_per_s": _slice_bandwidth(gpu, spec)}
        )
    return gpu.model_copy(
        update={
            "catalog_id": spec.id,
            "bandwidth_bytes_per_s": spec.bandwidth_bytes_per_s,
            "compute_capability": gpu.compute_capability or spec.compute_capability,
            **spec.figures,
        }
    )


def _vram_gap(gpu: Gpu, spec: GpuSpec) -> float:
    """How far the row's memory is from the driver's, as a part of the row's."""
    return abs(spec.vram_bytes - gpu.vram_bytes) / spec.vram_bytes if spec.vram_bytes else 0.0


def _slice_bandwidth(gpu: Gpu, spec: GpuSpec) -> int | None:
    if spec.bandwidth_bytes_per_s is None or spec.vram_bytes is None:
        return None
    slices = max(1, round(MIG_MEMORY_SLICES * gpu.vram_bytes / spec.vram_bytes))
    return spec.bandwidth_bytes_per_s * min(slices, MIG_MEMORY_SLICES) // MIG_MEMORY_SLICES
