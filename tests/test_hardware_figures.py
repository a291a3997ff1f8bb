"""The GPUs' figures: plausible for their architecture, told apart by name, and as their makers' pages say."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from typing import Final, NamedTuple

import pytest

from advisor.hardware import Gpu, GpuSpec
from advisor.hardware_catalog import load_hardware
from advisor.probes.identify import VRAM_TOLERANCE, find_spec
from advisor.sentences.grammar import name_key
from advisor.units import GIB, MIB

CATALOG = load_hardware()
ROWS: Final = {spec.id: spec for spec in CATALOG.gpus}
NVIDIA: Final = [spec for spec in CATALOG.gpus if spec.vendor == "nvidia"]
DISCRETE: Final = [spec for spec in CATALOG.gpus if spec.memory == "discrete"]
T: Final = 10**12


class Generation(NamedTuple):
    """What NVIDIA's cards of one architecture lie within."""

    capabilities: frozenset[str]
    """https://developer.nvidia.com/cuda-gpus and cuda-legacy-gpus"""
    bandwidth: tuple[float, float]
    """GB/s, from its slowest module to its fastest."""
    fp16: tuple[float, float]
    """TFLOPS; (0, 0) where FP16 says nothing."""


GENERATIONS: Final = {
    "Kepler": Generation(frozenset({"3.7"}), (200, 300), (0, 0)),
    "Maxwell": Generation(frozenset({"5.2", "5.3"}), (25, 340), (0, 0.5)),
    "Pascal": Generation(frozenset({"6.0", "6.1", "6.2"}), (30, 740), (0, 22)),
    "Volta": Generation(frozenset({"7.0", "7.2"}), (50, 1140), (6, 135)),
    "Turing": Generation(frozenset({"7.5"}), (60, 680), (2, 135)),
    "Ampere": Generation(frozenset({"8.0", "8.6", "8.7"}), (30, 2050), (2, 320)),
    "Ada Lovelace": Generation(frozenset({"8.9"}), (120, 1010), (30, 370)),
    "Hopper": Generation(frozenset({"9.0"}), (2000, 5000), (140, 1000)),
    "Blackwell": Generation(frozenset({"10.0", "10.3", "11.0", "12.0", "12.1"}), (270, 8000), (30, 2500)),
}
TENSOR_BF16: Final = frozenset({"Ampere", "Ada Lovelace", "Hopper", "Blackwell"})
TENSOR_FP8: Final = frozenset({"Ada Lovelace", "Hopper", "Blackwell"})
FEW_INT8: Final = frozenset({"b300", "gb300"})
"""Blackwell Ultra gives most of its INT8 units up for FP4 (NVIDIA's data sheets of HGX B300 and GB300)."""
NVLINK_TOTALS: Final = frozenset({50, 100, 112.5, 160, 200, 300, 400, 600, 900, 1800})
"""GB/s of one GPU: NVLink 1 (160) to 5 (1800), its bridges, and what is left of it for export (400)."""


def test_catalog_covers_the_field() -> None:
    vendors: list[str] = [spec.vendor for spec in CATALOG.gpus]
    least = {"nvidia": 250, "amd": 60, "intel": 20, "apple": 30}
    assert {vendor: count for vendor, count in least.items() if vendors.count(vendor) < count} == {}
    assert len(CATALOG.gpus) >= 200
    assert len(CATALOG.cpus) >= 100


@pytest.mark.parametrize("spec", CATALOG.gpus, ids=lambda spec: spec.id)
def test_gpu_is_plausible(spec: GpuSpec) -> None:
    assert 10e9 <= (spec.bandwidth_bytes_per_s or 90e9) <= 10e12
    assert 0.4 * T <= (spec.fp16_flops or T) <= 3e15
    assert 5 <= (spec.tdp_watts or 5) <= 1500
    assert 0.5 <= (spec.idle_watts or 1) < (spec.tdp_watts or 1500)
    for size in (spec.vram_bytes, *spec.ram_bytes):
        assert size is None or 2 * GIB <= size <= 512 * GIB
    assert spec.compute_capability is None or spec.vendor == "nvidia"
    assert (spec.bf16_flops or 0) <= max(spec.fp16_flops or 0, spec.int8_ops or 0)
    assert spec.fp8_flops is None or spec.int8_ops is None or spec.fp8_flops >= spec.int8_ops / 2


@pytest.mark.parametrize("spec", DISCRETE, ids=lambda spec: spec.id)
def test_memory_is_read_once_in_a_plausible_time(spec: GpuSpec) -> None:
    """A slip of a unit, or of a board of several GPUs, shows here: 4 ms (HBM2e, 8 GB) to 140 ms."""
    if spec.vram_bytes and spec.bandwidth_bytes_per_s:
        assert 0.004 <= spec.vram_bytes / spec.bandwidth_bytes_per_s <= 0.24


@pytest.mark.parametrize("spec", NVIDIA, ids=lambda spec: spec.id)
def test_row_fits_its_generation(spec: GpuSpec) -> None:
    generation = GENERATIONS[spec.architecture]
    assert spec.compute_capability in generation.capabilities
    slowest, fastest = generation.bandwidth
    assert spec.bandwidth_bytes_per_s is not None
    assert slowest <= spec.bandwidth_bytes_per_s / 1e9 <= fastest
    least, most = generation.fp16
    assert spec.fp16_flops is None or least <= spec.fp16_flops / T <= most
    assert spec.bf16_flops is None or spec.architecture in TENSOR_BF16
    assert spec.fp8_flops is None or spec.architecture in TENSOR_FP8


@pytest.mark.parametrize(
    "spec", [spec for spec in NVIDIA if spec.fp16_flops and spec.int8_ops], ids=lambda spec: spec.id
)
def test_rates_of_one_row_agree(spec: GpuSpec) -> None:
    """Tensor cores do INT8, and FP8, at twice the rate of FP16; Volta's do neither: DP4A at half of it."""
    assert spec.fp16_flops
    assert spec.int8_ops
    ratio = 0.5 if spec.compute_capability == "7.0" else 2
    if spec.id not in FEW_INT8:
        assert spec.int8_ops / spec.fp16_flops == pytest.approx(ratio, rel=0.03)
    if spec.fp8_flops:
        assert spec.fp8_flops / spec.fp16_flops == pytest.approx(2, rel=0.03)
    if spec.bf16_flops:
        share = 0.5 if spec.name.startswith("GeForce") else 1
        assert spec.bf16_flops / spec.fp16_flops == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize("spec", NVIDIA, ids=lambda spec: spec.id)
def test_slot_and_link(spec: GpuSpec) -> None:
    if spec.link_bytes_per_s is not None:
        assert spec.link_bytes_per_s / 1e9 in NVLINK_TOTALS
    if spec.link is not None:  # a module on a board, not a card
        assert (spec.link, spec.pcie) == ("nvlink", None)
        assert spec.link_bytes_per_s is not None


def test_laptop_chips_are_not_the_desktop_ones() -> None:
    """Same name, less of everything: never more bandwidth than the desktop card of that name."""
    pairs = [(ROWS[i], ROWS[i.replace("-laptop", "")]) for i in ROWS if i.replace("-laptop", "") in ROWS]
    pairs = [
        (laptop, card) for laptop, card in pairs if laptop is not card and card.name.startswith("GeForce")
    ]
    assert len(pairs) >= 25
    newer_memory = {"gtx-1650-laptop", "rtx-5050-laptop"}
    slower = {
        laptop.id: (laptop.bandwidth_bytes_per_s or 0) <= (card.bandwidth_bytes_per_s or 0)
        for laptop, card in pairs
        if laptop.id not in newer_memory
    }
    assert all(slower.values()), slower
    assert not any(set(laptop.match) & set(card.match) for laptop, card in pairs)


def test_rows_of_one_driver_name_differ() -> None:
    """Probes tell them apart by the amount of memory; what differs only in its speed stays open."""
    named: dict[str, list[GpuSpec]] = defaultdict(list)
    for spec in CATALOG.gpus:
        for name in spec.match:
            named[name].append(spec)
    for name, specs in named.items():
        flavours = {(_memory(spec), spec.bandwidth_bytes_per_s, spec.fp16_flops) for spec in specs}
        assert len(flavours) == len(specs), name
        sizes = sorted({spec.vram_bytes for spec in specs if spec.vram_bytes})
        assert all(b > a * (1 + VRAM_TOLERANCE) for a, b in pairwise(sizes)), name


def _memory(spec: GpuSpec) -> tuple[object, ...]:
    return spec.vram_bytes, spec.ram_bytes, spec.gpu_cores, spec.cpu_cores


def test_shared_names_are_of_one_family() -> None:
    """A name that several rows bear leaves a variant open, never the maker or the generation."""
    bearers: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for spec in CATALOG.gpus:
        for name in (spec.id, spec.name, *spec.match, *spec.aliases):
            bearers[name_key(name)].add(spec.id)
    for key, ids in bearers.items():
        assert key, ids
        families = {(ROWS[i].vendor, ROWS[i].architecture) for i in ids}
        assert len(families) == 1, (key, ids)


@pytest.mark.parametrize("spec", CATALOG.gpus, ids=lambda spec: spec.id)
def test_every_row_has_a_source_and_its_date(spec: GpuSpec) -> None:
    assert re.search(r"https?://\S+\.\S+", spec.source) or re.match(r"[A-Z]\w+, \w+", spec.source)
    assert re.fullmatch(r"2026-\d\d-\d\d", spec.checked)


@pytest.mark.parametrize(
    ("name", "mib", "row"),
    [
        pytest.param("NVIDIA T400", 1920, "t400-2gb"),
        pytest.param("NVIDIA T400 4GB", 3904, "t400-4gb"),
        pytest.param("Tesla T4", 15360, "t4"),
        pytest.param("NVIDIA A10", 23028, "a10"),
        pytest.param("NVIDIA A10G", 23028, "a10g"),
        pytest.param("NVIDIA A100-PCIE-40GB", 40960, "a100-pcie-40gb"),
        pytest.param("A100-SXM4-40GB", 40536, "a100-sxm-40gb"),
        pytest.param("NVIDIA A100-SXM4-80GB", 81920, "a100-sxm-80gb"),
        pytest.param("NVIDIA A100 80GB PCIe", 81920, "a100-pcie-80gb"),
        pytest.param("NVIDIA A800-SXM4-80GB", 81920, "a800-sxm-80gb"),
        pytest.param("NVIDIA H100 80GB HBM3", 81559, "h100-sxm"),
        pytest.param("NVIDIA H100 PCIe", 81559, "h100-pcie"),
        pytest.param("NVIDIA H100 NVL", 95830, "h100-nvl"),
        pytest.param("NVIDIA H20", 97871, "h20-96gb"),
        pytest.param("NVIDIA H20-3e", 143771, "h20-141gb"),
        pytest.param("NVIDIA H200", 143771, "h200-sxm"),
        pytest.param("NVIDIA H200 NVL", 143771, "h200-nvl"),
        pytest.param("NVIDIA GH200 480GB", 97871, "gh200-96gb"),
        pytest.param("NVIDIA GH200 144G HBM3e", 146831, "gh200-144gb"),
        pytest.param("NVIDIA B200", 183359, "b200"),
        pytest.param("NVIDIA B300 SXM6 AC", 275040, "b300"),
        pytest.param("NVIDIA GB200", 189471, "gb200"),
        pytest.param("NVIDIA GB300", 284208, "gb300"),
        pytest.param("NVIDIA GB300", 256703, "gb300-station"),
        pytest.param("NVIDIA GeForce GTX 1650", 4096, None, id="two speeds of memory"),
        pytest.param("NVIDIA L4", 23034, "l4"),
        pytest.param("NVIDIA GeForce GTX 1060 6GB", 6144, "gtx-1060-6gb"),
        pytest.param("NVIDIA GeForce GTX 1060", 6144, "gtx-1060-laptop"),
        pytest.param("GeForce RTX 2080 Ti", 11019, "rtx-2080-ti"),
        pytest.param("NVIDIA GeForce RTX 2080 SUPER", 8192, "rtx-2080-super"),
        pytest.param("NVIDIA GeForce RTX 2080 Super", 8192, "rtx-2080-super-laptop"),
        pytest.param("NVIDIA GeForce RTX 2060", 12288, "rtx-2060-12gb"),
        pytest.param("NVIDIA GeForce RTX 3050", 6144, "rtx-3050-6gb"),
        pytest.param("NVIDIA GeForce RTX 3050 6GB Laptop GPU", 6144, "rtx-3050-laptop-6gb"),
        pytest.param("NVIDIA GeForce RTX 3060 Laptop GPU", 6144, "rtx-3060-laptop"),
        pytest.param("NVIDIA GeForce RTX 3080", 10240, "rtx-3080-10gb"),
        pytest.param("NVIDIA GeForce RTX 3080", 12288, "rtx-3080-12gb"),
        pytest.param("NVIDIA GeForce RTX 4060 Ti", 16380, "rtx-4060-ti-16gb"),
        pytest.param("NVIDIA GeForce RTX 4090 D", 24564, "rtx-4090-d"),
        pytest.param("NVIDIA GeForce RTX 4090", 49140, None, id="rebuilt with twice the memory"),
        pytest.param("NVIDIA GeForce RTX 5060 Ti", 8151, "rtx-5060-ti-8gb"),
        pytest.param("NVIDIA RTX A2000 12GB", 12282, "rtx-a2000-12gb"),
        pytest.param("NVIDIA RTX A2000 8GB Laptop GPU", 8192, "rtx-a2000-laptop-8gb"),
        pytest.param("NVIDIA RTX 6000 Ada Generation", 49140, "rtx-6000-ada"),
        pytest.param("Quadro RTX 6000", 24220, "quadro-rtx-6000"),
        pytest.param("NVIDIA RTX PRO 5000 Blackwell", 48935, "rtx-pro-5000-blackwell-48gb"),
        pytest.param(
            "NVIDIA RTX PRO 5000 Blackwell Generation Laptop GPU", 24463, "rtx-pro-5000-blackwell-laptop"
        ),
        pytest.param("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 97887, "rtx-pro-6000-blackwell"),
        pytest.param(
            "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 97887, "rtx-pro-6000-blackwell-max-q"
        ),
        pytest.param("NVIDIA H100", 81559, None, id="a name that leaves the board open"),
        pytest.param("NVIDIA Graphics Device", 8192, None, id="no name"),
    ],
)
def test_drivers_name_means_one_row(name: str, mib: int, row: str | None) -> None:
    """Names: README of NVIDIA's open kernel modules 595.45.04; sizes: nvidia-smi outputs in public issues."""
    gpu = Gpu(index=0, name=name, vendor="nvidia", vram_bytes=mib * MIB)
    for specs in (CATALOG.gpus, CATALOG.gpus[::-1]):
        spec = find_spec(gpu, specs)
        assert (spec.id if spec else None) == row


@pytest.mark.parametrize(
    ("row", "bits", "gbit_per_s"),
    [
        pytest.param("t400-4gb", 64, 10),
        pytest.param("gtx-1080-11gbps", 256, 11),
        pytest.param("gtx-1650", 128, 8),
        pytest.param("gtx-1650-12gbps", 128, 12),
        pytest.param("rtx-3060-laptop", 192, 14),
        pytest.param("rtx-3070", 256, 14),
        pytest.param("rtx-3060-ti-19gbps", 256, 19),
        pytest.param("rtx-4070-20gbps", 192, 20),
        pytest.param("rtx-4090", 384, 21),
        pytest.param("rtx-5090-d-v2", 384, 28),
    ],
)
def test_bandwidth_is_the_bus_times_its_rate(row: str, bits: int, gbit_per_s: int) -> None:
    assert ROWS[row].bandwidth_bytes_per_s == pytest.approx(bits / 8 * gbit_per_s * 1e9, rel=0.002)


AIC: Final = "https://github.com/ai-dynamo/aiconfigurator/blob/main/aic-core/src/aiconfigurator_core/systems"
"""NVIDIA's own: its systems quote the data sheets, dense, as of 2026-08-21; H20, H800, 5090: before."""
BLACKWELL_50: Final = "https://www.tweaktown.com/news/102469/nvidia-geforce-rtx-50-series-specs-pricing-and-performance-plan-that-upgrade-today/index.html"
"""NVIDIA's table of its launch. AI TOPS are FP4 and sparse, eight times FP16."""
SMI_TOTALS: Final = "https://github.com/modal-labs/modal-client/pull/2797"
UNITS: Final = {"vram_bytes": MIB, "bandwidth_bytes_per_s": 10**9, "link_bytes_per_s": 10**9, "tdp_watts": 1}
COLUMNS: Final = {
    "vram": "vram_bytes",
    "bandwidth": "bandwidth_bytes_per_s",
    "link": "link_bytes_per_s",
    "tdp": "tdp_watts",
    "fp16": "fp16_flops",
    "bf16": "bf16_flops",
    "int8": "int8_ops",
    "fp8": "fp8_flops",
}
LOOKED_UP: Final[tuple[tuple[str, dict[str, dict[str, float]]], ...]] = (
    (
        AIC,
        {
            "a30": {"bandwidth": 933, "bf16": 165, "int8": 330, "tdp": 165},
            "a100-pcie-80gb": {"bandwidth": 1935, "bf16": 312, "int8": 624, "tdp": 300},
            "a100-sxm-80gb": {"bandwidth": 2039, "bf16": 312, "int8": 624, "tdp": 400},
            "l4": {"bandwidth": 300, "bf16": 121, "int8": 242, "fp8": 242, "tdp": 72},
            "l40s": {"vram": 46068, "bandwidth": 864, "bf16": 362.05, "fp8": 733, "tdp": 350},
            "h100-pcie": {"bf16": 756.5, "int8": 1513, "fp8": 1513, "tdp": 350},
            "h100-sxm": {"bandwidth": 3350, "bf16": 989, "fp8": 1978, "tdp": 700},
            "h200-sxm": {"bandwidth": 4800, "bf16": 989, "fp8": 1978, "tdp": 700},
            "h800-sxm": {"bandwidth": 3350, "bf16": 989, "link": 400},
            "h20-141gb": {"fp16": 148, "int8": 296, "fp8": 296, "tdp": 500},
            "b200": {"bf16": 2250, "int8": 4500, "fp8": 4500, "tdp": 1000},
            "b300": {"vram": 275040, "bf16": 2250, "int8": 153.5, "fp8": 4500, "tdp": 1100},
            "gb200": {"vram": 189471, "bandwidth": 8000, "bf16": 2500, "int8": 5000, "tdp": 1200},
            "gb300": {"vram": 284208, "bandwidth": 8000, "int8": 165, "fp8": 5000, "tdp": 1400},
            "rtx-5090": {"vram": 32607, "bandwidth": 1792, "int8": 838, "fp8": 838},
            "rtx-pro-6000-blackwell-server": {"vram": 97887, "bandwidth": 1792, "bf16": 467.8, "tdp": 600},
        },
    ),
    (
        BLACKWELL_50,
        {
            "rtx-5090": {"bandwidth": 1792, "fp16": 3352 / 8},
            "rtx-5080": {"bandwidth": 960, "fp16": 1801 / 8},
            "rtx-5070-ti": {"bandwidth": 896, "fp16": 1406 / 8},
            "rtx-5070": {"fp16": 988 / 8},
        },
    ),
    (
        "https://www.tomshardware.com/pc-components/gpus/nvidia-rtx-5090d-v2-limits-ai-performance-even-more-with-25-percent-less-vram-and-bandwidth-downgraded-gaming-flagship-keeps-same-usd2299-msrp-in-china",
        {"rtx-5090-d": {"fp16": 2375 / 8}, "rtx-5090-d-v2": {"fp16": 2375 / 8}},
    ),
    (
        "https://gigagpu.com/?p=34220",
        {"rtx-4090": {"fp16": 330.3, "bf16": 165.2, "int8": 660.6, "fp8": 660.6}},
    ),
    (
        "https://www.mullet.se/product.html?product_id=355414",  # the data sheets, side by side
        {
            "l40": {"bandwidth": 864, "fp16": 181.05, "bf16": 181.05, "int8": 362, "fp8": 362, "tdp": 300},
            "l40s": {"fp16": 362.05, "fp8": 733, "tdp": 350},
        },
    ),
    (
        "https://www.ecer.com/corp/details-uuuedqa-p1bsay9-multi-display-setups-supported-by-48gb-gddr6-ecc-memory-nvidia-a40-gpu-and-vga-outputs.html",
        {"a40": {"bandwidth": 696, "link": 112.5, "fp16": 149.7, "bf16": 149.7, "int8": 299.3, "tdp": 300}},
    ),
    (
        "https://tandoanh.vn/nvidia-rtx-a400-4gb-gddr6-workstation-video-card",  # sparse rates
        {"rtx-a400": {"bandwidth": 96, "fp16": 21.7 / 2, "int8": 43.3 / 2, "tdp": 50}},
    ),
    (
        "https://github.com/Lightning-AI/pytorch-lightning/blob/master/src/lightning/fabric/utilities/throughput.py",
        {
            "v100-pcie-32gb": {"fp16": 112},
            "v100-sxm2-32gb": {"fp16": 125},
            "v100s-pcie-32gb": {"fp16": 130},
            "t4": {"fp16": 65, "int8": 130},
            "quadro-rtx-5000": {"fp16": 89.2},
        },
    ),
    (
        "https://glennklockwood.com/garden/processors/A100",  # of the data sheet
        {"a100-sxm-40gb": {"bandwidth": 1555, "link": 600, "bf16": 312, "int8": 624, "tdp": 400}},
    ),
    (
        "https://jingchaozhang.github.io/A100-white-paper/",  # NVLink of one GPU, by generation
        {"v100-sxm2-32gb": {"link": 300}, "a100-sxm-80gb": {"link": 600}, "h100-sxm": {"link": 900}},
    ),
    (
        "https://datacrunch.io/en/blog/nvidia-a100-gpu-specs-price-and-alternatives",
        {"v100-sxm2-16gb": {"bandwidth": 900, "tdp": 300}, "h100-sxm": {"bandwidth": 3350, "tdp": 700}},
    ),
    (
        "https://fibermall.com/blog/?p=17161",  # HGX, sparse, of eight
        {"b200": {"fp8": 4500, "int8": 4500, "link": 1800}, "b300": {"fp8": 4500, "link": 1800}},
    ),
    (
        "https://wallstreetcn.com/articles/3701747",
        {"h20-96gb": {"bandwidth": 4000, "link": 900, "int8": 296, "tdp": 400}},
    ),
    (
        "https://www.exxactcorp.com/blog/benchmark/nvidia-rtx-pro-4500-blackwell-llm-inference-benchmark",
        {"rtx-pro-4500-blackwell-server": {"bandwidth": 800, "tdp": 165}},
    ),
    (
        "https://www.brojogopalsapui.com/dark/ai-foundations/sub_contents/AI_hardware/jetson_orin_nano_dark.html",
        {"jetson-orin-nano-super": {"bandwidth": 102, "int8": 67 / 2, "tdp": 25}},
    ),
    (
        SMI_TOTALS,
        {
            "h100-sxm": {"vram": 81559},
            "a100-sxm-80gb": {"vram": 81920},
            "a100-sxm-40gb": {"vram": 40960},
            "a10": {"vram": 23028},
            "l4": {"vram": 23034},
            "t4": {"vram": 15360},
        },
    ),
)
"""Cells looked up by hand on 2026-11-21: NVIDIA's pages, and pages that reprint its data sheets. MiB as
nvidia-smi prints them, GB/s, W, and tera-operations a second, dense."""


@pytest.mark.parametrize(
    ("row", "column", "figure"),
    [
        pytest.param(row, column, figure, id=f"{row} {column} {page.split('/')[2]}")
        for page, rows in LOOKED_UP
        for row, cells in rows.items()
        for column, figure in cells.items()
    ],
)
def test_cell_is_as_its_makers_page_says(row: str, column: str, figure: float) -> None:
    field = COLUMNS[column]
    found = getattr(ROWS[row], field)
    assert found / UNITS.get(field, T) == pytest.approx(figure, rel=0.006)
