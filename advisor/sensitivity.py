"""Under what other weighing the pick would change: computed from the same options, never assumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from advisor.candidates import Option
from advisor.quality import QualityData
from advisor.ranking import WEIGHINGS, Ranked, best_option, rank
from advisor.usecase import Requirements, UseCase


class Weighed(NamedTuple):
    """A model's options, beside the best of them."""

    best: Ranked
    options: tuple[Option, ...]


def sensitivity(
    rows: Sequence[Weighed],
    ranked: Sequence[Ranked],
    needs: Requirements,
    data: QualityData,
    floor_bits: float,
) -> str:
    """What would have to be otherwise for another model to win; `ranked` begins with the pick."""
    pick = ranked[0]
    kept, changes = [], []
    for name in _other_weighings(needs):
        first = _pick_under(name, rows, needs, data, floor_bits)
        if first.option.model.id == pick.option.model.id:
            kept.append(name)
        else:
            changes.append(f"--quality {name} is asked for ({_named(first)})")
    rivals = [row for row in ranked[1:] if row.setbacks == pick.setbacks]
    if rivals and pick.score > 0:
        lead = 1 - rivals[0].score / pick.score
        changes.append(f"its quality is over {lead:.1%} lower than stated ({_named(rivals[0])})")
    under = f" with --quality {' and '.join(kept)} too" if kept else ""
    if not changes:
        return f"the pick holds{under}: nothing else comes near"
    return f"the pick holds{under} unless {', or '.join(changes)}"


def _other_weighings(needs: Requirements) -> Iterable[str]:
    """The preferences that were not asked for; the use case "fast" has only its own."""
    return [] if needs.use_case is UseCase.FAST else [name for name in WEIGHINGS if name != needs.quality]


def _pick_under(
    name: str, rows: Sequence[Weighed], needs: Requirements, data: QualityData, floor_bits: float
) -> Ranked:
    other = needs.model_copy(update={"quality": name})
    again = [best_option(row.options, row.best.quality, other, data, floor_bits) for row in rows]
    return rank(again)[0]


def _named(row: Ranked) -> str:
    return f"then {row.option.model.id} {row.option.artifact.quantization}"
