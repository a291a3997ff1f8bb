"""A machine read and checked: this one, one that is planned for, or the one that a dump recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final, Literal

from advisor import __version__
from advisor.doctor.checks import Check, Progress, checks, planning_checks
from advisor.doctor.dump import parse
from advisor.errors import AdvisorError, HardwareError
from advisor.hardware import GpuSpec, Machine
from advisor.i18n import _
from advisor.probes import detect
from advisor.probes.recording import Recorded
from advisor.probes.runtimes import read_runtimes
from advisor.probes.source import Source
from advisor.value import SCHEMA_VERSION, Value

MAX_DUMP_BYTES: Final = 4 << 20
"""Dumps are some ten kilobytes, half a megabyte on machines of hundreds of processors."""


class Report(Value):
    """What detection saw of a machine, and what was checked."""

    schema_version: Literal[1] = SCHEMA_VERSION
    advisor: str
    """The version that read the machine."""
    date: str
    """When it was read; or, of a machine that is planned for, when it was checked."""
    machine: Machine
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """What asks for something to be done."""
        return tuple(check for check in self.checks if check.status == "failed")


def examine(source: Source, specs: tuple[GpuSpec, ...], on_progress: Progress) -> Report:
    """Read a machine and check it. Raises `ProbeError` where not even its memory can be read."""
    on_progress(_("reading the machine"))
    machine = read_machine(source, specs)
    return _report(machine, tuple(checks(source, machine, on_progress)))


def examine_planned(machine: Machine) -> Report:
    """Check what can be checked of a machine that is not here."""
    return _report(machine, tuple(planning_checks(machine)))


def examine_dump(file: Path, specs: tuple[GpuSpec, ...]) -> Report:
    """The report that a dump's machine gets; raises `HardwareError` for a file that is damaged or no dump."""
    with _naming(file):
        dump = parse(_read_file(file))
        report = examine(Recorded(dump.transcript), specs, lambda _message: None)
    return report.model_copy(update={"advisor": dump.about.advisor, "date": dump.about.date})


def machine_of_dump(file: Path, specs: tuple[GpuSpec, ...]) -> Machine:
    """The machine of a dump; raises `HardwareError` for a file that is damaged or no dump."""
    with _naming(file):
        return read_machine(Recorded(parse(_read_file(file)).transcript), specs)


def read_machine(source: Source, specs: tuple[GpuSpec, ...]) -> Machine:
    """Everything that detection tells of a source's machine; specs: the hardware catalog's GPUs.

    Raises `ProbeError` where not even the size of the memory can be read.
    """
    return detect(gpus=specs, source=source, runtimes=read_runtimes)


def differences(machine: Machine, other: Machine) -> tuple[str, ...]:
    """Fields in which two machines differ, as "host.cpu.name"."""
    return tuple(_differing("", machine.model_dump(mode="json"), other.model_dump(mode="json")))


def _report(machine: Machine, found: tuple[Check, ...]) -> Report:
    return Report(advisor=__version__, date=date.today().isoformat(), machine=machine, checks=found)


def _differing(path: str, one: object, other: object) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one:
            yield from _differing(f"{path}.{key}".lstrip("."), one[key], other[key])
    elif one != other:
        yield path


def _read_file(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MAX_DUMP_BYTES + 1)
    if len(data) > MAX_DUMP_BYTES:
        raise HardwareError(_("it is too large for one"))
    return data.decode("utf-8")


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """One line for whatever a file may be instead of a dump, or hold that no machine answers."""
    try:
        yield
    except Exception as error:
        raise HardwareError(
            _("{file} is not a dump ({reason}): write one with `advisor doctor --out FILE.md`").format(
                file=file, reason=_reason(error)
            )
        ) from error


def _reason(error: Exception) -> str:
    match error:
        case AdvisorError():
            return str(error)
        case UnicodeDecodeError():
            return _("it is not text")
        case OSError():
            return _(error.strerror or type(error).__name__)
    # The probes met an answer that no machine gives: the fault is the recording's, or its editor's.
    return _("what it recorded makes no sense: {kind}").format(kind=type(error).__name__)
