"""The grammar of hardware sentences: "2x RTX 4090 24 GB, 64 GB RAM" → parts with counts, sizes and names.

    sentence := part ((',' | ';' | '+' | '&' | '/' | '|' | 'and' | 'with' | 'plus' | line end) part)*
    part     := [count] (name | size | cores | channels | sockets | memory type | slot | watts)+ [count]
    count    := '2x' | '2 x' | '2×' | 'x2' | 'dual' | 'quad' …
    size     := number ('GB' | 'TB' | …) ['RAM' | 'VRAM' | 'memory' | 'DDR5-6000' | 'GDDR6' | 'SSD' …]
    cores    := number ('core' | 'cores') ['CPU' | 'GPU']
    channels := (number | 'dual' | 'quad' …) 'channel'
    slot     := 'PCIe' generation ['x' lanes] | 'Thunderbolt 4' | 'OCuLink' …

What is none of these is a part's name, compared with names of the hardware catalog word by word; letters and
digits are separate words, so that "RTX4060Ti" is "RTX 4060 Ti", and "T400" is not "T4".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, Literal, NamedTuple

from advisor.errors import HardwareError
from advisor.i18n import N_, _
from advisor.sentences.spelling import pieces, plain
from advisor.units import parse_bytes

MAX_COUNT: Final = 64
"""Devices of one kind: more than any machine holds."""
MAX_CORES: Final = 4096
MAX_CHANNELS: Final = 24
"""Of one socket: twice what EPYC 9005 and Xeon 6900 have."""
MAX_SOCKETS: Final = 16
LANES: Final = (1, 2, 4, 8, 16)
"""Widths of PCI Express slots."""
MAX_BYTES: Final = 64 << 40
"""64 TiB: more than any single machine has."""
MAX_CHARACTERS: Final = 1000
"""Of a sentence; the patterns below take time with the square of it."""
MAX_DIGITS: Final = 9
"""Longer numbers are not read at all."""

SizeKind = Literal["ram", "vram", "disk"]


class Size(NamedTuple):
    """An amount of memory; `kind` is None where the words leave it open."""

    n_bytes: int
    kind: SizeKind | None = None


class Slot(NamedTuple):
    """What a GPU is plugged into; None where the words leave it open."""

    generation: int | None
    """Of PCI Express."""
    lanes: int | None


class Part(NamedTuple):
    """What stands between two separators."""

    text: str
    """As it was written."""
    n: int = 1
    """How many of the same."""
    words: tuple[str, ...] = ()
    """The name, in lower case, without sizes, counts and filling words."""
    sizes: tuple[Size, ...] = ()
    cpu_cores: int | None = None
    gpu_cores: int | None = None
    cores: int | None = None
    """Cores of a processor or a GPU: the words leave it open."""
    channels: int | None = None
    """Of the RAM, 64 bit each, of one socket."""
    sockets: int | None = None
    ddr: int | None = None
    """Generation of the RAM: 5 for "DDR5"; None for LPDDR, whose speeds are others."""
    mt_per_s: int | None = None
    """Speed of the RAM: "DDR5-6000"."""
    slot: Slot | None = None
    external: bool = False
    """Whether the GPU stands in a box of its own."""
    nvlink: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """The name without makers' words: what names are compared by."""
        return tuple(_SAME.get(word, word) for word in self.words if word not in _MAKERS)


_CUT: Final = re.compile(r"\w*\s*(?:\.{3}|…)")
"""What nvidia-smi prints of names that are too wide for its table."""
_NEGATIVE: Final = re.compile(r"(?:^|[\s,;+&])[-−][0-9][0-9.]*")
_WORD: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|[^\W\d_]+")
_NUMBERS: Final = {
    "single": 1,
    "one": 1,
    "dual": 2,
    "two": 2,
    "pair": 2,
    "triple": 3,
    "three": 3,
    "quad": 4,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "octa": 8,
    "eight": 8,
    "twelve": 12,
}
_NUMBER: Final = rf"(?:[0-9]+|{'|'.join(_NUMBERS)})"
_LEXER: Final = re.compile(
    rf"""(?:
      (?P<watts>[0-9]+\ (?:w|watts?)(?:\ psu)?|psu)
    | (?P<size>[0-9.]+\ [gtm]i?b)
    | (?P<cores>[0-9]+\ (?:physical\ )?(?:cores?|vcpus?)(?:\ (?P<cores_of>cpu|gpu))?)
    | (?P<threads>[0-9]+\ threads?)
    | (?P<channels>{_NUMBER}\ channels?)
    | (?P<sockets>{_NUMBER}\ sockets?)
    | (?P<slot>pcie\ (?:gen\ )?(?P<generation>[1-7])(?:\.0)?(?:\ x\ (?P<lanes>[0-9]{{1,2}}))?)
    | (?P<width>^pcie\ x\ (?P<only_lanes>[0-9]{{1,2}})$)
    | (?P<cable>thunderbolt(?:\ [345])?|oculink|usb\ 4)
    | (?P<external>e\ ?gpu|external\ gpu)
    | (?P<ddr>(?P<low>lp)?ddr\ (?P<ddr_n>[0-9])(?:\ x)?(?:\ (?P<speed>[0-9]{{4,5}})(?:\ mt\ s|\ mhz)?)?)
    | (?P<mhz>[0-9]{{4,5}}\ (?:mt\ s|mhz))
    | (?P<modules>cl\ [0-9]{{2}}|[0-9]\ (?:sticks?|modules?|dimms?))
    | (?P<vram>vram|gddr\ [0-9](?:\ x)?|hbm(?:\ [0-9](?:\ e)?)?)
    | (?P<nvlink>nvlink)
    | (?P<ram>ram|memory)
    | (?P<disk>ssds?|nvme|hdds?|disks?|storage|drive)
    | (?P<filler>of|the|my|unified|system|shared|host|main|desktop|pc|computer|machine|rig|setup|os
        |bridge|each|total|in|on|at|via|over|through|enclosure|slots?|gaming|ea|pcs)
    | (?P<word>\S+)
    )(?:\ |$)""",
    re.VERBOSE,
)
_CABLES: Final = {"oculink": Slot(4, 4), "thunderbolt 5": Slot(4, 4)}
SLOW_CABLE: Final = Slot(3, 4)
"""Thunderbolt 3 and 4 and USB4 carry four lanes of PCI Express 3.0 (https://www.thunderbolttechnology.net/)."""
_MAKERS: Final = frozenset(
    {"nvidia", "geforce", "tesla", "amd", "radeon", "instinct", "intel", "core", "apple", "corporation"}
    | {"gpu", "gpus", "graphics", "card", "cpu", "processor", "generation"}
)
"""Words that makers put around a name and people leave out."""
_SAME: Final = {"mobile": "laptop", "notebook": "laptop"}


def parse_parts(text: str) -> tuple[Part, ...]:
    """The parts of a sentence, in order; empty ones are left out.

    Raises `HardwareError` for a count, a size or a number of cores that no machine has, and for a text that
    is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise HardwareError(
            _("{n} characters describe no machine; at most {most} are read").format(
                n=len(text), most=MAX_CHARACTERS
            )
        )
    if negative := _NEGATIVE.search(text):
        raise HardwareError(
            _("'{number}': sizes and counts are positive; leave the minus out").format(
                number=negative[0].strip()[:MAX_DIGITS]
            )
        )
    if cut := _CUT.search(text):
        raise HardwareError(_("'{name}': the name was cut short there; write all of it").format(name=cut[0]))
    parts = (_parse_part(piece) for piece in pieces(plain(text)))
    return tuple(part for part in parts if part != Part(part.text))


@cache
def name_key(name: str) -> tuple[str, ...]:
    """What a catalog's name is compared by: its words, without makers', sizes and core counts."""
    return tuple(word for part in parse_parts(name) for word in part.key)


def _parse_part(text: str) -> Part:
    part = Part(" ".join(text.split()))
    waiting: SizeKind | None = None  # "RAM: 16 GB" names the kind first
    words: list[str] = []
    for match in _LEXER.finditer(" ".join(_WORD.findall(text.lower()))):
        kind = match.lastgroup or ""
        if kind == "size":
            part = part._replace(sizes=(*part.sizes, Size(_size(match[0].strip()), waiting)))
            waiting = None
        elif kind in _KINDS:
            part, waiting = _with_kind(part, _KINDS[kind], waiting)
        elif kind == "word":
            words.append(match[0].strip())
        part = _with_fact(part, kind, match)
    part = _with_count(part, words)
    return part._replace(sizes=tuple(size for size in part.sizes if size.kind != "disk"))


_KINDS: Final[dict[str, SizeKind]] = {"vram": "vram", "ram": "ram", "ddr": "ram", "disk": "disk"}


def _size(text: str) -> int:
    number, unit = text.split()
    if len(number) <= MAX_DIGITS:
        n_bytes = parse_bytes(number + unit)
        if 0 < n_bytes <= MAX_BYTES:
            return n_bytes
    raise HardwareError(
        _("{number} {unit} is no size of memory; write it like '32 GB'").format(
            number=number[:MAX_DIGITS], unit=unit.upper()
        )
    )


def _with_kind(part: Part, kind: SizeKind, waiting: SizeKind | None) -> tuple[Part, SizeKind | None]:
    """Say of which kind the last size is; without one that is open, the kind waits for the next."""
    if not part.sizes or part.sizes[-1].kind not in (None, kind):
        return part, kind
    return part._replace(sizes=(*part.sizes[:-1], part.sizes[-1]._replace(kind=kind))), waiting


def _with_fact(part: Part, kind: str, match: re.Match[str]) -> Part:
    """The part with what the match says beside names and sizes."""
    text = match[0].strip()
    match kind:
        case "cores":
            return _with_cores(part, text, match["cores_of"])
        case "channels":
            return part._replace(channels=_number(text, MAX_CHANNELS, N_("memory channels")))
        case "sockets":
            return part._replace(sockets=_number(text, MAX_SOCKETS, N_("sockets")))
        case "ddr":
            speed = int(match["speed"]) if match["speed"] else part.mt_per_s
            return part._replace(ddr=None if match["low"] else int(match["ddr_n"]), mt_per_s=speed)
        case "mhz":
            return part._replace(mt_per_s=int(text.split()[0]))
        case "external":
            return part._replace(external=True)
        case "nvlink":
            return part._replace(nvlink=True)
    return part._replace(slot=_slot(kind, match) or part.slot)


def _with_cores(part: Part, text: str, of: str | None) -> Part:
    n = _number(text, MAX_CORES, N_("cores"))
    if of == "cpu":
        return part._replace(cpu_cores=n)
    return part._replace(gpu_cores=n) if of == "gpu" else part._replace(cores=n)


def _number(text: str, largest: int, of: str) -> int:
    """The number that the text begins with, as digits or as a word."""
    word = text.split()[0]
    number = _NUMBERS.get(word) or (int(word) if len(word) <= MAX_DIGITS else 0)
    if not 0 < number <= largest:
        raise HardwareError(
            _("{word} is no number of {of}; give 1 to {largest}").format(
                word=word[:MAX_DIGITS], of=_(of), largest=largest
            )
        )
    return number


def _slot(kind: str, match: re.Match[str]) -> Slot | None:
    """The slot that the match names; None where it is of another kind."""
    if kind == "cable":
        return _CABLES.get(match[0].strip(), SLOW_CABLE)
    generation, lanes = match["generation"], match["lanes"] or match["only_lanes"]
    if lanes and int(lanes) not in LANES:
        raise HardwareError(
            _("x{lanes} is no width of a PCIe slot; it has 1, 2, 4, 8 or 16 lanes").format(lanes=lanes)
        )
    slot = Slot(int(generation) if generation else None, int(lanes) if lanes else None)
    return slot if generation or lanes else None


def _with_count(part: Part, words: list[str]) -> Part:
    for count, rest in _readings(words):
        if count is None or not (rest or part.sizes):
            continue
        if not 0 < count <= MAX_COUNT:
            raise HardwareError(
                _("'{part}': the count must be between 1 and {most}").format(part=part.text, most=MAX_COUNT)
            )
        if rest:
            return part._replace(n=count, words=rest)
        return part._replace(sizes=_modules(count, part.sizes))
    return part._replace(words=tuple(words))


def _modules(n: int, sizes: tuple[Size, ...]) -> tuple[Size, ...]:
    """The total of "2x16 GB"; in "32 GB (2x16 GB)" it is there already."""
    *totals, module = sizes
    total = module._replace(n_bytes=n * module.n_bytes)
    if totals and totals[-1].n_bytes == total.n_bytes:
        return tuple(totals)
    return (*totals, total)


def _readings(words: list[str]) -> Iterator[tuple[int | None, tuple[str, ...]]]:
    """The ways to read a count off a name: before it, after it, as a word."""
    if words[1:2] == ["x"]:
        yield _count(words[0]), tuple(words[2:])
    if words[-2:-1] == ["x"]:
        yield _count(words[-1]), tuple(words[:-2])
    if words and words[0] in _NUMBERS:
        yield _NUMBERS[words[0]], tuple(words[1:])
    if len(words) > 1 and len(words[0]) < 3:  # no name begins with a number so short
        yield _count(words[0]), tuple(words[1:])


def _count(word: str) -> int | None:
    """A count, or None for a number that belongs to a name, as in "7950X"."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 4 else None
