"""Engines that use one device and page nothing: MLX, transformers and ONNX Runtime GenAI.

mlx-lm 0.32.2 (2026-10-16) grows a request's cache in steps; transformers' dynamic cache holds the tokens
there are; ONNX Runtime GenAI, which Foundry Local runs, allocates the longest sequence at the start. None was
measured here: the rules follow their documented behaviour.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.caches import F32, kv_token_bytes
from advisor.errors import AdvisorError
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.serving.activations import activation_bytes
from advisor.serving.ranks import BF16, rotary_bytes
from advisor.settings import Settings
from advisor.units import MIB, pad
from advisor.usecase import Backend, KvType
from advisor.weights import Weights

MLX_CACHE_STEP: Final = 256
"""Tokens by which mlx-lm's cache grows."""
MLX_PREFILL_TOKENS: Final = 2048
"""Prompt tokens of one step of mlx-lm."""
MLX_PROCESS_BYTES: Final = 256 * MIB
"""Python, MLX's kernels and its pool of freed buffers: no published figure was found, judgement."""
ALLOCATOR_BYTES: Final = 256 * MIB
"""PyTorch's rounding of segments and cuBLAS's workspace (8 MiB before Hopper, 32 MiB after, a stream)."""
ONNX_PROCESS_BYTES: Final = 256 * MIB
"""ONNX Runtime's session and its arena's rounding: no published figure was found, judgement."""


class Needs(NamedTuple):
    """What an engine allocates on its device, in bytes."""

    weights: int
    kv_cache: int
    recurrent: int
    compute: int
    overhead: int


def needs_of(
    arch: Architecture, weights: Weights, settings: Settings, machine: Machine, backend: Backend
) -> Needs:
    """What a model needs under one of the three engines.

    Raises `AdvisorError` where the engine has no such cache, or does not run on that machine.
    """
    if settings.kv_type not in _CACHES[backend]:
        known = _(" or ").join(_CACHES[backend])
        raise AdvisorError(
            _("{backend} has no {kv_type} cache: use --kv-type {known}").format(
                backend=backend, kv_type=settings.kv_type, known=known
            )
        )
    if backend == "mlx" and not any(gpu.vendor == "apple" for gpu in machine.gpus):
        raise AdvisorError(
            _("MLX runs on Apple silicon only: plan for a Mac with --hardware, or use llama.cpp")
        )
    n_prompt = min(settings.n_ctx, MLX_PREFILL_TOKENS) if backend == "mlx" else settings.n_ctx
    rows = n_prompt * (1 if backend == "mlx" else settings.n_seqs)
    return Needs(
        weights=weights.total_bytes - weights.rope_bytes + (0 if backend == "mlx" else rotary_bytes(arch)),
        kv_cache=sum(_layer_cache(arch, layer, settings, backend) for layer in arch.layers),
        recurrent=_recurrent(arch, settings),
        compute=activation_bytes(arch, rows, settings.n_seqs, 1),
        overhead=_OVERHEAD[backend],
    )


_CACHES: Final[dict[str, tuple[KvType, ...]]] = {
    "mlx": ("f16", "q8_0", "q4_0"),
    "transformers": ("f16",),
    "onnx": ("f16",),
}
"""MLX's own 8 and 4 bit caches (--kv-bits) are as large as llama.cpp's to within their scales."""
_OVERHEAD: Final[dict[str, int]] = {
    "mlx": MLX_PROCESS_BYTES,
    "transformers": ALLOCATOR_BYTES,
    "onnx": ONNX_PROCESS_BYTES,
}


def _layer_cache(arch: Architecture, layer: Layer, settings: Settings, backend: Backend) -> int:
    """The cache of one layer, all sequences together."""
    if not layer.owns_cache or arch.is_encoder:
        return 0
    tokens = settings.n_ctx
    if layer.kind is LayerKind.SLIDING and backend != "onnx":  # its caches share one length
        tokens = min(tokens, arch.n_swa)
    if backend == "mlx":
        tokens = pad(tokens, MLX_CACHE_STEP)
    return settings.n_seqs * tokens * kv_token_bytes(arch, layer, settings.kv_type)


def _recurrent(arch: Architecture, settings: Settings) -> int:
    """States in F32 and the convolutions' columns in BF16, all sequences together."""
    r = arch.recurrent
    if r is None:
        return 0
    if r.kind == "short_conv":
        each = (r.d_conv - 1) * arch.n_embd * BF16
    else:
        columns = (r.d_conv - 1) * (r.d_inner + 2 * r.n_groups * r.d_state)
        each = columns * BF16 + r.d_inner * r.d_state * F32
    return settings.n_seqs * each * sum(layer.kind.has_state for layer in arch.layers)
