"""Detected GPUs and the hardware catalog's rows: what drivers do not tell, the makers' figures do.

A row is found by its exact name, and among rows of one name by the memory. Where that leaves several, none is
taken, and of their figures only those are filled in that all of them share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

from advisor.device_names import device_name
from advisor.hardware import Gpu, GpuSpec, Vendor
from advisor.i18n import _

VRAM_TOLERANCE: Final = 0.1
"""Drivers report a little less than the row where error correction is on (1/16 of GDDR6), while variants
of one name differ by a sixth or more (10 and 12 GB)."""
POOL_TOLERANCE: Final = 0.2
"""Firmware and kernel keep 4 to 14 % of unified memory (llama.cpp prints 62,827 MiB on a Jetson Orin of
64 GB, 7,607 on one of 8), while the sizes sold differ by a factor of two."""
MIG_MEMORY_SLICES: Final = 8
"""A card in MIG mode is divided into eighths of its memory, bandwidth included (NVIDIA's MIG user guide)."""


def named_specs(name: str, vendor: Vendor, specs: Sequence[GpuSpec]) -> tuple[GpuSpec, ...]:
    """The maker's rows that bear the name which a driver or tool printed: variants, or none.

    Capitals count where rows differ in nothing else: "RTX 2070 SUPER" is a card, "RTX 2070 Super" a laptop's.
    """
    printed = device_name(name)
    own = [spec for spec in specs if spec.vendor == vendor]
    alike = [spec for spec in own if any(device_name(match).key == printed.key for match in spec.match)]
    same = [spec for spec in alike if any(device_name(match).words == printed.words for match in spec.match)]
    return tuple(same or alike)


def candidates(gpu: Gpu, specs: Sequence[GpuSpec]) -> tuple[GpuSpec, ...]:
    """The rows that the GPU can be: with its name and, where that tells them apart, its memory."""
    named = named_specs(gpu.name, gpu.vendor, specs)
    if _is_part(gpu):  # its memory is not the card's own
        return named
    if gpu.unified:
        return named if len(named) == 1 else tuple(spec for spec in named if _fits_pool(gpu, spec))
    near = [spec for spec in named if _vram_gap(gpu, spec) <= VRAM_TOLERANCE]
    least = min((_vram_gap(gpu, spec) for spec in near), default=0.0)
    return tuple(spec for spec in near if _vram_gap(gpu, spec) == least)


def find_spec(gpu: Gpu, specs: Sequence[GpuSpec]) -> GpuSpec | None:
    """The GPU's row; None where there is none, and where several are possible."""
    found = candidates(gpu, specs)
    return found[0] if len(found) == 1 else None


def why_unidentified(gpu: Gpu, specs: Sequence[GpuSpec]) -> str:
    """Why `find_spec` has no row: the end of a sentence about the GPU."""
    if found := candidates(gpu, specs):
        gpus = reduce(lambda one, other: _("{one} or {other}").format(one=one, other=other), _names(found))
        return _("can be {gpus}: name it with --hardware").format(gpus=gpus)
    if named := named_specs(gpu.name, gpu.vendor, specs):
        gpus = reduce(lambda one, other: _("{one} and {other}").format(one=one, other=other), _names(named))
        return _("has another amount of memory than {gpus}").format(gpus=gpus)
    return _("is not in the hardware catalog")


def _names(specs: Sequence[GpuSpec]) -> list[str]:
    return [spec.name for spec in specs]


def complete(gpu: Gpu, specs: Sequence[GpuSpec]) -> Gpu:
    """The GPU with the catalog's figures; unchanged where there is no row for it."""
    found = candidates(gpu, specs)
    if not found:
        return gpu
    catalog_id = found[0].id if len(found) == 1 else None
    if _is_part(gpu) and not _is_whole(gpu, found):  # shares of compute and power are not stated
        bandwidth = _slice_bandwidth(gpu, found[0]) if gpu.mig and catalog_id else None
        return gpu.model_copy(update={"catalog_id": catalog_id, "bandwidth_bytes_per_s": bandwidth})
    shared = _shared_figures(found)
    capability = gpu.compute_capability or shared["compute_capability"]
    return gpu.model_copy(update={**shared, "compute_capability": capability, "catalog_id": catalog_id})


def _shared_figures(specs: Sequence[GpuSpec]) -> dict[str, object]:
    """What `Gpu` takes over from its row, of several rows only what is the same in all; else None."""
    figures = [_figures(spec) for spec in specs]
    first = figures[0]
    return {
        field: value if all(other[field] == value for other in figures) else None
        for field, value in first.items()
    }


def _figures(spec: GpuSpec) -> dict[str, object]:
    return {
        "bandwidth_bytes_per_s": spec.bandwidth_bytes_per_s,
        "compute_capability": spec.compute_capability,
        **spec.figures,
    }


def _is_part(gpu: Gpu) -> bool:
    return gpu.mig or device_name(gpu.name).part


def _is_whole(gpu: Gpu, specs: Sequence[GpuSpec]) -> bool:
    """Whether a virtual GPU has all the card's memory, and so the card for itself."""
    return not gpu.mig and all(_vram_gap(gpu, spec) <= VRAM_TOLERANCE for spec in specs)


def _vram_gap(gpu: Gpu, spec: GpuSpec) -> float:
    """How far the row's memory is from the driver's, as a part of the row's."""
    return abs(spec.vram_bytes - gpu.vram_bytes) / spec.vram_bytes if spec.vram_bytes else 0.0


def _fits_pool(gpu: Gpu, spec: GpuSpec) -> bool:
    """Whether the row is sold with the memory that the GPU shares, where the driver gives it all of that."""
    if spec.usable_fraction != 1 or not spec.ram_bytes:
        return True
    return any((1 - POOL_TOLERANCE) * size <= gpu.vram_bytes <= size for size in spec.ram_bytes)


def _slice_bandwidth(gpu: Gpu, spec: GpuSpec) -> int | None:
    if spec.bandwidth_bytes_per_s is None or spec.vram_bytes is None:
        return None
    slices = max(1, round(MIG_MEMORY_SLICES * gpu.vram_bytes / spec.vram_bytes))
    return spec.bandwidth_bytes_per_s * min(slices, MIG_MEMORY_SLICES) // MIG_MEMORY_SLICES
