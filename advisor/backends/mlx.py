"""mlx-lm's server for Apple silicon: flags.

Read in ml-explore/mlx-lm as of 2026-08-22 (mlx_lm/server.py, SERVER.md), checked 2026-11-21. It batches what
fits, has no limit of context to set, and takes text only.
"""

from __future__ import annotations

import shlex
from typing import Final

from advisor.assessment import Candidate, Runnable
from advisor.backends.devices import host_bytes
from advisor.hardware import Accelerator, Machine
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.usecase import Requirements

PROGRAM: Final = ("mlx_lm.server",)
PORT: Final = 8080

MAX_TOKENS_SHARE: Final = 2
"""An answer may fill one part in so many of the context: left to itself the server stops after 512 tokens."""
SAMPLING_FLAGS: Final = (
    ("temperature", "--temp"),
    ("top_p", "--top-p"),
    ("top_k", "--top-k"),
    ("min_p", "--min-p"),
)
"""Penalties are fields of a request alone."""


def unfit(needs: Requirements, machine: Machine) -> str | None:
    """Why it serves no model at all for a request there, and what to do; None when it may."""
    if not _has_apple_gpu(machine):
        return _("MLX runs on Apple silicon only: plan for a Mac with --hardware, or use llama.cpp")
    if needs.kind is not ModelKind.CHAT or needs.profile.images:
        return _("mlx_lm.server takes and gives text only: leave --backend mlx out for {use_case}").format(
            use_case=needs.use_case.value
        )
    return None


def _has_apple_gpu(machine: Machine) -> bool:
    return any(gpu.vendor == "apple" for gpu in machine.gpus)


def image(accelerator: Accelerator) -> str | None:
    """None: containers have no access to Apple's GPUs."""
    return None


def refusal(candidate: Runnable, machine: Machine) -> str | None:
    if candidate.artifact.is_gguf:
        return _("MLX reads no GGUF files")
    if not _has_apple_gpu(machine):
        return _("MLX runs on Apple silicon only")
    if candidate.kind is not ModelKind.CHAT:
        return _("mlx_lm.server serves chat models only")
    if candidate.kv_type != "f16":
        return _("mlx_lm.server has no {kv_type} cache").format(kv_type=candidate.kv_type)
    return None


def api_name(candidate: Candidate) -> str:
    """The repository: a name that it does not know would be downloaded."""
    return candidate.artifact.repo


def server_args(
    candidate: Candidate, machine: Machine, *, port: int, host: str, model_dir: str | None = None
) -> tuple[str, ...]:
    repo = candidate.artifact.repo
    model = repo if model_dir is None else f"{model_dir}/{repo.rpartition('/')[2]}"
    return (*_args(candidate, model), "--host", host, "--port", str(port))


def environment(candidate: Candidate, machine: Machine) -> tuple[tuple[str, str], ...]:
    return ()


def host_limit_bytes(candidate: Candidate, machine: Machine) -> int:
    return max(host_bytes(candidate, machine), machine.host_capacity_bytes)


def command(candidate: Candidate, port: int | None = None) -> str:
    return shlex.join((*PROGRAM, *_args(candidate, candidate.artifact.repo), "--port", str(port or PORT)))


def _args(candidate: Candidate, model: str) -> tuple[str, ...]:
    """The maker's sampling is given always: the server's own default is the likeliest token."""
    longest = max(1, candidate.n_ctx // MAX_TOKENS_SHARE)
    sampling = () if candidate.sampling is None else candidate.sampling.flags(SAMPLING_FLAGS)
    return (
        *("--model", model),
        *("--max-tokens", str(longest)),
        *("--decode-concurrency", str(candidate.n_seqs)),
        *sampling,
    )
