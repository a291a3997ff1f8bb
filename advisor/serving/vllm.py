"""vLLM's memory: what it profiles, what it reserves, and how much cache that leaves.

Read in the wheel of vLLM 0.33.0 (2026-11-02): v1/worker/gpu_worker.py, engine/arg_utils.py, config/vllm.py.
Other versions profile differently: before 0.21 CUDA graphs were not counted, before 0.24 hybrid models were
laid out otherwise, and defaults have grown (the benchmark's rows name their version).
"""

from __future__ import annotations

from math import ceil, floor
from typing import Final, NamedTuple

from advisor.architecture import Architecture
from advisor.hardware import Gpu
from advisor.serving.activations import activation_bytes
from advisor.serving.blocks import CONCURRENT_BATCHES, NULL_BLOCKS, Layout
from advisor.serving.devices import context_bytes, free_bytes, offered_bytes
from advisor.serving.plan import EnginePlan, Pool
from advisor.serving.ranks import rank_weights
from advisor.settings import Settings
from advisor.units import GIB, MIB
from advisor.weights import Weights

DEFAULT_UTILIZATION: Final = 0.92
"""Share of a GPU's memory that vLLM takes; it refuses to start where less than that is free."""
UTILIZATION_STEPS: Final = 1000
"""The flag is written with three decimals, rounded so that it is never more than is free."""

LARGE_GPU_BYTES: Final = 160 * GIB
MIDDLE_GPU_BYTES: Final = 70 * GIB
NOT_MIDDLE: Final = ("a100", "gb10")
"""Large by their memory, but given the defaults of small ones."""

GRAPH_BYTES: Final = 8 * MIB
"""One CUDA graph: 8B models took 0.67 GiB for 67 sizes on an H100 (2025-09-23) and 0.23 for 51 on an A100
(2026-10-06); 0.36 were estimated for 16 sizes on each of two GPUs (gpustack/runner pull request 251,
2026-08-14)."""
GRAPH_BASE_BYTES: Final = 64 * MIB
"""The graphs' shared memory pool."""
LARGEST_GRAPH: Final = 512
"""Tokens of the largest graph (1024 on data-centre Blackwell); at most twice --max-num-seqs."""

NON_TORCH_BYTES: Final = 256 * MIB
"""Allocated outside PyTorch until profiling ends, the context apart: 0.07 GiB on an H100 (2025-09-23), 0.26
on an A100 (2026-10-06) and an RTX PRO 6000 (2026-09)."""
NCCL_BYTES: Final = 512 * MIB
"""The same where several GPUs talk: 0.20 to 0.25 GiB on RTX 3090 and 4090 (vLLM issue 13061, 2025-02, and
pull request 14447, 2025-04), 0.95 on four B200 (2026-08-20)."""
MARGIN_BYTES: Final = 256 * MIB
"""Profiles of one model differ by about this between drivers, kernels and minor versions."""


class Batch(NamedTuple):
    """The largest step that the scheduler makes."""

    n_tokens: int
    """--max-num-batched-tokens"""
    n_seqs: int
    """--max-num-seqs"""


class Rank(NamedTuple):
    """What one rank holds, in bytes."""

    gpu: Gpu
    weights: int
    activations: int
    graphs: int
    non_torch: int
    bytes_per_block: int

    @property
    def fixed(self) -> int:
        """Everything but the cache, as vLLM counts it: the process's context is not in it."""
        return self.weights + self.activations + self.graphs + self.non_torch


def default_batch(gpu: Gpu, settings: Settings, n_seqs: int | None = None) -> Batch:
    """The server's defaults by GPU; `n_seqs` is --max-num-seqs where it is given."""
    tokens, seqs = 2048, 256
    if offered_bytes(gpu) >= LARGE_GPU_BYTES:
        tokens, seqs = 16384, 1024
    elif offered_bytes(gpu) >= MIDDLE_GPU_BYTES and not any(n in gpu.name.lower() for n in NOT_MIDDLE):
        tokens, seqs = 8192, 1024
    n_seqs = n_seqs or seqs
    n_tokens = int(min(tokens, n_seqs * settings.n_ctx))
    return Batch(n_tokens, min(n_seqs, n_tokens))


def n_in_flight(batch: Batch, plan: EnginePlan) -> int:
    """Tokens that are scheduled and not settled: a batch in every stage, and one in preparation."""
    return (CONCURRENT_BATCHES + plan.pipeline_parallel - 1) * batch.n_tokens


def graph_bytes(batch: Batch) -> int:
    """CUDA graphs of the batch sizes 1, 2, 4, every 8th to 256 and every 16th beyond."""
    largest = min(2 * batch.n_seqs, LARGEST_GRAPH, batch.n_tokens)
    sizes = (1, 2, 4, *range(8, 256, 8), *range(256, LARGEST_GRAPH + 1, 16))
    n_graphs = len([size for size in sizes if size <= largest])
    return GRAPH_BASE_BYTES + GRAPH_BYTES * n_graphs


def ranks_of(
    arch: Architecture,
    weights: Weights,
    layout: Layout,
    plan: EnginePlan,
    gpus: tuple[Gpu, ...],
    batch: Batch,
) -> tuple[Rank, ...]:
    """What every rank holds; `gpus` are the plan's, in its order."""
    tp = plan.tensor_parallel
    parts = plan.stages(arch.n_layers)
    return tuple(
        Rank(
            gpu=gpu,
            weights=rank_weights(arch, weights, tp, parts[plan.stage_of(i)]),
            activations=activation_bytes(
                arch, batch.n_tokens, batch.n_seqs if i >= plan.n_ranks - tp else 0, tp
            ),
            graphs=graph_bytes(batch),
            non_torch=NON_TORCH_BYTES if plan.n_ranks == 1 else NCCL_BYTES,
            bytes_per_block=layout.bytes_per_block(parts[plan.stage_of(i)]),
        )
        for i, gpu in enumerate(gpus)
    )


def utilization(needs: tuple[tuple[Gpu, int], ...]) -> float:
    """--gpu-memory-utilization for GPUs that need so many bytes each, the process's context included.

    vLLM's default where that is free and enough; else what is needed, but never more than is free on the
    fullest GPU, since vLLM takes a share of the total and refuses to start where it is not free.
    """
    free = min(floor(UTILIZATION_STEPS * free_bytes(gpu) / offered_bytes(gpu)) for gpu, _ in needs)
    needed = max(
        ceil(UTILIZATION_STEPS * (size - context_bytes(gpu)) / offered_bytes(gpu)) for gpu, size in needs
    )
    return min(free, max(needed, round(UTILIZATION_STEPS * DEFAULT_UTILIZATION))) / UTILIZATION_STEPS


def n_blocks(ranks: tuple[Rank, ...], share: float) -> int:
    """Blocks of the cache: those of the rank that has room for the fewest."""
    return min(kv_bytes(rank, share) // max(1, rank.bytes_per_block) for rank in ranks)


def kv_bytes(rank: Rank, share: float) -> int:
    """What vLLM logs as available KV cache memory: what profiling leaves of its share; never negative."""
    return max(0, ceil(offered_bytes(rank.gpu) * share) - rank.fixed)


def pool_of(
    arch: Architecture, layout: Layout, ranks: tuple[Rank, ...], share: float, n_ctx: int, in_flight: int
) -> Pool:
    """What vLLM reserves with --gpu-memory-utilization `share`, and what fits in it; not for encoders."""
    tightest = min(ranks, key=lambda rank: kv_bytes(rank, share) // max(1, rank.bytes_per_block))
    blocks = n_blocks(ranks, share)
    per_request = layout.blocks(n_ctx, in_flight)
    concurrency = blocks / per_request
    return Pool(
        flag=f"--gpu-memory-utilization {share:.3f}",
        reserved_bytes=ceil(offered_bytes(tightest.gpu) * share),
        kv_bytes=blocks * tightest.bytes_per_block,
        kv_tokens=int(concurrency * n_ctx),
        concurrency=round(concurrency, 2),
        max_n_ctx=layout.max_n_ctx(blocks - NULL_BLOCKS, in_flight, arch.n_ctx_train),
    )
