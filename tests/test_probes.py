"""Detection as a whole: which of the GPUs that were read are planned on, and what is said of them.

The figures of AMD's are those that owners published: RX 7900 XT (github.com/marimo-team/marimo/issues/9237),
RX 6800 XT beside a Raphael (github.com/mudler/LocalAI/pull/7761), Strix Halo with a raised limit
(github.com/noamsto/nix-amd-ai/issues/42), all read on 2026-11-21. What is in use in those trees, and the GTT
of the two cards, was not published and stands for any such figure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from recorded_source import SPECS, WHOLE, RecordedFiles, source_of, whole
from recorded_trees import RECORDED

from advisor import probes
from advisor.hardware import Gpu, Host, HostMemory, Machine
from advisor.hardware_catalog import load_hardware, resolve_hardware
from advisor.placement import host_capacity
from advisor.probes import gpu_notes
from advisor.probes.recording import LibraryAnswer, Recorded, Recording
from advisor.probes.source import Live
from advisor.units import GB, GIB, MIB

ASKED: Final[dict[str, Any]] = {
    "memory": {"total": 124 * GIB, "available": 100 * GIB},
    "bandwidth": [80 * GB, []],
}
NVIDIA: Final = {
    "driver": "570.133.07",
    "cards": [
        {
            "capability": "8.9",
            "link": None,
            "slices": None,
            "name": "NVIDIA GeForce RTX 4090",
            "total": 24564 * MIB,
            "free": 24000 * MIB,
            "users": [],
        }
    ],
}


def files_of(tree: str) -> dict[str, str]:
    return json.loads((RECORDED / f"{tree}.json").read_text())


def detect(tree: str, files: dict[str, str] | None = None, **asked: Any) -> Machine:
    """The Linux machine of 124 GiB that has the tree's files, with other files and answers added."""
    parts = {"platform": "linux", "files": files_of(tree) | (files or {}), "asked": ASKED | asked}
    return probes.detect(gpus=SPECS, source=source_of(parts))


def test_cards_are_planned_on_and_the_integrated_one_beside_them_is_not() -> None:
    machine = detect("two-radeons-and-raphael")
    assert [(gpu.index, gpu.catalog_id) for gpu in machine.gpus] == [(0, "rx-7900-xt"), (1, "rx-6800-xt")]
    (note,) = machine.notes
    assert note.startswith("AMD Radeon Graphics (Raphael) is integrated")
    assert not machine.unified
    assert machine.host.memory.total_bytes == 124 * GIB


def test_one_pool_is_counted_once() -> None:
    machine = detect("strix-halo")
    (gpu,) = machine.gpus
    assert (gpu.catalog_id, gpu.bandwidth_bytes_per_s) == ("radeon-8060s", 256 * GB)
    assert machine.unified
    assert machine.host.memory.total_bytes == 128 * GIB
    assert machine.host_capacity_bytes == int(103.5 * GIB)
    assert gpu.capacity_bytes == int(83.5 * GIB)
    (note,) = machine.notes
    assert "4.00 GiB of it is set aside" in note


def test_the_host_cannot_use_what_is_kept_for_the_gpu() -> None:
    """3.5 of 4 GiB are free: without a model on the GPU, the host has that much less."""
    machine = detect("strix-halo")
    assert host_capacity(machine, used_by_gpus=0) == 100 * GIB
    assert host_capacity(machine, used_by_gpus=10 * GIB) == int(93.5 * GIB)


def test_an_integrated_gpu_beside_another_makers_card_is_left_out() -> None:
    machine = detect("strix-halo", nvml=NVIDIA)
    assert [gpu.catalog_id for gpu in machine.gpus] == ["rtx-4090"]
    assert machine.notes[0].startswith("AMD Radeon 8060S Graphics is integrated")
    assert machine.host.memory.total_bytes == 124 * GIB


def test_a_lone_integrated_gpu_of_unknown_speed_is_left_out() -> None:
    machine = detect("strix-halo", {"sys/class/drm/card1/device/device": "0x164e\n"})
    assert machine.gpus == ()
    (note,) = machine.notes
    assert "not planned on" in note
    assert machine.host.memory.total_bytes == 124 * GIB


def test_an_integrated_gpu_for_any_ram_is_as_fast_as_the_ram() -> None:
    (gpu,) = detect("strix-halo", {"sys/class/drm/card1/device/device": "0x15bf\n"}).gpus
    assert (gpu.catalog_id, gpu.bandwidth_bytes_per_s) == ("radeon-780m", 80 * GB)


def test_an_apple_gpu_is_planned_on_even_where_it_is_not_known_which() -> None:
    parts = json.loads((WHOLE / "mac.json").read_text())
    del parts["tools"]["/usr/sbin/system_profiler SPDisplaysDataType -json"]  # did not answer
    (gpu,) = probes.detect(gpus=SPECS, source=source_of(parts)).gpus
    assert (gpu.vram_bytes, gpu.catalog_id) == (int(64 * GIB * 0.81), None)


# ---- notes


def gpu(name: str, vendor: Any, catalog_id: str | None) -> Gpu:
    return Gpu(index=0, name=name, vendor=vendor, vram_bytes=8 * GIB, catalog_id=catalog_id)


def test_a_gpu_without_a_row_is_named() -> None:
    (note,) = gpu_notes.unidentified_notes([gpu("NVIDIA X", "nvidia", None), gpu("Y", "amd", "y")], SPECS)
    assert note.startswith("NVIDIA X (8.00 GiB) is not in the hardware catalog; its bandwidth")


@pytest.mark.parametrize(
    ("vendors", "environ", "named"),
    [
        pytest.param(["nvidia"], {"CUDA_VISIBLE_DEVICES": "1"}, ["CUDA_VISIBLE_DEVICES=1"], id="nvidia"),
        pytest.param(
            ["amd"],
            {"HIP_VISIBLE_DEVICES": "0", "ROCR_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "1"},
            ["ROCR_VISIBLE_DEVICES=1", "HIP_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES=1"],
            id="amd",
        ),
        pytest.param(
            ["intel"],
            {"ZE_AFFINITY_MASK": "0", "CUDA_VISIBLE_DEVICES": "1"},
            ["ZE_AFFINITY_MASK=0"],
            id="intel",
        ),
        pytest.param([], {"CUDA_VISIBLE_DEVICES": ""}, [], id="nothing-to-hide"),
    ],
)
def test_variables_that_hide_gpus(vendors: list[str], environ: dict[str, str], named: list[str]) -> None:
    notes = gpu_notes.hiding_notes([gpu("X", vendor, "x") for vendor in vendors], environ)
    assert [note.partition(" is set: ")[0] for note in notes] == named


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, "An AMD GPU is there and was not read: name it with --hardware", id="no-driver"),
        pytest.param(
            {".dockerenv": ""},
            "start this container with --device /dev/kfd --device /dev/dri",
            id="container",
        ),
    ],
)
def test_a_card_that_is_only_seen_on_the_bus(files: dict[str, str], expected: str) -> None:
    machine = detect("radeon", files)
    assert machine.gpus == ()
    (note,) = machine.notes
    assert expected in note


def test_a_card_beside_others_of_which_a_note_tells_is_told_of_once() -> None:
    """Its memory could not be read: that it is on the bus is no news."""
    files = {
        "sys/class/drm/card0/device/vendor": "0x1002\n",
        "sys/class/drm/card0/device/device": "0xffff\n",
    }
    (note,) = detect("radeon", files).notes
    assert "its memory could not be read" in note


# ---- whole machines


@pytest.mark.parametrize("name", sorted(file.stem for file in WHOLE.glob("*.json")))
def test_a_machine_that_was_detected_can_be_planned_for_elsewhere(name: str, tmp_path: Path) -> None:
    parts = json.loads((WHOLE / f"{name}.json").read_text())
    assert parts["source"].startswith(("github.com/", "made: "))
    machine = probes.detect(gpus=SPECS, source=source_of(parts))
    assert machine.host.os != "unknown"
    assert machine.gpus
    file = tmp_path / "machine.json"
    file.write_text(machine.model_dump_json())
    assert resolve_hardware(str(file), load_hardware()) == machine


def test_unlike_gpus_of_two_makers() -> None:
    machine = probes.detect(gpus=SPECS, source=RecordedFiles(whole("strix-halo-and-geforce")))
    assert [(gpu.vendor, gpu.catalog_id) for gpu in machine.gpus] == [("nvidia", "rtx-3060-12gb")]
    (note,) = machine.notes
    assert note.startswith("AMD Radeon 8060S Graphics is integrated")


# ---- this machine


def test_this_machine_replays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machine = probes.detect(measure_bandwidth=False)
    assert Machine.model_validate_json(machine.model_dump_json()) == machine
    assert machine.host.memory.total_bytes > 0
    assert 0 < machine.host_capacity_bytes <= machine.host.memory.total_bytes
    assert machine.host.memory.bandwidth_bytes_per_s is None
    assert list(tmp_path.iterdir()) == []


def test_a_recording_of_this_machine_replays() -> None:
    recording = Recording(Live())
    here = probes.detect(measure_bandwidth=False, source=recording)
    there = probes.detect(measure_bandwidth=False, source=Recorded(recording.transcript))
    assert there == here


def test_nothing_of_this_machine_is_in_another() -> None:
    transcript = Recording(Live()).transcript.model_copy(
        update={"asked": {"memory": LibraryAnswer(answer={"total": 8 * GIB, "available": 7 * GIB})}}
    )
    machine = probes.detect(source=Recorded(transcript))
    assert machine == Machine(
        host=Host(os="unknown", memory=HostMemory(total_bytes=8 * GIB, available_bytes=7 * GIB))
    )


def test_every_recording_is_used() -> None:
    text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    names = [
        file.stem
        for folder in RECORDED.parent.iterdir()
        if folder.is_dir() and folder != WHOLE  # those are all taken by a test above
        for file in folder.iterdir()
    ]
    assert [name for name in names if f'"{name}"' not in text] == []
