"""Names in hardware sentences and the rows of the hardware catalog that bear them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from advisor.errors import HardwareError
from advisor.hardware import CpuSpec, GpuSpec
from advisor.i18n import _
from advisor.sentences.grammar import Part, name_key, parse_parts

N_SUGGESTIONS: Final = 3
LONGEST_NAME: Final = 5
"""Words; more are likely several parts: "i5 12400f rtx 3060" is six."""
LONGEST_SHOWN: Final = 80
"""Characters of what was written that an error repeats."""

Spec = TypeVar("Spec", GpuSpec, CpuSpec)


def find(part: Part, specs: Sequence[Spec]) -> tuple[Spec, ...]:
    """The rows that bear the part's name."""
    return next((found for key in _readings(part) if (found := _bearing(key, specs))), ())


def find_processor(name: str, cpus: Sequence[CpuSpec]) -> CpuSpec | None:
    """The row of a processor as an operating system names it; None where there is none.

    "Intel(R) Core(TM) i9-14900KF", "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics": clocks, core counts and the
    graphics behind the name do not matter.
    """
    try:
        parts = parse_parts(name)
    except HardwareError:  # a number that no machine has: nothing that is known
        return None
    return next((rows[0] for part in parts[:1] if (rows := find(part, cpus))), None)


def _readings(part: Part) -> Iterable[tuple[str, ...]]:
    """The name as it stands; "laptop" put behind it; an "s" as a plural ("2x 3090s") or "Super" ("4080S")."""
    key = part.key
    yield key
    if key[:1] == ("laptop",):
        yield (*key[1:], "laptop")
    if key[-1:] == ("s",):
        yield key[:-1] if part.n > 1 else (*key[:-1], "super")


def _bearing(key: tuple[str, ...], specs: Sequence[Spec]) -> tuple[Spec, ...]:
    if not key:
        return ()
    # Taking names apart is slow, so only those are that have all the words somewhere.
    near = (spec for spec in specs if _has_words(" ".join(_names(spec)).lower(), key))
    return tuple(spec for spec in near if any(name_key(name) == key for name in _names(spec)))


def _has_words(names: str, words: Iterable[str]) -> bool:
    return all(word in names for word in words)


def _names(spec: GpuSpec | CpuSpec) -> tuple[str, ...]:
    return (spec.id, spec.name, *spec.match, *spec.aliases)


def unknown(part: Part, specs: Iterable[GpuSpec | CpuSpec]) -> str:
    """The error for a name that no row bears."""
    if not part.key:
        text = _("'{part}' names no model: write it like 'RTX 3060 12 GB'")
        return text.format(part=part.text[:LONGEST_SHOWN])
    names = {" ".join(name_key(name)): spec.name for spec in specs for name in _names(spec)}
    wanted = " ".join(part.key)[:LONGEST_SHOWN]
    near = difflib.get_close_matches(wanted, names, n=3 * N_SUGGESTIONS, cutoff=0.6)
    found = list(dict.fromkeys(names[key] for key in near))[:N_SUGGESTIONS]
    if not found:
        text = _("unknown hardware '{part}': see `advisor hardware list`. Separate parts by commas")
    elif len(part.words) > LONGEST_NAME:
        text = _("unknown hardware '{part}': did you mean {names}? Separate parts by commas")
    else:
        text = _("unknown hardware '{part}': did you mean {names}?")
    return text.format(part=part.text[:LONGEST_SHOWN], names=either(found) if found else "")


def either(choices: Sequence[object]) -> str:
    """For people: "A", "A or B", "A, B or C"."""
    *most, last = (str(choice) for choice in choices)
    return _("{most} or {last}").format(most=", ".join(most), last=last) if most else last
