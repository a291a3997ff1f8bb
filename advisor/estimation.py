"""One model under one setting on one machine: what `advisor estimate` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from advisor.architecture import Architecture
from advisor.assessment import MemoryEstimate, MemorySource, Placement, SpeedEstimate
from advisor.hardware import Machine
from advisor.loads import device_loads
from advisor.memory import Footprint, Split, footprint_of
from advisor.placement import estimate_memory, force, placement_of, solve
from advisor.settings import Settings
from advisor.speed import estimate_speed
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


def depth_within(n_ctx: int, asked: int | None) -> int:
    """Tokens in the cache where decode speed is stated: half of the context unless asked otherwise."""
    return n_ctx // 2 if asked is None else min(asked, n_ctx)


def prompt_within(n_ctx: int, asked: int | None) -> int:
    """Prompt length for the first token: the default or half of the context unless asked otherwise."""
    return min(n_ctx, asked or max(1, min(DEFAULT_PROMPT_TOKENS, n_ctx // 2)))


def estimate_on(workload: Workload, machine: Machine, n_gpu_layers: int | None = None) -> Estimate:
    """Memory, speed and verdict; `n_gpu_layers` None lets the placement be solved."""
    arch, settings = workload.architecture, workload.settings
    footprint = footprint_of(arch, workload.weights, settings)
    split = _split(footprint, machine, n_gpu_layers)
    memory = estimate_memory(footprint, split, machine, workload.source)
    return Estimate(
        model=workload.name,
        quantization=workload.quantization,
        backend=workload.backend,
        n_ctx=settings.n_ctx,
        n_seqs=settings.n_seqs,
        kv_type=settings.kv_type,
        placement=placement_of(split, footprint, machine),
        memory=memory,
        speed=speed_on(workload, split, machine) if memory.fits is not False else None,
        fits=memory.fits,
        assumptions=tuple(_assumptions(workload, machine)),
    )


def _split(footprint: Footprint, machine: Machine, n_gpu_layers: int | None) -> Split:
    """The placement asked for, the one that fits, or the one that shows best what is missing."""
    if not machine.gpus:
        return Split()
    if n_gpu_layers is not None:
        return force(footprint, machine, n_gpu_layers)
    return solve(footprint, machine) or force(footprint, machine, footprint.n_layers + 1)


def speed_on(workload: Workload, split: Split, machine: Machine) -> SpeedEstimate | None:
    """How fast the workload runs under that split; None when a bandwidth is unknown."""
    loads = device_loads(
        workload.architecture,
        workload.weights,
        workload.settings,
        split,
        machine,
        depth=workload.depth,
        n_params_active=workload.n_params_active,
    )
    moe = workload.architecture.moe
    return estimate_speed(
        loads,
        backend=workload.backend,
        quantization=workload.quantization,
        n_seqs=workload.settings.n_seqs,
        depth=workload.depth,
        prompt_tokens=workload.prompt_tokens,
        n_experts=moe.n_experts if moe else 0,
        n_experts_used=moe.n_experts_used if moe else 0,
    )


def _assumptions(workload: Workload, machine: Machine) -> Iterator[str]:
    arch, settings = workload.architecture, workload.settings
    yield from machine.assumptions
    if settings.n_ctx > arch.n_ctx_train:
        yield (
            f"{settings.n_ctx:,} tokens per sequence are more than the {arch.n_ctx_train:,} "
            "that the model was trained for"
        )
    if settings.n_outputs_max is None:
        yield "logits reserved for one row a sequence, as llama-server does"
    if arch.n_mtp_layers:
        yield f"{arch.n_mtp_layers} multi-token-prediction block(s) in the file are not loaded"
