"""Which runners-up are shown beside the pick, and what each trades for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from advisor.ranking import Ranked, felt_rate
from advisor.units import format_bytes

FASTER: Final = 1.3
"""Times the pick's speed: less is not felt."""
BETTER_POINTS: Final = 1.0
"""Points of quality above the pick's: less is within the tables' noise."""
LONGER: Final = 1.5
"""Times the pick's trained context."""
SMALLER: Final = 0.6
"""Share of the pick's memory."""
WORTH: Final = 0.5
"""Share of the pick's utility that a trade must keep: nobody wants a far weaker model for being small."""


def _rate(row: Ranked) -> float:
    return felt_rate(row.option.model.kind, row.option.speed)


def _context(row: Ranked) -> int:
    return row.option.model.architecture.n_ctx_train


def _size(row: Ranked) -> int:
    return row.option.memory.total_bytes


TRADES: Final[Mapping[str, Callable[[Ranked, Ranked], bool]]] = {
    "faster": lambda row, pick: _rate(row) >= FASTER * _rate(pick),
    "better": lambda row, pick: (row.quality.score or 0) >= (pick.quality.score or 0) + BETTER_POINTS,
    "longer context": lambda row, pick: _context(row) >= LONGER * _context(pick),
    "smaller": lambda row, pick: _size(row) <= SMALLER * _size(pick),
}
"""What somebody may prefer to the pick for, in the order in which places are given."""


def choose_alternatives(ranked: Sequence[Ranked], limit: int) -> tuple[list[Ranked], list[Ranked]]:
    """Up to `limit` runners-up, and the rest, both best first.

    Shown are the next best of all, then the best for every trade that none shown offers, then the best of
    every family not shown yet, then the next best of any.
    """
    if not ranked or not limit:
        return [], list(ranked[1:])
    pick, *others = ranked
    shown = others[:1]
    sound = [row for row in others if row.setbacks <= pick.setbacks and row.score >= WORTH * pick.score]
    for wanted in TRADES.values():
        able = [row for row in sound if wanted(row, pick)]
        if able and not any(row in shown for row in able) and len(shown) < limit:
            shown.append(next(_of_new_families(able, [pick, *shown]), able[0]))
    while len(shown) < limit:
        row = next(_of_new_families(others, [pick, *shown]), None)
        row = row or next((row for row in others if row not in shown), None)
        if row is None:
            break
        shown.append(row)
    return [row for row in others if row in shown], [row for row in others if row not in shown]


def _of_new_families(rows: Sequence[Ranked], shown: Sequence[Ranked]) -> Iterator[Ranked]:
    families = {row.option.model.family for row in shown}
    return (row for row in rows if row.option.model.family not in families)


def trade_off(row: Ranked, pick: Ranked) -> str:
    """What an alternative offers that the pick does not, with figures."""
    figures = {
        "faster": f"about {_rate(row):,.0f} tok/s against {_rate(pick):,.0f}",
        "better": f"quality {row.quality.score or 0:.0f} against {pick.quality.score or 0:.0f}",
        "longer context": f"trained for {_context(row):,} tokens against {_context(pick):,}",
        "smaller": f"{format_bytes(_size(row), digits=1)} against {format_bytes(_size(pick), digits=1)}",
    }
    offers = [f"{name} ({figures[name]})" for name, offered in TRADES.items() if offered(row, pick)]
    if row.option.model.family != pick.option.model.family:
        offers.append(f"of another family ({row.option.model.family})")
    return "beside the pick: " + (", ".join(offers) or "the next best of the same family")
