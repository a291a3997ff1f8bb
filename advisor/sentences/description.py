"""What a hardware sentence says: its parts compared with the hardware catalog and with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from advisor.errors import HardwareError
from advisor.hardware import CpuSpec, GpuSpec
from advisor.i18n import N_, _
from advisor.sentences.grammar import Part, Size, Slot, parse_parts
from advisor.sentences.names import find, unknown
from advisor.units import gib_down

EXAMPLE: Final = N_("describe a machine like 'RTX 3070 8 GB, 32 GB RAM' or 'CPU only, 16 GB RAM, 8 cores'")

_CPU_ONLY: Final = frozenset(
    {"cpu", "cpu only", "only cpu", "cpu no gpu", "cpu inference", "gpu none", "headless", "igpu only"}
    | {f"{no} {kind}gpu" for no in ("no", "without", "no dedicated", "no discrete") for kind in ("", "d")}
    | {f"{no} graphics card" for no in ("no", "without", "no dedicated", "no discrete", "without a")}
)
_SYSTEMS: Final = {
    "linux": "Linux",
    "ubuntu": "Linux",
    "debian": "Linux",
    "fedora": "Linux",
    "arch": "Linux",
    "proxmox": "Linux",
    "wsl": "Linux",
    "windows": "Windows",
    "win": "Windows",
    "macos": "macOS",
}
_EDITIONS: Final = frozenset({"pro", "home", "lts", "server", "linux", "enterprise"})
_INTEGRATED: Final = frozenset({"igpu", "integrated", "gfx", "uhd", "hd", "iris", "vega", "xe"})


class NamedGpus(NamedTuple):
    """GPUs named in a part: the variants that bear the name, and what the part says of them."""

    part: Part
    candidates: tuple[GpuSpec, ...]
    vram: Size | None = None

    @property
    def unified(self) -> bool:
        return self.candidates[0].memory == "unified"

    @property
    def own_machine(self) -> bool:
        """Whether the name is a whole machine's, which has no place for cards: Apple's, GB10, Jetson."""
        return self.unified and self.candidates[0].vendor in ("apple", "nvidia")


class NamedCpu(NamedTuple):
    """A processor named in a part, and how many of it."""

    spec: CpuSpec
    sockets: int


class Description(NamedTuple):
    """What a sentence says; None and False where it is silent."""

    gpus: tuple[NamedGpus, ...] = ()
    processor: NamedCpu | None = None
    cpu_only: bool = False
    ram_bytes: int | None = None
    cores: int | None = None
    channels: int | None = None
    sockets: int | None = None
    ddr: int | None = None
    mt_per_s: int | None = None
    system: str | None = None
    slot: Slot | None = None
    external: bool = False
    nvlink: bool = False
    assumptions: tuple[str, ...] = ()

    @property
    def chip(self) -> NamedGpus | None:
        """The GPU that is one chip with the CPU and shares its memory."""
        return next((named for named in self.gpus if named.unified), None)

    @property
    def n_sockets(self) -> int:
        return self.sockets or (self.processor.sockets if self.processor else 1)

    def assuming(self, note: str) -> Description:
        return self._replace(assumptions=(*self.assumptions, note))


def describe(text: str, gpus: Sequence[GpuSpec], cpus: Sequence[CpuSpec]) -> Description:
    """What the sentence says.

    Raises `HardwareError`, one line, for a part that is not known (with the nearest names) and for parts that
    contradict each other.
    """
    said = Description()
    for part in parse_parts(text):
        said, rest = _read_name(said, part, gpus, cpus)
        for size in rest.sizes:
            said = _read_size(said, size, rest)
        said = _read_rest(said, rest)
    return _checked(said)


def _read_name(
    said: Description, part: Part, gpus: Sequence[GpuSpec], cpus: Sequence[CpuSpec]
) -> tuple[Description, Part]:
    """Take in a part's name; the second value is what of the part does not belong to that name."""
    if not part.words:
        return said, part
    if " ".join(part.words) in _CPU_ONLY:
        return said._replace(cpu_only=True), part
    if system := _system(part.words):
        return said._replace(system=system), part
    if candidates := find(part, gpus):
        return _read_gpu(said, NamedGpus(part, candidates))
    if processors := find(part, cpus):
        return _read_processor(said, part, processors[0])
    if _is_integrated(part):
        return said.assuming(
            _("'{part}' is built into the processor and not planned on").format(part=part.text)
        ), part
    if halves := _halves(part, gpus, cpus):
        said, _rest = _read_name(said, halves[0], gpus, cpus)
        return _read_name(said, halves[1], gpus, cpus)
    raise HardwareError(unknown(part, (*gpus, *cpus)))


def _halves(part: Part, gpus: Sequence[GpuSpec], cpus: Sequence[CpuSpec]) -> tuple[Part, Part] | None:
    """Processor and GPU of a part that names both without a separator: "i5 12400f rtx 3060 16gb ram".

    The GPU's half has everything else that the part says, but a count is of what stands first.
    """
    for i in range(1, len(part.words)):
        first, second = part._replace(words=part.words[:i]), part._replace(words=part.words[i:], n=1)
        if bool(find(first, cpus)) and bool(find(second, gpus)):
            return Part(part.text, n=part.n, words=first.words), second
        if bool(find(first, gpus)) and bool(find(second, cpus)):
            return Part(part.text, words=second.words), first
    return None


def _system(words: tuple[str, ...]) -> str | None:
    versioned = all(word[0].isdigit() or word in _EDITIONS for word in words[1:])
    return _SYSTEMS.get(words[0]) if versioned else None


def _is_integrated(part: Part) -> bool:
    """Whether drivers say that of a processor's graphics: "Radeon Graphics", "UHD Graphics"."""
    named = [word for word in part.key if word not in _INTEGRATED and not word.isdigit()]
    return not named and bool(_INTEGRATED & set(part.words) or part.words[-1] == "graphics")


def _read_processor(said: Description, part: Part, spec: CpuSpec) -> tuple[Description, Part]:
    if said.processor is not None:
        raise HardwareError(
            _("'{part}': a processor is named already; for two of a kind write '2x'").format(part=part.text)
        )
    if part.cores == spec.physical_cores:  # part of the name, so of each: "AMD EPYC 7742 64-Core Processor"
        part = part._replace(cores=None)
    return said._replace(processor=NamedCpu(spec, part.n)), part


def _read_gpu(said: Description, named: NamedGpus) -> tuple[Description, Part]:
    part = named.part
    if named.unified:
        bins = any(spec.gpu_cores for spec in named.candidates)
        rest = part._replace(gpu_cores=None, cores=None) if bins else part
        if said.chip and part.n == 1 and not (said.chip.own_machine or named.own_machine):
            return said, rest  # "Ryzen AI Max+ 395 w/ Radeon 8060S": the one is in the other
        return said._replace(gpus=(*said.gpus, named)), rest
    sizes = [
        size if size.kind else size._replace(kind="ram" if i else "vram") for i, size in enumerate(part.sizes)
    ]
    own = [size for size in sizes if size.kind == "vram"]
    if len(own) > 1:
        raise HardwareError(_("'{part}': the GPU's memory is given twice").format(part=part.text))
    named = named._replace(vram=own[0] if own else None)
    rest = part._replace(sizes=tuple(size for size in sizes if size.kind == "ram"))
    return said._replace(gpus=(*said.gpus, named)), rest


def _read_size(said: Description, size: Size, part: Part) -> Description:
    if size.kind == "vram":
        # In a part of its own it belongs to the GPU that was named before.
        last = said.gpus[-1] if said.gpus else None
        if last is None or last.unified or last.vram is not None:
            raise HardwareError(
                _("'{part}': write a GPU's memory beside its name, like 'RTX 3060 12 GB'").format(
                    part=part.text
                )
            )
        return said._replace(gpus=(*said.gpus[:-1], last._replace(vram=size)))
    if said.ram_bytes is not None:
        raise HardwareError(
            _(
                "'{part}': the RAM is given twice; write a GPU's memory beside its name, and SSD "
                "behind the size of a disk"
            ).format(part=part.text)
        )
    if size.kind is None and not part.words:
        said = said.assuming(
            _("{size} is taken as RAM, since it stands apart from a GPU's name").format(
                size=gib(size.n_bytes)
            )
        )
    return said._replace(ram_bytes=size.n_bytes)


def _read_rest(said: Description, part: Part) -> Description:
    if part.gpu_cores is not None:
        raise HardwareError(
            _("'{part}': only Apple's chips are told apart by GPU cores ('M3 Max 40-core GPU')").format(
                part=part.text
            )
        )
    cores = part.cpu_cores or part.cores
    if cores and said.cores:
        raise HardwareError(_("'{part}': the number of cores is given twice").format(part=part.text))
    return said._replace(
        cores=cores or said.cores,
        channels=part.channels or said.channels,
        sockets=part.sockets or said.sockets,
        ddr=part.ddr or said.ddr,
        mt_per_s=part.mt_per_s or said.mt_per_s,
        slot=part.slot or said.slot,
        external=part.external or said.external,
        nvlink=part.nvlink or said.nvlink,
    )


def _checked(said: Description) -> Description:
    if not (said.gpus or said.processor or said.cpu_only or said.ram_bytes or said.cores):
        raise HardwareError(_("no hardware is named: {example}").format(example=_(EXAMPLE)))
    if said.gpus and said.cpu_only:
        raise HardwareError(
            _("'{part}' and 'CPU only' contradict each other; leave one out").format(
                part=said.gpus[0].part.text
            )
        )
    return _checked_cores(_checked_chip(said))


def _checked_chip(said: Description) -> Description:
    """A GPU inside the processor next to a card is not planned on; one that is the machine stands alone."""
    chips = [named for named in said.gpus if named.unified]
    if not chips:
        return said
    cards = tuple(named for named in said.gpus if not named.unified)
    if len(chips) > 1 or chips[0].part.n > 1 or (cards and chips[0].own_machine):
        raise HardwareError(
            _("'{part}': it shares the machine's memory, so plan for it without other GPUs").format(
                part=chips[0].part.text
            )
        )
    return said


def _checked_cores(said: Description) -> Description:
    if said.processor and said.cores:
        most = said.processor.spec.physical_cores * said.n_sockets
        if said.cores > most:
            raise HardwareError(
                _("{processor} has {most} cores, not {cores}; threads do not count").format(
                    processor=said.processor.spec.name, most=most, cores=said.cores
                )
            )
    return said


def gib(n_bytes: int) -> str:
    """A size as sentences give it: "64 GiB"."""
    return f"{gib_down(n_bytes):g} GiB"
