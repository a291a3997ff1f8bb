"""Hardware sentences: a machine from words such as "RTX 3070 8 GB, 32 GB RAM".

`sentence_grammar` makes parts of the words; here the parts are compared with the hardware catalog, and what
they leave open gets a default, stated under `Machine.assumptions`. In sentences GB means GiB.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from advisor.errors import HardwareError
from advisor.hardware import Cpu, CpuSpec, Gpu, GpuSpec, Host, HostMemory, Machine
from advisor.sentence_grammar import Part, Size, name_key, parse_parts
from advisor.units import GIB, format_bandwidth, gib_down

DEFAULT_RAM_BYTES: Final = 16 * GIB
"""What an ordinary desktop or laptop has, and too little to promise much."""
LEAST_RAM_BYTES: Final = 4 * GIB
"""Boards are sold with less, but then the system leaves no room for a model: not what is meant unasked."""
DEFAULT_CORES: Final = 8
"""The middle of what desktops and laptops have."""
DEFAULT_BUS_BITS: Final = 128
"""Two channels of memory, as in nearly every desktop and laptop."""
DEFAULT_MT_PER_S: Final = 3200
"""DDR4-3200: slower than any current machine's, so that no speed is promised where nothing is known."""
VRAM_TOLERANCE: Final = 0.08
"""Error correction takes 1/16 of what is sold; variants of one name differ by 15 % or more (80 and 94 GB)."""
APPLE_LARGE_BYTES: Final = 36 * GIB
"""From this size on macOS lets the GPU use 3/4 of the memory (28,991 MB of 36 GB), below it 2/3 (22,906 MB of
32 GB): Metal's recommendedMaxWorkingSetSize, as llama.cpp logs it. macOS 26 was seen to give more."""
APPLE_LARGE_SHARE: Final = 3 / 4
APPLE_SMALL_SHARE: Final = 2 / 3
N_SUGGESTIONS: Final = 3
EXAMPLE: Final = "describe a machine like 'RTX 3070 8 GB, 32 GB RAM' or 'CPU only, 16 GB RAM, 8 cores'"

_CPU_ONLY: Final = frozenset({"cpu only", "only cpu", "cpu", "no gpu", "without gpu", "cpu no gpu"})
_SYSTEMS: Final = {
    "linux": "Linux",
    "ubuntu": "Linux",
    "debian": "Linux",
    "wsl": "Linux",
    "windows": "Windows",
    "macos": "macOS",
}

Spec = TypeVar("Spec", GpuSpec, CpuSpec)


class _Named(NamedTuple):
    """GPUs named in a part: the variants that bear the name, and what the part says of them."""

    part: Part
    candidates: tuple[GpuSpec, ...]
    vram: Size | None = None

    @property
    def unified(self) -> bool:
        return self.candidates[0].memory == "unified"


class _Processor(NamedTuple):
    spec: CpuSpec
    sockets: int


class _Description(NamedTuple):
    """What a sentence says; None and False where it is silent."""

    gpus: tuple[_Named, ...] = ()
    processor: _Processor | None = None
    cpu_only: bool = False
    ram_bytes: int | None = None
    cores: int | None = None
    mt_per_s: int | None = None
    system: str | None = None
    nvlink: bool = False
    assumptions: tuple[str, ...] = ()

    @property
    def chip(self) -> bool:
        """Whether CPU and GPU are one chip with one memory."""
        return any(named.unified for named in self.gpus)


def parse_sentence(text: str, gpus: Sequence[GpuSpec], cpus: Sequence[CpuSpec]) -> Machine:
    """The machine that a sentence describes, simulated: nothing in it is in use.

    Raises `HardwareError`, one line, for a part that is not known (with the nearest names), a size that no
    variant has, and parts that contradict each other.
    """
    said = _Description()
    for part in parse_parts(text):
        said, rest = _read_name(said, part, gpus, cpus)
        for size in rest.sizes:
            said = _read_size(said, size, rest)
        said = _read_rest(said, rest)
    return _machine(_checked(said))


def _read_name(
    said: _Description, part: Part, gpus: Sequence[GpuSpec], cpus: Sequence[CpuSpec]
) -> tuple[_Description, Part]:
    """Take in a part's name; the second value is what of the part does not belong to that name."""
    phrase = " ".join(part.words)
    if not phrase:
        return said, part
    if phrase in _CPU_ONLY:
        return said._replace(cpu_only=True), part
    if part.words[0] in _SYSTEMS and all(word[0].isdigit() for word in part.words[1:]):
        return said._replace(system=_SYSTEMS[part.words[0]]), part
    if candidates := _find(part, gpus):
        return _read_gpu(said, _Named(part, candidates))
    if processors := _find(part, cpus):
        if said.processor is not None:
            raise HardwareError(f"'{part.text}': a processor is named already; for two of a kind write '2x'")
        return said._replace(processor=_Processor(processors[0], part.n)), part
    raise HardwareError(_unknown(part, (*gpus, *cpus)))


def _find(part: Part, specs: Sequence[Spec]) -> tuple[Spec, ...]:
    """The rows that bear the part's name."""
    key = part.key
    if not key:
        return ()
    # Taking names apart is slow, so only those are that have all the words somewhere.
    near = ((spec, name) for spec in specs for name in _names(spec) if _has_words(name, key))
    return tuple(dict.fromkeys(spec for spec, name in near if name_key(name) == key))


def _has_words(name: str, words: Iterable[str]) -> bool:
    name = name.lower()
    return all(word in name for word in words)


def _names(spec: GpuSpec | CpuSpec) -> tuple[str, ...]:
    return (spec.id, spec.name, *spec.match, *spec.aliases)


def _unknown(part: Part, specs: Iterable[GpuSpec | CpuSpec]) -> str:
    """The error for a name that no row bears."""
    names = {" ".join(name_key(name)): spec.name for spec in specs for name in _names(spec)}
    near = difflib.get_close_matches(" ".join(part.key)[:80], names, n=3 * N_SUGGESTIONS, cutoff=0.6)
    found = list(dict.fromkeys(names[key] for key in near))[:N_SUGGESTIONS]
    hint = (
        f"did you mean {_either(found)}?"
        if found
        else "see `advisor hardware list`, and separate parts by commas"
    )
    return f"unknown hardware '{part.text[:80]}': {hint}"


def _read_gpu(said: _Description, named: _Named) -> tuple[_Description, Part]:
    part = named.part
    if named.unified:
        bins = any(spec.gpu_cores for spec in named.candidates)
        rest = part._replace(gpu_cores=None, cores=None) if bins else part
        return said._replace(gpus=(*said.gpus, named)), rest
    sizes = [
        size if size.kind else size._replace(kind="ram" if i else "vram") for i, size in enumerate(part.sizes)
    ]
    own = [size for size in sizes if size.kind == "vram"]
    if len(own) > 1:
        raise HardwareError(f"'{part.text}': the GPU's memory is given twice")
    named = named._replace(vram=own[0] if own else None)
    rest = part._replace(sizes=tuple(size for size in sizes if size.kind == "ram"))
    return said._replace(gpus=(*said.gpus, named)), rest


def _read_size(said: _Description, size: Size, part: Part) -> _Description:
    if size.kind == "vram":
        # In a part of its own it belongs to the GPU that was named before.
        last = said.gpus[-1] if said.gpus else None
        if last is None or last.unified or last.vram is not None:
            raise HardwareError(f"'{part.text}': write a GPU's memory beside its name, like 'RTX 3060 12 GB'")
        return said._replace(gpus=(*said.gpus[:-1], last._replace(vram=size)))
    if said.ram_bytes is not None:
        raise HardwareError(f"'{part.text}': the RAM is given twice; write a GPU's memory beside its name")
    if size.kind is None and not part.words:
        note = f"{_gib(size.n_bytes)} is taken as RAM, since it stands apart from a GPU's name"
        said = said._replace(assumptions=(*said.assumptions, note))
    return said._replace(ram_bytes=size.n_bytes)


def _read_rest(said: _Description, part: Part) -> _Description:
    if part.gpu_cores is not None:
        raise HardwareError(
            f"'{part.text}': only Apple's chips are told apart by GPU cores ('M3 Max 40-core GPU')"
        )
    cores = part.cpu_cores or part.cores
    if cores and said.cores:
        raise HardwareError(f"'{part.text}': the number of cores is given twice")
    return said._replace(
        cores=cores or said.cores,
        mt_per_s=part.mt_per_s or said.mt_per_s,
        nvlink=part.nvlink or said.nvlink,
    )


def _checked(said: _Description) -> _Description:
    if not (said.gpus or said.processor or said.cpu_only or said.ram_bytes or said.cores):
        raise HardwareError(f"no hardware is named: {EXAMPLE}")
    if said.gpus and said.cpu_only:
        raise HardwareError(f"'{said.gpus[0].part.text}' and 'CPU only' contradict each other; leave one out")
    if said.chip and (len(said.gpus) > 1 or said.gpus[0].part.n > 1):
        one = next(named for named in said.gpus if named.unified)
        raise HardwareError(
            f"'{one.part.text}': it shares the machine's memory, so plan for it without other GPUs"
        )
    return said


def _machine(said: _Description) -> Machine:
    """The machine, with a stated default for whatever the sentence leaves open."""
    assumed = list(said.assumptions)
    gpus = [spec for named in said.gpus for spec in [_choose(named, said.ram_bytes, assumed)] * named.part.n]
    chip = gpus[0] if said.chip else None
    memory = _memory(said, chip, assumed)
    host = Host(os=_system(said, chip, assumed), cpu=_cpu(said, chip, assumed), memory=memory)
    if not gpus and not said.cpu_only:
        assumed.append("no GPU is named: the CPU computes alone")
    return Machine(
        host=host,
        gpus=tuple(_gpu(index, spec, host, assumed) for index, spec in enumerate(gpus)),
        interconnect=_interconnect(said, gpus),
        assumptions=tuple(dict.fromkeys(assumed)),
    )


def _choose(named: _Named, ram_bytes: int | None, assumed: list[str]) -> GpuSpec:
    """The variant that is meant: of several, a usual one, and of those the one with the least memory."""
    fitting = _by_memory(_by_cores(named), named, ram_bytes)
    usual = [spec for spec in fitting if spec.default] or fitting
    chosen = min(
        usual, key=lambda spec: (_least_memory(spec), spec.bandwidth_bytes_per_s or 0, spec.gpu_cores or 0)
    )
    others = [spec.name for spec in fitting if spec is not chosen]
    if others:
        assumed.append(f"'{named.part.text}' is taken as {chosen.name}, not as {_either(others)}")
    return chosen


def _least_memory(spec: GpuSpec) -> int:
    return spec.vram_bytes or min(spec.ram_bytes, default=0)


def _by_cores(named: _Named) -> tuple[GpuSpec, ...]:
    wanted = named.part.gpu_cores or named.part.cores
    offered = [spec.gpu_cores for spec in named.candidates if spec.gpu_cores]
    if wanted is None or not offered:
        return named.candidates
    if wanted not in offered:
        raise HardwareError(
            f"'{named.part.text}': the chip is sold with {_either(offered)} GPU cores, not {wanted};"
            " for the processor write 'N-core CPU'"
        )
    return tuple(spec for spec in named.candidates if spec.gpu_cores == wanted)


def _by_memory(specs: tuple[GpuSpec, ...], named: _Named, ram_bytes: int | None) -> tuple[GpuSpec, ...]:
    """The variants with the memory that was asked for; all where none was."""
    if named.unified:
        return _by_pool(specs, ram_bytes)
    if named.vram is None:
        return specs
    wanted = named.vram.n_bytes
    fitting = tuple(spec for spec in specs if abs((spec.vram_bytes or 0) - wanted) <= VRAM_TOLERANCE * wanted)
    if not fitting:
        variants = _either([f"{spec.name} ({_gib(spec.vram_bytes or 0)})" for spec in specs])
        raise HardwareError(
            f"no {_gib(wanted)} variant of '{named.part.text}': there is {variants};"
            f" if the machine's memory is meant, write '{_gib(wanted).replace('GiB', 'GB')} RAM'"
        )
    return fitting


def _by_pool(specs: tuple[GpuSpec, ...], ram_bytes: int | None) -> tuple[GpuSpec, ...]:
    """The variants that are sold with that much memory; all where any can be fitted."""
    offered = sorted({size for spec in specs for size in spec.ram_bytes})
    if ram_bytes is None or not offered:
        return specs
    if ram_bytes not in offered:
        raise HardwareError(_not_sold(specs[0].name, offered, ram_bytes))
    return tuple(spec for spec in specs if ram_bytes in spec.ram_bytes)


def _not_sold(name: str, offered: Sequence[int], wanted: int) -> str:
    return f"{name} is sold with {_either([_gib(size) for size in offered])} of memory, not {_gib(wanted)}"


def _memory(said: _Description, chip: GpuSpec | None, assumed: list[str]) -> HostMemory:
    total = said.ram_bytes
    sold = chip.ram_bytes if chip else said.processor.spec.ram_bytes if said.processor else ()
    owner = chip.name if chip else said.processor.spec.name if said.processor else ""
    if total is None:
        total = min((size for size in sold if size >= LEAST_RAM_BYTES), default=DEFAULT_RAM_BYTES)
        kind = "the only size" if len(sold) == 1 else "the smallest"
        reason = f", {kind} that {owner} is sold with" if total in sold[:1] else ""
        assumed.append(f"RAM: {_gib(total)}{reason}")
    elif sold and total not in sold:
        raise HardwareError(
            f"{owner} is sold with {_either([_gib(size) for size in sold])}, not {_gib(total)}"
        )
    return HostMemory(total_bytes=total, bandwidth_bytes_per_s=_bandwidth(said, chip, assumed))


def _bandwidth(said: _Description, chip: GpuSpec | None, assumed: list[str]) -> int:
    """Theoretical bandwidth of the RAM, all sockets together."""
    if chip and chip.bandwidth_bytes_per_s:
        return chip.bandwidth_bytes_per_s
    processor = said.processor
    bits = processor.spec.memory_bus_bits if processor else DEFAULT_BUS_BITS
    fastest = processor.spec.memory_mt_per_s if processor else DEFAULT_MT_PER_S
    mt_per_s = said.mt_per_s or fastest
    sockets = processor.sockets if processor else 1
    rate = sockets * (bits // 8) * mt_per_s * 10**6
    reason = (
        f"{bits} bit at {mt_per_s} MT/s" if sockets == 1 else f"{sockets} × {bits} bit at {mt_per_s} MT/s"
    )
    if processor and not said.mt_per_s:
        reason += f", the fastest that {processor.spec.name} supports"
    if not (processor and said.mt_per_s):
        assumed.append(f"RAM bandwidth: {format_bandwidth(rate)} ({reason})")
    return rate


def _cpu(said: _Description, chip: GpuSpec | None, assumed: list[str]) -> Cpu:
    if said.processor:
        spec, sockets = said.processor
        return Cpu(
            name=spec.name, physical_cores=said.cores or spec.physical_cores * sockets, features=spec.features
        )
    cores = said.cores or (chip.cpu_cores if chip else None)
    if cores is None:
        cores = DEFAULT_CORES
        assumed.append(f"CPU: {cores} cores")
    return Cpu(name=chip.name if chip else None, physical_cores=cores)


def _system(said: _Description, chip: GpuSpec | None, assumed: list[str]) -> str:
    if chip and chip.vendor == "apple":
        return "macOS"
    if said.system is None:
        assumed.append("system: Linux")
    return said.system or "Linux"


def _gpu(index: int, spec: GpuSpec, host: Host, assumed: list[str]) -> Gpu:
    gpu = Gpu(
        index=index,
        name=spec.name,
        vendor=spec.vendor,
        vram_bytes=spec.vram_bytes or _pool_share(spec, host, assumed),
        bandwidth_bytes_per_s=spec.bandwidth_bytes_per_s or host.memory.bandwidth_bytes_per_s,
        compute_capability=spec.compute_capability,
        catalog_id=spec.id,
    )
    return gpu.model_copy(update=spec.figures)


def _pool_share(spec: GpuSpec, host: Host, assumed: list[str]) -> int:
    """What of the host's memory the GPU may use: the driver's share, and never what the system keeps."""
    total = host.memory.total_bytes
    share = spec.usable_fraction
    if share is None:
        share = APPLE_LARGE_SHARE if total >= APPLE_LARGE_BYTES else APPLE_SMALL_SHARE
    usable = min(int(total * share), Machine(host=host).host_capacity_bytes)
    whose = "macOS's" if spec.vendor == "apple" else "the driver's"
    limit = "less what the system keeps" if share == 1 else f"{whose} limit, which can be changed"
    assumed.append(
        f"the GPU may use {_gib(usable)} of the {_gib(total)} that it shares with the CPU ({limit})"
    )
    return usable


def _interconnect(said: _Description, gpus: Sequence[GpuSpec]) -> str | None:
    links = {spec.link for spec in gpus}
    if len(gpus) < 2:
        return None
    return "nvlink" if said.nvlink else links.pop() if len(links) == 1 else None


def _gib(n_bytes: int) -> str:
    return f"{gib_down(n_bytes):g} GiB"


def _either(choices: Sequence[object]) -> str:
    """For people: "A", "A or B", "A, B or C"."""
    *most, last = (str(choice) for choice in choices)
    return f"{', '.join(most)} or {last}" if most else last
