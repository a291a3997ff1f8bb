"""GPUs of AMD, Intel, Windows and Huawei, read from recordings (tests/machines/gpus).

Every recording names its origin in "source"; those that are made say so and why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from recorded_source import MEMORY, NAMES, READERS, SPECS, document, read, recorded, source_of

from advisor.hardware import HostMemory
from advisor.probes.amd import read_amd
from advisor.probes.found import Reading, combined, with_carve_out
from advisor.probes.identify import complete
from advisor.probes.intel import read_intel
from advisor.probes.source import TOOL_LIMIT_S, Live, Source
from advisor.units import GIB, MIB


def sold(catalog_id: str) -> int:
    """Bytes of the row's memory: what a card has whose driver does not tell it."""
    (spec,) = (spec for spec in SPECS if spec.id == catalog_id)
    assert spec.vram_bytes is not None
    return spec.vram_bytes


Expected = tuple[str, int, int | None, str | None]
"""Name, total and free bytes, catalog id."""

XTX: Final = ("AMD Radeon RX 7900 XTX", 25753026560)
B60: Final = ("Intel(R) Arc(TM) Pro B60 Graphics", 25669140480, 25447604224, "arc-pro-b60")
A770: Final = "Intel(R) Arc(TM) A770 Graphics"
HALF: Final = 62 * GIB

CARDS: Final[dict[str, list[Expected]]] = {
    "amd-damaged": [
        ("AMD Radeon RX 7900 XT", sold("rx-7900-xt"), None, "rx-7900-xt"),
        ("AMD Instinct MI999", 68702699520, None, None),
    ],
    "amd-memory-untold": [(XTX[0], sold("rx-7900-xtx"), None, "rx-7900-xtx")],
    "amd-smi-rocm6": [("AMD Radeon PRO W7700", 16368 * MIB, (16368 - 612) * MIB, "radeon-pro-w7700")],
    "amd-smi-rocm60": [(*XTX, None, "rx-7900-xtx")],
    "amd-smi-rocm7": [("AMD Instinct MI350X", 294896 * MIB, (294896 - 284) * MIB, "mi350x")] * 2,
    "amd-unnamed": [("AMD Instinct MI350X", 294896 * MIB, 294896 * MIB - 297795584, "mi350x")],
    "arc-a770-clinfo": [(A770, 16225243136, None, "arc-a770-16gb")],
    "arc-a770-small-window": [],
    "arc-a770-window": [(A770, sold("arc-a770-16gb"), None, "arc-a770-16gb")],
    "arc-b580-alone": [("Intel(R) Arc(TM) B580 Graphics", sold("arc-b580"), None, "arc-b580")],
    "arc-container": [],
    "arc-pro-b60": [B60, B60],
    "ascend-no-driver": [],
    "container-with-one-card": [(*XTX, 25753026560 - 27262976, "rx-7900-xtx")],
    "container-without-dri": [],
    "mi300x-parts-hidden": [],
    "rocm-smi-rocm5": [("AMD Instinct MI100", 34342961152, 34342961152 - 7217152, "mi100")] * 2,
    "rocm-smi-rocm6": [("AMD Radeon RX 7900 XT", 21458059264, 21458059264 - 27856896, "rx-7900-xt")],
    "windows-9060-xt-no-registry": [],
    "windows-b580": [("Intel(R) Arc(TM) B580 Graphics", 12790530048, None, "arc-b580")],
    "windows-no-driver": [],
}
"""Recording → its cards."""

CHIPS: Final[dict[str, list[tuple[str, int, int]]]] = {
    "ascend-310p3": [
        ("Ascend 310P3", 44280 * MIB, (44280 - 1529) * MIB),
        ("Ascend 310P3", 43693 * MIB, (43693 - 1412) * MIB),
    ],
    "ascend-910-dies": [
        ("Ascend910", 64 * GIB, (65536 - 3419) * MIB),
        ("Ascend910", 64 * GIB, (65536 - 15503) * MIB),
    ],
    "ascend-910b4-1": [("Ascend 910B4-1", 64 * GIB, (65536 - 3197) * MIB)] * 2,
}

CHIP_ROWS: Final = {
    "ascend-310p3": "ascend-310p-duo",
    "ascend-910-dies": "ascend-910c",
    "ascend-910b4-1": "ascend-910b4-1",
}

SLICES: Final[dict[str, list[tuple[int, int]]]] = {
    "mi300x-cpx": [(24574 * MIB, 24574 * MIB - 297795584)] * 8,
    "mi300x-dpx": [(98296 * MIB, 98296 * MIB - 297795584)] * 2,
}

SHARED: Final[dict[str, list[tuple[str, str, int, int | None, int]]]] = {
    "arc-b580-tiles": [
        ("Intel(R) UHD Graphics 770", "unified", 124 * GIB, 100 * GIB, 0),
        ("Intel(R) Arc(TM) B580 Graphics", "discrete", 12 * GIB, None, 0),
    ],
    "intel-unknown": [("Intel GPU b0ff", "unified", HALF, HALF, 0)],
    "lunar-lake": [("Intel(R) Arc(TM) 140V GPU", "unified", 4063232 * 4096, 4063232 * 4096, 0)],
    "lunar-lake-5": [("Intel(R) Arc(TM) 130V GPU", "unified", HALF, HALF, 0)],
    "mi300a": [("AMD Instinct MI300A", "unified", 124 * GIB, 100 * GIB, 0)],
    "radeons-and-raphael": [
        ("AMD Radeon RX 7900 XT", "discrete", 21458059264, 21458059264 - 27856896, 0),
        (
            "AMD Radeon Graphics (Raphael)",
            "unified",
            67108864 + 33554432000,
            67108864 - 26079232 + 33554432000 - 10485760,
            67108864,
        ),
        ("AMD Radeon RX 6800 XT", "discrete", 17163091968, 17163091968 - 692142080, 0),
    ],
    "strix-halo": [("AMD Radeon 8060S Graphics", "unified", 100 * GIB, int(83.5 * GIB), 4 * GIB)],
    "strix-halo-half": [
        (
            "AMD Radeon 8060S Graphics",
            "unified",
            512 * MIB + 16376135 * 4096,
            412 * MIB + 16376135 * 4096 - 20 * MIB,
            512 * MIB,
        )
    ],
    "uhd-770": [("Intel(R) UHD Graphics 770", "unified", 124 * GIB, 100 * GIB, 0)],
    "windows-9060-xt": [
        ("AMD Radeon RX 9060 XT", "discrete", 17095983104, None, 0),
        ("AMD Radeon Graphics (Raphael)", "unified", HALF + 512 * MIB, None, 512 * MIB),
    ],
    "windows-lunar-lake": [("Intel(R) Arc(TM) 140V GPU (16GB)", "unified", HALF, HALF, 0)],
    "windows-one-adapter": [("Intel(R) UHD Graphics", "unified", HALF, HALF, 0)],
    "windows-strix-halo": [("AMD Radeon 8060S Graphics", "unified", HALF + 96 * GIB, None, 96 * GIB)],
    "windows-uhd-and-nvidia": [("Intel(R) UHD Graphics 630", "unified", HALF, HALF, 0)],
}
"""Recording with a GPU that shares the RAM → name, kind, total, free and carve-out of all that are there."""

NOTES: Final[dict[str, list[str]]] = {
    "amd-damaged": ["memory of AMD Radeon RX 7900 XT: it is the one", "Intel GPU is there"],
    "amd-memory-untold": ["AMD Radeon RX 7900 XTX: it is the one", "AMD Radeon RX 9060 XT is there, but"],
    "arc-a770-small-window": [f"{A770} is there, but its memory could not be read: install xpu-smi"],
    "arc-a770-window": ["it is the one that this model is sold with"],
    "arc-b580-alone": ["it is the one that this model is sold with"],
    "arc-container": ["not passed to this container: start it with --device /dev/dri"],
    "ascend-no-driver": ["npu-smi does not tell of it"],
    "container-with-one-card": ["An AMD GPU is there, but not passed", "--device /dev/kfd --device /dev/dri"],
    "container-without-dri": ["2 AMD GPUs are there, but not passed to this container", "--group-add render"],
    "mi300x-parts-hidden": ["AMD Instinct MI300X is divided (CPX)"],
    "windows-9060-xt-no-registry": ["AMD Radeon RX 9060 XT is there, but its memory could not be read"],
    "windows-no-driver": ["An AMD GPU is there without its driver"],
}
"""Recording → what its notes say, all of them together; other recordings have none."""


@pytest.mark.parametrize("name", CARDS)
def test_cards(name: str) -> None:
    gpus = [complete(found.gpu, SPECS) for found in read(recorded(name)).gpus]
    assert [(gpu.name, gpu.vram_bytes, gpu.free_bytes, gpu.catalog_id) for gpu in gpus] == CARDS[name]
    assert not any(gpu.unified or gpu.mig for gpu in gpus)


@pytest.mark.parametrize("name", CHIPS)
def test_ascend(name: str) -> None:
    gpus = [complete(found.gpu, SPECS) for found in read(recorded(name)).gpus]
    expected = [(chip, total, free, CHIP_ROWS[name]) for chip, total, free in CHIPS[name]]
    assert [(gpu.name, gpu.vram_bytes, gpu.free_bytes, gpu.catalog_id) for gpu in gpus] == expected


@pytest.mark.parametrize("name", SLICES)
def test_a_partitioned_accelerator_is_its_parts(name: str) -> None:
    gpus = [complete(found.gpu, SPECS) for found in read(recorded(name)).gpus]
    assert [(gpu.vram_bytes, gpu.free_bytes) for gpu in gpus] == SLICES[name]
    assert {(gpu.name, gpu.catalog_id, gpu.mig) for gpu in gpus} == {("AMD Instinct MI300X", "mi300x", True)}


@pytest.mark.parametrize("name", SHARED)
def test_shared_memory(name: str) -> None:
    found = read(recorded(name)).gpus
    assert [
        (f.gpu.name, f.gpu.memory, f.gpu.vram_bytes, f.gpu.free_bytes, f.carve_out_bytes) for f in found
    ] == SHARED[name]


@pytest.mark.parametrize(
    ("name", "total_gib", "expected"),
    [
        pytest.param("lunar-lake", 31, "arc-140v", id="lunar-lake"),
        pytest.param("lunar-lake-5", 15, "arc-130v", id="lunar-lake-5"),
        pytest.param("mi300a", 124, "mi300a", id="mi300a"),
        pytest.param("strix-halo", 124, "radeon-8060s", id="strix-halo"),
        pytest.param("strix-halo-half", 124, "radeon-8060s", id="strix-halo-half"),
        pytest.param("uhd-770", 31, None, id="uhd-770"),
        pytest.param("windows-lunar-lake", 15, "arc-140v", id="windows-lunar-lake"),
        pytest.param("windows-strix-halo", 31, "radeon-8060s", id="windows-strix-halo"),
    ],
)
def test_shared_memory_does_not_hide_the_row(name: str, total_gib: int, expected: str | None) -> None:
    memory = HostMemory(total_bytes=total_gib * GIB, available_bytes=total_gib * GIB)
    (found,) = combined(reader(recorded(name), memory) for reader in READERS).gpus
    assert complete(found.gpu, SPECS).catalog_id == expected


@pytest.mark.parametrize("name", NAMES)
def test_notes(name: str) -> None:
    notes = " ".join(read(recorded(name)).notes)
    assert all(part in notes for part in NOTES.get(name, ()))
    assert bool(notes) == (name in NOTES)


def test_every_recording_is_expected_once_and_tells_its_origin() -> None:
    assert sorted([*CARDS, *CHIPS, *SLICES, *SHARED]) == NAMES
    assert all(document(name)["source"].startswith(("github.com/", "made: ")) for name in NAMES)


def test_memory_that_only_the_catalog_knows_is_unknown_without_it() -> None:
    assert read_intel(recorded("arc-b580-alone"), MEMORY).gpus == ()
    (found,) = read_amd(recorded("amd-damaged"), MEMORY).gpus
    assert found.gpu.name == "AMD Instinct MI999"


def test_what_is_mapped_comes_out_of_available_memory() -> None:
    full = MEMORY.model_copy(update={"available_bytes": 10 * GIB})
    (found,) = read_amd(recorded("strix-halo"), full).gpus
    assert found.gpu.free_bytes == int((3.5 + 10) * GIB)
    (found,) = read_intel(recorded("uhd-770"), full).gpus
    assert found.gpu.free_bytes == 10 * GIB


def test_the_carve_out_is_counted_with_the_memory() -> None:
    (found,) = read_amd(recorded("strix-halo"), MEMORY).gpus
    pool = with_carve_out(MEMORY, found)
    assert (pool.total_bytes, pool.available_bytes) == (128 * GIB, int(103.5 * GIB))
    simulated = HostMemory(total_bytes=124 * GIB)
    assert with_carve_out(simulated, found).available_bytes is None


def test_without_kfd_a_card_is_listed_and_the_note_says_what_is_lacking() -> None:
    files = {**document("container-with-one-card")["files"]}
    here = {path: text for path, text in files.items() if "card1" not in path}
    reading = read_amd(recorded("container-with-one-card", files=here), MEMORY)
    assert len(reading.gpus) == 1
    assert reading.notes[0].startswith("/dev/kfd is not there, so ROCm cannot use the AMD GPU (Vulkan can)")


# ---- tools: asked only where needed, and no longer than they answer


class Asked:
    """A source that notes which programs are run."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.platform, self.environ = source.platform, source.environ
        self.text, self.glob, self.ask = source.text, source.glob, source.ask
        self.programs: list[str] = []
        self.waited_s = 0.0
        """Had each program without an answer taken all the time it may."""

    def run(self, *argv: str, limit_s: float = TOOL_LIMIT_S) -> str | None:
        self.programs.append(" ".join(argv))
        answer = self._source.run(*argv, limit_s=limit_s)
        self.waited_s += limit_s if answer is None else 0.0
        return answer


@pytest.mark.parametrize(
    ("name", "programs"),
    [
        pytest.param("radeons-and-raphael", [], id="sysfs-tells-all"),
        pytest.param("uhd-770", [], id="integrated"),
        pytest.param("arc-b580-tiles", ["xpu-smi discovery -j"], id="free-memory-is-asked-for"),
        pytest.param("arc-b580-alone", ["xpu-smi discovery -j", "clinfo --json"], id="memory-is-open"),
        pytest.param(
            "amd-smi-rocm60",
            ["amd-smi static --json", "amd-smi metric --mem-usage --json"],
            id="amd-smi-first",
        ),
        pytest.param(
            "rocm-smi-rocm6",
            [
                "amd-smi static --json",
                "rocm-smi --showproductname --showmeminfo vram --showbus --json",
            ],
            id="rocm-smi-then",
        ),
    ],
)
def test_tools_are_asked_only_for_what_is_open(name: str, programs: list[str]) -> None:
    source = Asked(recorded(name))
    read(source)
    assert source.programs == programs


def test_xpu_smi_is_not_asked_again_when_it_does_not_answer() -> None:
    tools = {"xpu-smi discovery -j": document("arc-pro-b60")["tools"]["xpu-smi discovery -j"]}
    source = Asked(recorded("arc-pro-b60", tools=tools))
    reading = read_intel(source, MEMORY, SPECS)
    assert [program for program in source.programs if " -d " in program] == ["xpu-smi discovery -d 0 -j"]
    assert [found.gpu.vram_bytes for found in reading.gpus] == [
        sold("arc-pro-b60")
    ] * 2  # the name has one size


@pytest.mark.parametrize("name", NAMES)
def test_programs_that_hang_take_less_than_detection_may(name: str) -> None:
    tools = document(name).get("tools", {})
    for answering in range(len(tools) + 1):
        for reader in READERS:
            source = Asked(recorded(name, tools=dict(list(tools.items())[:answering])))
            reader(source, MEMORY)
            assert source.waited_s <= 2.5


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("platform", ["darwin", "linux", "win32"])
def test_a_machine_without_any(reader: Callable[[Source, HostMemory], Reading], platform: str) -> None:
    source = source_of({"platform": platform, "tools": {}})
    reading = reader(source, MEMORY)
    assert reading.gpus == ()
    assert len(reading.notes) == (platform == "win32" and reader is READERS[2])  # PowerShell is everywhere


def test_files_are_found_through_the_kernels_links(tmp_path: Path) -> None:
    """/sys/class/drm/card0 is a link, and its device is another."""
    home = tmp_path / "sys/devices/pci0000:00/0000:03:00.0"
    for path, text in document("container-with-one-card")["files"].items():
        inside = path.removeprefix("sys/class/drm/card0/device/")
        file = home / inside if inside != path else tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    card = home / "drm/card0"
    card.mkdir()
    (card / "device").symlink_to(home)
    (tmp_path / "sys/class/drm/card0").symlink_to(card)
    live, kept = Live(tmp_path), recorded("container-with-one-card")
    live.platform = "linux"
    assert read_amd(live, MEMORY) == read_amd(kept, MEMORY)


def test_this_machine_is_read() -> None:
    for reader in READERS:
        assert isinstance(reader(Live(), MEMORY), Reading)
