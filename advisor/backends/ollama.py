"""Ollama: its settings are environment variables of the server, and it runs llama.cpp's server inside.

Read in ollama/ollama as of 2026-08-21 (envconfig/config.go, server/sched.go, llm/server.go), checked
2026-11-21.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from advisor.architecture import Architecture
from advisor.assessment import Candidate, Runnable
from advisor.backends import llama_cpp
from advisor.backends.devices import host_bytes
from advisor.hardware import Accelerator, Machine
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.settings import Settings
from advisor.units import GIB, MIB

PROGRAM: Final = ("ollama",)
PORT: Final = 11434

VERSION: Final = "0.35.1"
"""Seen in use by public repositories, plain and as -rocm, 2026-11-21."""

ONE_AT_A_TIME: Final = ("qwen3-vl", "qwen3.5", "qwen3-next", "lfm2", "nemotron-h")
"""Lineages that get a single slot, whatever OLLAMA_NUM_PARALLEL says (server/sched.go)."""


CONTEXT_BY_VRAM: Final = ((47 * GIB, 262_144), (23 * GIB, 32_768), (0, 4096))
"""The context that Ollama chooses where OLLAMA_CONTEXT_LENGTH is not set, by all GPUs' memory together."""

SINGLE_SLOT: Final = frozenset(
    {"mllama", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen3next", "lfm2", "lfm2moe"}
    | {"nemotron_h", "nemotron_h_moe"}
)
"""The same lineages as `ONE_AT_A_TIME`, by llama.cpp's name of the architecture."""


def default_n_ctx(machine: Machine) -> int:
    """Tokens of context that Ollama takes by itself on that machine."""
    vram = sum(gpu.vram_bytes for gpu in machine.gpus)
    return next(n_ctx for least, n_ctx in CONTEXT_BY_VRAM if vram >= least)


def notes(arch: Architecture, settings: Settings, machine: Machine) -> Iterator[str]:
    """What Ollama would do by itself where that is not what was estimated."""
    own = min(default_n_ctx(machine), arch.n_ctx_train)
    if settings.n_ctx != own:
        yield (
            _(
                "left to itself Ollama would take {own:,} tokens of context here, by the GPUs' "
                "memory: set OLLAMA_CONTEXT_LENGTH={n_ctx}, or estimate with --ctx {own}"
            ).format(own=own, n_ctx=settings.n_ctx)
        )
    if settings.n_seqs > 1 and (arch.family in SINGLE_SLOT or arch.is_encoder):
        yield (
            _(
                "Ollama serves this architecture one request at a time: the {n} sequences need llama.cpp"
            ).format(n=settings.n_seqs)
        )


def image(accelerator: Accelerator) -> str | None:
    if accelerator == "metal":
        return None
    suffix = "-rocm" if accelerator == "rocm" else ""  # the plain image has CPU, CUDA and Vulkan
    return f"ollama/ollama:{VERSION}{suffix}"


def refusal(candidate: Runnable, machine: Machine) -> str | None:
    if not candidate.artifact.is_gguf:
        return _("Ollama takes GGUF files only")
    if sum("mmproj" not in name for name in candidate.artifact.files) > 1:
        return _("Ollama cannot pull a model that is split into several files")
    if candidate.kv_type == "fp8":
        return _("Ollama has no fp8 cache (q8_0 is its own)")
    if candidate.kind is ModelKind.RERANK:
        return _("Ollama has no reranking endpoint")
    single = candidate.kind is ModelKind.EMBEDDING or candidate.family.startswith(ONE_AT_A_TIME)
    if candidate.n_seqs > 1 and single:
        return _("Ollama serves {model} one request at a time").format(model=candidate.name)
    return None


def api_name(candidate: Candidate) -> str:
    """The file on the hub, so that it is the very quantization of the plan."""
    return f"hf.co/{candidate.artifact.repo}:{candidate.quantization}"


def server_args(
    candidate: Candidate, machine: Machine, *, port: int, host: str, model_dir: str | None = None
) -> tuple[str, ...]:
    """Nothing but `serve`: everything else, address and port included, is environment."""
    return ("serve",)


def environment(candidate: Candidate, machine: Machine) -> tuple[tuple[str, str], ...]:
    """The plan's context and cache, model kept loaded, nothing sent to Ollama's cloud.

    The context is the server's: `ollama run` cannot set it.
    """
    return (
        ("OLLAMA_CONTEXT_LENGTH", str(candidate.n_ctx)),
        ("OLLAMA_NUM_PARALLEL", str(candidate.n_seqs)),
        ("OLLAMA_KV_CACHE_TYPE", candidate.kv_type),
        ("OLLAMA_FLASH_ATTENTION", "1"),
        ("OLLAMA_MAX_LOADED_MODELS", "1"),
        ("OLLAMA_KEEP_ALIVE", "-1"),
        ("OLLAMA_NO_CLOUD", "1"),
    )


def host_limit_bytes(candidate: Candidate, machine: Machine) -> int:
    """As llama.cpp's, whose prompt cache Ollama leaves at its default."""
    need = host_bytes(candidate, machine)
    most = need + llama_cpp.PROMPT_CACHE_MIB * MIB + llama_cpp.HEADROOM_BYTES
    return max(need, min(most, machine.host_capacity_bytes))


def command(candidate: Candidate, port: int | None = None) -> str:
    """Runs in a server that was started with `environment`: by default Ollama picks another context.

    port: that server's, which is set there too.
    """
    return shlex.join((*PROGRAM, "run", api_name(candidate)))
