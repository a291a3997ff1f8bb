"""Why one model is not the pick: worked out for it alone, however far behind it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from advisor.assessment import Candidate
from advisor.backends.devices import without
from advisor.candidates import Turned
from advisor.contest import Contest, Shelf
from advisor.offers import lifts
from advisor.plan import Recommendation
from advisor.proposal import candidate_of
from advisor.ranking import Ranked
from advisor.reasons import outranked, superseded


class Explanation(NamedTuple):
    """What keeps a model from being the pick."""

    reasons: tuple[str, ...]
    """The main one first."""
    candidate: Candidate | None
    """As it would run at best; None where it would not."""
    changes: tuple[str, ...] = ()
    """What would make it fit, each alone, cheapest first."""


def explain(shelf: Shelf, result: Recommendation, name: str) -> Explanation:
    """Why the model of that id, of the kind that was asked for, is not the choice of `result`."""
    beside = [one for one in (result.companions.embedding, result.companions.rerank) if one is not None]
    machine, needs = without(result.machine, beside), result.requirements
    if result.choice is not None:
        needs = needs.model_copy(update={"backend": result.choice.backend})
    contest = Contest(shelf, needs, machine)
    weighed = contest.weigh(name)
    if isinstance(weighed, Turned):
        model = next(model for model in contest.models if model.id == name)
        changes: Sequence[str] = ()
        if weighed.missing_bytes:
            changes = [change.text for change in lifts(model, shelf.known_of(model).weights, needs, machine)]
        return Explanation((weighed.reason,), None, tuple(changes))
    reasons = []
    if newer := contest.successor_in_use(name):
        reasons.append(superseded(newer))
    pick = contest.weigh(result.choice.model) if result.choice else None
    if isinstance(pick, Ranked):
        reasons.append(outranked(weighed, pick).reason)
    return Explanation(tuple(reasons), candidate_of(weighed, needs, shelf.quality))
