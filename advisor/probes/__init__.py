"""Detection: everything that can be read about this machine, and a note for what cannot.

Whatever is asked may hang: a driver, a tool, a network file system. So everything is asked side by side, each
in a thread with a limit, all with one end; what does not answer is named in a note, and hides nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from advisor import bandwidth
from advisor.hardware import Gpu, GpuSpec, Host, Machine, Runtime
from advisor.i18n import N_, _
from advisor.probes.deadline import Questions
from advisor.probes.drm_users import read_users, with_users
from advisor.probes.found import FoundGpu, with_carve_out
from advisor.probes.gpu_notes import (
    carve_out_notes,
    hiding_notes,
    left_out_notes,
    unidentified_notes,
    unread_notes,
)
from advisor.probes.host import SYSTEM_LIMIT_S, HostQuestions
from advisor.probes.identify import complete
from advisor.probes.makers import ask_makers
from advisor.probes.nvidia import NvidiaReading, read_nvidia
from advisor.probes.nvml import ask_nvml
from advisor.probes.pci import display_vendors
from advisor.probes.runtimes import find_runtimes
from advisor.probes.source import Live, Source

ROOT: Final = Path("/")
DETECTION_LIMIT_S: Final = 2.4
"""For all of it: a command takes less than three seconds, with Python's start before and printing after."""
NVML_LIMIT_S: Final = 1.5
"""NVML answers in 0.1 s, after a driver's first start in one; a card that fell off the bus blocks it."""
KEPT_LIMIT_S: Final = 1.2
"""For a small file, after the host's own parts, which tell whose figures in it are this machine's."""
MEASURE_BY_S: Final = 1.5
"""The bandwidth is measured after all has answered, or now: what is still waited for disturbs nothing."""

NVML_LATE: Final = N_(
    "The NVIDIA driver did not answer within {seconds:g} s and is left out: nvidia-smi may tell more."
)

Bandwidth = tuple[int | None, tuple[str, ...]]
"""Bytes/s, None where not known, and notes."""
UNKNOWN: Final[Bandwidth] = (None, ())


def detect(
    *,
    gpus: Sequence[GpuSpec] = (),
    measure_bandwidth: bool = True,
    runtimes: Callable[[Source], tuple[Runtime, ...]] = find_runtimes,
    source: Source | None = None,
) -> Machine:
    """Read a machine, in less than three seconds.

    gpus: the hardware catalog's rows, which complete what drivers tell. measure_bandwidth: measure the
    memory's bandwidth where no earlier run has; without it, the figure is the kept one or None. runtimes: how
    these are looked for: `find_runtimes` by name alone, `read_runtimes` with versions, which starts programs.
    source: what is read; None: this machine. Raises `ProbeError` when not even the size of the memory can be
    read.
    """
    detection = Detection(source or Live(ROOT, os.environ), gpus, runtimes)
    return detection.machine(*detection.bandwidth(measure=measure_bandwidth))


class Detection:
    """One machine's detection: everything is under way since this was made."""

    def __init__(
        self,
        source: Source,
        specs: Sequence[GpuSpec],
        runtimes: Callable[[Source], tuple[Runtime, ...]],
    ) -> None:
        self._source, self._specs = source, specs
        self._questions = questions = Questions(DETECTION_LIMIT_S)
        self._runtimes = questions.ask(
            partial(runtimes, source),
            DETECTION_LIMIT_S,
            _("The programs that serve models could not be looked for in time: they are left out."),
        )
        self._about = HostQuestions(source, questions)
        self._bus = questions.ask(
            partial(display_vendors, source),
            SYSTEM_LIMIT_S,
            _("The PCI bus could not be read in time: a GPU without its driver may be missed."),
        )
        self._nvidia = questions.ask(
            self._read_nvidia, NVML_LIMIT_S, _(NVML_LATE).format(seconds=NVML_LIMIT_S)
        )
        self._makers = ask_makers(source, questions, lambda: self._about.memory, specs)
        self._users = questions.ask(
            partial(read_users, source),
            SYSTEM_LIMIT_S,
            _("The programs that hold GPU memory could not be read in time: they are left out."),
        )
        self._kept = questions.ask(
            partial(self._look_up, bandwidth.kept_bandwidth),
            KEPT_LIMIT_S,
            _("The kept memory bandwidth could not be read in time: speeds on the processor are unknown."),
        )

    def bandwidth(self, *, measure: bool) -> Bandwidth:
        """What the memory was measured to reach, here or where it was recorded, in bytes/s; with notes."""
        kept = self._kept.result_or(UNKNOWN)
        if kept[0] is not None or not measure or self._kept.late or not self._about.identified:
            return kept
        self._questions.settle(MEASURE_BY_S)
        measured = self._questions.ask(
            partial(self._look_up, bandwidth.host_bandwidth),
            DETECTION_LIMIT_S,
            _("The memory bandwidth was not measured in time: run advisor detect --measure."),
        )
        return measured.result_or(UNKNOWN)

    def machine(self, rate: int | None, bandwidth_notes: Sequence[str]) -> Machine:
        """All that was told in time; rate: the memory's bandwidth in bytes/s."""
        host, nvidia = self._about.host, self._nvidia.result_or(NvidiaReading())
        readings = [maker.reading for maker in self._makers]
        users = self._users.result_or(())
        others = [with_users(found, users) for reading in readings for found in reading.gpus]
        used, left_out = planned_on(others, beside=bool(nvidia.gpus))
        found = (*(complete(gpu, self._specs) for gpu in nvidia.gpus), *(other.gpu for other in used))
        memory = host.memory.model_copy(update={"bandwidth_bytes_per_s": rate})
        for shared in used:
            memory = with_carve_out(memory, shared)
        runtimes = self._runtimes.result_or(())
        return Machine(
            host=host.model_copy(update={"memory": memory}),
            gpus=tuple(_numbered(gpu, index, rate) for index, gpu in enumerate(found)),
            interconnect=nvidia.interconnect if len(found) == len(nvidia.gpus) else None,
            runtimes=runtimes,
            notes=(
                *nvidia.notes,
                *(note for reading in readings for note in reading.notes),
                *left_out_notes(left_out),
                *carve_out_notes(used),
                *unidentified_notes(found, self._specs),
                *hiding_notes(found, self._source.environ),
                *(() if found else self._unread_notes()),
                *bandwidth_notes,
                *self._questions.late,
            ),
        )

    def _read_nvidia(self) -> NvidiaReading:
        return read_nvidia(
            self._source.ask("nvml", ask_nvml),
            self._source,
            self._about.memory,
            on_bus=self._bus.result_or(frozenset()),
            container=self._about.container,
        )

    def _unread_notes(self) -> Iterator[str]:
        told_of = {vendor for maker in self._makers if maker.told_of for vendor in maker.vendors}
        on_bus = self._bus.result_or(frozenset())
        return unread_notes(on_bus, told_of, container=self._about.container)

    def _look_up(self, look_up: Callable[[Host, Path], Bandwidth]) -> Bandwidth:
        host = self._about.host
        told = self._source.ask("bandwidth", lambda: look_up(host, bandwidth.cache_file()))
        return (told[0], tuple(told[1])) if told else UNKNOWN


def planned_on(
    others: Sequence[FoundGpu], *, beside: bool
) -> tuple[tuple[FoundGpu, ...], tuple[FoundGpu, ...]]:
    """What is planned on, and what is left out: integrated GPUs beside a card, and those of no known speed.

    beside: there are GPUs of another maker. Apple's is planned on even where it is not known which one it is.
    """
    cards = any(not found.gpu.unified for found in others) or beside
    used = tuple(
        found
        for found in others
        if not found.gpu.unified
        or found.gpu.vendor == "apple"
        or (not cards and found.gpu.catalog_id is not None)
    )
    return used, tuple(found for found in others if found not in used)


def _numbered(gpu: Gpu, index: int, rate: int | None) -> Gpu:
    """The GPU at its place; one that the catalog knows to use any RAM is as fast as that RAM."""
    speed = gpu.bandwidth_bytes_per_s
    if gpu.unified and gpu.catalog_id is not None:
        speed = speed or rate
    return gpu.model_copy(update={"index": index, "bandwidth_bytes_per_s": speed})
