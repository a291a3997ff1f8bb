"""From requirements and a machine to a recommendation: every model is chosen, shown, or turned down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from advisor.alternatives import choose_alternatives, trade_off
from advisor.backends import vllm
from advisor.candidates import DOES_NOT_FIT, Option, Turned
from advisor.contest import Contest, Downloads, Shelf, anyone
from advisor.downloaded import downloaded_first, downloaded_reason
from advisor.hardware import Machine
from advisor.i18n import N_, _
from advisor.model import Model, ModelKind
from advisor.offers import lifts
from advisor.plan import Recommendation, Rejection
from advisor.projectors import max_image_tokens
from advisor.proof import Proof
from advisor.proposal import PROJECTOR_TYPE, candidate_of, projector_room
from advisor.ranking import Contender, Ranked
from advisor.reasons import nearest_miss, outranked, passed_over, superseded
from advisor.sensitivity import sensitivity
from advisor.units import format_bytes
from advisor.usecase import DEFAULT_N_CTX, Backend, Requirements

DEFAULT_LIMIT: Final = 4
"""Alternatives shown: enough for a faster, a better, a smaller and another family."""


MANY_GPUS: Final = 4
"""A machine with so many GPUs is a server: llama.cpp runs its layers one GPU after the other, an engine that
divides every layer runs them together."""
BATCHING_NOTE: Final = N_(
    "for several requests at once, and from {n} GPUs on, vLLM is taken, which batches requests as "
    "they come and runs all GPUs together (--backend llama.cpp runs GGUF files instead)"
)


def wants_batching(requirements: Requirements, machine: Machine) -> bool:
    """Whether so many are served at once, or on so many GPUs, that vLLM is tried first."""
    if requirements.backend is not None or requirements.kind is not ModelKind.CHAT:
        return False
    able = all(vllm.runs_on(gpu) and not gpu.unified for gpu in machine.gpus)
    many = requirements.n_at_once > 1 or len(machine.gpus) >= MANY_GPUS
    return bool(machine.gpus) and able and many and machine.host.os.lower() == "linux"


def unproven(option: Option) -> Proof:
    """The option by rule: llama.cpp is not asked."""
    return Proof(option.memory)


def recommend_on(
    shelf: Shelf,
    requirements: Requirements,
    machine: Machine,
    *,
    limit: int = DEFAULT_LIMIT,
    prove: Callable[[Option], Proof] = unproven,
) -> Recommendation:
    """The best model for the requirements on the machine, its alternatives, and why not the others.

    prove: holds the pick against llama.cpp itself.
    """
    if wants_batching(requirements, machine):
        batched = requirements.model_copy(update={"backend": "vllm"})
        result = recommend_on(shelf, batched, machine, limit=limit, prove=prove)
        if result.choice is not None:
            told = {
                "requirements": requirements,
                "notes": (_(BATCHING_NOTE).format(n=MANY_GPUS), *result.notes),
            }
            return result.model_copy(update=told)
    contest = Contest(shelf, requirements, machine)
    proven = _prove_first(_downloaded_first(contest.ranked(), shelf.downloads), prove)
    shown = [] if proven.pick is None else [proven.pick]
    out = {row.option.model.id for row in proven.too_large}

    def others(among: Callable[[Contender], bool] = anyone) -> Iterator[Ranked]:
        passed = out | {row.option.model.id for row in shown[:1]}
        return (row for row in contest.ranked(among=among) if row.option.model.id not in passed)

    if proven.pick is not None:
        shown += choose_alternatives(proven.pick, others, limit)
    picks = [candidate_of(row, requirements, shelf.quality) for row in shown]
    for i, pick in enumerate(picks):
        why = [trade_off(shown[i], shown[0]), *pick.reasons] if i else [*pick.reasons]
        if download := shelf.downloads.get((pick.model, pick.quantization)):
            why.append(downloaded_reason(download))
        picks[i] = pick.model_copy(update={"reasons": tuple(why)})
    choice = picks[0] if picks else None
    notes = [*proven.notes, *_notes(requirements, shown)]
    if proven.pick is not None:
        notes.append(sensitivity(contest, proven.pick, others, out))
    rejected = _rejections(contest, shown, proven.too_large)
    if proven.pick is None:
        notes.append(nearest_miss(rejected, partial(_lifts, shelf, requirements, machine)))
    return Recommendation(
        machine=machine,
        requirements=requirements,
        choice=choice,
        alternatives=tuple(picks[1:]),
        rejected=tuple(sorted(rejected, key=lambda r: r.model)),
        notes=tuple(notes),
        catalog_date=shelf.date,
    )


def _downloaded_first(rows: Iterable[Ranked], downloads: Downloads) -> Iterable[Ranked]:
    if not downloads:
        return rows
    return downloaded_first(
        rows,
        lambda row: row.score,
        lambda row: row.setbacks,
        lambda row: (row.option.model.id, row.option.artifact.quantization) in downloads,
    )


class _Proven(NamedTuple):
    """The best model whose proof fits, those before it, and what the proof says."""

    pick: Ranked | None
    too_large: tuple[Ranked, ...]
    notes: tuple[str, ...]


def _prove_first(rows: Iterable[Ranked], prove: Callable[[Option], Proof]) -> _Proven:
    too_large: list[Ranked] = []
    for row in rows:
        memory, notes = prove(row.option)
        proven = row._replace(option=replace(row.option, proven=memory))
        if memory.fits is not False:
            by = (_("memory proven by {build}").format(build=memory.proven_by),) if memory.proven_by else ()
            return _Proven(proven, tuple(too_large), (*by, *notes) or (_("memory by rule"),))
        too_large.append(proven)
    return _Proven(None, tuple(too_large), ())


def _rejections(contest: Contest, shown: Sequence[Ranked], too_large: Iterable[Ranked]) -> list[Rejection]:
    """Every model that is not shown, with the main reason."""
    backend: Backend = contest.needs.backend or "llama.cpp"
    by_plan = {row.option.model.id: row for row in too_large}
    names = {row.option.model.id for row in shown}
    return [
        _why_not(contest, model, shown, by_plan.get(model.id)).rejection(model, backend)
        for model in contest.models
        if model.id not in names
    ]


def _why_not(contest: Contest, model: Model, shown: Sequence[Ranked], by_plan: Ranked | None) -> Turned:
    if by_plan is not None:
        return _turned_by_plan(by_plan)
    weighed = contest.weighed(model.id)
    if isinstance(weighed, Turned):
        return weighed
    if newer := contest.successor_known_in_use(model.id):
        return Turned(superseded(newer))
    return outranked(weighed, shown[0]) if weighed else passed_over(*contest.bound(model.id), shown[0])


def _turned_by_plan(row: Ranked) -> Turned:
    """A model that fits by rule, but not by llama.cpp's own plan."""
    quantization, missing = row.option.artifact.quantization, row.option.memory.missing_bytes
    text = _("llama.cpp's own plan of {quantization} needs {missing} more than is free")
    why = text.format(quantization=quantization, missing=format_bytes(missing, digits=1))
    return Turned(_(DOES_NOT_FIT) + why, quantization, missing)


def _notes(needs: Requirements, ranked: Sequence[Ranked]) -> Iterable[str]:
    n_ctx = ranked[0].option.settings.n_ctx if ranked else needs.n_ctx
    if needs.n_ctx == DEFAULT_N_CTX:
        text = _("{n_ctx:,} tokens of context per sequence (the default; --ctx asks for more or less)")
    else:
        text = _("{n_ctx:,} tokens of context per sequence")
    yield text.format(n_ctx=n_ctx)
    if needs.n_ctx == DEFAULT_N_CTX < needs.profile.n_ctx:
        text = _("{use_case} usually fills {n:,} tokens: --ctx {n} plans for them")
        yield text.format(use_case=needs.use_case.value, n=needs.profile.n_ctx)
    if ranked:
        yield from _effective_note(ranked[0].option.model, n_ctx)
    yield from _wait_note(needs, ranked)
    if ranked and needs.profile.images:
        yield _projector_note(ranked[0].option.model)
    unlisted = [code for code in needs.languages if ranked and code not in ranked[0].option.model.languages]
    if unlisted:
        text = _("the maker of {model} gives no full list of languages: try it in {languages} first")
        yield text.format(model=ranked[0].option.model.id, languages=", ".join(unlisted))


def _effective_note(model: Model, n_ctx: int) -> Iterator[str]:
    """That the model loses quality before the context is full."""
    if model.n_ctx_effective is not None and model.n_ctx_effective < n_ctx:
        text = _(
            "{model} was trained for {trained:,} tokens, but holds its quality to about {effective:,} (RULER)"
        )
        yield text.format(
            model=model.id, trained=model.architecture.n_ctx_train, effective=model.n_ctx_effective
        )


def _wait_note(needs: Requirements, ranked: Sequence[Ranked]) -> Iterator[str]:
    """That the first token comes later than the use case bears, where no limit was asked for."""
    if not ranked or needs.max_ttft_s is not None or needs.kind is not ModelKind.CHAT:
        return
    speed, limit = ranked[0].option.speed, needs.profile.ttft_s
    if speed.ttft_s is not None and speed.ttft_s > limit:
        text = _(
            "a prompt of {n:,} tokens is read in about {seconds:.0f} s, longer than most people wait: "
            "--max-ttft {limit:g} looks for a quicker model"
        )
        yield text.format(n=speed.prompt_tokens, seconds=speed.ttft_s, limit=limit)


def _projector_note(model: Model) -> str:
    size = format_bytes(projector_room(model))
    if model.vision is None:
        text = _("{size} are kept free for the vision projector, whose own size was not read")
        return text.format(size=size)
    text = _("{size} are kept free for the vision projector ({quantization}, images of up to {n:,} tokens)")
    return text.format(size=size, quantization=PROJECTOR_TYPE, n=max_image_tokens(model.vision))


def _lifts(shelf: Shelf, needs: Requirements, machine: Machine, miss: Rejection) -> Sequence[str]:
    """What would make a rejected model fit, each alone."""
    model = next(model for model in shelf.models if model.id == miss.model)
    return [change.text for change in lifts(model, shelf.weights.get(model.id, {}), needs, machine)]
