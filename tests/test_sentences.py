"""Hardware sentences: what they mean, what they leave open, and what is wrong with them."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import HardwareError
from advisor.hardware import GpuSpec, Machine
from advisor.hardware_catalog import load_hardware
from advisor.sentences import parse_sentence
from advisor.sentences.grammar import name_key
from advisor.units import GIB, MIB

CATALOG = load_hardware()


def machine_of(text: str) -> Machine:
    return parse_sentence(text, CATALOG.gpus, CATALOG.cpus)


def gpu_ids(machine: Machine) -> list[str | None]:
    return [gpu.catalog_id for gpu in machine.gpus]


# The sentences of the command line's contract: GPUs, the memory of the first, RAM in GiB (None: the default).
CONTRACT = [
    pytest.param("CPU only, 16 GB RAM, 8 cores", [], None, 16, id="cpu-only"),
    pytest.param("Ryzen 9 7950X, 64 GB RAM", [], None, 64, id="7950x"),
    pytest.param("RTX 3060 Laptop", ["rtx-3060-laptop"], 6144 * MIB, None, id="3060-laptop"),
    pytest.param("RTX 3060 Laptop 6 GB, 16 GB RAM", ["rtx-3060-laptop"], 6144 * MIB, 16, id="3060-laptop-6"),
    pytest.param("RTX 3080, 32 GB RAM", ["rtx-3080-10gb"], 10240 * MIB, 32, id="3080"),
    pytest.param("RTX 3080 12 GB", ["rtx-3080-12gb"], 12288 * MIB, None, id="3080-12"),
    pytest.param("GTX 1650 4 GB", ["gtx-1650"], 4096 * MIB, None, id="1650"),
    pytest.param("Titan Xp", ["titan-xp"], 12288 * MIB, None, id="titan-xp"),
    pytest.param("2x RTX 4090, 64 GB RAM", ["rtx-4090"] * 2, 24564 * MIB, 64, id="two-4090"),
    pytest.param("RTX 5090 + RTX 5080, 96 GB RAM", ["rtx-5090", "rtx-5080"], 32607 * MIB, 96, id="unlike"),
    pytest.param("RTX 5090 Laptop", ["rtx-5090-laptop"], 24463 * MIB, None, id="5090-laptop"),
    pytest.param("4x A100 40GB, 512 GB RAM", ["a100-sxm-40gb"] * 4, 40960 * MIB, 512, id="a100"),
    pytest.param("8x H100 80GB SXM, 2 TB RAM", ["h100-sxm"] * 8, 81559 * MIB, 2048, id="h100"),
    pytest.param("H200 141GB SXM", ["h200-sxm"], 143771 * MIB, None, id="h200"),
    pytest.param("L40S 48 GB", ["l40s"], 46068 * MIB, None, id="l40s"),
    pytest.param("RX 7900 XTX, 64 GB RAM", ["rx-7900-xtx"], 24560 * MIB, 64, id="7900-xtx"),
    pytest.param("R9700", ["radeon-ai-pro-r9700"], 32 * GIB, None, id="r9700"),
    pytest.param("Arc B580", ["arc-b580"], 12 * GIB, None, id="b580"),
    pytest.param("M2 8 GB", ["m2-8-core"], 8 * GIB * 2 // 3, 8, id="m2"),
    pytest.param("Apple M1 Max", ["m1-max-24-core"], 32 * GIB * 2 // 3, 32, id="m1-max"),
    pytest.param("M3 Max 40-core 64 GB", ["m3-max-40-core"], 48 * GIB, 64, id="m3-max-64"),
    pytest.param("Apple M3 Max 40-core GPU", ["m3-max-40-core"], 36 * GIB, 48, id="m3-max-40"),
    pytest.param("Ryzen AI Max+ 395 128 GB", ["radeon-8060s"], 96 * GIB, 128, id="strix-halo"),
    pytest.param("DGX Spark 128 GB", ["gb10"], None, 128, id="dgx-spark"),
    pytest.param("GB10", ["gb10"], None, 128, id="gb10"),
    pytest.param("Jetson AGX Orin 64 GB", ["jetson-agx-orin-64gb"], None, 64, id="orin"),
    pytest.param("Raspberry Pi 5 8 GB", [], None, 8, id="pi"),
]


@pytest.mark.parametrize(("text", "ids", "vram_bytes", "ram_gib"), CONTRACT)
def test_contract(text: str, ids: list[str], vram_bytes: int | None, ram_gib: int | None) -> None:
    machine = machine_of(text)
    assert gpu_ids(machine) == ids
    if vram_bytes is not None:
        assert machine.gpus[0].vram_bytes == vram_bytes
    assert machine.host.memory.total_bytes == (ram_gib or 16) * GIB
    assert [gpu.index for gpu in machine.gpus] == list(range(len(ids)))
    # Simulated: nothing is read, so nothing is in use.
    assert machine.host.memory.available_bytes is None
    assert all(gpu.free_bytes is None for gpu in machine.gpus)
    assert Machine.model_validate_json(machine.model_dump_json()) == machine


@pytest.mark.parametrize(
    ("text", "ids", "ram_gib"),
    [
        pytest.param("rtx4090", ["rtx-4090"], 16, id="glued"),
        pytest.param("4060ti 16gb, 32gb", ["rtx-4060-ti-16gb"], 32, id="glued-suffix"),
        pytest.param("RTX 4060 Ti 8GB", ["rtx-4060-ti-8gb"], 16, id="ti-8"),
        pytest.param("3070", ["rtx-3070"], 16, id="number-alone"),
        pytest.param("2 x RTX 3090", ["rtx-3090"] * 2, 16, id="count-spaced"),
        pytest.param("4×RTX 3090", ["rtx-3090"] * 4, 16, id="count-sign"),
        pytest.param("2xRTX 3090", ["rtx-3090"] * 2, 16, id="count-glued"),
        pytest.param("RTX 3090 x2", ["rtx-3090"] * 2, 16, id="count-after"),
        pytest.param("dual RTX 3090", ["rtx-3090"] * 2, 16, id="count-word"),
        pytest.param(
            "2x RTX 3090 + RTX 3060 12GB", ["rtx-3090", "rtx-3090", "rtx-3060-12gb"], 16, id="mixed"
        ),
        pytest.param("RTX 3060 and RTX 3070", ["rtx-3060-12gb", "rtx-3070"], 16, id="and"),
        pytest.param("i9-13900K with RTX 4070 and 64 GB DDR5", ["rtx-4070"], 64, id="with"),
        pytest.param("RTX 4090 24GB 64GB RAM", ["rtx-4090"], 64, id="both-in-a-part"),
        pytest.param("RTX 4090 64 GB RAM", ["rtx-4090"], 64, id="ram-in-a-part"),
        pytest.param("64 GB RAM, RTX 4090, 24 GB VRAM", ["rtx-4090"], 64, id="vram-apart"),
        pytest.param("RAM: 32 GB; RTX 4080", ["rtx-4080"], 32, id="ram-first"),
        pytest.param("RTX 3080 (12 GB)", ["rtx-3080-12gb"], 16, id="parentheses"),
        pytest.param("RTX 3080 Laptop 16 GB", ["rtx-3080-laptop-16gb"], 16, id="laptop-16"),
        pytest.param("RTX 3060 mobile", ["rtx-3060-laptop"], 16, id="mobile"),
        pytest.param("RTX 2070 with Max-Q Design", ["rtx-2070-max-q"], 16, id="max-q"),
        pytest.param(
            "NVIDIA GeForce RTX 3060 Laptop GPU, 16 GB RAM", ["rtx-3060-laptop"], 16, id="nvml-laptop"
        ),
        pytest.param("NVIDIA A100-SXM4-80GB", ["a100-sxm-80gb"], 16, id="nvml-a100"),
        pytest.param("NVIDIA H100 80GB HBM3", ["h100-sxm"], 16, id="nvml-h100"),
        pytest.param("A100 40GB PCIe", ["a100-pcie-40gb"], 16, id="a100-pcie"),
        pytest.param("H100 NVL", ["h100-nvl"], 16, id="h100-nvl"),
        pytest.param("T400", ["t400-2gb"], 16, id="t400-is-not-t4"),
        pytest.param("T4", ["t4"], 16, id="t4"),
        pytest.param("L40", ["l40"], 16, id="l40-is-not-l40s"),
        pytest.param("RTX 6000 Ada", ["rtx-6000-ada"], 16, id="6000-ada"),
        pytest.param("Quadro RTX 6000", ["quadro-rtx-6000"], 16, id="quadro-6000"),
        pytest.param("MacBook Pro M3 Max 128GB", ["m3-max-40-core"], 128, id="macbook"),
        pytest.param("M3 Max 36 GB", ["m3-max-30-core"], 36, id="bin-by-ram"),
        pytest.param("M2 Ultra 76-core GPU, 24-core CPU, 192 GB", ["m2-ultra-76-core"], 192, id="both-cores"),
        pytest.param("Ryzen 7 7840HS w/ Radeon 780M Graphics, 32 GB RAM", ["radeon-780m"], 32, id="igpu"),
        pytest.param("8x H100, 1,152 GB RAM", ["h100-sxm"] * 8, 1152, id="thousands"),
        pytest.param("RTX 3060，16 GB 램", ["rtx-3060-12gb"], 16, id="korean"),
    ],
)
def test_other_sentences(text: str, ids: list[str], ram_gib: int) -> None:
    machine = machine_of(text)
    assert gpu_ids(machine) == ids
    assert machine.host.memory.total_bytes == ram_gib * GIB


def sentences() -> list[dict[str, str]]:
    """As people write them, with the machine that is meant; "-": none, or not known."""
    with (Path(__file__).parent / "hardware_sentences.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", sentences(), ids=lambda row: row["sentence"])
def test_sentences_of_forums(row: dict[str, str]) -> None:
    machine = machine_of(row["sentence"].replace("\\n", "\n"))
    counts = Counter(gpu_ids(machine))
    gpus = " ".join(f"{name}x{n}" if n > 1 else f"{name}" for name, n in counts.items())
    memory = machine.host.memory
    assert {
        "gpus": gpus or "-",
        "vram_gib": f"{machine.gpus[0].vram_bytes / GIB:.1f}" if machine.gpus else "-",
        "ram_gib": f"{memory.total_bytes / GIB:g}",
        "cores": f"{machine.host.cpu.physical_cores}",
        "gb_per_s": f"{(memory.bandwidth_bytes_per_s or 0) / 1e9:g}",
        "link": machine.interconnect or "-",
    } == {key: value for key, value in row.items() if key != "sentence"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "RTX 4070 Tie", "unknown hardware 'RTX 4070 Tie': did you mean GeForce RTX 4070 Ti", id="typo"
        ),
        pytest.param("RTX 3090, banana", "unknown hardware 'banana'", id="unknown-part"),
        pytest.param("RTX 4060 Ti Super", "unknown hardware 'RTX 4060 Ti Super'", id="known-name-and-more"),
        pytest.param("Ryzen 9 7951X", "did you mean Ryzen 9 7950X", id="unknown-cpu"),
        pytest.param(
            "RTX 3060 Laptop 8 GB", r"there is GeForce RTX 3060 Laptop \(6 GiB\)", id="no-such-vram"
        ),
        pytest.param("RTX 3080 11 GB", "RTX 3080 10GB .* or GeForce RTX 3080 12GB", id="between-variants"),
        pytest.param("RTX 4090 64 GB", "write '64 GB RAM'", id="ram-for-vram"),
        pytest.param("M1 Max 128 GB", "sold with 32 GiB or 64 GiB of memory, not 128 GiB", id="no-such-mac"),
        pytest.param("M3 Max 35-core GPU", "sold with 30 or 40 GPU cores, not 35", id="no-such-bin"),
        pytest.param("Raspberry Pi 5 32 GB", "not 32 GiB", id="no-such-pi"),
        pytest.param("16 GB RAM, 32 GB RAM", "the RAM is given twice", id="ram-twice"),
        pytest.param("RTX 3060 12GB 12GB VRAM 8GB VRAM", "memory is given twice", id="vram-twice"),
        pytest.param("8 cores, 16 cores", "cores is given twice", id="cores-twice"),
        pytest.param("8 GB VRAM, 16 GB RAM", "beside its name", id="vram-of-nothing"),
        pytest.param("0x RTX 4090", "between 1 and 64", id="no-gpu-at-all"),
        pytest.param("99x RTX 4090", "between 1 and 64", id="too-many"),
        pytest.param("0 GB RAM", "0 GB is no size", id="no-ram"),
        pytest.param("-5 GB RAM", "'-5'", id="negative"),
        pytest.param("99999999999999 GB RAM", "is no size", id="huge-ram"),
        pytest.param("16 GB RAM, 99999 cores", "give 1 to 4096", id="huge-cores"),
        pytest.param("RTX 4090, 40 GPU cores", "only Apple's chips", id="gpu-cores-apart"),
        pytest.param("RTX 4090 40-core GPU", "only Apple's chips", id="gpu-cores-of-a-card"),
        pytest.param("CPU only, RTX 4090", "contradict", id="contradiction"),
        pytest.param("Ryzen 9 7950X, Core i9-13900K", "a processor is named already", id="two-processors"),
        pytest.param("2x M2 Ultra", "without other GPUs", id="two-macs"),
        pytest.param("M2 + RTX 4090", "without other GPUs", id="mac-and-card"),
        pytest.param("RTX 4900", "did you mean GeForce RTX 4090", id="digits-swapped"),
        pytest.param("Rysen 9 7950X", "did you mean Ryzen 9 7950X", id="typo-in-a-processor"),
        pytest.param("i5 12400f rtx 3060 nice case 16gb", "Separate parts by commas", id="no-separators"),
        pytest.param("RTX 2080 Ti 22GB", r"there is GeForce RTX 2080 Ti \(11 GiB\)", id="modded"),
        pytest.param("M3 Ultra 128GB", "sold with 96 GiB, 256 GiB or 512 GiB", id="no-such-studio"),
        pytest.param("Ryzen 9 7950X, 32 cores", "has 16 cores, not 32; threads do not", id="threads"),
        pytest.param("EPYC 7763, 12-channel DDR4", "has 8 memory channels, not 12", id="channels"),
        pytest.param("2x EPYC 7763, 200 cores", "has 128 cores, not 200", id="cores-of-two"),
        pytest.param("0-channel DDR5, 32 GB", "0 is no number of memory channels", id="no-channel"),
        pytest.param("RTX 3090 PCIe 4.0 x5", "x5 is no width", id="width"),
        pytest.param("RTX 4090, 65 TB RAM", "65 TB is no size", id="absurd-ram"),
        pytest.param("RTX 4090, 32 GB RAM, 2 TB", "SSD behind the size of a disk", id="disk-not-said"),
        pytest.param("1 TB SSD", "no hardware is named", id="disk-alone"),
        pytest.param("PCIe 4.0 x16", "no hardware is named", id="slot-alone"),
        pytest.param("GB10 + RTX 4090", "without other GPUs", id="spark-and-card"),
        pytest.param("RTX 4090, no GPU", "contradict", id="card-and-none"),
        pytest.param("NVIDIA, 16 GB RAM", "'NVIDIA' names no model", id="maker-alone"),
        pytest.param("24 GB GPU, 64 GB RAM", "'24 GB GPU' names no model", id="memory-alone"),
        pytest.param("\U0001f4a5", "no hardware is named", id="emoji"),
        pytest.param("(dg2" * 300, "1200 characters describe no machine", id="too-long"),
        pytest.param("", "no hardware is named: describe a machine like", id="empty"),
        pytest.param("Windows 11", "no hardware is named", id="system-alone"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(HardwareError, match=message) as caught:
        machine_of(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "assumption"),
    [
        pytest.param(
            "RTX 3080",
            "'RTX 3080' is taken as GeForce RTX 3080 10GB, not as GeForce RTX 3080 12GB",
            id="vram",
        ),
        pytest.param(
            "4x A100 40GB", "'4x A100 40GB' is taken as A100 SXM4 40GB, not as A100 PCIe 40GB", id="sxm"
        ),
        pytest.param("RTX 3070", "RAM: 16 GiB", id="ram"),
        pytest.param(
            "Apple M1 Max", "RAM: 32 GiB, the smallest that Apple M1 Max (24-core GPU) is sold with", id="mac"
        ),
        pytest.param("GB10", "RAM: 128 GiB, the only size that GB10 is sold with", id="one-size"),
        pytest.param("RTX 3070", "CPU: 8 cores", id="cores"),
        pytest.param("RTX 3070", "RAM bandwidth: 51 GB/s (128 bit at 3200 MT/s)", id="bandwidth"),
        pytest.param("RTX 3070", "system: Linux", id="system"),
        pytest.param("16 GB RAM", "no GPU is named: the CPU computes alone", id="gpu"),
        pytest.param(
            "RTX 3070, 32 GB", "32 GiB is taken as RAM, since it stands apart from a GPU's name", id="which"
        ),
        pytest.param(
            "RTX 4060 Laptop, Ryzen 7 7840HS with 780M, 32 GB RAM",
            "Radeon 780M is not planned on next to a card: it is slower and shares the RAM",
            id="igpu-beside-a-card",
        ),
        pytest.param(
            "Ryzen 7 5800H with Radeon Graphics",
            "'Radeon Graphics' is built into the processor and not planned on",
            id="graphics-of-a-processor",
        ),
        pytest.param(
            "RTX 3090 eGPU", "the external GPU's cable: Thunderbolt 3 or 4, PCIe 3.0 x4", id="cable"
        ),
        pytest.param(
            "i7-12700K, 32 GB DDR4",
            "RAM bandwidth: 51 GB/s (128 bit at 3200 MT/s, usual for DDR4)",
            id="ddr4",
        ),
        pytest.param(
            "32 GB DDR5", "RAM bandwidth: 77 GB/s (128 bit at 4800 MT/s, usual for DDR5)", id="ddr5"
        ),
    ],
)
def test_assumptions_are_stated(text: str, assumption: str) -> None:
    assert assumption in machine_of(text).assumptions


def test_nothing_is_assumed_where_all_is_said() -> None:
    text = "2x RTX 4090 24 GB, Ryzen 9 7950X, 64 GB DDR5-5200, 16 cores, Linux"
    assert machine_of(text).assumptions == ()


@pytest.mark.parametrize(
    ("text", "bandwidth", "cores"),
    [
        pytest.param("16 GB RAM", 51_200_000_000, 8, id="default: 16 B × 3200 MT/s"),
        pytest.param("16 GB DDR5-6000, 6 cores", 96_000_000_000, 6, id="said: 16 B × 6000 MT/s"),
        pytest.param("Ryzen 9 7950X", 83_200_000_000, 16, id="two channels of DDR5-5200"),
        pytest.param("EPYC 9554, 768 GB RAM", 460_800_000_000, 64, id="twelve channels of DDR5-4800"),
        pytest.param("2x EPYC 9554, 768 GB RAM", 921_600_000_000, 128, id="two sockets"),
        pytest.param("Ryzen 9 7950X, 64 GB DDR5-4800", 76_800_000_000, 16, id="slower memory"),
        pytest.param("Raspberry Pi 5 8 GB", 17_068_000_000, 4, id="32 bit"),
        pytest.param("M3 Max 40-core 64 GB", 400_000_000_000, 16, id="one pool"),
        pytest.param("RTX 4090, Threadripper 7970X, 12 cores", 166_400_000_000, 12, id="part of a processor"),
    ],
)
def test_host(text: str, bandwidth: int, cores: int) -> None:
    host = machine_of(text).host
    assert host.memory.bandwidth_bytes_per_s == bandwidth
    assert host.cpu.physical_cores == cores


def test_simd_features_come_from_the_processor() -> None:
    assert "avx512f" in machine_of("Ryzen 9 7950X").host.cpu.features
    assert machine_of("CPU only, 16 GB RAM").host.cpu.features == ()


@pytest.mark.parametrize(
    ("text", "os"),
    [
        pytest.param("RTX 3070", "Linux", id="default"),
        pytest.param("RTX 3070, Windows 11", "Windows", id="windows"),
        pytest.param("RTX 3070, Ubuntu 24.04", "Linux", id="ubuntu"),
        pytest.param("M2 8 GB", "macOS", id="apple"),
    ],
)
def test_system(text: str, os: str) -> None:
    assert machine_of(text).host.os == os


@pytest.mark.parametrize(
    ("text", "link"),
    [
        pytest.param("8x H100 SXM", "nvlink", id="sxm"),
        pytest.param("1x H100 SXM", None, id="alone"),
        pytest.param("2x RTX 4090", None, id="not-known"),
        pytest.param("2x RTX 3090 NVLink", "nvlink", id="said"),
        pytest.param("2x RTX 3090, NVLink, 64 GB RAM", "nvlink", id="said-apart"),
        pytest.param("H100 SXM + RTX 4090", None, id="unlike"),
        pytest.param("2x RTX 3090 without NVLink", None, id="said-not"),
        pytest.param("4x RTX 3090, PCIe 4.0 x4", "pcie 4.0 x4", id="slot"),
        pytest.param("RTX 3090 PCIe gen 3 x8", "pcie 3.0 x8", id="generation"),
        pytest.param("RTX 3090, PCIe 5.0 x16", "pcie 4.0 x16", id="slower-card"),
        pytest.param("2x RTX 3090 NVLink, PCIe 4.0 x8", "nvlink", id="both"),
        pytest.param("RTX 3090 eGPU", "pcie 3.0 x4", id="external"),
        pytest.param("RTX 3090, OCuLink", "pcie 4.0 x4", id="oculink"),
        pytest.param("A100 PCIe x4", None, id="a-count-is-no-slot"),
    ],
)
def test_interconnect(text: str, link: str | None) -> None:
    assert machine_of(text).interconnect == link


@pytest.mark.parametrize(
    ("ram_gib", "share"),
    [
        pytest.param(16, 2 / 3, id="16"),
        pytest.param(24, 2 / 3, id="24"),
        pytest.param(48, 3 / 4, id="48"),
        pytest.param(64, 3 / 4, id="64"),
    ],
)
def test_macos_limit(ram_gib: int, share: float) -> None:
    """llama.cpp logs 22,906.50 MB on 32 GB (2/3) and 28,991.03 MB on 36 GB (3/4)."""
    chip = "M1 Pro" if ram_gib == 16 else "M4 Pro"
    machine = machine_of(f"{chip} {ram_gib} GB")
    assert machine.gpus[0].vram_bytes == int(ram_gib * GIB * share)
    assert machine.unified


def test_unified_memory_leaves_the_system_its_share() -> None:
    machine = machine_of("GB10")
    assert machine.gpus[0].vram_bytes == machine.host_capacity_bytes < 128 * GIB
    assert machine.gpus[0].capacity_bytes == machine.gpus[0].vram_bytes


@pytest.mark.parametrize("spec", CATALOG.gpus, ids=lambda spec: spec.id)
def test_every_gpu_can_be_named(spec: GpuSpec) -> None:
    """By its id and by its name it is meant alone; by the driver's names and aliases it may be."""
    assert gpu_ids(machine_of(spec.id)) == [spec.id]
    assert gpu_ids(machine_of(spec.name)) == [spec.id]
    for name in (*spec.match, *spec.aliases):
        # Several rows may share a name; then one of them is taken, and stated.
        words = " ".join(name_key(name))
        assert name_key(machine_of(words).gpus[0].name)[:1] == name_key(spec.name)[:1]


WORDS = st.sampled_from(
    (
        *(
            "2x",
            "x",
            "0",
            "4",
            "16",
            "9e9",
            "9" * 20,
            "GB",
            "TB",
            "RAM",
            "VRAM",
            "DDR5-6000",
            "core",
            "8 cores",
        ),
        *("CPU", "only", "GPU", "RTX", "4090", "3060 Laptop", "A100", "SXM", "M3 Max", "40-core", "Apple"),
        *("Ryzen 9 7950X", ",", "+", "and", "with", "-", "(", ")", "×", "Windows 11", "nvlink", "GB10"),
        *("PCIe", "4.0", "x4", "eGPU", "dual", "channel", "sockets", "SSD", "DDR4", "3200MHz", "/", "|"),
        *("780M", "2장", "램", "64기가", "140W", "laptop", "s", "gen", "@", "\n", "EPYC 7763", "64-Core"),
    )
)


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_text_is_a_machine_or_one_line(text: str) -> None:
    problem = ""
    try:
        machine = machine_of(text)
        assert machine.host.memory.total_bytes > 0
        assert all(0 <= gpu.capacity_bytes <= gpu.vram_bytes for gpu in machine.gpus)
    except HardwareError as error:
        problem = str(error)
    assert "\n" not in problem
    assert len(problem) < 500
