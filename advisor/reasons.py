"""Why a model is proposed or turned down, in words and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from advisor.assessment import DeviceMemory
from advisor.candidates import DOES_NOT_FIT, Option, Turned
from advisor.model import ModelKind
from advisor.plan import Rejection
from advisor.quality import QualityData, fidelity
from advisor.ranking import FLOOR_TOKENS_PER_S, Ranked, felt_rate, target_tokens_per_s
from advisor.serving.plan import Served
from advisor.units import format_bytes, format_count, gib_down, gib_up
from advisor.usecase import Requirements


def reasons(row: Ranked, needs: Requirements, data: QualityData) -> Iterable[str]:
    """Why an option is proposed: quality, place, speed and what its quantization keeps."""
    yield _quality_reason(row, needs)
    yield _placement_reason(row.option)
    yield _speed_reason(row.option, needs)
    quantization = row.option.artifact.quantization
    kept = fidelity(quantization, row.option.model.n_params, data)
    yield f"{quantization} keeps about {kept:.1%} of the unquantized quality"


def _quality_reason(row: Ranked, needs: Requirements) -> str:
    quality, model = row.quality, row.option.model
    active = f", {format_count(model.n_params_active)} active" if model.n_params_active else ""
    size = f"{format_count(model.n_params)} parameters{active}"
    if quality.score is None:
        return f"{size}; no published score for {needs.use_case.value} was found"
    return f"{size}; {needs.use_case.value} score {quality.score:.0f}, {quality.evidence} ({quality.metric})"


def _placement_reason(option: Option) -> str:
    split, n_layers = option.split, option.footprint.n_layers
    used = [device for device in option.memory.devices if device.kind == "gpu" and device.total_bytes]
    if option.served is not None:
        return _served_reason(option.served, used)
    if not used:
        return f"runs from RAM: {_room(option.memory.devices[-1])}"
    needs = ", ".join(f"{_room(device)} on {device.name}" for device in used)
    if split.n_cpu_moe:
        return f"attention on the GPU, experts of {split.n_cpu_moe} of {n_layers} layers in RAM: {needs}"
    if split.n_cpu_ffn:
        return (
            f"all but the feed-forward blocks of {split.n_cpu_ffn} layers on the GPU, those in RAM: {needs}"
        )
    if split.n_gpu_layers > n_layers:
        return f"everything on the GPU: {needs}" if len(used) == 1 else f"everything on the GPUs: {needs}"
    return f"{split.n_gpu_layers} of {n_layers + 1} layers on the GPU, the rest in RAM: {needs}"


def _served_reason(served: Served, used: Sequence[DeviceMemory]) -> str:
    """How the engine divides the model, and how many requests its pool holds."""
    plan, pool = served.plan, served.pool
    needs = ", ".join(f"{_room(device)} on {device.name}" for device in used)
    division = "on one GPU"
    if plan.n_ranks > 1:
        division = f"over {plan.n_ranks} GPUs ({plan.tensor_parallel} × tensor, "
        division += f"{plan.pipeline_parallel} × pipeline parallel)"
    held = f"; the pool it reserves holds {pool.concurrency:.1f} requests of this length" if pool else ""
    return f"{division}: {needs}{held}"


def _room(device: DeviceMemory) -> str:
    free = "unknown" if device.capacity_bytes is None else f"{gib_down(device.capacity_bytes)} GiB"
    return f"{gib_up(device.total_bytes)} of {free}"


def _speed_reason(option: Option, needs: Requirements) -> str:
    speed, felt = option.speed, target_tokens_per_s(needs)
    rate = felt_rate(option.model.kind, speed)
    text = f"about {rate:,.0f} tok/s"
    text += f" ({speed.low:.0f} to {speed.high:.0f})" if option.model.kind is ModelKind.CHAT else " read"
    if rate < felt:
        return (
            f"{text}, slower than the {felt:.0f} that {needs.use_case.value} asks for, made up for by quality"
        )
    return f"{text}, beyond the {felt:.0f} that {needs.use_case.value} asks for"


def outranked(row: Ranked, ranked: Sequence[Ranked], backend: str) -> Rejection:
    """A model that would run, but is not among the best: its figures beside the pick's, and what it lacks."""
    option, pick = row.option, ranked[0]
    slow, on_host, coarse = (mine and not its for mine, its in zip(row.setbacks, pick.setbacks, strict=True))
    speed = option.speed.decode_tokens_per_s
    if slow:
        why = f"runs at about {speed:.1f} tok/s, below the {FLOOR_TOKENS_PER_S:g} that are usable"
    elif on_host:
        why = (
            "needs layers on the host, for which several users would wait; more GPU memory would change that"
        )
    elif coarse:
        why = "fits only in about 4 bits or fewer, while other models fit at higher fidelity"
    else:
        why = (
            f"fits, but ranks {ranked.index(row) + 1} of {len(ranked)}: score {row.score:.1f} against "
            f"{pick.score:.1f} of {pick.option.model.id}, {_against(row, pick)}{_would_win(row, pick)}"
        )
    return Turned(why, option.artifact.quantization).rejection(option.model, backend)


def _against(row: Ranked, pick: Ranked) -> str:
    rates = [felt_rate(r.option.model.kind, r.option.speed) for r in (row, pick)]
    speeds = f"about {rates[0]:,.0f} tok/s against {rates[1]:,.0f}"
    if row.quality.score is None or pick.quality.score is None:
        return f"no published quality found, {speeds}"
    return (
        f"quality {row.quality.score:.0f} ({row.quality.evidence}) against {pick.quality.score:.0f}, {speeds}"
    )


def _would_win(row: Ranked, pick: Ranked) -> str:
    """The quality at which it would be the pick; nothing where no score would do."""
    if not row.quality.score or not row.score:
        return ""
    needed = row.quality.score * pick.score / row.score
    return f"; a quality above {needed:.0f} would make it the pick" if needed < MAX_SCORE else ""


MAX_SCORE: Final = 100.0
"""Quality is a score from 0 to 100."""


def nearest_miss(rejected: Sequence[Rejection], lifts: Callable[[Rejection], Sequence[str]]) -> str:
    """What came closest, with figures, and what would make it fit."""
    misses = [r for r in rejected if r.missing_bytes]
    if not misses:
        return "no model meets the requirements: relax the language, licence, speed or context asked for"
    nearest = min(misses, key=lambda r: r.missing_bytes or 0)
    missing = format_bytes(nearest.missing_bytes or 0, digits=1)
    figures = nearest.reason.removeprefix(DOES_NOT_FIT)
    cure = ", or ".join(lifts(nearest)) or "more memory: plan for a larger machine with --hardware"
    return f"nothing fits. Nearest is {nearest.model}: {figures}, {missing} too little. It takes {cure}"
