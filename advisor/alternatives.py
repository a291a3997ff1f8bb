"""Which runners-up are shown beside the pick, and what each trades for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, takewhile
from typing import Final, NamedTuple

from advisor.assessment import Quality
from advisor.contest import anyone
from advisor.i18n import _
from advisor.model import Model
from advisor.ranking import Contender, Ranked, felt_rate
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
WORTH_NAMING: Final = 0.3
"""The same of what is shown because there is nothing better: less is no alternative."""


def _rate(row: Ranked) -> float:
    return felt_rate(row.option.model.kind, row.option.speed)


def _points(quality: Quality) -> float:
    return quality.score or 0.0


def _context(model: Model) -> int:
    return model.architecture.n_ctx_train


def _size(row: Ranked) -> int:
    return row.option.memory.total_bytes


class Trade(NamedTuple):
    """Something that a model may offer more of than the pick."""

    offers: Callable[[Ranked, Ranked], bool]
    """Whether the first does, beside the second."""
    could: Callable[[Contender, Ranked], bool]
    """Whether a model could that is not yet placed."""


TRADES: Final[Mapping[str, Trade]] = {
    "faster": Trade(
        lambda row, pick: _rate(row) >= FASTER * _rate(pick),
        lambda model, pick: model.most_tokens_per_s >= FASTER * _rate(pick),
    ),
    "better": Trade(
        lambda row, pick: _points(row.quality) >= _points(pick.quality) + BETTER_POINTS,
        lambda model, pick: _points(model.quality) >= _points(pick.quality) + BETTER_POINTS,
    ),
    "longer context": Trade(
        lambda row, pick: _context(row.option.model) >= LONGER * _context(pick.option.model),
        lambda model, pick: _context(model.model) >= LONGER * _context(pick.option.model),
    ),
    "smaller": Trade(
        lambda row, pick: _size(row) <= SMALLER * _size(pick),
        lambda model, pick: model.offers.least_bytes <= SMALLER * _size(pick),
    ),
}
"""What somebody may prefer to the pick for, in the order in which places are given."""


def choose_alternatives(
    pick: Ranked, others: Callable[[Callable[[Contender], bool]], Iterator[Ranked]], limit: int
) -> list[Ranked]:
    """Up to `limit` runners-up, best first.

    others: the models behind the pick among those that a test lets pass, best first. Shown are the next best
    of all, then the best for every trade that none shown offers, then the best of every family not shown yet,
    then the next best of any, as long as they are not far worse.
    """
    shown = list(islice(others(anyone), min(1, limit)))
    for trade in TRADES.values():
        served = any(_is_sound(row, pick) and trade.offers(row, pick) for row in shown)
        if served or len(shown) >= limit:
            continue
        sound = takewhile(partial(_is_sound, pick=pick), others(partial(_could, trade, pick)))
        shown += _one_more((row for row in sound if trade.offers(row, pick)), pick, shown)
    while len(shown) < limit:
        worth = takewhile(lambda row: row.score >= WORTH_NAMING * pick.score, others(anyone))
        more = _one_more(worth, pick, shown)
        if not more:
            break
        shown += more
    return sorted(shown, key=lambda row: row.order)


def _could(trade: Trade, pick: Ranked, contender: Contender) -> bool:
    return trade.could(contender, pick)


def _is_sound(row: Ranked, pick: Ranked) -> bool:
    """Whether an alternative is not far worse; of rows best first none after one that is not."""
    return row.setbacks <= pick.setbacks and row.score >= WORTH * pick.score


def _one_more(rows: Iterator[Ranked], pick: Ranked, shown: Sequence[Ranked]) -> list[Ranked]:
    """The first of a family that is not shown, or else the first that is not shown itself."""
    families = {row.option.model.family for row in (pick, *shown)}
    names = {row.option.model.id for row in shown}
    fallback: list[Ranked] = []
    for row in rows:
        if row.option.model.family not in families:
            return [row]
        if not fallback and row.option.model.id not in names:
            fallback.append(row)
    return fallback


def trade_off(row: Ranked, pick: Ranked) -> str:
    """What an alternative offers that the pick does not, with figures."""
    said = {
        "faster": _("faster (about {rate:,.0f} tok/s against {its:,.0f})").format(
            rate=_rate(row), its=_rate(pick)
        ),
        "better": _("better (quality {score:.0f} against {its:.0f})").format(
            score=_points(row.quality), its=_points(pick.quality)
        ),
        "longer context": _("longer context (trained for {n_ctx:,} tokens against {its:,})").format(
            n_ctx=_context(row.option.model), its=_context(pick.option.model)
        ),
        "smaller": _("smaller ({size} against {its})").format(
            size=format_bytes(_size(row), digits=1), its=format_bytes(_size(pick), digits=1)
        ),
    }
    offers = [said[name] for name, trade in TRADES.items() if trade.offers(row, pick)]
    if row.option.model.family != pick.option.model.family:
        offers.append(_("of another family ({family})").format(family=row.option.model.family))
    return _("beside the pick: {offers}").format(
        offers=", ".join(offers) or _("the next best of the same family")
    )
