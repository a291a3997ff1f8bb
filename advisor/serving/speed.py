"""How fast an engine serves a model under its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from advisor.architecture import Architecture
from advisor.assessment import SpeedEstimate
from advisor.batching import Scheduler, first_token_s
from advisor.engine_steps import Driver, Group, Roofline, mean, roofline
from advisor.hardware import Gpu, Machine
from advisor.i18n import _
from advisor.loads import Loads
from advisor.memory import Split
from advisor.serving.plan import EnginePlan
from advisor.serving.steps import engine_group, engine_model, scheduler_of, slowest_of
from advisor.settings import Settings
from advisor.speed import Band, Work, estimate_speed
from advisor.usecase import Backend
from advisor.weights import Weights

BAND: Final = Band(0.71, 1.20, 146, 12)
"""Measured over estimated output, on sources held back from the fit: 84 % inside (serving.py, 2026-11-21)."""
DRIVERS: Final[dict[Backend, Driver]] = {"vllm": "vllm", "sglang": "sglang"}
"""Engines with continuous batching, whose steps were measured."""

BRIDGED: Final = ("geforce", "rtx", "titan", "quadro", "pcie", "h100 nvl", "a40", "a30")
"""Cards whose NVLink is a bridge that joins two of them; SXM modules all reach each other."""
BRIDGED_GPUS: Final = 2


Speed = Callable[[EnginePlan], SpeedEstimate | None]
"""How fast a plan serves; None where a rate is not known."""


class EngineSpeed:
    """How fast an engine serves a model, plan by plan; what was asked once is kept.

    None where the engine was not measured, or a rate of a GPU is not known: eager transformers and ONNX
    Runtime were not measured; MLX runs one sequence after the other's token.
    """

    def __init__(
        self,
        arch: Architecture,
        weights: Weights,
        settings: Settings,
        machine: Machine,
        *,
        backend: Backend,
        quantization: str,
        n_params_active: int,
        depth: int,
        prompt_tokens: int,
    ) -> None:
        self._arch, self._weights, self._settings, self._machine = arch, weights, settings, machine
        self._backend, self._quantization, self._n_params_active = backend, quantization, n_params_active
        self._depth, self._prompt_tokens = depth, prompt_tokens
        self._known: dict[tuple[tuple[Group, int], ...], SpeedEstimate] = {}

    def __call__(self, plan: EnginePlan) -> SpeedEstimate | None:
        """The estimate under a plan."""
        if self._backend == "mlx":
            return self._mlx(plan)
        layers = self._layers(plan) if self._backend in DRIVERS else None
        if layers is None:
            return None
        key = tuple(layers.items())
        if key not in self._known:
            self._known[key] = self._estimate(plan, layers)
        return self._known[key]

    def _layers(self, plan: EnginePlan) -> dict[Group, int] | None:
        """The layers on each kind of stage: a token passes through one after the other."""
        n, layers = plan.tensor_parallel, dict[Group, int]()
        for stage, part in enumerate(plan.stages(self._arch.n_layers)):
            gpu = self._machine.gpus[plan.gpus[stage * n]]
            group = engine_group(gpu, self._quantization, n, is_linked=is_linked(self._machine, gpu, n))
            if group is None:
                return None
            layers[group] = layers.get(group, 0) + len(part)
        return layers

    def _estimate(self, plan: EnginePlan, layers: dict[Group, int]) -> SpeedEstimate:
        driver, n = DRIVERS[self._backend], plan.tensor_parallel
        model = engine_model(self._arch, self._weights, self._settings, self._n_params_active, n)
        steps = mean(
            {roofline(model, group, driver): part / self._arch.n_layers for group, part in layers.items()}
        )
        gpu, n_seqs = slowest_of(plan, self._machine), self._settings.n_seqs
        names = dict.fromkeys(self._machine.gpus[i].name for i in plan.gpus)
        gpus = " + ".join(f"{n} × {name}" for name in names)
        text = "; ".join(_basis(steps, n_seqs, self._depth, gpus))
        scheduler = scheduler_of(self._backend, gpu, None)
        return _estimate(steps, scheduler, n_seqs, self._depth, self._prompt_tokens, text)

    def _mlx(self, plan: EnginePlan) -> SpeedEstimate | None:
        arch, settings, moe = self._arch, self._settings, self._arch.moe
        loads = Loads(
            arch,
            self._weights,
            settings,
            self._machine,
            depth=self._depth,
            n_params_active=self._n_params_active,
        )
        work = Work(
            loads.under(as_split(arch, plan, self._machine)),
            self._backend,
            self._quantization,
            moe.n_experts if moe else 0,
            moe.n_experts_used if moe else 0,
        )
        return estimate_speed(
            work, n_seqs=settings.n_seqs, depth=self._depth, prompt_tokens=self._prompt_tokens
        )


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


def is_linked(machine: Machine, gpu: Gpu, n_gpus: int) -> bool:
    """Whether so many GPUs of a machine reach each other by NVLink or xGMI."""
    link = (machine.interconnect or "").lower()
    if not link.startswith(("nvlink", "xgmi")):
        return False
    return n_gpus <= BRIDGED_GPUS or not any(name in gpu.name.lower() for name in BRIDGED)
