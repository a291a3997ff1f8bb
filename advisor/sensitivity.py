"""Under what other weighing the pick would change: computed from the same options, never assumed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from advisor.contest import Contest
from advisor.i18n import _
from advisor.ranking import WEIGHINGS, Ranked
from advisor.usecase import Requirements, UseCase


def sensitivity(
    contest: Contest, pick: Ranked, others: Callable[[], Iterator[Ranked]], passed: Collection[str]
) -> str:
    """What would have to be otherwise for another model to win.

    others: the models behind the pick, best first. passed: ids of those that turned out not to fit.
    """
    kept, changes = [], []
    for name in _other_weighings(contest.needs):
        other = contest.needs.model_copy(update={"quality": name})
        first = next(row for row in contest.ranked(other) if row.option.model.id not in passed)
        if first.option.model.id == pick.option.model.id:
            kept.append(name)
        else:
            changes.append(_("--quality {name} is asked for ({then})").format(name=name, then=_named(first)))
    rival = next(others(), None)
    if rival is not None and rival.setbacks == pick.setbacks and pick.score > 0:
        lead = 1 - rival.score / pick.score
        changes.append(
            _("its quality is over {lead:.1%} lower than stated ({then})").format(
                lead=lead, then=_named(rival)
            )
        )
    return _holds(_(" and ").join(kept), _(", or ").join(changes))


def _holds(kept: str, changes: str) -> str:
    """The sentence, by what leaves the pick as it is and what would change it; either may be empty."""
    if changes:
        text = (
            _("the pick holds with --quality {kept} too unless {changes}")
            if kept
            else _("the pick holds unless {changes}")
        )
    elif kept:
        text = _("the pick holds with --quality {kept} too: nothing else comes near")
    else:
        text = _("the pick holds: nothing else comes near")
    return text.format(kept=kept, changes=changes)


def _other_weighings(needs: Requirements) -> Iterable[str]:
    """The preferences that were not asked for; the use case "fast" has only its own."""
    return [] if needs.use_case is UseCase.FAST else [name for name in WEIGHINGS if name != needs.quality]


def _named(row: Ranked) -> str:
    return _("then {model} {quantization}").format(
        model=row.option.model.id, quantization=row.option.artifact.quantization
    )
