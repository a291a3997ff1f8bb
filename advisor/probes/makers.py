"""GPUs of the makers that have no library of their own in this process, each asked for by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from advisor.hardware import GpuSpec, HostMemory, Vendor
from advisor.i18n import N_, _
from advisor.probes.amd import read_amd
from advisor.probes.apple import read_apple
from advisor.probes.ascend import read_ascend
from advisor.probes.deadline import Questions, Started
from advisor.probes.found import Reading
from advisor.probes.identify import complete
from advisor.probes.intel import read_intel
from advisor.probes.source import Source
from advisor.probes.windows import read_windows

MAKER_LIMIT_S: Final = 2.3
"""For one maker's files and tools; two of the tools may hang within it."""


class Maker(NamedTuple):
    """How the GPUs of a maker are found."""

    vendors: tuple[Vendor, ...]
    read: Callable[[Source, HostMemory, Sequence[GpuSpec]], Reading]
    late: str
    """The note where they are not told in time."""


class AskedMaker(NamedTuple):
    """A maker's GPUs, under way."""

    vendors: tuple[Vendor, ...]
    started: Started[Reading]

    @property
    def reading(self) -> Reading:
        """What was found in time."""
        return self.started.result_or(Reading())

    @property
    def told_of(self) -> bool:
        """Whether the list of GPUs or a note says something of the maker's."""
        return self.started.late or any(self.reading)


def _completed(
    read: Callable[[Source, HostMemory, Sequence[GpuSpec]], Reading],
    source: Source,
    memory: HostMemory,
    specs: Sequence[GpuSpec],
) -> Reading:
    reading = read(source, memory, specs)
    return reading._replace(
        gpus=tuple(found._replace(gpu=complete(found.gpu, specs)) for found in reading.gpus)
    )


MAKERS: Final = (
    Maker(
        ("amd",),
        partial(_completed, read_amd),
        N_("AMD's GPUs could not be read in time: name them with --hardware to plan for them."),
    ),
    Maker(
        ("intel",),
        partial(_completed, read_intel),
        N_("Intel's GPUs could not be read in time: name them with --hardware to plan for them."),
    ),
    Maker(
        ("amd", "intel"),
        partial(_completed, read_windows),
        N_("Windows did not list its GPUs in time: name them with --hardware to plan for them."),
    ),
    Maker(
        ("huawei",),
        partial(_completed, read_ascend),
        N_("Ascend accelerators could not be read in time: name them with --hardware to plan for them."),
    ),
    Maker(
        ("apple",),
        read_apple,  # completes its own: rows of one chip differ in the number of cores
        N_("The chip's GPU could not be read in time: name it with --hardware to plan for it."),
    ),
)


def ask_makers(
    source: Source, questions: Questions, memory: Callable[[], HostMemory], specs: Sequence[GpuSpec]
) -> tuple[AskedMaker, ...]:
    """Start looking for every maker's GPUs.

    memory: waits for the host's, which integrated GPUs share. specs: the hardware catalog's rows.
    """

    def reading_of(maker: Maker) -> Reading:
        return maker.read(source, memory(), specs)

    return tuple(
        AskedMaker(maker.vendors, questions.ask(partial(reading_of, maker), MAKER_LIMIT_S, _(maker.late)))
        for maker in MAKERS
    )
