"""From requirements and a machine to a recommendation: every model is chosen, shown, or turned down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Final

from advisor.assessment import ArtifactChoice, Candidate, DeviceMemory
from advisor.backends import BACKENDS
from advisor.backends.devices import less, without
from advisor.candidates import DOES_NOT_FIT, Option, Turned, lifts, options
from advisor.compiled import Compiled
from advisor.file_size import tokenizer_bytes
from advisor.hardware import Machine
from advisor.model import Model, ModelKind
from advisor.plan import Companions, Recommendation, Rejection
from advisor.projectors import image_compute_bytes, max_image_tokens, projector_bytes
from advisor.proof import Proof
from advisor.quality import QualityData, fidelity
from advisor.ranking import (
    FLOOR_TOKENS_PER_S,
    Ranked,
    felt_rate,
    rank,
    rank_model,
    target_tokens_per_s,
)
from advisor.serving.plan import Served
from advisor.units import GIB, format_bytes, format_count, gib_down, gib_up
from advisor.usecase import DEFAULT_N_CTX, Backend, Requirements, UseCase
from advisor.weights import Weights

UNREAD_PROJECTOR_BYTES: Final = 2 * GIB
"""Kept free for a vision projector whose tower was not read: those that were take 0.5 to 1.8 GiB."""
PROJECTOR_TYPE: Final = "F16"
"""What projectors are published in most often, and what llama-server downloads."""

DEFAULT_LIMIT: Final = 4
"""Alternatives shown: enough for a faster, a better, a smaller and another family."""


class Shelf:
    """The catalog's part that a recommendation is made from."""

    def __init__(
        self,
        models: Sequence[Model],
        weights: Mapping[str, Mapping[str, Weights]],
        quality: QualityData,
        catalog_date: date,
        compute: Mapping[str, Compiled] = MappingProxyType({}),
    ) -> None:
        self.models, self.weights, self.quality, self.date = models, weights, quality, catalog_date
        self.compute = compute

    def of_kind(self, kind: ModelKind) -> list[Model]:
        return [model for model in self.models if model.kind is kind]


FEW_AT_ONCE: Final = 4
"""Requests that llama-server serves at once by its own default; for more, vLLM's batching pays."""
BATCHING_NOTE: Final = (
    f"for more than {FEW_AT_ONCE} requests at once vLLM is taken, which batches them as they come "
    "(--backend llama.cpp runs GGUF files instead)"
)


def wants_batching(requirements: Requirements, machine: Machine) -> bool:
    """Whether so many are served at once, and on such GPUs, that vLLM is tried first."""
    at_once = max(requirements.users, requirements.n_seqs)
    if requirements.backend is not None or requirements.kind is not ModelKind.CHAT or at_once <= FEW_AT_ONCE:
        return False
    able = all(gpu.vendor in ("nvidia", "amd") and not gpu.unified for gpu in machine.gpus)
    return bool(machine.gpus) and able and machine.host.os.lower() == "linux"


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
            notes = (BATCHING_NOTE, *result.notes)
            return result.model_copy(update={"requirements": requirements, "notes": notes})
    backend: Backend = requirements.backend or "llama.cpp"
    sees = requirements.use_case is UseCase.VISION
    rejected: list[Rejection] = []
    best_of_each: list[Ranked] = []
    for model in shelf.of_kind(requirements.kind):
        room = beside_projector(machine, projector_room(model)) if sees else machine
        found = options(
            model, shelf.weights.get(model.id, {}), requirements, room, shelf.compute.get(model.id, {})
        )
        if isinstance(found, Turned):
            rejected.append(found.rejection(model, backend))
            continue
        row = rank_model(found, requirements, shelf.quality)
        if why := BACKENDS[backend].refusal(candidate_of(row, requirements, machine, shelf), machine):
            rejected.append(Turned(why, row.option.artifact.quantization).rejection(model, backend))
        else:
            best_of_each.append(row)
    ranked, too_large, memory_notes = _proven(rank(best_of_each, requirements), prove)
    rejected += (_turned_by_plan(row, backend) for row in too_large)
    chosen, alternatives, rest = ranked[:1], *_alternatives(ranked, limit)
    rejected += (_outranked(row, ranked, backend) for row in rest)
    picks = [candidate_of(row, requirements, machine, shelf) for row in (*chosen, *alternatives)]
    choice = picks[0] if picks else None
    companions = _companions(shelf, requirements, machine, choice)
    return Recommendation(
        machine=machine,
        requirements=requirements,
        choice=choice,
        alternatives=tuple(picks[1:]),
        rejected=tuple(sorted(rejected, key=lambda r: r.model)),
        companions=companions,
        notes=(
            *memory_notes,
            *_notes(requirements, ranked, rejected, partial(_lifts, shelf, requirements, room)),
        ),
        catalog_date=shelf.date,
    )


def _proven(
    ranked: Sequence[Ranked], prove: Callable[[Option], Proof]
) -> tuple[list[Ranked], list[Ranked], tuple[str, ...]]:
    """The rows from the first one on whose proof fits, the ones before it, and what the proof says."""
    too_large: list[Ranked] = []
    for row in ranked:
        memory, notes = prove(row.option)
        proven = row._replace(option=row.option._replace(memory=memory))
        if memory.fits is not False:
            by = (f"memory proven by {memory.proven_by}",) if memory.proven_by else ()
            return [proven, *ranked[len(too_large) + 1 :]], too_large, (*by, *notes) or ("memory by rule",)
        too_large.append(proven)
    return [], too_large, ()


def _turned_by_plan(row: Ranked, backend: str) -> Rejection:
    """A model that fits by rule, but not by llama.cpp's own plan."""
    quantization, missing = row.option.artifact.quantization, row.option.memory.missing_bytes
    too_much = f"{format_bytes(missing, digits=1)} more than is free"
    why = f"{DOES_NOT_FIT}llama.cpp's own plan of {quantization} needs {too_much}"
    return Turned(why, quantization, missing).rejection(row.option.model, backend)


def projector_room(model: Model) -> int:
    """Bytes of a model's vision projector and of its graph for the largest image that is let in."""
    if model.vision is None:
        return UNREAD_PROJECTOR_BYTES
    graph = image_compute_bytes(model.vision, max_image_tokens(model.vision))
    return projector_bytes(model.vision, PROJECTOR_TYPE) + graph


def beside_projector(machine: Machine, size: int) -> Machine:
    """The machine with `size` bytes kept for a projector: on its first GPU if it has one, else in RAM."""
    if machine.gpus:
        return less(machine, size if machine.unified else 0, [size])
    return less(machine, size, [])


def _alternatives(ranked: Sequence[Ranked], limit: int) -> tuple[list[Ranked], list[Ranked]]:
    """Up to `limit` runners-up, and the rest, both best first.

    Shown are the next best of all, then the best of every family not shown yet, then the next best of any.
    """
    if not ranked or not limit:
        return [], list(ranked[1:])
    spread = list(ranked[1:2])
    families = {row.option.model.family for row in ranked[:2]}
    for row in ranked[2:]:
        if row.option.model.family not in families and len(spread) < limit:
            families.add(row.option.model.family)
            spread.append(row)
    remaining = [row for row in ranked[1:] if row not in spread]
    spread += remaining[: limit - len(spread)]
    shown = sorted(spread, key=ranked.index)
    return shown, [row for row in ranked[1:] if row not in shown]


def _outranked(row: Ranked, ranked: Sequence[Ranked], backend: str) -> Rejection:
    """A model that would run, but is not among the best."""
    speed = row.option.speed.decode_tokens_per_s
    rank_number = ranked.index(row) + 1
    superseded = row.option.model.superseded_by
    if speed < FLOOR_TOKENS_PER_S:
        why = f"runs at about {speed:.1f} tok/s, below the {FLOOR_TOKENS_PER_S:g} that are usable"
    elif superseded in {other.option.model.id for other in ranked}:
        why = f"superseded by {superseded}, which also fits"
    else:
        why = f"fits, but ranks {rank_number} of {len(ranked)} (score {row.score:.1f})"
    return Rejection(
        model=row.option.model.id, quantization=row.option.artifact.quantization, backend=backend, reason=why
    )


def _download_bytes(option: Option) -> int:
    """What a file whose size was not read is expected to take: a GGUF has its tokenizer in it."""
    in_file = tokenizer_bytes(option.model.architecture) if option.artifact.format == "gguf" else None
    return option.footprint.weights.total_bytes + (in_file or 0)


def candidate_of(row: Ranked, requirements: Requirements, machine: Machine, shelf: Shelf) -> Candidate:
    """The option in the words of a plan, with the engine's own command."""
    option, model = row.option, row.option.model
    backend: Backend = requirements.backend or "llama.cpp"
    artifact = option.artifact
    candidate = Candidate(
        model=model.id,
        kind=model.kind,
        name=model.name,
        family=model.family,
        publisher=model.publisher,
        released=model.released,
        license=model.license.id,
        n_params=model.n_params,
        n_params_active=model.n_params_active,
        modalities=model.modalities,
        languages=model.languages,
        quantization=artifact.quantization,
        backend=backend,
        projector=requirements.use_case is UseCase.VISION,
        n_ctx=option.settings.n_ctx,
        n_seqs=option.settings.n_seqs,
        kv_type=option.settings.kv_type,
        placement=option.placement(machine),
        memory=option.memory,
        speed=option.speed,
        quality=row.quality,
        score=row.score,
        artifact=ArtifactChoice(
            repo=artifact.repo,
            files=artifact.files,
            bytes=artifact.bytes or _download_bytes(option),
            estimated=artifact.bytes is None,
            format=artifact.format,
        ),
        command="",
        reasons=tuple(_reasons(row, requirements, shelf)),
    )
    return candidate.model_copy(update={"command": BACKENDS[backend].command(candidate)})


def _reasons(row: Ranked, needs: Requirements, shelf: Shelf) -> Iterable[str]:
    yield _quality_reason(row, needs)
    yield _placement_reason(row.option)
    yield _speed_reason(row.option, needs)
    quantization = row.option.artifact.quantization
    kept = fidelity(quantization, row.option.model.n_params, shelf.quality)
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


def _companions(
    shelf: Shelf, requirements: Requirements, machine: Machine, choice: Candidate | None
) -> Companions:
    """For RAG, an embedder and a reranker that fit beside the choice."""
    if requirements.use_case is not UseCase.RAG or choice is None:
        return Companions()
    beside = without(machine, [choice])
    embedding = _companion(shelf, requirements, beside, UseCase.EMBEDDING)
    if embedding is not None:
        beside = without(beside, [embedding])
    return Companions(embedding=embedding, rerank=_companion(shelf, requirements, beside, UseCase.RERANK))


def _companion(
    shelf: Shelf, requirements: Requirements, machine: Machine, use_case: UseCase
) -> Candidate | None:
    needs = Requirements(
        use_case=use_case,
        languages=requirements.languages,
        license=requirements.license,
        n_ctx=min(requirements.n_ctx, DEFAULT_N_CTX),
        quality=requirements.quality,
    )
    return recommend_on(shelf, needs, machine, limit=0).choice


def _notes(
    needs: Requirements,
    ranked: Sequence[Ranked],
    rejected: Sequence[Rejection],
    lifts: Callable[[Rejection], Sequence[str]],
) -> Iterable[str]:
    n_ctx = ranked[0].option.settings.n_ctx if ranked else needs.n_ctx
    stated = " (the default; --ctx asks for more or less)" if needs.n_ctx == DEFAULT_N_CTX else ""
    yield f"{n_ctx:,} tokens of context per sequence{stated}"
    if ranked and needs.use_case is UseCase.VISION:
        yield _projector_note(ranked[0].option.model)
    if ranked and needs.languages and not ranked[0].option.model.languages:
        asked = ", ".join(needs.languages)
        yield f"the maker of {ranked[0].option.model.id} gives no list of languages: try it in {asked} first"
    if len(ranked) > 1 and ranked[0].score > 0:
        lead = 1 - ranked[1].score / ranked[0].score
        second = ranked[1].option.model.id
        yield (
            f"the runner-up {second} scores {lead:.1%} less; a pick this close is a matter of taste"
            if (lead < CLOSE_CALL)
            else f"the runner-up {second} scores {lead:.1%} less"
        )
    if not ranked:
        yield nearest_miss(rejected, lifts)


def _projector_note(model: Model) -> str:
    size = format_bytes(projector_room(model))
    if model.vision is None:
        return f"{size} are kept free for the vision projector, whose own size was not read"
    tokens = max_image_tokens(model.vision)
    return (
        f"{size} are kept free for the vision projector ({PROJECTOR_TYPE}, images of up to {tokens:,} tokens)"
    )


CLOSE_CALL: Final = 0.03
"""Below this difference of scores the evidence does not separate two models."""


def _lifts(shelf: Shelf, needs: Requirements, machine: Machine, miss: Rejection) -> Sequence[str]:
    """What would make a rejected model fit, each alone."""
    model = next(model for model in shelf.models if model.id == miss.model)
    return [change.text for change in lifts(model, shelf.weights.get(model.id, {}), needs, machine)]


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
