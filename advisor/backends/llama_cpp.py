"""llama.cpp's server: flags and images.

Flags, defaults and image names were read in the llama.cpp that llama-cpp-python 0.3.36 (2026-10-01) carries:
tools/server/README.md, docs/docker.md and .github/workflows/docker.yml; checked 2026-11-21.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from advisor.assessment import Candidate, Placement, Runnable
from advisor.backends.devices import host_bytes, threads
from advisor.hardware import Accelerator, Machine
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.settings import Settings
from advisor.units import GIB, MIB, format_bytes

PROGRAM: Final = ("llama-server",)
PORT: Final = 8080
"""Always given: upstream moves its default to 9931 (pull request 26508), the images check 8080's health."""

_REGISTRY: Final = "ghcr.io/ggml-org/llama.cpp"
IMAGES: Final[Mapping[Accelerator, str]] = {
    "cpu": f"{_REGISTRY}:server-b11347",
    "cuda": f"{_REGISTRY}:server-cuda-b11347",
    "vulkan": f"{_REGISTRY}:server-vulkan-b11347",
    "rocm": f"{_REGISTRY}:server-rocm-b11382",
    "sycl": f"{_REGISTRY}:server-intel-b10820",
}
"""A daily workflow publishes every variant as server-VARIANT-bBUILD, but not of every build: these tags are
ones that public repositories run (b11347 is of 2026-10-02; seen 2026-11-21). "cuda" is CUDA 12.8."""

PROMPT_CACHE_MIB: Final = 8192
"""llama-server keeps finished prompts in up to so much host RAM (`-cram`)."""
PROMPT_CACHE_SHARE: Final = 4
"""The prompt cache gets one part in so many of the RAM that is left: it must not cause swapping."""
HEADROOM_BYTES: Final = GIB
"""Above need and prompt cache in a container's limit: file pages and download buffers count there too."""

POOLING: Final[Mapping[str, str]] = {"qwen3-embedding": "last"}
"""Families whose older GGUF files do not name their pooling (Qwen's model card gives the flag)."""

SAMPLING_FLAGS: Final = (
    ("temperature", "--temp"),
    ("top_p", "--top-p"),
    ("top_k", "--top-k"),
    ("min_p", "--min-p"),
    ("repetition_penalty", "--repeat-penalty"),
    ("presence_penalty", "--presence-penalty"),
)
"""Defaults of the server that a request may change; its own are meant for no model."""

_BATCHED_KINDS: Final = {ModelKind.EMBEDDING: "--embeddings", ModelKind.RERANK: "--rerank"}


def image(accelerator: Accelerator) -> str | None:
    return IMAGES.get(accelerator)


def refusal(candidate: Runnable, machine: Machine) -> str | None:
    if not candidate.artifact.is_gguf:
        return _("llama.cpp reads GGUF files only")
    if candidate.kv_type == "fp8":
        return _("llama.cpp has no fp8 cache (q8_0 is its own)")
    return None


def api_name(candidate: Candidate) -> str:
    return candidate.model


def server_args(
    candidate: Candidate, machine: Machine, *, port: int, host: str, model_dir: str | None = None
) -> tuple[str, ...]:
    cores = threads(machine)
    spare = machine.host_capacity_bytes - host_bytes(candidate, machine)
    return (
        *_source(candidate, model_dir),
        *("--alias", api_name(candidate)),
        *_context(candidate),
        *_placement(candidate),
        *(() if candidate.sampling is None else candidate.sampling.flags(SAMPLING_FLAGS)),
        *("-cram", str(prompt_cache_mib(candidate, spare))),
        *(("-t", str(cores)) if cores else ()),
        *("--host", host, "--port", str(port)),
    )


def environment(candidate: Candidate, machine: Machine) -> tuple[tuple[str, str], ...]:
    """GPUs numbered by their slots, as the plan counts them: CUDA's own order starts with the fastest."""
    return (GPU_ORDER,) if has_unlike_gpus(machine) else ()


GPU_ORDER: Final = ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


def has_unlike_gpus(machine: Machine) -> bool:
    """Whether CUDA's numbers of the GPUs may be others than the machine's."""
    return len({gpu.name for gpu in machine.gpus if gpu.vendor == "nvidia"}) > 1


def host_limit_bytes(candidate: Candidate, machine: Machine) -> int:
    need = host_bytes(candidate, machine)
    capacity = machine.host_capacity_bytes
    need += prompt_cache_mib(candidate, capacity - need) * MIB
    return max(need, min(need + HEADROOM_BYTES, capacity))


def command(candidate: Candidate, port: int | None = None) -> str:
    args = (*_source(candidate, None), *_context(candidate), *_placement(candidate))
    spare = [
        row.capacity_bytes - row.total_bytes
        for row in candidate.memory.devices
        if row.kind == "cpu" and row.capacity_bytes is not None
    ]
    cache = ("-cram", str(prompt_cache_mib(candidate, min(spare)))) if spare else ()
    return shlex.join((*PROGRAM, *args, *cache, "--port", str(port or PORT)))


def notes(settings: Settings) -> Iterator[str]:
    """What an estimate takes for granted: the server's defaults, which differ from the library's."""
    if settings.n_outputs_max is None:
        yield (
            _(
                "logits reserved for one row a sequence, as llama-server does (the library "
                "reserves its batch: --outputs-max {n_batch})"
            ).format(n_batch=settings.n_batch)
        )
    if not settings.embeddings:
        yield (
            _(
                "llama-server may keep finished prompts in {size} of RAM on top, if there is as "
                "much (-cram 0: none, as with the library)"
            ).format(size=format_bytes(PROMPT_CACHE_MIB * MIB, digits=0))
        )


def prompt_cache_mib(candidate: Candidate, spare_bytes: int) -> int:
    """MiB for `-cram`, given the RAM that is left beside the candidate; embedders have nothing to cache."""
    if candidate.kind in _BATCHED_KINDS:
        return 0
    return min(PROMPT_CACHE_MIB, max(0, spare_bytes) // PROMPT_CACHE_SHARE // MIB)


def _source(candidate: Candidate, model_dir: str | None) -> tuple[str, ...]:
    """Where the weights come from; a vision projector only where the plan counts one."""
    artifact = candidate.artifact
    projectors = [name for name in artifact.files if "mmproj" in name]
    weights = [name for name in artifact.files if name not in projectors]
    if model_dir is not None:
        args: tuple[str, ...] = ("-m", f"{model_dir}/{weights[0]}")
        return (*args, "--mmproj", f"{model_dir}/{projectors[0]}") if projectors else args
    if weights and not _is_named_by(candidate.quantization, weights[0]):
        args = ("-hf", artifact.repo, "-hff", weights[0])
    else:
        args = ("-hf", f"{artifact.repo}:{candidate.quantization}")
    planned = projectors or candidate.projector
    unplanned = not planned and set(candidate.modalities) != {"text"}
    return (*args, "--no-mmproj") if unplanned else args


def _is_named_by(quantization: str, file: str) -> bool:
    """Whether `-hf REPO:QUANT` finds that file: it takes the first whose name has QUANT before a "." or "-".

    F16 would also find BF16.
    """
    stem = file.upper().rpartition("/")[2]
    tag = quantization.upper()
    return tag != "F16" and re.search(rf"[-.]{re.escape(tag)}[-.]", stem) is not None


def _context(candidate: Candidate) -> tuple[str, ...]:
    """`-c` counts all slots together; with `-np` given, each slot has its own part of it."""
    n_ctx, n_seqs = candidate.n_ctx, candidate.n_seqs
    args: tuple[str, ...] = ("-c", str(n_ctx * n_seqs), "-np", str(n_seqs))
    if candidate.kv_type != "f16":
        args += ("-ctk", candidate.kv_type, "-ctv", candidate.kv_type)
    if candidate.kind not in _BATCHED_KINDS:
        return (*args, "-fa", "on")
    # These see a whole text in one physical batch, so it bounds the longest text.
    args += (_BATCHED_KINDS[candidate.kind], "-b", str(n_ctx), "-ub", str(n_ctx))
    pooling = POOLING.get(candidate.family) if candidate.kind is ModelKind.EMBEDDING else None
    return (*args, "--pooling", pooling) if pooling else args


def _placement(candidate: Candidate) -> tuple[str, ...]:
    """The plan's placement to the layer; `-fit off`, so that llama.cpp does not look for another one."""
    if candidate.placement.n_gpu_layers is None:
        return ()
    layers = layer_args(candidate.placement)
    return (*layers[:2], "-fit", "off", *layers[2:])


def layer_args(placement: Placement) -> tuple[str, ...]:
    """Which layers, and which parts of them, stand on which device; `-ngl` first."""
    args: tuple[str, ...] = ("-ngl", str(placement.n_gpu_layers))
    if placement.n_cpu_moe:
        args += ("--n-cpu-moe", str(placement.n_cpu_moe))
    if placement.n_cpu_ffn:
        args += ("--n-cpu-ffn", str(placement.n_cpu_ffn))
    used = [i for i, n in enumerate(placement.gpu_layers) if n]
    if placement.gpu_layers and not used:
        return (*args, "-dev", "none")  # a GPU too full for a layer must not be given the prompts either
    if len(placement.gpu_layers) > len(used) == 1:
        # A GPU that is only left out of -ts is still opened, and inputs are copied as for a pipeline.
        return (*args, "-sm", "none", "-mg", str(used[0]))
    if len(used) > 1:
        args += ("-sm", "layer", "-ts", ",".join(map(str, placement.gpu_layers)))
    return args
