"""One model under one setting on one machine: what `advisor estimate` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from advisor.architecture import Architecture
from advisor.assessment import MemoryEstimate, MemorySource, Placement, SpeedEstimate
from advisor.attachments import Attachment
from advisor.backends import llama_cpp, ollama
from advisor.file_size import older_notes
from advisor.graphs import is_described
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.limits import Change, Limits
from advisor.loads import Loads
from advisor.memory import Footprint, Split, footprint_of
from advisor.placement import Rate, estimate_memory, force, most_layers, placement_of, solve
from advisor.proof import Prove, by_rule
from advisor.quantization import MIXES
from advisor.serving.engines import ENGINES, serve
from advisor.serving.formats import LESS_AND_LESS, engine_weights, formats_of
from advisor.serving.plan import Pool, Served
from advisor.serving.speed import EngineSpeed
from advisor.settings import Settings
from advisor.speed import Work, estimate_speed
from advisor.speed.speculative import speculative_speed
from advisor.usecase import DEFAULT_PROMPT_TOKENS, Backend, KvType
from advisor.value import SCHEMA_VERSION, Value
from advisor.weights import Weights


class Estimate(Value):
    """The document of `advisor estimate`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    model: str
    quantization: str
    backend: Backend
    n_ctx: int
    n_seqs: int
    kv_type: KvType
    placement: Placement
    memory: MemoryEstimate
    speed: SpeedEstimate | None
    """None where it does not fit, or a device's bandwidth is unknown."""
    fits: bool | None
    would_fit: tuple[Change, ...] = ()
    """Where it does not fit: what would make it, each alone, cheapest first."""
    limits: Limits | None = None
    """None unless asked for."""
    attachments: tuple[Attachment, ...] = ()
    """What stands beside the model; `memory` has it too."""
    pool: Pool | None = None
    """What an engine reserves beyond the need; None for engines that take memory as it is needed."""
    assumptions: tuple[str, ...] = ()


class Workload(Value):
    """A model as it is to be run: everything but the machine."""

    name: str
    architecture: Architecture
    weights: Weights
    quantization: str
    settings: Settings
    n_params_active: int
    source: MemorySource
    backend: Backend = "llama.cpp"
    depth: int
    """Tokens in the cache where decode speed is stated."""
    prompt_tokens: int
    notes: tuple[str, ...] = ()
    """Where the model's figures came from, where that is worth saying."""


def depth_within(n_ctx: int, asked: int | None) -> int:
    """Tokens in the cache where decode speed is stated: half of the context unless asked otherwise."""
    return n_ctx // 2 if asked is None else min(asked, n_ctx)


def prompt_within(n_ctx: int, asked: int | None) -> int:
    """Prompt length for the first token: the default or half of the context unless asked otherwise."""
    return min(n_ctx, asked or max(1, min(DEFAULT_PROMPT_TOKENS, n_ctx // 2)))


def estimate_on(
    workload: Workload, machine: Machine, n_gpu_layers: int | None = None, prove: Prove = by_rule
) -> Estimate:
    """Memory, speed and verdict; `n_gpu_layers` None lets the placement be solved.

    prove: holds llama.cpp's placement against llama.cpp itself.
    """
    if workload.backend in ENGINES:
        return _estimate_engine(workload, machine)
    arch, settings = workload.architecture, workload.settings
    footprint = footprint_of(arch, workload.weights, settings)
    pace = Pace(workload, machine)
    split = _split(footprint, machine, n_gpu_layers, pace.rate)
    memory, notes = prove(footprint, split, estimate_memory(footprint, split, machine, workload.source))
    return Estimate(
        model=workload.name,
        quantization=workload.quantization,
        backend=workload.backend,
        n_ctx=settings.n_ctx,
        n_seqs=settings.n_seqs,
        kv_type=settings.kv_type,
        placement=placement_of(split, footprint, machine),
        memory=memory,
        speed=pace.speed(split) if memory.fits is not False else None,
        fits=memory.fits,
        assumptions=(*_assumptions(workload, machine), *notes),
    )


def _estimate_engine(workload: Workload, machine: Machine) -> Estimate:
    """The same for an engine that serves checkpoints of the hub, which divides the model by itself."""
    settings = workload.settings
    served, speed = serve_on(workload, machine)
    fits = served.memory.fits
    return Estimate(
        model=workload.name,
        quantization=workload.quantization,
        backend=workload.backend,
        n_ctx=settings.n_ctx,
        n_seqs=settings.n_seqs,
        kv_type=settings.kv_type,
        placement=served.placement(machine),
        memory=served.memory,
        speed=speed,
        fits=fits,
        pool=served.pool,
        assumptions=(
            *_assumptions(workload, machine),
            *served.notes,
            *(() if fits is not False else _smaller_formats(workload, machine)),
        ),
    )


def _smaller_formats(workload: Workload, machine: Machine) -> Iterator[str]:
    """The least lossy smaller format in which the workload would fit, if there is one."""
    arch, own = workload.architecture, workload.weights.total_bytes
    for quantization in (name for name in LESS_AND_LESS if name in formats_of(workload.backend)):
        weights = engine_weights(arch, quantization)
        if weights.total_bytes >= own:
            continue
        smaller = workload.model_copy(update={"weights": weights, "quantization": quantization})
        if serve_on(smaller, machine)[0].memory.fits:
            yield _("a checkpoint in {quantization} would fit (--quant {quantization})").format(
                quantization=quantization
            )
            return


def serve_on(workload: Workload, machine: Machine) -> tuple[Served, SpeedEstimate | None]:
    """The workload on an engine under the plan that serves it best, and how fast.

    The speed is None where the workload does not fit, or rates or a bandwidth are not known.
    Raises `AdvisorError` where the engine cannot run there, or has no such cache.
    """
    speed = EngineSpeed(
        workload.architecture,
        workload.weights,
        workload.settings,
        machine,
        backend=workload.backend,
        quantization=workload.quantization,
        n_params_active=workload.n_params_active,
        depth=workload.depth,
        prompt_tokens=workload.prompt_tokens,
    )
    served = serve(
        workload.architecture,
        workload.weights,
        workload.settings,
        machine,
        backend=workload.backend,
        quantization=workload.quantization,
        source=workload.source,
        speed=speed,
    )
    return served, None if served.memory.fits is False else speed(served.plan)


def _split(footprint: Footprint, machine: Machine, n_gpu_layers: int | None, rate: Rate) -> Split:
    """The placement asked for, the one that fits, or the one that shows best what is missing."""
    if not machine.gpus:
        return Split()
    if n_gpu_layers is not None:
        return force(footprint, machine, n_gpu_layers)
    return solve(footprint, machine, rate) or most_layers(footprint, machine)


class Pace:
    """How fast a workload runs on a machine, split by split; what was asked once is kept."""

    def __init__(self, workload: Workload, machine: Machine) -> None:
        self._workload = workload
        self._known: dict[Split, SpeedEstimate | None] = {}
        self._loads = Loads(
            workload.architecture,
            workload.weights,
            workload.settings,
            machine,
            depth=workload.depth,
            n_params_active=workload.n_params_active,
        )

    def speed(self, split: Split) -> SpeedEstimate | None:
        """The estimate under a split; None when a bandwidth is unknown."""
        if split not in self._known:
            self._known[split] = self._estimate(split)
        return self._known[split]

    def rate(self, split: Split) -> float | None:
        """Tokens/s that a sequence gets under a split, for the solver."""
        speed = self.speed(split)
        return speed.decode_tokens_per_s if speed else None

    def work(self, split: Split) -> Work:
        """What the devices do for a token under a split."""
        workload, moe = self._workload, self._workload.architecture.moe
        return Work(
            self._loads.under(split),
            workload.backend,
            workload.quantization,
            moe.n_experts if moe else 0,
            moe.n_experts_used if moe else 0,
        )

    def _estimate(self, split: Split) -> SpeedEstimate | None:
        workload = self._workload
        return estimate_speed(
            self.work(split),
            n_seqs=workload.settings.n_seqs,
            depth=workload.depth,
            prompt_tokens=workload.prompt_tokens,
        )


def with_draft(estimate: Estimate, workload: Workload, machine: Machine, proposes_in_s: float) -> Estimate:
    """The estimate with what one sequence gets where a draft proposes tokens, each in so many seconds."""
    if estimate.speed is None:
        return estimate
    placement = estimate.placement
    split = Split(
        gpu_layers=placement.gpu_layers,
        n_cpu_moe=placement.n_cpu_moe or 0,
        n_cpu_ffn=placement.n_cpu_ffn or 0,
    )
    speculative = speculative_speed(Pace(workload, machine).work(split), proposes_in_s)
    return estimate.model_copy(
        update={"speed": estimate.speed.model_copy(update={"speculative": speculative})}
    )


def _assumptions(workload: Workload, machine: Machine) -> Iterator[str]:
    arch, settings = workload.architecture, workload.settings
    yield from machine.assumptions
    yield from workload.notes
    if settings.n_ctx > arch.n_ctx_train:
        yield (
            _(
                "{n_ctx:,} tokens per sequence are more than the {trained:,} that the model was trained for"
            ).format(n_ctx=settings.n_ctx, trained=arch.n_ctx_train)
        )
    if workload.backend == "ollama":
        yield from ollama.notes(arch, settings, machine)
    if workload.backend in ("llama.cpp", "ollama"):
        yield from llama_cpp.notes(settings)
        if not is_described(arch.family):
            yield _("compute buffers: the graph of {family} is estimated like a plain decoder's").format(
                family=arch.family
            )
        if llama_cpp.has_unlike_gpus(machine):
            yield _("GPUs numbered by their slots: start llama.cpp with {setting}").format(
                setting="=".join(llama_cpp.GPU_ORDER)
            )
        if workload.source == "config-rules" and workload.quantization in MIXES:
            yield from older_notes(arch, workload.quantization)
    if arch.n_mtp_layers:
        yield _("{n} multi-token-prediction block(s) in the file are not loaded").format(n=arch.n_mtp_layers)
