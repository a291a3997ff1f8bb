"""vLLM: flags and images.

Read in the wheel of vLLM 0.33.0 (2026-11-02), checked 2026-11-21. It has no GGUF reader any more.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from advisor.assessment import Candidate, Runnable
from advisor.backends.devices import host_bytes, used_gpus
from advisor.hardware import Accelerator, Gpu, Machine
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.serving import vllm as memory

PROGRAM: Final = ("vllm", "serve")
PORT: Final = 8000

VERSION: Final = "v0.33.0"
IMAGES: Final[Mapping[Accelerator, str]] = {
    "cuda": f"vllm/vllm-openai:{VERSION}",
    "rocm": f"vllm/vllm-openai-rocm:{VERSION}",
}
"""Its CPU and Intel images need other settings, and are not planned for."""

MIN_COMPUTE_CAPABILITY: Final = (7, 5)
"""The oldest GPUs that the CUDA wheels hold kernels for."""
_VISIBLE_DEVICES: Final = {"nvidia": "CUDA_VISIBLE_DEVICES", "amd": "HIP_VISIBLE_DEVICES"}


def image(accelerator: Accelerator) -> str | None:
    return IMAGES.get(accelerator)


def refusal(candidate: Runnable, machine: Machine) -> str | None:
    if candidate.artifact.is_gguf:
        return _("vLLM no longer reads GGUF files")
    if candidate.kv_type not in ("f16", "fp8"):
        return _("vLLM has no {kv_type} cache (fp8 is its own)").format(kv_type=candidate.kv_type)
    gpus = used_gpus(candidate, machine)
    ranks = candidate.placement.tensor_parallel * candidate.placement.pipeline_parallel
    if len(gpus) < ranks:
        return _("vLLM needs {ranks} of the machine's GPUs here, and the plan uses {n}").format(
            ranks=ranks, n=len(gpus)
        )
    if any(gpu.vendor not in _VISIBLE_DEVICES for gpu in gpus):
        return _("vLLM is planned for NVIDIA and AMD GPUs only")
    old = [gpu.name for gpu in gpus if _is_too_old(gpu.compute_capability)]
    return (
        _("{gpu} is older than vLLM's kernels (compute capability 7.5)").format(gpu=old[0]) if old else None
    )


def runs_on(gpu: Gpu) -> bool:
    """Whether its kernels are built for a GPU."""
    return gpu.vendor in _VISIBLE_DEVICES and not _is_too_old(gpu.compute_capability)


def _is_too_old(compute_capability: str | None) -> bool:
    if compute_capability is None:
        return False
    major, _dot, minor = compute_capability.partition(".")
    return (int(major), int(minor or 0)) < MIN_COMPUTE_CAPABILITY


def api_name(candidate: Candidate) -> str:
    return candidate.model


def server_args(
    candidate: Candidate, machine: Machine, *, port: int, host: str, model_dir: str | None = None
) -> tuple[str, ...]:
    repo = candidate.artifact.repo
    model = repo if model_dir is None else f"{model_dir}/{repo.rpartition('/')[2]}"
    return (
        model,
        *("--served-model-name", api_name(candidate)),
        *_engine_args(candidate),
        *("--gpu-memory-utilization", f"{utilization(candidate, machine):.3f}"),
        *("--host", host, "--port", str(port)),
    )


def environment(candidate: Candidate, machine: Machine) -> tuple[tuple[str, str], ...]:
    """No usage reports; layers by GPU where they differ; the GPUs to use where the plan leaves some out."""
    variables: tuple[tuple[str, str], ...] = (("VLLM_NO_USAGE_STATS", "1"),)
    if candidate.placement.gpu_layers:
        layers = ",".join(str(n) for n in candidate.placement.gpu_layers if n)
        variables += (("VLLM_PP_LAYER_PARTITION", layers),)
    gpus = used_gpus(candidate, machine)
    if not gpus or len(gpus) == len(machine.gpus):
        return variables
    return (*variables, (_VISIBLE_DEVICES[gpus[0].vendor], ",".join(str(gpu.index) for gpu in gpus)))


def host_limit_bytes(candidate: Candidate, machine: Machine) -> int:
    """What the host offers: vLLM's own need of RAM is not known well enough to bound it closer."""
    return max(host_bytes(candidate, machine), machine.host_capacity_bytes)


def command(candidate: Candidate, port: int | None = None) -> str:
    listen = ("--port", str(port)) if port else ()
    return shlex.join((*PROGRAM, candidate.artifact.repo, *_engine_args(candidate), *listen))


def utilization(candidate: Candidate, machine: Machine) -> float:
    """The share of each GPU's memory that vLLM reserves: its default, or what is needed and free."""
    rows = [row for row in candidate.memory.devices if row.kind == "gpu"]
    needs = tuple(
        (gpu, row.total_bytes) for gpu, row in zip(machine.gpus, rows, strict=False) if row.weights_bytes
    )
    return memory.utilization(needs)


def _engine_args(candidate: Candidate) -> tuple[str, ...]:
    placement = candidate.placement
    args: tuple[str, ...] = ("--max-model-len", str(candidate.n_ctx), "--max-num-seqs", str(candidate.n_seqs))
    if placement.tensor_parallel > 1:
        args += ("--tensor-parallel-size", str(placement.tensor_parallel))
    if placement.pipeline_parallel > 1:
        args += ("--pipeline-parallel-size", str(placement.pipeline_parallel))
    if placement.expert_parallel:
        args += ("--enable-expert-parallel",)
    if candidate.kv_type == "fp8":
        args += ("--kv-cache-dtype", "fp8")
    if candidate.kind is not ModelKind.CHAT:
        args += ("--runner", "pooling")
    if set(candidate.modalities) != {"text"} and not candidate.projector:
        args += ("--language-model-only",)  # the towers for images and audio are not in the plan
    return args
