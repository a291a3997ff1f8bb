"""How good a model is for a use case, on a scale from 0 to 100, and how that is known.

Every axis has one reference: the newest table of one operator. A model that stands in it is "measured". One
that stands only in an older or another table is "inherited": its score there is carried over by a line fitted
through the models of both. Where an axis has nothing, the general score is carried over the same way. A model
that no table holds is "estimated" from its size and its date. What is carried over from the general score, or
estimated, counts at the lower quartile of what such models reach: a guess must not beat a measurement. Lines
run between logits, which keeps scores between 0 and 100; an Elo is read as the expected win rate against a
model of `ELO_ZERO`. Tables are never averaged.

The figures are fitted by tests/benchmarks/fit_quality.py and kept in `catalog/quality.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import date
from functools import cached_property
from typing import Final, Literal, NamedTuple

from pydantic import Field

from advisor.assessment import Quality
from advisor.i18n import _
from advisor.model import Model, ModelKind, QualityCell
from advisor.usecase import PROFILES, UseCase
from advisor.value import Value

Scale = Literal["percent", "elo"]

ELO_ZERO: Final = 1300.0
"""The rating that scores 50: the middle of LMArena's field at the end of 2025."""
_ELO_PER_LOGIT: Final = 400 / math.log(10)
_NEAREST_EDGE: Final = 0.5
"""Scores nearer to 0 or 100 than this are read as this: a logit of nothing is infinite."""

QUARTILE: Final = 0.674
BAND: Final = 1.282
"""In standard deviations: half of all models lie within the first, four of five within the second."""
DAYS_A_YEAR: Final = 365.25
SIZE_ZERO: Final = 10**10
"""Parameters that the size law counts from, in decades."""

_KOREAN: Final[Mapping[str, str]] = {"general": "korean", "embedding_en": "embedding_ko"}
"""Axes that have a Korean counterpart, used where the model must speak it."""


class Line(Value):
    """logit(score) = intercept + slope * logit(score in another table), fitted by least squares."""

    metric: str
    """The other table and column."""
    scale: Scale = "percent"
    intercept: float
    slope: float = Field(gt=0)
    n: int = Field(ge=3)
    """Models in both, closed ones included."""
    residual: float = Field(gt=0)
    """Standard deviation, in logits, of what the line leaves at them."""


class SizeLaw(Value):
    """logit(general score) from parameters and release, for models that no table holds."""

    intercept: float
    per_decade_total: float
    """For ten times the parameters."""
    per_decade_active: float
    """For ten times the parameters that a token passes through."""
    per_year: float
    spread_per_year: float
    """How much more ten times the parameters are worth a year later: small models gain less by progress."""
    since: date
    """What `per_year` counts from."""
    n: int
    residual: float = Field(gt=0)


class Axis(Value):
    """One scale, and what leads to it."""

    name: str
    reference: str
    """The newest table and column: a cell of it counts as it stands."""
    scale: Scale = "percent"
    lines: tuple[Line, ...] = ()
    """Best first: by what they leave at their anchors."""
    from_general: Line | None = None
    """From the general score, where neither the reference nor a line applies."""


class Loss(Value):
    """What a quantization keeps of a score, by the model's size."""

    quantization: str
    basis: Literal["native", "task", "perplexity", "assumed"]
    """Native: the model was trained in it. Task and perplexity: from measured losses of them. Assumed: as
    other quantizations of as many bits."""
    small: float = Field(gt=0, le=1)
    """Below 4 billion parameters."""
    medium: float = Field(gt=0, le=1)
    large: float = Field(gt=0, le=1)
    """From 30 billion on."""


class QualityData(Value):
    """`catalog/quality.yaml`."""

    checked: date
    axes: tuple[Axis, ...]
    size_law: SizeLaw
    losses: tuple[Loss, ...]
    sources: tuple[str, ...] = Field(min_length=1)

    @cached_property
    def loss_by_quantization(self) -> Mapping[str, Loss]:
        """`losses`, to look one up."""
        return {loss.quantization: loss for loss in self.losses}

    def axis(self, name: str) -> Axis | None:
        """The axis of that name; None where nothing was fitted."""
        return next((axis for axis in self.axes if axis.name == name), None)


class _Point(NamedTuple):
    """A score in logits, with what is known about it."""

    logit: float
    deviation: float
    evidence: Literal["measured", "inherited", "estimated"]
    metric: str
    source: str
    date: date
    guessed: bool = False
    """Not from a table of this axis."""


def quality_of(model: Model, use_case: UseCase, languages: Collection[str], data: QualityData) -> Quality:
    """The model's score for a use case, or "none" where nothing is known (score None)."""
    name = axis_of(use_case, languages)
    axis = data.axis(name)
    point = _locate(model, axis, data) if axis else None
    if point is None:
        return Quality(score=None, metric=None, source=None, date=None, evidence="none")
    cautious = point.deviation * QUARTILE if point.guessed else 0.0
    margin = point.deviation * BAND
    return Quality(
        score=_score(point.logit - cautious),
        low=_score(point.logit - margin) if margin else None,
        high=_score(point.logit + margin) if margin else None,
        metric=point.metric,
        source=point.source,
        date=point.date,
        evidence=point.evidence,
    )


def axis_of(use_case: UseCase, languages: Collection[str]) -> str:
    """Which axis ranks models for a use case; Korean where it is asked for and measured."""
    name = PROFILES[use_case].axis
    return _KOREAN.get(name, name) if "ko" in languages else name


def logit_of(score: float, scale: Scale) -> float:
    """A percentage, or an Elo, in logits."""
    if scale == "elo":
        return (score - ELO_ZERO) / _ELO_PER_LOGIT
    share = min(max(score, _NEAREST_EDGE), 100 - _NEAREST_EDGE) / 100
    return math.log(share / (1 - share))


def _score(logit: float) -> float:
    return round(100 / (1 + math.exp(-logit)), 1)


def _locate(model: Model, axis: Axis, data: QualityData) -> _Point | None:
    """The best evidence there is."""
    cells = {cell.metric: cell for cell in model.quality}
    if cell := cells.get(axis.reference):
        return _Point(logit_of(cell.score, axis.scale), 0.0, "measured", cell.metric, cell.source, cell.date)
    for line in axis.lines:
        if cell := cells.get(line.metric):
            return _carry(line, logit_of(cell.score, line.scale), cell, axis)
    if axis.from_general is not None and (general := data.axis("general")):
        return _from_general(axis.from_general, _locate(model, general, data), axis)
    return _estimate(model, data) if axis.name == "general" else None


def _carry(line: Line, x: float, cell: QualityCell, axis: Axis) -> _Point:
    metric = _("{reference}, carried over from {metric} ({n} models in both)").format(
        reference=axis.reference, metric=cell.metric, n=line.n
    )
    logit = line.intercept + line.slope * x
    return _Point(logit, line.residual, "inherited", metric, cell.source, cell.date)


def _from_general(line: Line, general: _Point | None, axis: Axis) -> _Point | None:
    if general is None:
        return None
    return general._replace(
        logit=line.intercept + line.slope * general.logit,
        deviation=math.hypot(line.residual, line.slope * general.deviation),
        evidence="estimated" if general.evidence == "estimated" else "inherited",
        metric=_("{reference}, from the general score ({n} models): {metric}").format(
            reference=axis.reference, n=line.n, metric=general.metric
        ),
        guessed=True,
    )


def _estimate(model: Model, data: QualityData) -> _Point | None:
    """From size and date; chat models alone, since the law was fitted to them."""
    if model.kind is not ModelKind.CHAT:
        return None
    law = data.size_law
    years = (model.released - law.since).days / DAYS_A_YEAR
    total = math.log10(model.n_params / SIZE_ZERO)
    active = math.log10((model.n_params_active or model.n_params) / SIZE_ZERO)
    logit = (
        law.intercept
        + (law.per_decade_total + law.spread_per_year * years) * total
        + law.per_decade_active * active
        + law.per_year * years
    )
    metric = _("estimated from size and release date ({n} models)").format(n=law.n)
    return _Point(
        logit, law.residual, "estimated", metric, "catalog/quality.yaml", data.checked, guessed=True
    )


SMALL_BELOW: Final = 4 * 10**9
LARGE_FROM: Final = 30 * 10**9
UNKNOWN_LOSS: Final = 0.95
"""A quantization without a figure is taken for one of about four bits."""


def fidelity(quantization: str, n_params: int, data: QualityData) -> float:
    """What a quantization keeps of a model's score: 1 is everything."""
    loss = data.loss_by_quantization.get(quantization)
    if loss is None:
        return UNKNOWN_LOSS
    if n_params < SMALL_BELOW:
        return loss.small
    return loss.large if n_params >= LARGE_FROM else loss.medium
