"""How fast an engine serves a model under its plan."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture
from advisor.assessment import SpeedEstimate
from advisor.hardware import Machine
from advisor.loads import Loads
from advisor.memory import Split
from advisor.serving.plan import EnginePlan
from advisor.settings import Settings
from advisor.speed import Link, estimate_speed
from advisor.usecase import Backend
from advisor.weights import Weights

TIMED: Final[tuple[Backend, ...]] = ("vllm", "sglang", "mlx")
"""Engines whose rates are known; eager transformers and ONNX Runtime were not measured."""


def engine_speed(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    plan: EnginePlan,
    machine: Machine,
    *,
    backend: Backend,
    quantization: str,
    n_params_active: int,
    depth: int,
    prompt_tokens: int,
) -> SpeedEstimate | None:
    """The speed of a plan; None where the engine's rates or a bandwidth are not known."""
    if backend not in TIMED:
        return None
    loads = Loads(arch, weights, settings, machine, depth=depth, n_params_active=n_params_active)
    moe = arch.moe
    return estimate_speed(
        loads.under(as_split(arch, plan, machine)),
        backend=backend,
        quantization=quantization,
        n_seqs=settings.n_seqs,
        depth=depth,
        prompt_tokens=prompt_tokens,
        n_experts=moe.n_experts if moe else 0,
        n_experts_used=moe.n_experts_used if moe else 0,
        tensor_parallel=plan.tensor_parallel,
        link=_link(machine),
    )


def _link(machine: Machine) -> Link:
    return "nvlink" if machine.interconnect and "nvlink" in machine.interconnect.lower() else "pcie"


def as_split(arch: Architecture, plan: EnginePlan, machine: Machine) -> Split:
    """The plan as whole layers on the first rank of every stage: its ranks work on them at once."""
    layers = [0] * len(machine.gpus)
    for stage, part in enumerate(plan.stages(arch.n_layers)):
        if plan.gpus:
            layers[plan.gpus[stage * plan.tensor_parallel]] += len(part)
    if plan.gpus:
        last = max(i for i, n in enumerate(layers) if n)
        layers[last] += 1  # the output layer
    return Split(gpu_layers=tuple(layers))
