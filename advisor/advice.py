"""From requirements and a machine to a recommendation: every model is chosen, shown, or turned down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

from advisor.alternatives import choose_alternatives, trade_off
from advisor.assessment import ArtifactChoice, Candidate
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
from advisor.quality import QualityData
from advisor.ranking import Ranked, least_bits, rank, rank_model
from advisor.reasons import nearest_miss, outranked, reasons
from advisor.sensitivity import Weighed, sensitivity
from advisor.units import GIB, format_bytes
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


MANY_GPUS: Final = 4
"""A machine with so many GPUs is a server: llama.cpp runs its layers one GPU after the other, an engine that
divides every layer runs them together."""
BATCHING_NOTE: Final = (
    f"for several requests at once, and from {MANY_GPUS} GPUs on, vLLM is taken, which batches requests as "
    "they come and runs all GPUs together (--backend llama.cpp runs GGUF files instead)"
)


def wants_batching(requirements: Requirements, machine: Machine) -> bool:
    """Whether so many are served at once, or on so many GPUs, that vLLM is tried first."""
    if requirements.backend is not None or requirements.kind is not ModelKind.CHAT:
        return False
    able = all(gpu.vendor in ("nvidia", "amd") and not gpu.unified for gpu in machine.gpus)
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
            told = {"requirements": requirements, "notes": (BATCHING_NOTE, *result.notes)}
            return result.model_copy(update=told)
    backend: Backend = requirements.backend or "llama.cpp"
    floor_bits = least_bits(machine, requirements)
    weighed, rejected = _weigh(shelf, requirements, machine, floor_bits)
    ranked, too_large, memory_notes = _proven(rank([row.best for row in weighed]), prove)
    rejected += (_turned_by_plan(row, backend) for row in too_large)
    alternatives, rest = choose_alternatives(ranked, limit)
    rejected += (outranked(row, ranked, backend) for row in rest)
    picks = [candidate_of(row, requirements, machine, shelf) for row in ranked[:1]]
    for row in alternatives:
        other = candidate_of(row, requirements, machine, shelf)
        why = (trade_off(row, ranked[0]), *other.reasons)
        picks.append(other.model_copy(update={"reasons": why}))
    choice = picks[0] if picks else None
    notes = [*memory_notes, *_notes(requirements, ranked)]
    if ranked:
        fitting = [row for row in weighed if row.best not in too_large]
        notes.append(sensitivity(fitting, ranked, requirements, shelf.quality, floor_bits))
    else:
        notes.append(nearest_miss(rejected, partial(_lifts, shelf, requirements, machine)))
    return Recommendation(
        machine=machine,
        requirements=requirements,
        choice=choice,
        alternatives=tuple(picks[1:]),
        rejected=tuple(sorted(rejected, key=lambda r: r.model)),
        companions=_companions(shelf, requirements, machine, choice),
        notes=tuple(notes),
        catalog_date=shelf.date,
    )


class _Tried(NamedTuple):
    """What became of the models of the right kind."""

    weighed: list[Weighed]
    rejected: list[Rejection]


def _weigh(shelf: Shelf, needs: Requirements, machine: Machine, floor_bits: float) -> _Tried:
    """Every model's best option; a superseded model is only tried where no successor of it is usable."""
    backend: Backend = needs.backend or "llama.cpp"
    models = {model.id: model for model in shelf.of_kind(needs.kind)}
    tried = _Tried([], [])
    usable: set[str] = set()
    for model in sorted(models.values(), key=lambda model: len(successors(model, models))):
        newer = next((name for name in successors(model, models) if name in usable), None)
        if newer is not None:
            tried.rejected.append(Turned(f"superseded by {newer}, which also fits").rejection(model, backend))
            continue
        row = _weigh_model(model, shelf, needs, machine, floor_bits)
        if isinstance(row, Turned):
            tried.rejected.append(row.rejection(model, backend))
            continue
        tried.weighed.append(row)
        if not any(row.best.setbacks):
            usable.add(model.id)
    return tried


def successors(model: Model, models: Mapping[str, Model]) -> list[str]:
    """The ids of the models that replaced it, the next one first."""
    chain: list[str] = []
    name = model.superseded_by
    while name is not None and name in models and name not in chain:
        chain.append(name)
        name = models[name].superseded_by
    return chain


def _weigh_model(
    model: Model, shelf: Shelf, needs: Requirements, machine: Machine, floor_bits: float
) -> Weighed | Turned:
    """The model's options with the best of them, or why it has none."""
    sees = needs.use_case is UseCase.VISION
    room = beside_projector(machine, projector_room(model)) if sees else machine
    compute = shelf.compute.get(model.id, {})
    found = options(model, shelf.weights.get(model.id, {}), needs, room, compute)
    if isinstance(found, Turned):
        return found
    best = rank_model(found, needs, shelf.quality, floor_bits)
    backend: Backend = needs.backend or "llama.cpp"
    if why := BACKENDS[backend].refusal(candidate_of(best, needs, machine, shelf), machine):
        return Turned(why, best.option.artifact.quantization)
    return Weighed(best, found)


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
        reasons=tuple(reasons(row, requirements, shelf.quality)),
    )
    return candidate.model_copy(update={"command": BACKENDS[backend].command(candidate)})


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


def _notes(needs: Requirements, ranked: Sequence[Ranked]) -> Iterable[str]:
    n_ctx = ranked[0].option.settings.n_ctx if ranked else needs.n_ctx
    stated = " (the default; --ctx asks for more or less)" if needs.n_ctx == DEFAULT_N_CTX else ""
    yield f"{n_ctx:,} tokens of context per sequence{stated}"
    if ranked and needs.use_case is UseCase.VISION:
        yield _projector_note(ranked[0].option.model)
    if ranked and needs.languages and not ranked[0].option.model.languages:
        asked = ", ".join(needs.languages)
        yield f"the maker of {ranked[0].option.model.id} gives no list of languages: try it in {asked} first"


def _projector_note(model: Model) -> str:
    size = format_bytes(projector_room(model))
    if model.vision is None:
        return f"{size} are kept free for the vision projector, whose own size was not read"
    tokens = max_image_tokens(model.vision)
    return (
        f"{size} are kept free for the vision projector ({PROJECTOR_TYPE}, images of up to {tokens:,} tokens)"
    )


def _lifts(shelf: Shelf, needs: Requirements, machine: Machine, miss: Rejection) -> Sequence[str]:
    """What would make a rejected model fit, each alone."""
    model = next(model for model in shelf.models if model.id == miss.model)
    return [change.text for change in lifts(model, shelf.weights.get(model.id, {}), needs, machine)]
