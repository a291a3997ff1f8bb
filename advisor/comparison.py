"""Models side by side: what is known of each, what each needs on one machine, and how they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from advisor.api import workload_of
from advisor.assessment import Quality
from advisor.catalog import Catalog
from advisor.estimation import Estimate, estimate_on
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.model import Model, ModelKind, Sampling
from advisor.quality import QualityData, quality_of
from advisor.ranking import felt_rate
from advisor.resolve import Subject, resolve_model
from advisor.settings import Settings
from advisor.units import format_bytes
from advisor.usecase import DEFAULT_N_CTX, UseCase
from advisor.value import SCHEMA_VERSION, Value

_USES: Final = {
    ModelKind.CHAT: (UseCase.CHAT, UseCase.CODING, UseCase.REASONING),
    ModelKind.EMBEDDING: (UseCase.EMBEDDING,),
    ModelKind.RERANK: (UseCase.RERANK,),
}
"""The uses with an axis of their own, by kind."""


class Score(Value):
    """How good a model is for one use."""

    use_case: UseCase
    language: str | None
    """Where the axis is that of a language."""
    quality: Quality


class Side(Value):
    """One model of a comparison; what no catalog knows is None or empty."""

    model: str
    kind: ModelKind
    publisher: str | None
    released: date | None
    license: str | None
    commercial: bool | None
    n_params: int
    n_params_active: int
    n_ctx_train: int
    n_ctx_effective: int | None
    """Up to which it keeps its quality by a published test."""
    sampling: Sampling | None
    template_note: str | None
    languages: tuple[str, ...]
    modalities: tuple[str, ...]
    reasoning: bool | None
    tools: bool | None
    superseded_by: str | None
    scores: tuple[Score, ...]
    file_bytes: int | None
    """Of the file as published; None where its size was not read."""
    estimate: Estimate


class Comparison(Value):
    """The document of `advisor models compare`."""

    schema_version: int = SCHEMA_VERSION
    machine: str
    use_case: UseCase
    models: tuple[Side, ...]
    differences: tuple[str, ...]


NOT_KNOWN: Final = Quality(score=None, metric=None, source=None, date=None, evidence="none")


def compare(
    names: Sequence[str],
    machine: Machine,
    catalog: Catalog,
    use_case: UseCase | None,
    *,
    quantization: str | None = None,
    n_ctx: int | None = None,
) -> Comparison:
    """Compare models as `advisor estimate` takes them, by rule and without the network.

    use_case: None is what the first model is for. quantization: of all, None takes each one's usual one.
    n_ctx: None takes the usual context, or the model's where it is shorter.
    Raises `AdvisorError` for a model that is unknown or cannot be estimated.
    """
    sides: list[Side] = []
    models: list[Model | None] = []
    for name in names:
        subject = resolve_model(name, lambda: catalog, quantization=quantization)
        settings = Settings(
            n_ctx=n_ctx or min(DEFAULT_N_CTX, subject.architecture.n_ctx_train),
            embeddings=subject.kind is not ModelKind.CHAT,
        )
        workload = workload_of(subject, settings, quantization=quantization)
        model = next((known for known in catalog.models if known.id == subject.name), None)
        sides.append(_side(subject, estimate_on(workload, machine), model, catalog.quality))
        models.append(model)
    asked = use_case or _USES[sides[0].kind][0]
    qualities = [quality_of(model, asked, (), catalog.quality) if model else NOT_KNOWN for model in models]
    return Comparison(
        machine=machine.title,
        use_case=asked,
        models=tuple(sides),
        differences=differences(sides, asked, qualities),
    )


def _side(subject: Subject, estimate: Estimate, model: Model | None, data: QualityData) -> Side:
    """One model; model: its catalog entry, None for one that is in no catalog."""
    return Side(
        model=subject.name,
        kind=subject.kind,
        publisher=model.publisher if model else None,
        released=model.released if model else None,
        license=model.license.id if model else None,
        commercial=model.license.commercial if model else None,
        n_params=subject.n_params,
        n_params_active=subject.n_params_active,
        n_ctx_train=subject.architecture.n_ctx_train,
        n_ctx_effective=model.n_ctx_effective if model else None,
        sampling=model.sampling if model else None,
        template_note=model.template_note if model else None,
        languages=model.languages if model else (),
        modalities=model.modalities if model else (),
        reasoning=model.reasoning if model else None,
        tools=model.tools if model else None,
        superseded_by=model.superseded_by if model else None,
        scores=tuple(_scores(model, data)) if model else (),
        file_bytes=_published(model, estimate.quantization) if model else None,
        estimate=estimate,
    )


def _scores(model: Model, data: QualityData) -> Iterator[Score]:
    for use_case in _USES[model.kind]:
        yield Score(use_case=use_case, language=None, quality=quality_of(model, use_case, (), data))
    korean = quality_of(model, _USES[model.kind][0], ("ko",), data)
    yield Score(use_case=_USES[model.kind][0], language="ko", quality=korean)


def _published(model: Model, quantization: str) -> int | None:
    sizes = (artifact.bytes for artifact in model.artifacts if artifact.quantization == quantization)
    return next((size for size in sizes if size is not None), None)


def differences(sides: Sequence[Side], use_case: UseCase, qualities: Sequence[Quality]) -> tuple[str, ...]:
    """What sets the models apart, a sentence each: fit, quality for the use, speed, memory, terms, age.

    qualities: each model's for the use case, in the order of the sides.
    """
    found = (
        _of_fit(sides),
        _of_quality(sides, use_case, qualities),
        _of_speed(sides),
        _of_memory(sides),
        _of_terms(sides),
        *(_superseded(side) for side in sides),
    )
    return tuple(sentence for sentence in found if sentence)


def _superseded(side: Side) -> str | None:
    if side.superseded_by is None:
        return None
    return _("{newer} superseded {model}.").format(newer=side.superseded_by, model=side.model)


def _of_fit(sides: Sequence[Side]) -> str | None:
    lacking = [side for side in sides if side.estimate.fits is False]
    if not lacking:
        return None
    if len(lacking) == len(sides):
        return _("None of them fits on this machine.")
    misses = (
        _("{model} ({size} missing)").format(
            model=side.model, size=format_bytes(side.estimate.memory.missing_bytes)
        )
        for side in lacking
    )
    return _("On this machine {models} does not fit.").format(models=_(" and ").join(misses))


def _of_quality(sides: Sequence[Side], use_case: UseCase, qualities: Sequence[Quality]) -> str | None:
    rows = [(q.score, side.model, q) for side, q in zip(sides, qualities, strict=True) if q.score is not None]
    if len(rows) < 2:
        return None
    (high, best, most), *_between, (low, last, least) = sorted(rows, key=lambda row: (-row[0], row[1]))
    if _overlap(most, least):
        text = _(
            "For {use_case} the bands of {best} ({high:.0f}) and {last} ({low:.0f}) overlap: neither is"
            " surely better"
        )
    else:
        text = _("For {use_case} {best} scores {high:.0f} against {last}'s {low:.0f}")
    text = text.format(use_case=use_case.value, best=best, high=high, last=last, low=low)
    weak = [name for _score, name, quality in rows if quality.evidence == "estimated"]
    if weak:
        text = _("{sentence}, where {models} is estimated").format(
            sentence=text, models=_(" and ").join(weak)
        )
    return f"{text}."


def _overlap(best: Quality, last: Quality) -> bool:
    """Whether the bands touch; a measured score is its own band."""
    low = best.low if best.low is not None else best.score
    high = last.high if last.high is not None else last.score
    return low is not None and high is not None and high >= low


def _of_speed(sides: Sequence[Side]) -> str | None:
    """By what is waited for: answers, or the texts that an encoder reads."""
    rows = sorted(
        ((felt_rate(s.kind, s.estimate.speed), s.model) for s in sides if s.estimate.speed), reverse=True
    )
    if len(rows) < 2 or len({side.kind for side in sides}) > 1:
        return None
    (fast, first), *_between, (slow, last) = rows
    text = _("{first} is {ratio:.1f} times as fast as {last} ({fast:,.0f} and {slow:,.0f} tokens/s).")
    return text.format(first=first, ratio=fast / slow, last=last, fast=fast, slow=slow)


def _of_memory(sides: Sequence[Side]) -> str | None:
    rows = sorted((side.estimate.memory.total_bytes, side.model) for side in sides)
    (least, first), *_between, (most, last) = rows
    if least == most:
        return None
    text = _("{first} takes {size} less memory than {last}.")
    return text.format(first=first, size=format_bytes(most - least), last=last)


def _of_terms(sides: Sequence[Side]) -> str | None:
    names = {side.license for side in sides}
    if len(names) < 2:
        return None
    terms = (
        _("{model} is under {license}").format(
            model=side.model, license=side.license or _("terms that were not read")
        )
        for side in sides
    )
    return ", ".join(terms) + "."
