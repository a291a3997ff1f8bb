"""Why a model is proposed or turned down, in words and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from advisor.assessment import EVIDENCE_WORDS, DeviceMemory
from advisor.candidates import DOES_NOT_FIT, Option, Turned
from advisor.i18n import _, ngettext
from advisor.model import ModelKind
from advisor.plan import Rejection
from advisor.quality import QualityData, fidelity
from advisor.ranking import FLOOR_TOKENS_PER_S, Contender, Ranked, felt_rate, target_tokens_per_s
from advisor.serving.plan import Served, room_for_more
from advisor.units import format_bytes, format_count, gib_down, gib_up
from advisor.usecase import Requirements


def reasons(row: Ranked, needs: Requirements, data: QualityData) -> Iterable[str]:
    """Why an option is proposed: quality, place, speed and what its quantization keeps."""
    yield _quality_reason(row, needs)
    yield _placement_reason(row.option)
    yield _speed_reason(row.option, needs)
    quantization = row.option.artifact.quantization
    kept = fidelity(quantization, row.option.model.n_params, data)
    yield _("{quantization} keeps about {kept:.1%} of the unquantized quality").format(
        quantization=quantization, kept=kept
    )


def _quality_reason(row: Ranked, needs: Requirements) -> str:
    quality, model = row.quality, row.option.model
    size = (
        _("{total} parameters, {active} active").format(
            total=format_count(model.n_params), active=format_count(model.n_params_active)
        )
        if model.n_params_active
        else _("{total} parameters").format(total=format_count(model.n_params))
    )
    use_case = needs.use_case.value
    if quality.score is None:
        return _("{size}; no published score for {use_case} was found").format(size=size, use_case=use_case)
    return _("{size}; {use_case} score {score:.0f}, {evidence} ({metric})").format(
        size=size,
        use_case=use_case,
        score=quality.score,
        evidence=_(EVIDENCE_WORDS[quality.evidence]),
        metric=quality.metric,
    )


def _placement_reason(option: Option) -> str:
    split, n_layers = option.split, option.footprint.n_layers
    used = [device for device in option.memory.devices if device.kind == "gpu" and device.total_bytes]
    if option.served is not None:
        return _served_reason(option.served, used)
    if not used:
        return _("runs from RAM: {needs}").format(needs=_room(option.memory.devices[-1]))
    needs = _rooms(used)
    if split.n_cpu_moe:
        return _("attention on the GPU, experts of {n} of {total} layers in RAM: {needs}").format(
            n=split.n_cpu_moe, total=n_layers, needs=needs
        )
    if split.n_cpu_ffn:
        return _("all but the feed-forward blocks of {n} layers on the GPU, those in RAM: {needs}").format(
            n=split.n_cpu_ffn, needs=needs
        )
    if split.n_gpu_layers > n_layers:
        return ngettext(
            "everything on the GPU: {needs}", "everything on the GPUs: {needs}", len(used)
        ).format(needs=needs)
    return _("{n} of {total} layers on the GPU, the rest in RAM: {needs}").format(
        n=split.n_gpu_layers, total=n_layers + 1, needs=needs
    )


def _served_reason(served: Served, used: Sequence[DeviceMemory]) -> str:
    """How the engine divides the model, and how many requests its pool holds."""
    plan, pool = served.plan, served.pool
    divided = (
        _("over {n} GPUs ({tensor} × tensor, {pipeline} × pipeline parallel): {needs}")
        if plan.n_ranks > 1
        else _("on one GPU: {needs}")
    )
    text = divided.format(
        n=plan.n_ranks, tensor=plan.tensor_parallel, pipeline=plan.pipeline_parallel, needs=_rooms(used)
    )
    if pool is not None:
        held = _("the pool it reserves holds {n:.1f} requests of this length").format(n=pool.concurrency)
        text = f"{text}; {held}"
    return f"{text}; {room_for_more(served.n_more)}" if served.n_more else text


def _rooms(used: Sequence[DeviceMemory]) -> str:
    return ", ".join(_("{room} on {device}").format(room=_room(row), device=row.name) for row in used)


def _room(device: DeviceMemory) -> str:
    free = _("unknown") if device.capacity_bytes is None else f"{gib_down(device.capacity_bytes)} GiB"
    return _("{need} of {free}").format(need=gib_up(device.total_bytes), free=free)


def _speed_reason(option: Option, needs: Requirements) -> str:
    speed, felt = option.speed, target_tokens_per_s(needs)
    rate = felt_rate(option.model.kind, speed)
    text = (
        _("about {rate:,.0f} tok/s ({low:.0f} to {high:.0f})")
        if option.model.kind is ModelKind.CHAT
        else _("about {rate:,.0f} tok/s read")
    )
    judged = (
        _("{speed}, slower than the {felt:.0f} that {use_case} asks for")
        if rate < felt
        else _("{speed}, beyond the {felt:.0f} that {use_case} asks for")
    )
    return judged.format(
        speed=text.format(rate=rate, low=speed.low, high=speed.high),
        felt=felt,
        use_case=needs.use_case.value,
    )


def superseded(newer: str) -> str:
    """A model that has a successor here."""
    return _("superseded by {newer}, which also fits").format(newer=newer)


def outranked(row: Ranked, pick: Ranked) -> Turned:
    """A model that would run, but is not among the best: its figures beside the pick's, and what it lacks."""
    option = row.option
    slow, on_host, coarse = (mine and not its for mine, its in zip(row.setbacks, pick.setbacks, strict=True))
    if slow:
        why = _("runs at about {speed:.1f} tok/s, below the {floor:g} that are usable").format(
            speed=option.speed.decode_tokens_per_s, floor=FLOOR_TOKENS_PER_S
        )
    elif on_host:
        why = _(
            "needs layers on the host, for which several users would wait; more GPU memory would change that"
        )
    elif coarse:
        why = _("fits only in about 4 bits or fewer, while other models fit at higher fidelity")
    else:
        why = "; ".join((_behind(row, pick), *_would_win(row, pick)))
    return Turned(why, option.artifact.quantization)


def passed_over(contender: Contender, most: float, pick: Ranked) -> Turned:
    """A model that was not placed, since it cannot come near the pick whatever its placement.

    most: the score that it cannot exceed.
    """
    rate, quality = contender.most_tokens_per_s, contender.quality.score
    if rate < FLOOR_TOKENS_PER_S and not pick.setbacks[0]:
        why = _("{rate:.1f} tok/s at most, by its bytes alone, below the {floor:g} that are usable")
    elif quality is None:
        why = _("no published quality was found, and {model} scores {best:.1f}")
    else:
        why = _("scores at most {most:.1f} (quality {quality:.0f}, {evidence}), {model} {best:.1f}")
    return Turned(
        why.format(
            rate=rate,
            floor=FLOOR_TOKENS_PER_S,
            most=most,
            quality=quality,
            evidence=_(EVIDENCE_WORDS[contender.quality.evidence]),
            best=pick.score,
            model=pick.option.model.id,
        )
    )


def _behind(row: Ranked, pick: Ranked) -> str:
    return _("fits, but scores {score:.1f} against {best:.1f} of {model}, {figures}").format(
        score=row.score, best=pick.score, model=pick.option.model.id, figures=_against(row, pick)
    )


def _against(row: Ranked, pick: Ranked) -> str:
    mine, its = (felt_rate(r.option.model.kind, r.option.speed) for r in (row, pick))
    if row.quality.score is None or pick.quality.score is None:
        return _("no published quality found, about {mine:,.0f} tok/s against {its:,.0f}").format(
            mine=mine, its=its
        )
    return _(
        "quality {score:.0f} ({evidence}) against {best:.0f}, about {mine:,.0f} tok/s against {its:,.0f}"
    ).format(
        score=row.quality.score,
        evidence=_(EVIDENCE_WORDS[row.quality.evidence]),
        best=pick.quality.score,
        mine=mine,
        its=its,
    )


def _would_win(row: Ranked, pick: Ranked) -> Iterator[str]:
    """The quality at which it would be the pick; nothing where no score would do."""
    if row.quality.score and row.score:
        needed = row.quality.score * pick.score / row.score
        if needed < MAX_SCORE:
            yield _("a quality above {needed:.0f} would make it the pick").format(needed=needed)


MAX_SCORE: Final = 100.0
"""Quality is a score from 0 to 100."""


def nearest_miss(rejected: Sequence[Rejection], lifts: Callable[[Rejection], Sequence[str]]) -> str:
    """What came closest, with figures, and what would make it fit."""
    misses = [r for r in rejected if r.missing_bytes]
    if not misses:
        return _("no model meets the requirements: relax the language, licence, speed or context asked for")
    nearest = min(misses, key=lambda r: r.missing_bytes or 0)
    cures = _(", or ").join(lifts(nearest))
    return _("nothing fits. Nearest is {model}: {figures}, {missing} too little. It takes {cure}").format(
        model=nearest.model,
        figures=nearest.reason.removeprefix(_(DOES_NOT_FIT)),
        missing=format_bytes(nearest.missing_bytes or 0, digits=1),
        cure=cures or _("more memory: plan for a larger machine with --hardware"),
    )
