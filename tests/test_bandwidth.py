"""The host's memory bandwidth: measured, and kept per machine."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from recorded_trees import lay_out

from advisor import bandwidth
from advisor.errors import ProbeError
from advisor.hardware import Cpu, Host, HostMemory
from advisor.units import GIB, MIB

RATE = 48_000_000_000


def host(**changes: Any) -> Host:
    cpu = Cpu(**{"name": "AMD EPYC", "physical_cores": 2, "logical_cores": 2, **changes.pop("cpu", {})})
    memory = {"total_bytes": 24 * GIB, "available_bytes": 20 * GIB, **changes}
    return Host(os="Linux", cpu=cpu, memory=HostMemory(**memory))


def test_measures() -> None:
    assert bandwidth.measure_bandwidth(host(available_bytes=GIB)) > 0


@pytest.mark.parametrize(
    ("limit_s", "enough_steps", "filled_steps"),
    [
        pytest.param(3600.0, 0, 4, id="all-in-time"),
        pytest.param(0.0, 2, 3, id="out-of-time-past-enough"),
        pytest.param(0.0, 9, 4, id="never-past-the-end"),
    ],
)
def test_memory_is_made_real_before_it_is_read(
    limit_s: float, enough_steps: int, filled_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bandwidth, "FILL_S", limit_s)
    monkeypatch.setattr(bandwidth, "STEP_BYTES", 64)
    memory = ctypes.create_string_buffer(4 * 64)
    filled = bandwidth._fill(ctypes.addressof(memory), 4 * 64, enough_steps * 64)
    assert filled == filled_steps * 64
    assert memory.raw == b"\1" * filled + b"\0" * (4 * 64 - filled)


def test_a_window_reads_round_and_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.01, 0.02, 0.03, 0.06])
    monkeypatch.setattr(bandwidth.time, "perf_counter", lambda: next(clock))
    seen: list[tuple[int, int]] = []
    rate = bandwidth._rate(lambda start, size: seen.append((start, size)), 1000, 3 * bandwidth.STEP_BYTES)
    step = bandwidth.STEP_BYTES
    assert seen == [(1000, step), (1000 + step, step), (1000 + 2 * step, step), (1000, step)]
    assert rate == pytest.approx(4 * step / 0.06)


@pytest.fixture
def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_: Host) -> int:
        raise AssertionError("measured although a figure was kept")

    monkeypatch.setattr(bandwidth, "measure_bandwidth", measure)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "measure_bandwidth", lambda _: RATE)


@pytest.mark.usefixtures("no_measuring")
def test_a_kept_figure_is_not_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bandwidth.json"
    bandwidth.keep_bandwidth(host(), RATE, file)
    assert bandwidth.host_bandwidth(host(), file) == (RATE, ())
    # What is available changes by the second and says nothing about the machine.
    assert bandwidth.host_bandwidth(host(available_bytes=GIB), file) == (RATE, ())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"cpu": {"name": "Ryzen 9 7950X"}}, id="processor"),
        pytest.param({"cpu": {"physical_cores": 4}}, id="cores"),
        pytest.param({"cpu": {"limit_cores": 1.0}}, id="core-limit"),
        pytest.param({"total_bytes": 48 * GIB}, id="memory"),
        pytest.param({"limit_bytes": 4 * GIB}, id="limit"),
    ],
)
def test_machines_that_share_a_home_keep_their_own(other: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "bandwidth.json"
    bandwidth.keep_bandwidth(host(), RATE, file)
    assert bandwidth.kept_bandwidth(host(**other), file) == (None, ())
    bandwidth.keep_bandwidth(host(**other), 2 * RATE, file)
    bandwidth.keep_bandwidth(host(**other), 3 * RATE, file)
    assert bandwidth.kept_bandwidth(host(), file) == (RATE, ())
    assert bandwidth.kept_bandwidth(host(**other), file) == (3 * RATE, ())
    assert len(json.loads(file.read_text())["machines"]) == 2


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"schema_version": 1, "machines": [', id="cut-off"),
        pytest.param(b'{"schema_version": 2, "machines": []}', id="another-version"),
        pytest.param(b"\xff\xfe", id="not-text"),
        pytest.param(b"[]", id="another-shape"),
    ],
)
def test_a_broken_file_is_a_note_and_is_replaced(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bandwidth.json"
    file.write_bytes(content)
    rate, notes = bandwidth.host_bandwidth(host(), file)
    assert rate == RATE
    assert [note for note in notes if "could not be read (it is broken)" in note and "\n" not in note]
    assert bandwidth.host_bandwidth(host(), file) == (RATE, ())


@pytest.mark.usefixtures("measured")
def test_an_unwritable_folder_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rate, notes = bandwidth.host_bandwidth(host(), tmp_path / "file" / "advisor" / "bandwidth.json")
    assert rate == RATE
    assert any("is not kept for the next run" in note for note in notes)


def test_a_failed_measurement_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: int) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bandwidth, "_measure", refuse)
    rate, notes = bandwidth.host_bandwidth(host(), tmp_path / "bandwidth.json")
    assert rate is None
    assert notes == ("The memory bandwidth could not be measured (can't start new thread).",)
    assert not (tmp_path / "bandwidth.json").exists()


def test_forgetting(tmp_path: Path) -> None:
    file = tmp_path / "bandwidth.json"
    bandwidth.forget_bandwidth(file)
    bandwidth.keep_bandwidth(host(), RATE, file)
    bandwidth.forget_bandwidth(file)
    assert bandwidth.kept_bandwidth(host(), file) == (None, ())


@pytest.mark.parametrize(
    ("available", "caches", "expected"),
    [
        pytest.param(20 * GIB, 32 * MIB, 512 * MIB, id="desktop"),
        pytest.param(400 * GIB, 256 * MIB, 2 * GIB, id="eight-caches-of-a-server"),
        pytest.param(1 * GIB, 32 * MIB, 256 * MIB, id="a-quarter-of-what-is-free"),
        pytest.param(1 * GIB, 0, 256 * MIB, id="caches-unknown"),
    ],
)
def test_buffer_size(available: int, caches: int, expected: int) -> None:
    assert bandwidth.buffer_size(available, caches) == expected


@pytest.mark.parametrize(
    ("available", "caches"),
    [
        pytest.param(256 * MIB, 32 * MIB, id="caches-would-hold-it"),
        pytest.param(16 * MIB, 0, id="not-even-a-step"),
        pytest.param(0, 0, id="nothing-free"),
    ],
)
def test_no_figure_from_too_little_memory(available: int, caches: int) -> None:
    with pytest.raises(ProbeError, match="too little memory is free"):
        bandwidth.buffer_size(available, caches)


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        pytest.param({"physical_cores": 8, "logical_cores": 16}, 8, id="one-a-core"),
        pytest.param({"physical_cores": None, "logical_cores": 4}, 4, id="cores-unknown"),
        pytest.param({"physical_cores": None, "logical_cores": None}, 1, id="nothing-known"),
        pytest.param({"physical_cores": 64, "limit_cores": 2.5}, 2, id="container"),
        pytest.param({"physical_cores": 64, "limit_cores": 0.5}, 1, id="half-a-core"),
    ],
)
def test_threads(cpu: dict[str, Any], expected: int) -> None:
    assert bandwidth.threads(host(cpu=cpu)) == expected


def test_all_last_level_caches_count(tmp_path: Path) -> None:
    assert bandwidth.last_level_cache_bytes(lay_out("two-ccd-caches", tmp_path)) == 2 * 32 * MIB
    assert bandwidth.last_level_cache_bytes(tmp_path / "nothing") == 0
