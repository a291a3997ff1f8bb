"""NVIDIA's GPUs, from recorded answers of the driver's library (tests/machines/nvml)."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_nvml import FakeNvml
from recorded_trees import lay_out, linux, tree_source

from advisor.hardware import GpuUser, HostMemory
from advisor.hardware_catalog import load_hardware
from advisor.probes import identify, nvidia, pci
from advisor.probes.nvml import gather
from advisor.units import GIB, MIB

SPECS = load_hardware().gpus
MEMORY = HostMemory(total_bytes=64 * GIB, available_bytes=50 * GIB)


def read(name: str, root: Path) -> nvidia.NvidiaReading:
    nvml = FakeNvml(name)
    source = linux(root)
    reading = nvidia.read_nvidia(gather(nvml), source, MEMORY, on_bus=pci.display_vendors(source))
    assert nvml.open == 0  # whatever happened, the library was closed
    return reading


def test_two_cards(tmp_path: Path) -> None:
    reading = read("2x-rtx-4090", tmp_path)
    assert [gpu.index for gpu in reading.gpus] == [0, 1]
    first, second = reading.gpus
    assert first.name == second.name == "NVIDIA GeForce RTX 4090"
    assert first.vram_bytes == 24564 * MIB
    assert (first.free_bytes, second.free_bytes) == (23987 * MIB, 24110 * MIB)
    assert first.compute_capability == "8.9"
    assert first.driver == "570.133.07"
    assert reading.interconnect == "pcie 4.0 x8"  # the slower slot of the two
    assert reading.notes == ()


def test_a_laptop(tmp_path: Path) -> None:
    (gpu,) = read("rtx-3060-laptop", tmp_path).gpus
    assert gpu.name == "NVIDIA GeForce RTX 3060 Laptop GPU"
    assert gpu.vram_bytes == 6 * GIB
    assert gpu.capacity_bytes == 5009 * MIB


def test_who_uses_the_memory(tmp_path: Path) -> None:
    """Programs by name alone: arguments may hold secrets, and Windows tells no sizes."""
    (gpu,) = read("rtx-3060-laptop", tmp_path).gpus
    assert gpu.users == (
        GpuUser(name="llama-server", bytes=809 * MIB),
        GpuUser(name="Xorg", bytes=229 * MIB),
    )


@pytest.mark.parametrize(
    ("tree", "gib", "driver", "row"),
    [
        # github.com/rbonghi/jetson_stats, issues 864 and 400; the latter's board does not say "Jetson"
        pytest.param("jetson-agx-orin", 61, "L4T 39.2.0", "jetson-agx-orin-64gb", id="agx-orin"),
        pytest.param("jetson-orin-nano", 7.4, "L4T 35.3.1", "jetson-orin-nano-8gb", id="orin-nano"),
    ],
)
def test_a_jetson_without_nvml(tree: str, gib: float, driver: str, row: str, tmp_path: Path) -> None:
    source = linux(lay_out(tree, tmp_path))
    memory = HostMemory(total_bytes=int(gib * GIB), available_bytes=5 * GIB)
    (gpu,) = nvidia.read_nvidia(gather(FakeNvml("no-library")), source, memory).gpus
    assert (gpu.driver, gpu.unified) == (driver, True)
    assert (gpu.vram_bytes, gpu.free_bytes) == (memory.total_bytes, 5 * GIB)
    assert identify.complete(gpu, SPECS).catalog_id == row


def test_a_container_on_a_jetson_may_not_see_the_boards_name(tmp_path: Path) -> None:
    source = linux(lay_out("jetson-orin-nano", tmp_path))
    (tmp_path / nvidia.BOARD).unlink()
    (gpu,) = nvidia.read_nvidia(gather(FakeNvml("no-library")), source, MEMORY).gpus
    assert (gpu.name, gpu.driver) == ("NVIDIA Jetson", "L4T 35.3.1")


def test_wsl_without_a_driver_says_where_to_put_it(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "dxg").touch()
    (note,) = read("no-library", tmp_path).notes
    assert note.startswith("WSL2 offers a GPU")
    assert "in Windows" in note


def test_a_container_is_told_how_it_gets_the_card(tmp_path: Path) -> None:
    source = tree_source("nvidia-without-driver", tmp_path)
    told = gather(FakeNvml("no-library"))
    (note,) = nvidia.read_nvidia(told, source, MEMORY, on_bus={"nvidia"}, container=True).notes
    assert "container toolkit" in note
    assert "--gpus all" in note
    (note,) = nvidia.read_nvidia(told, source, MEMORY, on_bus={"nvidia"}).notes
    assert "container" not in note


def test_mig_slices_stand_for_their_card(tmp_path: Path) -> None:
    reading = read("h100-mig", tmp_path)
    assert [(gpu.index, gpu.name.partition("MIG ")[2], gpu.vram_bytes // MIB) for gpu in reading.gpus] == [
        (0, "1g.10gb", 9984),
        (1, "3g.40gb", 40448),
    ]
    assert all(gpu.mig and gpu.compute_capability == "9.0" for gpu in reading.gpus)
    assert reading.interconnect is None
    assert reading.notes == ("A CUDA program sees one MIG slice at a time: they do not add up.",)


def test_nvlink(tmp_path: Path) -> None:
    reading = read("8x-h100-nvlink", tmp_path)
    assert len(reading.gpus) == 8
    assert reading.interconnect == "nvlink"


def test_a_card_that_fails_leaves_the_others(tmp_path: Path) -> None:
    reading = read("one-card-lost", tmp_path)
    assert [(gpu.index, gpu.free_bytes) for gpu in reading.gpus] == [(0, 48500 * MIB), (1, 47000 * MIB)]
    assert reading.notes == ("GPU 1 (as nvidia-smi counts) could not be read and is left out: GPU is lost.",)


def test_a_gpu_without_memory_of_its_own_shares_the_hosts(tmp_path: Path) -> None:
    (gpu,) = read("gb10", tmp_path).gpus
    assert gpu.unified
    assert (gpu.vram_bytes, gpu.free_bytes) == (64 * GIB, 50 * GIB)


def test_what_an_old_driver_does_not_tell_is_none(tmp_path: Path) -> None:
    (gpu,) = read("old-card", tmp_path).gpus
    assert gpu.compute_capability is None


@pytest.mark.parametrize(
    ("recording", "tree", "note"),
    [
        pytest.param("no-library", "no-proc", None, id="no-card-no-library"),
        pytest.param("no-library", "radeon", None, id="another-makers-card"),
        pytest.param("no-library", "nvidia-audio-only", None, id="no-display-controller"),
        pytest.param("no-library", "nvidia-without-driver", "its driver is not", id="card-without-library"),
        pytest.param("not-loaded", "nvidia-without-driver", "its driver is not", id="module-not-loaded"),
        pytest.param("not-loaded", "no-proc", None, id="library-left-over"),
        pytest.param("mismatch", "no-proc", "restart the machine", id="library-of-another-version"),
        pytest.param("no-permission", "no-proc", "does not answer", id="not-allowed"),
        pytest.param("count-fails", "no-proc", "does not list its GPUs", id="broken-driver"),
        pytest.param("mig-empty", "no-proc", "MIG mode without a slice", id="mig-without-slices"),
    ],
)
def test_no_gpu_and_why(recording: str, tree: str, note: str | None, tmp_path: Path) -> None:
    reading = read(recording, lay_out(tree, tmp_path))
    assert reading.gpus == ()
    if note is None:
        assert reading.notes == ()
    else:
        (written,) = reading.notes
        assert note in written
        assert "\n" not in written


def test_a_device_file_shows_a_card(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    assert read("no-library", tmp_path).notes == ()
    (tmp_path / "dev" / "nvidia0").touch()
    (note,) = read("no-library", tmp_path).notes
    assert note.startswith("An NVIDIA card is there, but its driver is not")


@pytest.mark.parametrize(
    ("tree", "vendors"),
    [
        pytest.param("nvidia-without-driver", {"nvidia", "intel"}, id="hybrid-laptop"),
        pytest.param("radeon", {"amd"}, id="usb-controllers-do-not-count"),
        pytest.param("no-proc", set(), id="no-bus"),
    ],
)
def test_display_vendors(tree: str, vendors: set[str], tmp_path: Path) -> None:
    assert pci.display_vendors(tree_source(tree, tmp_path)) == vendors
