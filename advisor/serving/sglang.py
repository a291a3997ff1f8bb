"""SGLang's memory: the share it keeps for weights and cache, and the tokens that fit in it.

Read in the wheel of SGLang 0.5.23 (2026-10-30): arg_groups/memory_hook.py and
mem_cache/kv_cache_configurator.py. It does not profile: what graphs and activations will take is a rule of
the GPU's size.
"""

from __future__ import annotations

from math import floor
from typing import Final, NamedTuple

from advisor.architecture import Architecture, LayerKind
from advisor.errors import AdvisorError
from advisor.hardware import Gpu
from advisor.i18n import _
from advisor.serving.blocks import CACHE_BYTES, state_bytes, token_bytes
from advisor.serving.devices import free_bytes
from advisor.serving.plan import EnginePlan, Pool
from advisor.serving.ranks import rank_weights
from advisor.settings import Settings
from advisor.units import MIB
from advisor.usecase import KvType
from advisor.weights import Weights

RESERVE_BASE_MIB: Final = 512
RESERVE_MIB_A_TOKEN: Final = 1.5
"""Of a chunk of prompt tokens, for activations."""
RESERVE_MIB_A_GRAPH_SEQ: Final = 2
"""Of the largest decode batch that has a CUDA graph."""
RESERVE_MIB_A_PREFILL_GRAPH: Final = 8
RESERVE_MIB_MLA_GRAPHS: Final = 1536
"""Instead of the former, with latent attention."""
RESERVE_FLOOR_MIB: Final = 10 * 1024
RESERVE_FLOOR_FROM_MIB: Final = 60 * 1024
"""GPUs larger than this keep at least the floor."""
MIN_ACTIVATION_TOKENS: Final = 2048

SWA_TOKENS_RATIO: Final = 0.8
"""Sliding layers hold so many tokens for each that full layers hold (--swa-full-tokens-ratio)."""
STATE_RATIO: Final = 0.9
"""Memory for recurrent states by that for the cache (--mamba-full-memory-ratio)."""


class _Defaults(NamedTuple):
    """What a GPU of less than `below_mib` is run with."""

    below_mib: float
    chunked_prefill: int
    max_graph_seqs: int
    max_graph_seqs_tp4: int
    """The same from four tensor-parallel ranks on."""


_DEFAULTS: Final = (
    _Defaults(20 * 1024, 2048, 8, 8),
    _Defaults(35 * 1024, 4096, 48, 160),
    _Defaults(60 * 1024, 4096, 32, 160),
    _Defaults(160 * 1024, 8192, 256, 512),
    _Defaults(float("inf"), 16384, 512, 512),
)


class Rank(NamedTuple):
    """What one rank holds, in bytes."""

    gpu: Gpu
    weights: int
    slack: int
    """What is left free for activations and graphs."""
    token: int
    """One token of every layer that remembers all."""
    sliding_token: int
    """One token of every sliding layer."""
    state: int
    """One request's recurrent states."""


def ranks_of(
    arch: Architecture, weights: Weights, kv_type: KvType, plan: EnginePlan, gpus: tuple[Gpu, ...]
) -> tuple[Rank, ...]:
    """What every rank holds; `gpus` are the plan's, in its order.

    Raises `AdvisorError` for a cache type that SGLang does not have.
    """
    if kv_type not in CACHE_BYTES:
        raise AdvisorError(
            _("SGLang has no {kv_type} cache: use --kv-type f16 or fp8").format(kv_type=kv_type)
        )
    parts = plan.stages(arch.n_layers)
    return tuple(
        _rank(arch, weights, kv_type, parts[plan.stage_of(i)], gpu, plan) for i, gpu in enumerate(gpus)
    )


def _rank(
    arch: Architecture, weights: Weights, kv_type: KvType, stage: range, gpu: Gpu, plan: EnginePlan
) -> Rank:
    tp = plan.tensor_parallel
    cached = [i for i in stage if arch.layers[i].owns_cache and not arch.is_encoder]
    sliding = [i for i in cached if arch.layers[i].kind is LayerKind.SLIDING]
    full = [i for i in cached if i not in sliding]
    return Rank(
        gpu=gpu,
        weights=rank_weights(arch, weights, tp, stage),
        slack=free_bytes(gpu) - static_bytes(arch, gpu, plan),
        token=sum(token_bytes(arch, i, kv_type, tp) for i in full),
        sliding_token=sum(token_bytes(arch, i, kv_type, tp) for i in sliding),
        state=sum(state_bytes(arch, tp) for i in stage if arch.layers[i].kind.has_state),
    )


def reserve_bytes(arch: Architecture, gpu: Gpu, plan: EnginePlan) -> int:
    """What SGLang leaves out of its static share of a GPU: activations, graphs and the runtime."""
    total_mib = gpu.vram_bytes / MIB
    row = next(row for row in _DEFAULTS if total_mib < row.below_mib)
    graph_seqs = row.max_graph_seqs if plan.tensor_parallel < 4 else row.max_graph_seqs_tp4
    reserve = RESERVE_BASE_MIB + RESERVE_MIB_A_TOKEN * max(row.chunked_prefill, MIN_ACTIVATION_TOKENS)
    reserve += plan.n_ranks / 8 * 1024
    reserve += RESERVE_MIB_A_GRAPH_SEQ * graph_seqs
    if arch.mla:
        reserve += RESERVE_MIB_MLA_GRAPHS
    else:
        reserve += RESERVE_MIB_A_PREFILL_GRAPH * _n_prefill_graphs(row.chunked_prefill)
    if total_mib > RESERVE_FLOOR_FROM_MIB:
        reserve = max(reserve, RESERVE_FLOOR_MIB)
    return int(reserve * MIB)


def _n_prefill_graphs(n_tokens: int) -> int:
    """Lengths of prompt chunks that get a graph."""
    steps = ((4, 32, 4), (48, 256, 16), (288, 512, 32), (576, 1024, 64), (1280, 4096, 256))
    lengths = [n for first, last, step in steps for n in range(first, last + 1, step)]
    lengths += range(4608, n_tokens + 1, 512)
    return sum(length <= n_tokens for length in lengths)


def static_fraction(arch: Architecture, gpu: Gpu, plan: EnginePlan) -> float:
    """--mem-fraction-static, as SGLang chooses it."""
    return round((gpu.vram_bytes - reserve_bytes(arch, gpu, plan)) / gpu.vram_bytes, 3)


def static_bytes(arch: Architecture, gpu: Gpu, plan: EnginePlan) -> int:
    """The share of what is free before loading that weights and cache may take."""
    return max(0, int(free_bytes(gpu) * static_fraction(arch, gpu, plan)))


def cache_bytes(rank: Rank, arch: Architecture, settings: Settings) -> tuple[int, int]:
    """(cache, recurrent states) that the requests need on a rank."""
    tokens = settings.n_ctx * settings.n_seqs
    window = min(tokens, int(tokens * SWA_TOKENS_RATIO)) if rank.token else _window_tokens(arch, settings)
    return tokens * rank.token + window * rank.sliding_token, settings.n_seqs * rank.state


def _window_tokens(arch: Architecture, settings: Settings) -> int:
    return settings.n_seqs * min(settings.n_ctx, arch.n_swa)


def kv_tokens(rank: Rank) -> int:
    """SGLang's max_total_num_tokens: what is free once the model is loaded, less the slack."""
    left = free_bytes(rank.gpu) - rank.slack - rank.weights
    if rank.state:
        left = floor(left / (1 + STATE_RATIO))
    each = rank.token + SWA_TOKENS_RATIO * rank.sliding_token if rank.token else rank.sliding_token
    return max(0, floor(left / each)) if each else 0


def pool_of(arch: Architecture, plan: EnginePlan, ranks: tuple[Rank, ...], n_ctx: int) -> Pool:
    """What SGLang keeps by its own rule, and what fits in it."""
    tightest = min(ranks, key=kv_tokens)
    tokens = kv_tokens(tightest)
    each = tightest.token + SWA_TOKENS_RATIO * tightest.sliding_token
    return Pool(
        flag=f"--mem-fraction-static {static_fraction(arch, tightest.gpu, plan):.3f}",
        reserved_bytes=free_bytes(tightest.gpu) - tightest.slack,
        kv_bytes=int(tokens * each),
        kv_tokens=tokens,
        concurrency=round(tokens / n_ctx, 2),
        max_n_ctx=min(tokens, arch.n_ctx_train),
    )
