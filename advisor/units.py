"""Units at the edges: inside the program bytes are ints and times are float seconds.

GiB is 2^30 and says GiB; bandwidth is decimal GB/s, as vendors state it. Needs are rounded up and
capacity is rounded down where they are shown, so that a table never promises what the bytes do not hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from unicodedata import east_asian_width

from advisor.i18n import _

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40
GB: Final = 10**9
"""Decimal: bandwidth, and the sizes that download pages show."""

_BINARY: Final = (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB))
_SIZE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def pad(n: int, to: int) -> int:
    """Round `n` up to a multiple of `to`."""
    return -(-n // to) * to


def format_bytes(n: int, *, digits: int = 2) -> str:
    """A size for people: "7.84 GiB", rounded to nearest."""
    for unit, size in _BINARY:
        if abs(n) >= size:
            return f"{n / size:.{digits}f} {unit}"
    return f"{n} B"


def gib_up(n: int) -> float:
    """GiB with one decimal, rounded up: for needs."""
    return -(-n * 10 // GIB) / 10


def gib_down(n: int) -> float:
    """GiB with one decimal, rounded down: for capacity."""
    return (n * 10 // GIB) / 10


def format_bandwidth(bytes_per_s: int) -> str:
    """A bandwidth for people: "448 GB/s" (decimal, as vendors state it)."""
    return f"{bytes_per_s / GB:.0f} GB/s"


def format_count(n: int) -> str:
    """A parameter count for people: "7.6B", "494M"."""
    if n >= 10**9:
        return f"{n / 10**9:.1f}B"
    return f"{n / 10**6:.0f}M"


def columns(text: str) -> int:
    """How wide a terminal shows a text: letters of Korean, Chinese and Japanese are two columns."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def ljust(text: str, width: int) -> str:
    """The text with spaces behind it, up to that many columns."""
    return text + " " * (width - columns(text))


def rjust(text: str, width: int) -> str:
    """The text with spaces before it, up to that many columns."""
    return " " * (width - columns(text)) + text


def shortened(names: Sequence[str], limit: int) -> str:
    """Names for people, so many of them: "a, b and 3 more"."""
    listed = ", ".join(names[:limit])
    if len(names) <= limit:
        return listed
    return _("{names} and {n:,} more").format(names=listed, n=len(names) - limit)


def parse_bytes(text: str) -> int:
    """Bytes of "8 GB", "512MiB" or "2 TB"; powers of 1024, since memory is sold and reported in them.

    Raises `ValueError` for anything else.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(_("{text!r} is not a size like '16 GB' or '512 MiB'").format(text=text))
    number, prefix, _i = match.groups()
    return int(float(number) * 1024 ** _POWERS[prefix.lower()])
