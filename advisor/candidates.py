"""Every way a model could serve the request on the machine: fitted, timed, or turned down with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from advisor.assessment import MemoryEstimate, Placement, SpeedEstimate
from advisor.compiled import Compiled
from advisor.errors import AdvisorError
from advisor.estimation import Pace, Workload, depth_within, prompt_within, served_speed
from advisor.hardware import Machine
from advisor.limits import Change, Question, holds_anywhere, would_fit
from advisor.memory import Footprint, Split, footprint_of
from advisor.model import Artifact, Model, ModelKind
from advisor.placement import estimate_memory, placement_of, solve
from advisor.plan import Rejection
from advisor.serving.engines import ENGINES, serve
from advisor.serving.formats import engine_weights
from advisor.serving.plan import Served
from advisor.serving.speed import as_split
from advisor.settings import Settings
from advisor.units import format_bytes
from advisor.usecase import DEFAULT_N_CTX, Requirements, UseCase
from advisor.weights import Weights, as_large_as

EMBEDDER_N_CTX: Final = 2048
"""Context of embedders and rerankers unless another is asked for: chunks of documents are shorter, and the
graph of a decoder that embeds grows with the whole vocabulary for every token of it."""

PERMISSIVE_LICENSES: Final = frozenset({"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0"})


DOES_NOT_FIT: Final = "does not fit: "
"""How the reason begins of a model that is too large."""


class Option(NamedTuple):
    """One model in one quantization and placement, with its figures."""

    model: Model
    artifact: Artifact
    settings: Settings
    footprint: Footprint
    split: Split
    memory: MemoryEstimate
    speed: SpeedEstimate
    ram_share: float
    """Part of the RAM left to models that it fills; the GPU's part counts where the memory is one pool."""
    served: Served | None = None
    """How an engine that divides the model itself does so; `split` is then only its speed's."""

    def placement(self, machine: Machine) -> Placement:
        """Where the model runs, in the words of a plan."""
        if self.served is not None:
            return self.served.placement(machine)
        return placement_of(self.split, self.footprint, machine)


class Turned(NamedTuple):
    """Why a model gives no option."""

    reason: str
    quantization: str | None = None
    missing_bytes: int | None = None

    def rejection(self, model: Model, backend: str | None) -> Rejection:
        return Rejection(
            model=model.id,
            quantization=self.quantization,
            backend=backend,
            reason=self.reason,
            missing_bytes=self.missing_bytes,
        )


def settings_for(model: Model, requirements: Requirements) -> Settings:
    """The context the model is run with: what was asked, never more than it was trained for.

    Embedders and rerankers read a text in one graph, so that batch and graph are as long as the context.
    """
    n_ctx = min(requirements.n_ctx, model.architecture.n_ctx_train)
    n_seqs = max(requirements.n_seqs, requirements.users)
    if model.kind is ModelKind.CHAT:
        return Settings(n_ctx=n_ctx, n_seqs=n_seqs, kv_type=requirements.kv_type)
    if requirements.n_ctx == DEFAULT_N_CTX:
        n_ctx = min(n_ctx, EMBEDDER_N_CTX)
    return Settings(n_ctx=n_ctx, n_seqs=n_seqs, n_batch=n_ctx, n_ubatch=n_ctx, embeddings=True)


def unmet_need(model: Model, requirements: Requirements) -> str | None:
    """The first hard need that the model does not meet, whatever the machine."""
    return next(_unmet_needs(model, requirements), None)


def _unmet_needs(model: Model, needs: Requirements) -> Iterator[str]:
    if needs.use_case is UseCase.VISION and "image" not in model.modalities:
        yield "takes text only; this use case needs images"
    if needs.use_case is UseCase.AGENT and not model.tools:
        yield "not trained to call tools, which an agent needs"
    if needs.license == "permissive" and model.license.id not in PERMISSIVE_LICENSES:
        yield f"its licence ({model.license.id}) is not a permissive one"
    missing = [code for code in needs.languages if model.languages and code not in model.languages]
    if missing:
        yield f"its maker does not list the language {', '.join(missing)}"
    if needs.n_ctx > max(DEFAULT_N_CTX, model.architecture.n_ctx_train):
        yield f"trained for {model.architecture.n_ctx_train:,} tokens; {needs.n_ctx:,} were asked for"


def quantizations(model: Model, requirements: Requirements) -> tuple[Artifact, ...] | Turned:
    """The files worth trying in the backend's format, or why there are none."""
    served = requirements.backend in ENGINES
    files = [a for a in model.artifacts if a.format == ("safetensors" if served else "gguf")]
    if not files and served:
        return Turned(f"has no checkpoint in the catalog that {requirements.backend} reads")
    if not files:
        return Turned("has no GGUF file, which llama.cpp and Ollama need")
    if requirements.quantization:
        files = [a for a in files if a.quantization == requirements.quantization]
        if not files:
            return Turned(f"is not offered as {requirements.quantization}", requirements.quantization)
    elif model.kind is not ModelKind.CHAT:
        files = [a for a in files if a.quantization in _EIGHT_BITS_OR_MORE]
        if not files:
            return Turned("has no file of 8 bits or more, and embedders lose too much below that")
    return tuple(files)


_EIGHT_BITS_OR_MORE: Final = frozenset({"Q8_0", "F16", "BF16", "F32", "FP8", "INT8"})


def options(
    model: Model,
    weights: Mapping[str, Weights],
    requirements: Requirements,
    machine: Machine,
    compiled: Compiled = MappingProxyType({}),
) -> tuple[Option, ...] | Turned:
    """The model's options on the machine, one a quantization that fits, or why there are none.

    compiled: compute buffers of the model under the settings that no requirement changes.
    """
    if need := unmet_need(model, requirements):
        return Turned(need)
    files = quantizations(model, requirements)
    if isinstance(files, Turned):
        return files
    settings = settings_for(model, requirements)
    if requirements.backend in ENGINES:
        return _served_options(model, files, settings, requirements, machine)
    known = compiled if settings == settings_for(model, Requirements()) else {}
    any_quantization = footprint_of(model.architecture, weights[files[0].quantization], settings, known)
    found: list[Option] = []
    nearest: Turned | None = None
    for artifact in files:
        held = as_large_as(weights[artifact.quantization], artifact.bytes)
        footprint = any_quantization.with_weights(held)
        pace = Pace(_workload(model, artifact, held, settings, requirements), machine)
        split = solve(footprint, machine, pace.rate)
        if split is None:
            turned = too_large(footprint, machine, artifact.quantization)
            nearest = min((t for t in (nearest, turned) if t), key=lambda t: t.missing_bytes or 0)
            continue
        speed = pace.speed(split)
        if speed is None:
            return Turned("its speed cannot be told: the memory bandwidth of a device it needs is unknown")
        memory = estimate_memory(footprint, split, machine, "config-rules")
        share = ram_share(memory, machine)
        found.append(Option(model, artifact, settings, footprint, split, memory, speed, share))
    if not found:
        return nearest or Turned("has no quantization that can be estimated")
    return _fast_enough(found, requirements)


def _served_options(
    model: Model,
    files: Iterable[Artifact],
    settings: Settings,
    requirements: Requirements,
    machine: Machine,
) -> tuple[Option, ...] | Turned:
    """The options under an engine that divides the model over GPUs by itself."""
    backend = requirements.backend or "vllm"
    found: list[Option] = []
    nearest: Turned | None = None
    for artifact in files:
        try:
            held = engine_weights(model.architecture, artifact.quantization)
            served = serve(
                model.architecture, held, settings, machine, backend=backend, source="config-rules"
            )
        except AdvisorError as error:
            return Turned(str(error), artifact.quantization)
        if served.memory.fits is False:
            turned = _too_large_for(served, artifact.quantization)
            nearest = min((t for t in (nearest, turned) if t), key=lambda t: t.missing_bytes or 0)
            continue
        split = as_split(model.architecture, served.plan, machine)
        workload = _workload(model, artifact, held, settings, requirements)
        speed = served_speed(workload, served, machine)
        if speed is None:
            return Turned("its speed cannot be told: the memory bandwidth of a device it needs is unknown")
        footprint = footprint_of(model.architecture, held, settings)
        share = ram_share(served.memory, machine)
        found.append(Option(model, artifact, settings, footprint, split, served.memory, speed, share, served))
    if not found:
        return nearest or Turned("has no quantization that can be estimated")
    return _fast_enough(found, requirements)


def _too_large_for(served: Served, quantization: str) -> Turned:
    """What the GPUs lack under the plan that comes closest."""
    rows = [row for row in served.memory.devices if row.fits is False]
    need = sum(row.total_bytes for row in rows)
    room = sum(row.capacity_bytes or 0 for row in rows)
    devices = " and ".join(dict.fromkeys(row.name for row in rows))
    return Turned(
        f"{DOES_NOT_FIT}{quantization} needs {format_bytes(need, digits=1)} on {devices}, which has "
        f"{format_bytes(room, digits=1)} free for it",
        quantization,
        max(1, served.memory.missing_bytes),
    )


def _workload(
    model: Model, artifact: Artifact, weights: Weights, settings: Settings, requirements: Requirements
) -> Workload:
    return Workload(
        name=model.id,
        architecture=model.architecture,
        weights=weights,
        quantization=artifact.quantization,
        settings=settings,
        n_params_active=model.n_params_active or model.n_params,
        source="config-rules",
        backend=requirements.backend or "llama.cpp",
        depth=depth_within(settings.n_ctx, requirements.depth),
        prompt_tokens=prompt_within(settings.n_ctx, requirements.prompt_tokens),
    )


def ram_share(memory: MemoryEstimate, machine: Machine) -> float:
    """Part of the RAM left to models that is filled."""
    taken = sum(d.total_bytes for d in memory.devices if d.kind == "cpu" or machine.unified)
    return taken / max(1, machine.host_capacity_bytes)


def lifts(
    model: Model, weights: Mapping[str, Weights], requirements: Requirements, machine: Machine
) -> tuple[Change, ...]:
    """What would make the model fit in its smallest file, each change alone, cheapest first."""
    files = quantizations(model, requirements)
    if isinstance(files, Turned) or requirements.backend in ENGINES:
        return ()
    smallest = min(files, key=lambda file: weights[file.quantization].total_bytes)
    held = as_large_as(weights[smallest.quantization], smallest.bytes)
    question = Question(
        architecture=model.architecture,
        weights=held,
        quantization=smallest.quantization,
        settings=settings_for(model, requirements),
        machine=machine,
        weights_in=lambda name: held,  # no other file is smaller
    )
    return would_fit(question, holds_anywhere)


def too_large(footprint: Footprint, machine: Machine, quantization: str) -> Turned:
    """What the machine lacks, counted over all its memory together."""
    everything_on_host = estimate_memory(
        footprint, Split(gpu_layers=(0,) * len(machine.gpus)), machine, "config-rules"
    )
    need = everything_on_host.total_bytes
    room = machine.host_capacity_bytes
    room += 0 if machine.unified else sum(gpu.capacity_bytes for gpu in machine.gpus)
    missing = max(1, need - room)
    return Turned(
        f"{DOES_NOT_FIT}{quantization} needs {format_bytes(need, digits=1)}, the machine has "
        f"{format_bytes(room, digits=1)} free for it",
        quantization,
        missing,
    )


def _fast_enough(found: Iterable[Option], needs: Requirements) -> tuple[Option, ...] | Turned:
    """The options that keep the limits on speed that were asked for."""
    found = tuple(found)
    floor, limit = needs.min_tokens_per_s, needs.max_ttft_s
    if floor is not None:
        quick = tuple(o for o in found if o.speed.decode_tokens_per_s >= floor)
        if not quick:
            best = max(o.speed.decode_tokens_per_s for o in found)
            return Turned(f"reaches about {best:.1f} tok/s here; {floor:g} were asked for")
        found = quick
    if limit is not None:
        prompt = tuple(o for o in found if o.speed.ttft_s is not None and o.speed.ttft_s <= limit)
        if not prompt:
            times = [o.speed.ttft_s for o in found if o.speed.ttft_s is not None]
            told = f"about {min(times):.1f} s" if times else "an unknown time"
            return Turned(f"needs {told} to the first token here; at most {limit:g} s were asked for")
        found = prompt
    return found
