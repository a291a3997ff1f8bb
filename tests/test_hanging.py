"""Whatever hangs is missing from what detection tells, is named in a note, and hides nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from recorded_source import SPECS, RecordedFiles, whole

from advisor import bandwidth, probes
from advisor.doctor.examination import differences
from advisor.errors import ProbeError
from advisor.hardware import Host, Machine
from advisor.hardware_catalog import load_hardware, resolve_hardware
from advisor.probes import host, makers
from advisor.probes.deadline import Questions, Started
from advisor.probes.runtimes import read_runtimes
from advisor.probes.source import TOOL_LIMIT_S

SHORT_S: Final = 0.3
"""In place of the system's limit: what does not hang is a recording, and answers at once."""
LONG_S: Final = 0.6
"""In place of the limits of what waits for parts of the system."""


class Hanging(RecordedFiles):
    """A recorded machine that never answers some of the questions, until it is released."""

    def __init__(self, name: str, hung: tuple[str, ...]) -> None:
        super().__init__(whole(name))
        self._hung = hung
        self.released = threading.Event()

    def text(self, path: str) -> str | None:
        self._answer(f"text {path}")
        return super().text(path)

    def glob(self, pattern: str) -> tuple[str, ...]:
        self._answer(f"glob {pattern}")
        return super().glob(pattern)

    def run(self, *argv: str, limit_s: float = TOOL_LIMIT_S) -> str | None:
        self._answer(f"run {argv[0]}")
        return super().run(*argv, limit_s=limit_s)

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        self._answer(f"ask {name}")
        return super().ask(name, call)

    def _answer(self, question: str) -> None:
        if question.startswith(self._hung):
            self.released.wait()


@pytest.fixture
def detect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Machine]]:
    """Detect a recorded machine of which something hangs as long as the test runs."""
    for module, name, limit_s in (
        (host, "SYSTEM_LIMIT_S", SHORT_S),
        (probes, "SYSTEM_LIMIT_S", SHORT_S),
        (makers, "MAKER_LIMIT_S", LONG_S),
        (probes, "NVML_LIMIT_S", LONG_S),
        (probes, "KEPT_LIMIT_S", LONG_S),
        (probes, "DETECTION_LIMIT_S", LONG_S),
    ):
        monkeypatch.setattr(module, name, limit_s)
    sources = []

    def detect_hanging(name: str, *hung: str) -> Machine:
        sources.append(Hanging(name, hung))
        return probes.detect(gpus=SPECS, runtimes=read_runtimes, source=sources[-1])

    yield detect_hanging
    for source in sources:
        source.released.set()


CPU: Final = "host.cpu."
HUNG: Final = {
    "ask system": ({"host.os"}, "The system did not tell its name"),
    "ask cores": (
        {CPU + "physical_cores", CPU + "logical_cores"},
        "The number of cores was not told",
    ),
    "text proc/device-tree": (
        {CPU + "name", CPU + "features"},
        "The processor's name and SIMD extensions were not told",
    ),
    "text sys/fs/cgroup": (
        {CPU + "limit_cores", "host.memory.available_bytes", "host.memory.limit_bytes"},
        "The control groups could not be read",
    ),
    "ask disk": (
        {"host.disk.cache_dir", "host.disk.free_bytes", "host.disk.total_bytes"},
        "The disk for models did not answer",
    ),
    "glob .dockerenv": ({"host.container"}, "Whether this is a container could not be read"),
    "ask bandwidth": ({"host.memory.bandwidth_bytes_per_s"}, "The kept memory bandwidth could not be read"),
    "glob sys/bus/pci": (set(), "The PCI bus could not be read"),
    "ask nvml": ({"gpus"}, "The NVIDIA driver did not answer"),
    "text sys/class/drm/card0/device/mem_info_vram_total": ({"gpus"}, "AMD's GPUs could not be read"),
    "run xpu-smi": ({"gpus"}, "Intel's GPUs could not be read"),
    "run npu-smi": ({"gpus"}, "Ascend accelerators could not be read"),
    "ask gpu users": ({"gpus"}, "The programs that hold GPU memory could not be read"),
    "ask runtimes": ({"runtimes"}, "The programs that serve models could not be looked for"),
}
"""What hangs → the fields that it leaves unknown, and how the note about it begins."""
LEFT: Final = {
    "ask nvml": ["amd", "intel", "huawei", "huawei"],
    "text sys/class/drm/card0/device/mem_info_vram_total": ["nvidia", "intel", "huawei", "huawei"],
    "run xpu-smi": ["nvidia", "amd", "huawei", "huawei"],
    "run npu-smi": ["nvidia", "amd", "intel"],
}
"""What hangs → makers of the GPUs that are left; all others leave all of them."""
ALL: Final = ["nvidia", "amd", "intel", "huawei", "huawei"]


@pytest.mark.parametrize("hung", HUNG)
def test_what_hangs_is_named_and_hides_nothing_else(
    hung: str, detect: Callable[..., Machine], tmp_path: Path
) -> None:
    complete = detect("every-maker")
    machine = detect("every-maker", hung)
    missing, start = HUNG[hung]
    assert set(differences(complete, machine)) == {*missing, "notes"}
    assert [gpu.vendor for gpu in machine.gpus] == LEFT.get(hung, ALL)
    (note,) = (note for note in machine.notes if note not in complete.notes)
    assert note.startswith(start)
    file = tmp_path / "machine.json"
    file.write_text(machine.model_dump_json())
    assert resolve_hardware(str(file), load_hardware()) == machine


def test_whatever_else_hangs_the_rest_is_told(detect: Callable[..., Machine]) -> None:
    hung = [question for question in HUNG if question != "ask cores"]
    machine = detect("every-maker", *hung)
    assert machine.gpus == ()
    assert machine.host.memory.total_bytes == 128 << 30
    assert machine.host.cpu.physical_cores == 32
    for _fields, start in (HUNG[question] for question in hung):
        assert any(note.startswith(start) for note in machine.notes)


@pytest.mark.parametrize(
    ("name", "hung", "start"),
    [
        pytest.param("mac", "run /usr/sbin/system_profiler", "The chip's GPU could not be read", id="mac"),
        pytest.param("windows", "run powershell", "Windows did not list its GPUs", id="windows"),
    ],
)
def test_other_systems_hang_as_well(name: str, hung: str, start: str, detect: Callable[..., Machine]) -> None:
    assert detect(name).gpus
    machine = detect(name, hung)
    assert machine.gpus == ()
    assert any(note.startswith(start) for note in machine.notes)


def test_without_the_size_of_the_memory_there_is_no_machine(detect: Callable[..., Machine]) -> None:
    with pytest.raises(ProbeError, match="--hardware"):
        detect("every-maker", "ask memory")


# ---- measuring the bandwidth


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The machine of the tests without a kept bandwidth; what was looked up, in order."""
    looked_up: list[str] = []

    def look_up(name: str, rate: int | None) -> Callable[[Host, Path], tuple[int | None, tuple[str, ...]]]:
        def answer(_host: Host, _file: Path) -> tuple[int | None, tuple[str, ...]]:
            looked_up.append(name)
            return rate, ()

        return answer

    monkeypatch.setattr(bandwidth, "kept_bandwidth", look_up("kept", None))
    monkeypatch.setattr(bandwidth, "host_bandwidth", look_up("measured", 50))
    return looked_up


class Unmeasured(Hanging):
    """The recorded machine before the first detection on it."""

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        return call() if name == "bandwidth" else super().ask(name, call)


@pytest.mark.parametrize(
    ("hung", "expected"),
    [
        pytest.param((), ["kept", "measured"], id="nothing"),
        pytest.param(("run npu-smi",), ["kept", "measured"], id="a-tool"),
        pytest.param(("ask cores",), ["kept"], id="what-the-figure-is-kept-under"),
    ],
)
def test_the_bandwidth_is_measured_where_all_is_known_that_it_is_kept_under(
    hung: tuple[str, ...],
    expected: list[str],
    measured: list[str],
    detect: Callable[..., Machine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "DETECTION_LIMIT_S", 2 * LONG_S)
    monkeypatch.setattr(probes, "MEASURE_BY_S", LONG_S)
    source = Unmeasured("every-maker", hung)
    try:
        machine = probes.detect(source=source)
    finally:
        source.released.set()
    assert measured == expected
    assert machine.host.memory.bandwidth_bytes_per_s == (50 if "measured" in expected else None)


def test_a_measurement_that_does_not_end_is_a_note(
    measured: list[str], detect: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Unmeasured("every-maker", ())
    monkeypatch.setattr(bandwidth, "host_bandwidth", lambda *_: source.released.wait())
    try:
        machine = probes.detect(source=source)
    finally:
        source.released.set()
    assert measured == ["kept"]
    assert any("run advisor detect --measure" in note for note in machine.notes)


# ---- deadlines


def test_questions_have_one_end() -> None:
    released = threading.Event()
    questions = Questions(0.05)
    first = questions.ask(released.wait, 60, "the first")
    second = questions.ask(released.wait, 60, "the second")
    quick = questions.ask(lambda: 5, 60, "never said")
    try:
        assert (first.result_or(False), second.result_or(False), quick.result()) == (False, False, 5)
        assert questions.late == ("the first", "the second")
    finally:
        released.set()


def test_what_was_late_stays_so() -> None:
    """A note says that it is missing, so it must not turn up."""
    released = threading.Event()
    started = Started(released.wait, 0.01)
    assert started.result_or(None) is None
    released.set()
    started.settle(float("inf"))
    with pytest.raises(TimeoutError):
        started.result()


def test_what_a_question_raises_is_raised_where_it_is_asked_for() -> None:
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Started(broken, 60).result_or(None)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFO among its files")
def test_a_program_ends_while_something_hangs(tmp_path: Path) -> None:
    """Opening a FIFO that nobody writes to blocks as a network disk does that is gone."""
    (tmp_path / "advisor").mkdir()
    os.mkfifo(tmp_path / "advisor" / "bandwidth.json")
    code = "from advisor.probes import detect; print(*detect().notes, sep='\\n')"
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environ)
    assert "The kept memory bandwidth could not be read in time" in done.stdout
