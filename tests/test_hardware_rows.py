"""Rows of AMD, Apple, Huawei and Intel: cells looked up on makers' pages, names that are never confused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from advisor.device_names import device_name
from advisor.hardware import Gpu, GpuSpec, Vendor
from advisor.hardware_catalog import load_hardware
from advisor.probes.identify import find_spec
from advisor.units import GB, GIB, MIB

SPECS: Final = load_hardware().gpus
ROWS: Final = {spec.id: spec for spec in SPECS}
THESE: Final = tuple(spec for spec in SPECS if spec.vendor != "nvidia")
TERA: Final = 10**12

ROCM: Final = "https://rocm.docs.amd.com/en/latest/reference/gpu-arch-specs.html"
CDNA: Final = "https://rocm.docs.amd.com/en/latest/conceptual/gpu-arch/mi100.html"
CDNA2: Final = "https://rocm.docs.amd.com/en/latest/conceptual/gpu-arch/mi250.html"
CDNA3: Final = "https://rocm.docs.amd.com/en/latest/conceptual/gpu-arch/mi300.html"
RX9000: Final = (
    "https://www.amd.com/en/products/graphics/desktops/radeon/9000-series/amd-radeon-rx-9070xt.html"
)
MACBOOK_2023: Final = "https://support.apple.com/en-au/117737"
MAC_STUDIO_2026: Final = "https://www.apple.com/mac-studio/specs/"
MAC_MINI_2026: Final = "https://www.apple.com/mac-mini/specs/"
INTEL_B: Final = "https://zolotukhin.ai/zinc/docs/intel-gpu-reference/"
"""Intel's product pages, read on 2026-05-18."""
SYCL: Final = "https://github.com/ggml-org/llama.cpp/blob/master/docs/backend/SYCL.md"


def gib(*sizes: int) -> tuple[int, ...]:
    return tuple(size * GIB for size in sizes)


VRAM_GIB: Final = {
    288: "mi355x mi350x",
    256: "mi325x",
    192: "mi300x",
    64: "mi250x mi250 mi210",
    48: "radeon-pro-w7900 radeon-pro-w7800-48gb",
    32: "mi100 mi60 mi50-32gb radeon-ai-pro-r9700 radeon-pro-w7800-32gb radeon-pro-w6800 radeon-pro-v620",
    28: "radeon-pro-v710",
    24: "rx-7900-xtx",
    20: "rx-7900-xt",
    16: "mi50 mi25 radeon-pro-w7700 radeon-pro-vii radeon-vii rx-9070-xt rx-9070 rx-9070-gre-16gb"
    " rx-9060-xt-16gb rx-7900-gre rx-7800-xt rx-6950-xt rx-6900-xt rx-6800-xt rx-6800",
    12: "rx-7700-xt rx-6750-xt rx-6700-xt",
    10: "rx-6700",
    8: "radeon-pro-w6600 rx-7600 rx-6650-xt rx-6600-xt rx-6600",
}
"""AMD's own table (`ROCM`): a module of two dies counts half. Drivers report up to 1 % less."""


@pytest.mark.parametrize(
    ("row", "size"), [(row, size) for size, rows in VRAM_GIB.items() for row in rows.split()]
)
def test_memory_is_what_amd_lists(row: str, size: int) -> None:
    vram = ROWS[row].vram_bytes
    assert vram is not None
    assert 0.99 * size * GIB <= vram <= size * GIB, ROCM


@pytest.mark.parametrize(
    ("row", "field", "value", "page"),
    [
        pytest.param("mi100", "fp16_flops", 184.6 * TERA, CDNA, id="mi100 fp16"),
        pytest.param("mi100", "bf16_flops", 92.3 * TERA, CDNA, id="mi100 bf16, at half"),
        pytest.param("mi100", "bandwidth_bytes_per_s", 1_228.8 * GB, CDNA, id="mi100 4096 bit at 2.4 Gbit/s"),
        pytest.param("mi100", "pcie", "4.0 x16", CDNA, id="mi100 slot"),
        pytest.param("mi250", "fp16_flops", 362.1 / 2 * TERA, CDNA2, id="mi250 die fp16"),
        pytest.param("mi250", "bf16_flops", 362.1 / 2 * TERA, CDNA2, id="mi250 die bf16"),
        pytest.param("mi250", "int8_ops", 362.1 / 2 * TERA, CDNA2, id="mi250 die int8"),
        pytest.param("mi250", "bandwidth_bytes_per_s", 1_638.4 * GB, CDNA2, id="mi250 die bandwidth"),
        pytest.param("mi210", "fp16_flops", 181 * TERA, CDNA2, id="mi210 is one such die"),
        pytest.param("mi300x", "fp16_flops", 1_307.4 * TERA, CDNA3, id="mi300x fp16"),
        pytest.param("mi300x", "bf16_flops", 1_307.4 * TERA, CDNA3, id="mi300x bf16"),
        pytest.param("mi300x", "fp8_flops", 2_614.9 * TERA, CDNA3, id="mi300x fp8"),
        pytest.param("mi300x", "int8_ops", 2_614.9 * TERA, CDNA3, id="mi300x int8"),
        pytest.param("mi300x", "bandwidth_bytes_per_s", 5_300 * GB, CDNA3, id="mi300x bandwidth"),
        pytest.param("mi300x", "pcie", "5.0 x16", CDNA3, id="mi300x slot"),
        pytest.param("mi300x", "link", "xgmi", CDNA3, id="mi300x link"),
        pytest.param("mi300a", "ram_bytes", gib(128), ROCM, id="mi300a pool"),
        pytest.param("rx-9070-xt", "bandwidth_bytes_per_s", 640 * GB, RX9000, id="9070 xt, not 644.6"),
        pytest.param("m3-pro-18-core", "bandwidth_bytes_per_s", 150 * GB, MACBOOK_2023, id="m3 pro"),
        pytest.param("m3-pro-18-core", "cpu_cores", 12, MACBOOK_2023, id="m3 pro cpu"),
        pytest.param("m3-pro-18-core", "ram_bytes", gib(18, 36), MACBOOK_2023, id="m3 pro ram"),
        pytest.param("m3-max-30-core", "bandwidth_bytes_per_s", 300 * GB, MACBOOK_2023, id="m3 max 30"),
        pytest.param("m3-max-30-core", "cpu_cores", 14, MACBOOK_2023, id="m3 max 30 cpu"),
        pytest.param("m3-max-30-core", "ram_bytes", gib(36, 96), MACBOOK_2023, id="m3 max 30 ram"),
        pytest.param("m3-max-40-core", "bandwidth_bytes_per_s", 400 * GB, MACBOOK_2023, id="m3 max 40"),
        pytest.param("m3-max-40-core", "cpu_cores", 16, MACBOOK_2023, id="m3 max 40 cpu"),
        pytest.param("m5-max-32-core", "bandwidth_bytes_per_s", 460 * GB, MAC_STUDIO_2026, id="m5 max 32"),
        pytest.param("m5-max-32-core", "ram_bytes", gib(36), MAC_STUDIO_2026, id="m5 max 32 ram"),
        pytest.param("m5-max-32-core", "cpu_cores", 18, MAC_STUDIO_2026, id="m5 max 32 cpu"),
        pytest.param("m5-max-40-core", "bandwidth_bytes_per_s", 614 * GB, MAC_STUDIO_2026, id="m5 max 40"),
        pytest.param("m5-max-40-core", "ram_bytes", gib(48, 64, 128), MAC_STUDIO_2026, id="m5 max 40 ram"),
        pytest.param(
            "m5-ultra-64-core", "bandwidth_bytes_per_s", 1_200 * GB, MAC_STUDIO_2026, id="m5 ultra 64"
        ),
        pytest.param("m5-ultra-64-core", "cpu_cores", 30, MAC_STUDIO_2026, id="m5 ultra 64 cpu"),
        pytest.param("m5-ultra-80-core", "cpu_cores", 36, MAC_STUDIO_2026, id="m5 ultra 80 cpu"),
        pytest.param(
            "m5-ultra-80-core", "ram_bytes", gib(96, 256, 512), MAC_STUDIO_2026, id="m5 ultra 80 ram"
        ),
        pytest.param("m6-12-core", "bandwidth_bytes_per_s", 153 * GB, MAC_MINI_2026, id="m6 with 16 GB"),
        pytest.param("arc-b580", "bandwidth_bytes_per_s", 456 * GB, INTEL_B, id="b580"),
        pytest.param("arc-b580", "pcie", "4.0 x8", INTEL_B, id="b580 slot"),
        pytest.param("arc-b570", "bandwidth_bytes_per_s", 380 * GB, INTEL_B, id="b570"),
        pytest.param("arc-pro-b50", "int8_ops", 170 * TERA, INTEL_B, id="b50 int8"),
        pytest.param("arc-pro-b60", "int8_ops", 197 * TERA, INTEL_B, id="b60 int8"),
        pytest.param("arc-pro-b65", "bandwidth_bytes_per_s", 608 * GB, INTEL_B, id="b65: the bus of the b70"),
        pytest.param("arc-pro-b65", "int8_ops", 197 * TERA, INTEL_B, id="b65: the cores of the b60"),
        pytest.param("arc-pro-b70", "int8_ops", 367 * TERA, INTEL_B, id="b70 int8"),
        pytest.param("arc-pro-b70", "tdp_watts", 230, INTEL_B, id="b70 power"),
        pytest.param("arc-pro-b70", "pcie", "5.0 x16", INTEL_B, id="b70 slot"),
        pytest.param("arc-a770-16gb", "vram_bytes", 16_225_243_136, SYCL, id="a770, as its driver reports"),
    ],
)
def test_cells_are_the_makers(row: str, field: str, value: object, page: str) -> None:
    found = getattr(ROWS[row], field)
    assert found == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value), page


@pytest.mark.parametrize(
    ("vendor", "name", "vram_mib", "row"),
    [
        ("amd", "AMD Radeon RX 7600", 8176, "rx-7600"),
        ("amd", "AMD Radeon RX 7600 XT", 16368, "rx-7600-xt"),
        ("amd", "AMD Radeon RX 7600M XT", 8176, "rx-7600m-xt"),
        ("amd", "AMD Radeon RX 7600M", 8176, "rx-7600m"),
        ("amd", "AMD Radeon RX 7600S", 8176, "rx-7600s"),
        ("amd", "AMD Radeon RX 7700", 16368, "rx-7700"),
        ("amd", "AMD Radeon RX 7700 XT", 12272, "rx-7700-xt"),
        ("amd", "AMD Radeon RX 6800", 16368, "rx-6800"),
        ("amd", "AMD Radeon RX 6800S", 8176, "rx-6800s"),
        ("amd", "AMD Radeon RX 6800M", 12272, "rx-6800m"),
        ("amd", "AMD Radeon RX 9060", 8176, "rx-9060"),
        ("amd", "AMD Radeon RX 9060 XT", 8176, "rx-9060-xt-8gb"),
        ("amd", "AMD Radeon RX 9060 XT", 16304, "rx-9060-xt-16gb"),
        ("amd", "AMD Radeon RX 9070 GRE", 12272, "rx-9070-gre-12gb"),
        ("amd", "AMD Radeon RX 580 Series", 8192, "rx-580"),
        ("amd", "AMD Radeon RX 580 Series", 4096, None),
        ("amd", "AMD Radeon RX 570 Series", 4096, "rx-570"),
        ("amd", "AMD Radeon RX 5500 XT", 4080, "rx-5500-xt-4gb"),
        ("amd", "AMD Radeon Pro W7800", 32752, "radeon-pro-w7800-32gb"),
        ("amd", "AMD Radeon Pro W7800 48GB", 49136, "radeon-pro-w7800-48gb"),
        ("amd", "AMD Radeon Pro W7900 Dual Slot", 49136, "radeon-pro-w7900"),
        ("amd", "AMD Radeon AI PRO R9600D", 32624, "radeon-ai-pro-r9600d"),
        ("amd", "AMD Radeon VII", 16368, "radeon-vii"),
        ("amd", "AMD Radeon Pro VII", 16368, "radeon-pro-vii"),
        ("amd", "AMD Instinct MI60 / MI50", 16368, "mi50"),
        ("amd", "AMD Instinct MI60 / MI50", 32752, None),
        ("amd", "AMD Instinct MI50", 32752, "mi50-32gb"),
        ("amd", "AMD Instinct MI250X", 65520, "mi250x"),
        ("amd", "AMD Instinct MI300X VF", 196592, "mi300x"),
        ("amd", "AMD Instinct MI308X", 196592, "mi308x"),
        ("amd", "AMD Radeon Graphics", 16368, None),
        ("amd", "AMD Radeon RX Vega", 8176, None),
        ("intel", "Intel(R) Arc(TM) A770 Graphics", 15473, "arc-a770-16gb"),
        ("intel", "Intel(R) Arc(TM) A770 Graphics", 7721, "arc-a770-8gb"),
        ("intel", "Intel(R) Arc(tm) A770M Graphics", 16288, "arc-a770m"),
        ("intel", "Intel(R) Arc(TM) B580 Graphics", 12118, "arc-b580"),
        ("intel", "Intel(R) Arc(TM) B570 Graphics", 10117, "arc-b570"),
        ("intel", "Intel(R) Arc(TM) Pro B60 Graphics", 24480, "arc-pro-b60"),
        ("intel", "Intel(R) Arc(TM) Pro B70 Graphics", 31023, "arc-pro-b70"),
        ("intel", "Intel(R) Arc(tm) Pro A40/A50 Graphics", 6064, None),
        ("intel", "Intel(R) Graphics", 12118, None),
        ("huawei", "Ascend 310P3", 21527, "ascend-310p-pro"),
        ("huawei", "Ascend 310P3", 44280, "ascend-310p-duo"),
        ("huawei", "Ascend 910B4", 32768, None),
        ("huawei", "Ascend 910B3", 65536, "ascend-910b3"),
        ("huawei", "Ascend910", 65536, "ascend-910c"),
        ("huawei", "Ascend 910", 65536, None),
    ],
)
def test_cards_are_never_confused(vendor: Vendor, name: str, vram_mib: int, row: str | None) -> None:
    gpu = Gpu(index=0, name=name, vendor=vendor, vram_bytes=vram_mib * MIB)
    found = find_spec(gpu, SPECS)
    assert (found and found.id) == row


def rows_of(name: str) -> list[str]:
    key = device_name(name).key
    return [spec.id for spec in THESE if any(device_name(match).key == key for match in spec.match)]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("AMD Radeon(TM) 8060S Graphics", "radeon-8060s"),
        ("Radeon 8050S Graphics", "radeon-8050s"),
        ("AMD Radeon 780M Graphics (RADV PHOENIX)", "radeon-780m"),
        ("AMD Radeon 760M Graphics", "radeon-760m"),
        ("AMD Radeon 680M (RADV REMBRANDT)", "radeon-680m"),
        ("AMD Radeon 660M", "radeon-660m"),
        ("AMD Radeon(TM) 890M Graphics", "radeon-890m"),
        ("AMD Radeon 880M Graphics", "radeon-880m"),
        ("AMD Custom GPU 0405 (RADV VANGOGH)", "steam-deck"),
        ("AMD Radeon Vega 8 Graphics", "radeon-vega-8"),
        ("AMD Radeon Graphics (Cezanne)", "radeon-vega-renoir"),
        ("Intel(R) Arc(TM) 140V GPU (16GB)", "arc-140v"),
        ("Intel(R) Arc(TM) 130V GPU (8GB)", "arc-130v"),
        ("Intel(R) Arc(TM) 140T GPU (32GB)", "arc-140t"),
        ("Intel(R) Arc(TM) B390 GPU", "arc-b390"),
        ("Intel(R) Iris(R) Xe Graphics", "iris-xe"),
    ],
)
def test_graphics_of_processors_have_one_row(name: str, row: str) -> None:
    assert rows_of(name) == [row]


@pytest.mark.parametrize(
    "name",
    [
        "AMD Radeon(TM) Graphics",
        "AMD Radeon Graphics (RADV RENOIR)",
        "AMD Radeon Graphics (Raphael)",
        "AMD Radeon 610M",
        "Intel(R) Graphics",
        "Intel(R) UHD Graphics",
        "Intel(R) UHD Graphics 770",
    ],
)
def test_names_that_say_nothing_and_graphics_too_slow_to_use_have_no_row(name: str) -> None:
    assert rows_of(name) == []


@pytest.mark.parametrize(
    ("chip", "cores", "gb_per_s"),
    [
        *(("Apple M1", cores, 68.25) for cores in (7, 8)),
        *(("Apple M1 Pro", cores, 200) for cores in (14, 16)),
        *(("Apple M1 Max", cores, 400) for cores in (24, 32)),
        *(("Apple M1 Ultra", cores, 800) for cores in (48, 64)),
        *(("Apple M2", cores, 100) for cores in (8, 10)),
        *(("Apple M2 Pro", cores, 200) for cores in (16, 19)),
        *(("Apple M2 Max", cores, 400) for cores in (30, 38)),
        *(("Apple M2 Ultra", cores, 800) for cores in (60, 76)),
        *(("Apple M3", cores, 100) for cores in (8, 10)),
        *(("Apple M3 Pro", cores, 150) for cores in (14, 18)),
        ("Apple M3 Max", 30, 300),
        ("Apple M3 Max", 40, 400),
        *(("Apple M3 Ultra", cores, 819) for cores in (60, 80)),
        *(("Apple M4", cores, 120) for cores in (8, 10)),
        *(("Apple M4 Pro", cores, 273) for cores in (16, 20)),
        ("Apple M4 Max", 32, 410),
        ("Apple M4 Max", 40, 546),
        *(("Apple M5", cores, 153) for cores in (8, 10)),
        *(("Apple M5 Pro", cores, 307) for cores in (16, 20)),
        ("Apple M5 Max", 32, 460),
        ("Apple M5 Max", 40, 614),
        *(("Apple M5 Ultra", cores, 1200) for cores in (64, 80)),
    ],
)
def test_apple_bandwidth_by_bin(chip: str, cores: int, gb_per_s: float) -> None:
    (row,) = (spec for spec in SPECS if chip in spec.match and spec.gpu_cores == cores)
    assert row.bandwidth_bytes_per_s == gb_per_s * GB


def test_every_apple_bin_is_checked() -> None:
    """Chips sold in one form only have no bins to tell apart."""
    sold = [(spec.match, spec.gpu_cores) for spec in SPECS if spec.vendor == "apple"]
    chips = [match for match, _ in sold]
    assert len([match for match in chips if chips.count(match) > 1]) == 38
    assert [match for match in chips if chips.count(match) == 1] == [("Apple M6",), ("Apple A18 Pro",)]


AGAINST_FP16: Final[Mapping[str, Mapping[str, float]]] = {
    "RDNA 2.0": {"int8_ops": 2},
    "RDNA 3.0": {"bf16_flops": 1, "int8_ops": 1},
    "RDNA 3.5": {"bf16_flops": 1, "int8_ops": 1},
    "RDNA 4.0": {"bf16_flops": 1, "int8_ops": 2, "fp8_flops": 2},
    "GCN 5.1": {"int8_ops": 2},
    "CDNA 1": {"bf16_flops": 0.5, "int8_ops": 1},
    "CDNA 2": {"bf16_flops": 1, "int8_ops": 1},
    "CDNA 3": {"bf16_flops": 1, "int8_ops": 2, "fp8_flops": 2},
    "CDNA 4": {"bf16_flops": 1, "int8_ops": 2, "fp8_flops": 2},
    "Apple M5": {"bf16_flops": 4, "int8_ops": 8},
}
"""Operations a clock against those of `fp16_flops` (Apple's matrix units: against the lanes)."""


@pytest.mark.parametrize("spec", THESE, ids=lambda spec: spec.id)
def test_rates_are_those_of_the_architecture(spec: GpuSpec) -> None:
    for field, factor in AGAINST_FP16.get(spec.architecture, {}).items():
        rate = getattr(spec, field)
        if rate is not None and spec.fp16_flops is not None:
            assert rate == pytest.approx(factor * spec.fp16_flops, rel=0.01), field


@pytest.mark.parametrize("spec", THESE, ids=lambda spec: spec.id)
def test_rows_are_plainly_written(spec: GpuSpec) -> None:
    assert not [name for name in spec.match if "(R)" in name or "(TM)" in name]
    assert len({device_name(name).key for name in spec.match}) == len(spec.match)
    assert spec.link_bytes_per_s is None or spec.link is not None
    assert spec.memory == "discrete" or spec.pcie is None
    assert spec.memory == "discrete" or spec.vendor == "apple" or spec.usable_fraction is not None
