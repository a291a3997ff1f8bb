"""How fast an engine serves a model under its plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from advisor.architecture import Architecture
from advisor.assessment import SpeedEstimate
from advisor.batching import Scheduler, first_token_s
from advisor.engine_steps import Driver, Roofline, roofline
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.loads import Loads
from advisor.memory import Split
from advisor.serving.plan import EnginePlan, Served
from advisor.serving.steps import engine_group, engine_model, scheduler_of, slowest_of, tokens_of
from advisor.settings import Settings
from advisor.speed import Band, Work, estimate_speed
from advisor.usecase import Backend
from advisor.weights import Weights

BAND: Final = Band(0.71, 1.20, 146, 12)
"""Measured over estimated output, on sources held back from the fit: 84 % inside (serving.py, 2026-11-21)."""
DRIVERS: Final[dict[Backend, Driver]] = {"vllm": "vllm", "sglang": "sglang"}
"""Engines with continuous batching, whose steps were measured."""


def engine_speed(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    served: Served,
    machine: Machine,
    *,
    backend: Backend,
    quantization: str,
    n_params_active: int,
    depth: int,
    prompt_tokens: int,
) -> SpeedEstimate | None:
    """The speed of a plan; None where the engine was not measured, or a rate of the GPU is not known.

    Eager transformers and ONNX Runtime were not measured; MLX runs one sequence after the other's token.
    """
    if backend == "mlx":
        loads = Loads(arch, weights, settings, machine, depth=depth, n_params_active=n_params_active)
        moe = arch.moe
        work = Work(
            loads.under(as_split(arch, served.plan, machine)),
            backend,
            quantization,
            moe.n_experts if moe else 0,
            moe.n_experts_used if moe else 0,
        )
        return estimate_speed(work, n_seqs=settings.n_seqs, depth=depth, prompt_tokens=prompt_tokens)
    if backend not in DRIVERS:
        return None
    gpu, n_gpus = slowest_of(served.plan, machine), served.plan.tensor_parallel
    group = engine_group(gpu, quantization, n_gpus, is_linked=_is_linked(machine))
    if group is None:
        return None
    model = engine_model(arch, weights, settings, n_params_active)
    steps = roofline(model, group, DRIVERS[backend])
    scheduler = scheduler_of(backend, gpu, tokens_of(served.pool))
    text = "; ".join(_basis(steps, settings.n_seqs, depth, f"{n_gpus} × {gpu.name}"))
    return _estimate(steps, scheduler, settings.n_seqs, depth, prompt_tokens, text)


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


def _estimate(
    steps: Roofline, scheduler: Scheduler, n_seqs: int, depth: int, prompt_tokens: int, basis: str
) -> SpeedEstimate:
    """All sequences decode at the depth; the first token is that of a prompt that comes meanwhile."""
    rate = 1 / steps(n_seqs, depth, 0, 0.0)
    reading_s = first_token_s(steps, scheduler, prompt_tokens, 0, 0.0)
    return SpeedEstimate(
        decode_tokens_per_s=rate,
        low=rate * BAND.low,
        high=rate * BAND.high,
        throughput_tokens_per_s=rate * n_seqs,
        prefill_tokens_per_s=prompt_tokens / reading_s,
        ttft_s=first_token_s(steps, scheduler, prompt_tokens, n_seqs - 1, depth),
        depth=depth,
        prompt_tokens=prompt_tokens,
        basis=basis,
    )


def _basis(steps: Roofline, n_seqs: int, depth: int, gpus: str) -> Iterator[str]:
    reading_s = steps.shared_s + steps.experts_s * steps.expert_share
    cache_s = n_seqs * steps.cache_s * depth
    yield _(
        "continuous batching on {gpus}: a step of {n_seqs} takes {step_ms:.1f} ms, {weights_ms:.1f} of them "
        "for weights and {caches_ms:.1f} for caches"
    ).format(
        gpus=gpus,
        n_seqs=n_seqs,
        step_ms=1e3 * steps(n_seqs, depth, 0, 0.0),
        weights_ms=1e3 * reading_s,
        caches_ms=1e3 * cache_s,
    )
    yield _("band from {n_rows} measured runs on {n_devices} devices (vLLM and SGLang)").format(
        n_rows=BAND.n_rows, n_devices=BAND.n_devices
    )


def _is_linked(machine: Machine) -> bool:
    return machine.interconnect is not None and machine.interconnect.lower().startswith(("nvlink", "xgmi"))
