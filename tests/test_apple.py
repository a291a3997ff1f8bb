"""Apple's GPUs, from what sysctl and system_profiler tell."""

from __future__ import annotations

from typing import Final

import pytest
from recorded_source import SPECS, RecordedFiles, source_of, whole

from advisor.hardware import HostMemory
from advisor.probes import apple
from advisor.units import GB, GIB, MIB

MEMORY: Final = HostMemory(total_bytes=64 * GIB, available_bytes=50 * GIB)
SYSCTL: Final = " ".join(("/usr/sbin/sysctl", *apple.SYSCTL_NAMES))


@pytest.mark.parametrize(
    ("total_gib", "darwin", "limit", "expected"),
    [
        pytest.param(64, "24.6.0", "0", 48 * GIB, id="three-quarters"),
        pytest.param(24, "24.6.0", "0", 16 * GIB, id="two-thirds"),
        pytest.param(64, "22.6.0", "", 48 * GIB, id="before-the-limit-could-be-set"),
        pytest.param(64, "", "0", 48 * GIB, id="version-untold"),
        pytest.param(64, "25.1.0", "57344", 57344 * MIB, id="set"),
        pytest.param(64, "25.1.0", "999999", 64 * GIB, id="set-above-the-memory"),
        pytest.param(16, "25.2.0", "0", 12124 * MIB, id="macos-26-16"),
        pytest.param(24, "25.1.0", "0", 18186 * MIB, id="macos-26-24"),
        pytest.param(36, "25.4.0", "0", 28753 * MIB, id="macos-26-36"),
        pytest.param(48, "25.4.0", "0", 38338 * MIB, id="macos-26-48"),
        pytest.param(64, "26.0.0", "0", 53084 * MIB, id="macos-27-64"),
        pytest.param(128, "25.5.0", "0", 110100 * MIB, id="macos-26-128"),
    ],
)
def test_wired_limit(total_gib: int, darwin: str, limit: str, expected: int) -> None:
    facts = {
        "machdep.cpu.brand_string": "Apple M3 Max",
        "kern.osrelease": darwin,
        "iogpu.wired_limit_mb": limit,
    }
    memory = HostMemory(total_bytes=total_gib * GIB, available_bytes=50 * GIB)
    gpu = apple.chip_gpu(facts, memory)
    assert gpu.unified
    assert 0 <= gpu.vram_bytes - expected < MIB
    assert gpu.free_bytes == min(gpu.vram_bytes, 50 * GIB)


@pytest.mark.parametrize(
    ("name", "row", "gb_s"),
    [
        pytest.param("mac", "m3-max-40-core", 400, id="m3-max"),
        pytest.param("mac-mini", "m4-pro-16-core", 273, id="m4-pro"),
    ],
)
def test_a_mac_is_its_row_by_the_number_of_gpu_cores(name: str, row: str, gb_s: int) -> None:
    (found,) = apple.read_apple(RecordedFiles(whole(name)), MEMORY, SPECS).gpus
    assert (found.gpu.catalog_id, found.gpu.bandwidth_bytes_per_s) == (row, gb_s * GB)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # 30 or 40 cores: not guessed
        pytest.param("machdep.cpu.brand_string: Apple M3 Max\n", [("Apple M3 Max", None)], id="no-profile"),
        pytest.param("machdep.cpu.brand_string: Apple M4\n", [("Apple M4", None)], id="8-or-10-cores"),
        pytest.param("machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz\n", [], id="intel"),
    ],
)
def test_the_chip_alone(facts: str, expected: list[tuple[str, str | None]]) -> None:
    source = source_of({"platform": "darwin", "tools": {SYSCTL: facts}})
    reading = apple.read_apple(source, MEMORY, SPECS)
    assert [(found.gpu.name, found.gpu.catalog_id) for found in reading.gpus] == expected
    assert reading.notes == ()


def test_a_chip_that_is_not_told_is_a_note() -> None:
    (note,) = apple.read_apple(source_of({"platform": "darwin"}), MEMORY, SPECS).notes
    assert note.startswith("An Apple GPU is there and was not read")


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"SPDisplaysDataType": [{"sppci_cores": "many"}]}', '{"other": 1}']
)
def test_a_profile_that_tells_nothing(text: str) -> None:
    assert apple.gpu_cores(text) is None
