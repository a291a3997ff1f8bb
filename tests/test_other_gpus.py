"""Which of the GPUs that were read are planned on, and Apple's GPUs, from recordings.

The figures of AMD's are those that owners published: RX 7900 XT (github.com/marimo-team/marimo/issues/9237),
RX 6800 XT beside a Raphael (github.com/mudler/LocalAI/pull/7761), Strix Halo with a raised limit
(github.com/noamsto/nix-amd-ai/issues/42), all read on 2026-11-21. What is in use in those trees, and the GTT
of the two cards, was not published and stands for any such figure.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_source import source_of
from recorded_trees import lay_out, linux

from advisor import bandwidth, probes
from advisor.hardware import Cpu, Gpu, Host, HostMemory, Machine
from advisor.hardware_catalog import load_hardware
from advisor.placement import host_capacity
from advisor.probes import apple, host
from advisor.units import GB, GIB, MIB

SPECS = load_hardware().gpus
MEMORY = HostMemory(total_bytes=124 * GIB, available_bytes=100 * GIB)


@pytest.fixture
def detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine of 124 GiB whose files are those of a recording, laid out in the folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(probes, "Live", lambda *_: linux(tmp_path))
    monkeypatch.setattr(probes, "_nvidia", lambda *_: probes.NvidiaReading())
    monkeypatch.setattr(probes, "read_host", lambda *_: Host(os="Linux", cpu=Cpu(), memory=MEMORY))
    monkeypatch.setattr(bandwidth, "kept_bandwidth", lambda *_: (80 * GB, ()))
    return tmp_path


def detect(tree: str, root: Path) -> Machine:
    lay_out(tree, root)
    return probes.detect(gpus=SPECS, measure_bandwidth=False)


def test_cards_are_planned_on_and_the_integrated_one_beside_them_is_not(detected: Path) -> None:
    machine = detect("two-radeons-and-raphael", detected)
    assert [(gpu.index, gpu.catalog_id) for gpu in machine.gpus] == [(0, "rx-7900-xt"), (1, "rx-6800-xt")]
    (note,) = machine.notes
    assert note.startswith("AMD Radeon Graphics (Raphael) is integrated")
    assert not machine.unified
    assert machine.host.memory.total_bytes == 124 * GIB


def test_one_pool_is_counted_once(detected: Path) -> None:
    machine = detect("strix-halo", detected)
    (gpu,) = machine.gpus
    assert (gpu.catalog_id, gpu.bandwidth_bytes_per_s) == ("radeon-8060s", 256 * GB)
    assert machine.unified
    assert machine.host.memory.total_bytes == 128 * GIB
    assert machine.host_capacity_bytes == int(103.5 * GIB)
    assert gpu.capacity_bytes == int(83.5 * GIB)
    (note,) = machine.notes
    assert "4.00 GiB of it is set aside" in note


def test_the_host_cannot_use_what_is_kept_for_the_gpu(detected: Path) -> None:
    """3.5 of 4 GiB are free: without a model on the GPU, the host has that much less."""
    machine = detect("strix-halo", detected)
    assert host_capacity(machine, used_by_gpus=0) == 100 * GIB
    assert host_capacity(machine, used_by_gpus=10 * GIB) == int(93.5 * GIB)


def test_an_integrated_gpu_beside_another_makers_card_is_left_out(
    detected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Gpu(index=0, name="NVIDIA GeForce RTX 4090", vendor="nvidia", vram_bytes=24564 * MIB)
    monkeypatch.setattr(probes, "_nvidia", lambda *_: probes.NvidiaReading(gpus=(card,)))
    machine = detect("strix-halo", detected)
    assert [gpu.catalog_id for gpu in machine.gpus] == ["rtx-4090"]
    assert machine.notes[0].startswith("AMD Radeon 8060S Graphics is integrated")
    assert machine.host.memory.total_bytes == 124 * GIB


def test_a_lone_integrated_gpu_of_unknown_speed_is_left_out(detected: Path) -> None:
    lay_out("strix-halo", detected)
    (detected / "sys/class/drm/card1/device/device").write_text("0x164e\n")
    machine = probes.detect(gpus=SPECS, measure_bandwidth=False)
    assert machine.gpus == ()
    (note,) = machine.notes
    assert "not planned on" in note
    assert machine.host.memory.total_bytes == 124 * GIB


def test_an_integrated_gpu_for_any_ram_is_as_fast_as_the_ram(detected: Path) -> None:
    lay_out("strix-halo", detected)
    (detected / "sys/class/drm/card1/device/device").write_text("0x15bf\n")
    (gpu,) = probes.detect(gpus=SPECS, measure_bandwidth=False).gpus
    assert (gpu.catalog_id, gpu.bandwidth_bytes_per_s) == ("radeon-780m", 80 * GB)


# ---- Apple


def mac(total_gib: int, limit: str) -> Gpu:
    facts = {"machdep.cpu.brand_string": "Apple M3 Max", "iogpu.wired_limit_mb": limit}
    memory = HostMemory(total_bytes=total_gib * GIB, available_bytes=50 * GIB)
    (gpu,) = apple.read_apple(facts, memory)
    return gpu


@pytest.mark.parametrize(
    ("total_gib", "limit", "expected"),
    [
        pytest.param(64, "0", 48 * GIB, id="three-quarters"),
        pytest.param(24, "0", 16 * GIB, id="two-thirds"),
        pytest.param(64, "", 48 * GIB, id="older-system"),
        pytest.param(64, "57344", 57344 * MIB, id="set"),
        pytest.param(64, "999999", 64 * GIB, id="set-above-the-memory"),
    ],
)
def test_wired_limit(total_gib: int, limit: str, expected: int) -> None:
    gpu = mac(total_gib, limit)
    assert gpu.unified
    assert gpu.vram_bytes == expected
    assert gpu.free_bytes == min(expected, 50 * GIB)


def test_a_mac_is_its_row_by_the_number_of_gpu_cores(tmp_path: Path) -> None:
    root = lay_out("macos-m3-max", tmp_path)
    facts = {" ".join(("/usr/sbin/sysctl", *apple.SYSCTL_NAMES)): (root / "sysctl").read_text()}
    profile = {" ".join(apple.PROFILER): (root / "system_profiler").read_text()}
    mac = source_of({"platform": "darwin", "tools": facts | profile})
    (gpu,) = probes._apple(mac, HostMemory(total_bytes=64 * GIB, available_bytes=50 * GIB), SPECS)
    assert (gpu.catalog_id, gpu.bandwidth_bytes_per_s) == ("m3-max-40-core", 400 * GB)
    mac = source_of({"platform": "darwin", "tools": facts})
    (gpu,) = probes._apple(mac, HostMemory(total_bytes=64 * GIB, available_bytes=50 * GIB), SPECS)
    assert (gpu.catalog_id, gpu.bandwidth_bytes_per_s) == (None, None)  # 30 or 40 cores: not guessed


def test_a_mac_with_an_intel_processor_has_no_apple_gpu() -> None:
    facts = host.parse_sysctl("machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz")
    assert apple.read_apple(facts, MEMORY) == ()


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"SPDisplaysDataType": [{"sppci_cores": "many"}]}', '{"other": 1}']
)
def test_a_profile_that_tells_nothing(text: str) -> None:
    assert apple.gpu_cores(text) is None
