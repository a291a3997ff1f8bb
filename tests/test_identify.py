"""Which row of the hardware catalog a GPU is, and what of it completes what the driver told."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.hardware import Gpu, GpuSpec
from advisor.probes import identify
from advisor.units import GB, GIB, MIB


def spec(row: str, match: str, gib: float | None, gb_s: int | None, **changes: Any) -> GpuSpec:
    values: dict[str, Any] = {
        "id": row,
        "name": row,
        "vendor": "nvidia",
        "architecture": "Ampere",
        "vram_bytes": None if gib is None else int(gib * GIB),
        "bandwidth_bytes_per_s": None if gb_s is None else gb_s * GB,
        "match": (match,),
        "source": "maker",
        "checked": "2026-11-20",
    }
    return GpuSpec(**{**values, **changes})


SPECS = (
    spec(
        "rtx-3060-laptop", "NVIDIA GeForce RTX 3060 Laptop GPU", 6, 336, tdp_watts=80, fp16_flops=42 * 10**12
    ),
    spec("rtx-3060", "NVIDIA GeForce RTX 3060", 12, 360),
    spec("rtx-3080-10gb", "NVIDIA GeForce RTX 3080", 10, 760),
    spec("rtx-3080-12gb", "NVIDIA GeForce RTX 3080", 12, 912),
    spec("a10", "NVIDIA A10", 24, 600),
    spec("h100-sxm", "NVIDIA H100 80GB HBM3", 79.65, 3352, fp16_flops=989 * 10**12, tdp_watts=700),
    spec("gb10", "NVIDIA GB10", None, 273, memory="unified"),
    spec("impostor", "NVIDIA GeForce RTX 3060", 12, 1, vendor="amd"),
)


def gpu(name: str, mib: int, **changes: Any) -> Gpu:
    return Gpu(**{"index": 0, "name": name, "vendor": "nvidia", "vram_bytes": mib * MIB, **changes})


@pytest.mark.parametrize(
    ("found", "row"),
    [
        pytest.param(gpu("NVIDIA GeForce RTX 3060 Laptop GPU", 6144), "rtx-3060-laptop", id="laptop"),
        pytest.param(gpu("NVIDIA GeForce RTX 3060", 12288), "rtx-3060", id="desktop"),
        pytest.param(gpu("NVIDIA GeForce RTX 3060", 8192), None, id="variant-that-is-not-listed"),
        pytest.param(gpu("NVIDIA GeForce RTX 3080", 10240), "rtx-3080-10gb", id="variant-10"),
        pytest.param(gpu("NVIDIA GeForce RTX 3080", 12288), "rtx-3080-12gb", id="variant-12"),
        pytest.param(gpu("NVIDIA A10", 23028), "a10", id="error-correction-takes-a-sixteenth"),
        pytest.param(gpu("NVIDIA A100", 24576), None, id="a-part-of-the-name-is-no-match"),
        pytest.param(gpu("NVIDIA GB10", 122000, memory="unified"), "gb10", id="unified"),
        pytest.param(gpu("NVIDIA GeForce RTX 3080", 5000, mig=True), None, id="slice-of-either-variant"),
    ],
)
def test_find_spec(found: Gpu, row: str | None) -> None:
    assert identify.complete(found, SPECS).catalog_id == row
    assert identify.complete(found, SPECS[::-1]).catalog_id == row


def test_the_row_completes_what_the_driver_told() -> None:
    found = gpu("NVIDIA GeForce RTX 3060 Laptop GPU", 6144, free_bytes=5 * GIB, compute_capability="8.6")
    done = identify.complete(found, SPECS)
    assert (done.bandwidth_bytes_per_s, done.fp16_flops, done.tdp_watts) == (336 * GB, 42 * 10**12, 80)
    assert (done.vram_bytes, done.free_bytes, done.compute_capability) == (6 * GIB, 5 * GIB, "8.6")
    assert identify.complete(found, ()) == found


@pytest.mark.parametrize(
    ("profile", "mib", "eighths"),
    [
        pytest.param("1g.10gb", 9984, 1, id="1g"),
        pytest.param("1g.20gb", 20096, 2, id="1g-double-memory"),
        pytest.param("3g.40gb", 40448, 4, id="3g"),
        pytest.param("7g.80gb", 81000, 8, id="7g"),
    ],
)
def test_a_slice_has_its_share_of_the_bandwidth(profile: str, mib: int, eighths: int) -> None:
    done = identify.complete(gpu(f"NVIDIA H100 80GB HBM3 MIG {profile}", mib, mig=True), SPECS)
    assert done.catalog_id == "h100-sxm"
    assert done.bandwidth_bytes_per_s == eighths * 419 * GB
    assert (done.fp16_flops, done.tdp_watts) == (None, None)  # not stated for slices
