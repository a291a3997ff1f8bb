"""From a plan's choice or an estimate to the parameters that a smoke test runs with."""

from __future__ import annotations

from typing import Any, Final

from advisor.assessment import Candidate, Placement
from advisor.backends.devices import threads
from advisor.hardware import Machine
from advisor.measurements import ALL_LAYERS, Trial
from advisor.model import ModelKind
from advisor.settings import Settings

SAME_MEMORY: Final = 0.02
"""Share by which a machine's total may differ between two starts: what kernel and firmware keep."""


def trial_of(candidate: Candidate, machine: Machine) -> Trial:
    """The candidate's parameters as llama-server would be given them, on the cores of `machine`."""
    n_gpu_layers = candidate.placement.n_gpu_layers
    on_gpu = any(row.kind == "gpu" and row.weights_bytes for row in candidate.memory.devices)
    whole = ALL_LAYERS if on_gpu else 0  # an engine that places layers itself
    return Trial(
        settings=settings_of(candidate),
        kind=candidate.kind,
        n_gpu_layers=whole if n_gpu_layers is None else n_gpu_layers,
        **_split(candidate.placement),
        n_threads=threads(machine),
        depth=candidate.speed.depth,
    )


def settings_of(candidate: Candidate) -> Settings:
    """The candidate's context; embedders and rerankers read a text in one graph."""
    n_ctx, n_seqs = candidate.n_ctx, candidate.n_seqs
    if candidate.kind is ModelKind.CHAT:
        return Settings(n_ctx=n_ctx, n_seqs=n_seqs, kv_type=candidate.kv_type)
    return Settings(n_ctx=n_ctx, n_seqs=n_seqs, n_batch=n_ctx, n_ubatch=n_ctx, embeddings=True)


def trial_of_file(
    settings: Settings, kind: ModelKind, placement: Placement, machine: Machine, depth: int
) -> Trial:
    """A file's parameters, where an estimate placed it."""
    return Trial(
        settings=settings,
        kind=kind,
        n_gpu_layers=placement.n_gpu_layers or 0,
        **_split(placement),
        n_threads=threads(machine),
        depth=depth,
    )


def _split(placement: Placement) -> dict[str, Any]:
    return {
        "gpu_layers": placement.gpu_layers,
        "n_cpu_moe": placement.n_cpu_moe or 0,
        "n_cpu_ffn": placement.n_cpu_ffn or 0,
    }


def differs(planned: Machine, here: Machine) -> bool:
    """Whether a plan's machine is another one: other GPUs, another processor, or other memory."""
    if [gpu.name for gpu in planned.gpus] != [gpu.name for gpu in here.gpus]:
        return True
    if planned.host.cpu.name != here.host.cpu.name:
        return True
    total = here.host.memory.total_bytes
    return abs(planned.host.memory.total_bytes - total) > SAME_MEMORY * total
