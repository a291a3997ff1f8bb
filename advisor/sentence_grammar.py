"""The grammar of hardware sentences: "2x RTX 4090 24 GB, 64 GB RAM" → parts with counts, sizes and names.

    sentence := part ((',' | ';' | '+' | '&' | 'and' | 'with' | 'plus') part)*
    part     := [count] (name | size | cores | memory type)+ [count]
    count    := '2x' | '2 x' | '2×' | 'x2' | 'dual' | 'quad' …
    size     := number ('GB' | 'TB' | …) ['RAM' | 'VRAM' | 'memory' | 'DDR5-6000' | 'GDDR6' …]
    cores    := number ('core' | 'cores') ['CPU' | 'GPU']

What is none of these is a part's name, compared with names of the hardware catalog word by word; letters and
digits are separate words, so that "RTX4060Ti" is "RTX 4060 Ti", and "T400" is not "T4".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from advisor.errors import HardwareError
from advisor.units import parse_bytes

MAX_COUNT: Final = 64
"""Devices of one kind: more than any machine holds."""
MAX_CORES: Final = 4096
MAX_BYTES: Final = 1 << 50
"""A PiB: more than any machine has."""
MAX_DIGITS: Final = 9
"""Longer numbers are not read at all."""

SizeKind = Literal["ram", "vram"]


class Size(NamedTuple):
    """An amount of memory; `kind` is None where the words leave it open."""

    n_bytes: int
    kind: SizeKind | None


class Part(NamedTuple):
    """What stands between two separators."""

    text: str
    """As it was written."""
    n: int
    """How many of the same."""
    words: tuple[str, ...]
    """The name, in lower case, without sizes, counts and filling words."""
    sizes: tuple[Size, ...]
    cpu_cores: int | None
    gpu_cores: int | None
    cores: int | None
    """Cores of a processor or a GPU: the words leave it open."""
    mt_per_s: int | None
    """Speed of the RAM: "DDR5-6000"."""
    nvlink: bool

    @property
    def key(self) -> tuple[str, ...]:
        """The name without makers' words: what names are compared by."""
        return tuple(_SAME.get(word, word) for word in self.words if word not in _MAKERS)


_SPELLINGS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), plain)
    for pattern, plain in (
        (r"\((?:r|tm|c)\)|[®™]", " "),
        (r"[×*]", " x "),
        (r"\b(\d{1,3}),(\d{3})(?=\s*[gm]i?b)", r"\1\2"),  # 1,152 GB
        (r"(?<!\w)(\d{1,2})x(?=[a-z]+[\s-]?\d)", r"\1 x "),  # 2xRTX 4090
        (r"with max-?\s?q design", "max-q"),
        (r"\bw/\s?", "with "),
        (r"(ryzen ai max)\s?\+|(\b8480|\b8592)\+", r"\1\2 "),  # a plus that belongs to the name
        (r"@.*?ghz|\b\d+th gen\b", " "),
        (r"\b(?:macbook(?: pro| air)?|mac (?:studio|mini|pro)|imac)\b", " "),
        (r"\b(?:gpu|video|graphics) (?:memory|ram)\b", "vram"),
    )
)
"""Ways of writing that the grammar need not know."""

_NEGATIVE: Final = re.compile(r"(?:^|[\s,;+&])[-−][0-9][0-9.]*")
_SEPARATOR: Final = re.compile(r"[,;+&，、]|\b(?:and|with|plus)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|[^\W\d_]+")
_LEXER: Final = re.compile(
    r"""(?:
      (?P<size>[0-9.]+\ [gtm]i?b)
    | (?P<cores>[0-9]+\ (?:physical\ )?(?:cores?|vcpus?|코어)(?:\ (?P<cores_of>cpu|gpu))?)
    | (?P<threads>[0-9]+\ threads?)
    | (?P<ddr>(?:lp)?ddr\ [0-9](?:\ x)?(?:\ (?P<speed>[0-9]{4,5})(?:\ mt\ s|\ mhz)?)?)
    | (?P<vram>vram|gddr\ [0-9](?:\ x)?|hbm(?:\ [0-9](?:\ e)?)?)
    | (?P<nvlink>nvlink)
    | (?P<ram>ram|memory|램|메모리)
    | (?P<filler>of|the|unified|system|shared|host|main|desktop|pc|computer)
    | (?P<word>\S+)
    )(?:\ |$)""",
    re.VERBOSE,
)
_COUNTS: Final = {
    "single": 1,
    "one": 1,
    "dual": 2,
    "two": 2,
    "triple": 3,
    "three": 3,
    "quad": 4,
    "four": 4,
    "eight": 8,
}
_MAKERS: Final = frozenset(
    {"nvidia", "geforce", "tesla", "amd", "radeon", "instinct", "intel", "core", "apple", "corporation"}
    | {"gpu", "gpus", "graphics", "card", "cpu", "processor", "generation"}
)
"""Words that makers put around a name and people leave out."""
_SAME: Final = {"mobile": "laptop", "notebook": "laptop"}


def parse_parts(text: str) -> tuple[Part, ...]:
    """The parts of a sentence, in order; empty ones are left out.

    Raises `HardwareError` for a count, a size or a number of cores that no machine has.
    """
    if negative := _NEGATIVE.search(text):
        raise HardwareError(
            f"'{negative[0].strip()[:MAX_DIGITS]}': sizes and counts are positive; leave the minus out"
        )
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    parts = (_parse_part(piece) for piece in _SEPARATOR.split(text))
    return tuple(part for part in parts if part != _EMPTY._replace(text=part.text))


def name_key(name: str) -> tuple[str, ...]:
    """What a catalog's name is compared by: its words, without makers', sizes and core counts."""
    return tuple(word for part in parse_parts(name) for word in part.key)


_EMPTY: Final = Part("", 1, (), (), None, None, None, None, False)


def _parse_part(text: str) -> Part:
    part = _EMPTY._replace(text=" ".join(text.split()))
    waiting: SizeKind | None = None  # "RAM: 16 GB" names the kind first
    words: list[str] = []
    for match in _LEXER.finditer(" ".join(_WORD.findall(text.lower()))):
        found = match[0].strip()
        if match.lastgroup == "size":
            part = part._replace(sizes=(*part.sizes, Size(_size(found), waiting)))
            waiting = None
        elif match.lastgroup == "cores":
            part = _with_cores(part, found, match["cores_of"])
        elif match.lastgroup == "vram":
            part, waiting = _with_kind(part, "vram")
        elif match.lastgroup in ("ram", "ddr"):
            part, waiting = _with_kind(part, "ram")
            part = part._replace(mt_per_s=int(match["speed"]) if match["speed"] else part.mt_per_s)
        elif match.lastgroup == "nvlink":
            part = part._replace(nvlink=True)
        elif match.lastgroup == "word":
            words.append(found)
    return _with_count(part, words)


def _size(text: str) -> int:
    number, unit = text.split()
    if len(number) <= MAX_DIGITS:
        n_bytes = parse_bytes(number + unit)
        if 0 < n_bytes <= MAX_BYTES:
            return n_bytes
    raise HardwareError(f"{number[:MAX_DIGITS]} {unit.upper()} is no size of memory; write it like '32 GB'")


def _with_cores(part: Part, text: str, of: str | None) -> Part:
    number = text.split()[0]
    if len(number) > MAX_DIGITS or not 0 < int(number) <= MAX_CORES:
        raise HardwareError(f"{number[:MAX_DIGITS]} is no number of cores; give 1 to {MAX_CORES}")
    if of == "cpu":
        return part._replace(cpu_cores=int(number))
    return part._replace(gpu_cores=int(number)) if of == "gpu" else part._replace(cores=int(number))


def _with_kind(part: Part, kind: SizeKind) -> tuple[Part, SizeKind | None]:
    """Say of which kind the last size is; without one that is open, the kind waits for the next."""
    if part.sizes and part.sizes[-1].kind is None:
        return part._replace(sizes=(*part.sizes[:-1], part.sizes[-1]._replace(kind=kind))), None
    return part, kind


def _with_count(part: Part, words: list[str]) -> Part:
    for count, rest in _readings(words):
        if rest and count is not None:
            if not 0 < count <= MAX_COUNT:
                raise HardwareError(f"'{part.text}': the count must be between 1 and {MAX_COUNT}")
            return part._replace(n=count, words=rest)
    return part._replace(words=tuple(words))


def _readings(words: list[str]) -> Iterator[tuple[int | None, tuple[str, ...]]]:
    """The ways to read a count off a name: before it, after it, as a word."""
    if words[1:2] == ["x"]:
        yield _count(words[0]), tuple(words[2:])
    if words[-2:-1] == ["x"]:
        yield _count(words[-1]), tuple(words[:-2])
    if words:
        yield _COUNTS.get(words[0]), tuple(words[1:])


def _count(word: str) -> int | None:
    """A count, or None for a number that belongs to a name, as in "7950X"."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 4 else None
