"""An engine's memory on a machine, and the plan that serves the request best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Final

from advisor.architecture import Architecture
from advisor.assessment import DeviceMemory, MemoryEstimate, MemorySource, SpeedEstimate
from advisor.errors import AdvisorError
from advisor.hardware import Gpu, Machine
from advisor.i18n import N_, _
from advisor.placement import HOST_NAME, host_capacity
from advisor.serving import local, sglang, vllm
from advisor.serving.blocks import NULL_BLOCKS, layout_of
from advisor.serving.devices import context_bytes
from advisor.serving.division import likeness, plans
from advisor.serving.plan import EnginePlan, Pool, Served, room_for_more
from advisor.serving.speed import Speed
from advisor.settings import Settings
from advisor.units import GIB, format_bytes
from advisor.usecase import Backend
from advisor.weights import Weights

POOLED: Final[tuple[Backend, ...]] = ("vllm", "sglang")
"""Engines that reserve a pool and run on GPUs alone."""
LOCAL: Final[tuple[Backend, ...]] = ("mlx", "transformers", "onnx")
ENGINES: Final = (*POOLED, *LOCAL)

CLEAR_GAIN: Final = 1.05
"""A plan on more GPUs must be so much faster: less is within what estimates can tell apart."""

HOST_PROCESS_BYTES: Final = 4 * GIB
"""RAM of a PyTorch server beside the GPUs' memory: libraries, tokenizer, pinned buffers, its processes. vLLM
asks for no more, and 2 to 5 GiB are usually seen: judgement, no published figure was found."""


def serve(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    machine: Machine,
    *,
    backend: Backend,
    quantization: str,
    source: MemorySource,
    speed: Speed,
    max_seqs: int | None = None,
) -> Served:
    """The plan that serves the request fastest, with no GPU that gains nothing; or what is missing for one.

    speed: what the request gets under a plan, for engines that divide a model.
    max_seqs: requests that the engine is started for (--max-num-seqs); None: as many as are planned.
    Raises `AdvisorError` where the engine cannot run on that machine, or has no such cache.
    """
    if backend in LOCAL:
        return _local(arch, weights, settings, machine, backend, source)
    if not machine.gpus or machine.gpus[0].vendor not in ("nvidia", "amd"):
        raise AdvisorError(
            _(
                "{engine} is planned for NVIDIA and AMD GPUs, and this machine has none: use "
                "llama.cpp, or another --hardware"
            ).format(engine=_TITLES[backend])
        )

    @cache
    def served(plan: EnginePlan) -> Served:
        return engine_memory(
            arch, weights, settings, plan, machine, backend=backend, source=source, max_seqs=max_seqs
        )

    def fits(plan: EnginePlan) -> bool:
        room = sum(machine.gpus[i].capacity_bytes for i in plan.gpus)
        return weights.total_bytes < room and bool(served(plan).memory.fits)

    divisions = list(plans(arch, machine, quantization))
    # Embedding is reading, which a second server doubles and a second GPU of one server does not.
    paces = {plan: None if settings.embeddings else speed(plan) for plan in divisions}
    plan = fastest(paces, fits)
    if plan is None:
        return served(max(divisions, key=lambda plan: (plan.n_ranks, plan.tensor_parallel)))
    result = served(plan)
    n_more = _n_more(plan, machine) if paces[plan] or settings.embeddings else 0
    notes = (*result.notes, *_division_notes(plan, backend, n_more))
    return result.model_copy(update={"n_more": n_more, "notes": notes})


_TITLES: Final = {"vllm": "vLLM", "sglang": "SGLang"}


def fastest(
    paces: Mapping[EnginePlan, SpeedEstimate | None], fits: Callable[[EnginePlan], bool]
) -> EnginePlan | None:
    """Of the plans that fit and are about as fast as the fastest, the one on the fewest GPUs.

    Where those are as many, the one with the earlier first token; where no speed is known, the fewest GPUs.
    """
    rates = {plan: pace.decode_tokens_per_s if pace else 0.0 for plan, pace in paces.items()}
    best = next((plan for plan in sorted(paces, key=lambda p: (-rates[p], p.n_ranks)) if fits(plan)), None)
    if best is None:
        return None

    def cost(plan: EnginePlan) -> tuple[int, float]:
        pace = paces[plan]
        return plan.n_ranks, (pace.ttft_s if pace and pace.ttft_s else 0.0)

    near = [plan for plan in paces if rates[plan] * CLEAR_GAIN >= rates[best]]
    return next(plan for plan in sorted(near, key=cost) if fits(plan))


def _n_more(plan: EnginePlan, machine: Machine) -> int:
    """Servers of the same plan that idle GPUs like those of the plan have room for."""
    used = [machine.gpus[i] for i in plan.gpus]
    idle = [gpu for i, gpu in enumerate(machine.gpus) if i not in plan.gpus]
    least = min(gpu.capacity_bytes for gpu in used)
    if len({likeness(gpu) for gpu in used}) > 1:
        return 0
    alike = [gpu for gpu in idle if likeness(gpu) == likeness(used[0]) and gpu.capacity_bytes >= least]
    return len(alike) // plan.n_ranks


def _division_notes(plan: EnginePlan, backend: Backend, n_more: int) -> Iterator[str]:
    if plan.expert_parallel:
        yield _(
            "whole experts on each GPU ({flag}): FP8's blocks are too large to cut an expert in {n}"
        ).format(
            flag="--enable-expert-parallel" if backend == "vllm" else f"--ep-size {plan.tensor_parallel}",
            n=plan.tensor_parallel,
        )
    if n_more:
        yield room_for_more(n_more)


def engine_memory(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    plan: EnginePlan,
    machine: Machine,
    *,
    backend: Backend,
    source: MemorySource,
    max_seqs: int | None = None,
) -> Served:
    """What vLLM or SGLang needs on every GPU under `plan`, and the pool it takes."""
    gpus = tuple(machine.gpus[i] for i in plan.gpus)
    build = _vllm if backend == "vllm" else _sglang
    rows, pool, notes = build(arch, weights, settings, plan, gpus, max_seqs)
    by_position = dict(zip(plan.gpus, rows, strict=True))
    devices = [
        by_position.get(i, DeviceMemory(name=gpu.name, kind="gpu", capacity_bytes=gpu.capacity_bytes))
        for i, gpu in enumerate(machine.gpus)
    ]
    memory = MemoryEstimate.of((*devices, _host(machine, devices)), source)
    return Served(plan=plan, memory=memory, pool=pool, notes=tuple(notes))


def _host(machine: Machine, gpus: list[DeviceMemory]) -> DeviceMemory:
    taken = sum(row.total_bytes for row in gpus if machine.unified)
    return DeviceMemory(
        name=HOST_NAME,
        kind="cpu",
        overhead_bytes=HOST_PROCESS_BYTES,
        capacity_bytes=host_capacity(machine, taken),
    )


_Parts = tuple[tuple[DeviceMemory, ...], Pool | None, tuple[str, ...]]


def _vllm(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    plan: EnginePlan,
    gpus: tuple[Gpu, ...],
    max_seqs: int | None,
) -> _Parts:
    batch = vllm.default_batch(gpus[0], settings, max_seqs or settings.n_seqs)
    in_flight = vllm.n_in_flight(batch, plan)
    layout = layout_of(arch, settings.kv_type, plan.tensor_parallel)
    ranks = vllm.ranks_of(arch, weights, layout, plan, gpus, batch)
    states = layout.state_blocks() * settings.n_seqs
    blocks = layout.blocks(settings.n_ctx, in_flight) * settings.n_seqs + NULL_BLOCKS
    rows = tuple(
        DeviceMemory(
            name=rank.gpu.name,
            kind="gpu",
            weights_bytes=rank.weights,
            kv_cache_bytes=(blocks - states) * rank.bytes_per_block,
            recurrent_bytes=states * rank.bytes_per_block,
            compute_bytes=rank.activations + rank.graphs,
            overhead_bytes=rank.non_torch + context_bytes(rank.gpu),
            margin_bytes=vllm.MARGIN_BYTES,
            capacity_bytes=rank.gpu.capacity_bytes,
        )
        for rank in ranks
    )
    share = vllm.utilization(
        tuple((rank.gpu, row.total_bytes) for rank, row in zip(ranks, rows, strict=True))
    )
    pool = vllm.pool_of(arch, layout, ranks, share, settings.n_ctx, in_flight) if layout.groups else None
    notes = (
        _(
            "vLLM profiles a step of {n_tokens:,} tokens (its default for this GPU) and "
            "{n_seqs:,} sequence(s) (--max-num-seqs)"
        ).format(n_tokens=batch.n_tokens, n_seqs=batch.n_seqs),
        *_partition_notes(plan, "VLLM_PP_LAYER_PARTITION"),
        *_pool_notes("vLLM", pool, settings, "--max-model-len"),
    )
    return rows, pool, notes


def _sglang(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    plan: EnginePlan,
    gpus: tuple[Gpu, ...],
    max_seqs: int | None,
) -> _Parts:
    ranks = sglang.ranks_of(arch, weights, settings.kv_type, plan, gpus)
    rows = []
    for rank in ranks:
        cache, states = sglang.cache_bytes(rank, arch, settings)
        rows.append(
            DeviceMemory(
                name=rank.gpu.name,
                kind="gpu",
                weights_bytes=rank.weights,
                kv_cache_bytes=cache,
                recurrent_bytes=states,
                compute_bytes=rank.slack,
                overhead_bytes=context_bytes(rank.gpu),
                capacity_bytes=rank.gpu.capacity_bytes,
            )
        )
    pool = None if arch.is_encoder else sglang.pool_of(arch, plan, ranks, settings.n_ctx)
    notes = (
        _("compute is what SGLang leaves free for activations and graphs by its own rule, not a measurement"),
        *_partition_notes(plan, "SGLANG_PP_LAYER_PARTITION"),
        *_pool_notes("SGLang", pool, settings, "--context-length"),
    )
    return tuple(rows), pool, notes


def _partition_notes(plan: EnginePlan, variable: str) -> Iterator[str]:
    if plan.stage_layers:
        layers = ",".join(map(str, plan.stage_layers))
        yield _("the GPUs differ: {variable}={layers} gives each as many layers as it has room for").format(
            variable=variable, layers=layers
        )


def _pool_notes(engine: str, pool: Pool | None, settings: Settings, flag: str) -> Iterator[str]:
    if pool is None:
        return
    if not pool.kv_tokens:
        yield _("{engine} would have no room for a cache with {flag}").format(engine=engine, flag=pool.flag)
        return
    yield (
        _(
            "{engine} takes {reserved} of a GPU ({share}), whatever is needed: {cache} of cache "
            "for {n_tokens:,} tokens, {n:.2f} requests of {n_ctx:,} at once; longest {flag} "
            "{longest:,}"
        ).format(
            engine=engine,
            reserved=format_bytes(pool.reserved_bytes, digits=1),
            share=pool.flag,
            cache=format_bytes(pool.kv_bytes, digits=1),
            n_tokens=pool.kv_tokens,
            n=pool.concurrency,
            n_ctx=settings.n_ctx,
            flag=flag,
            longest=pool.max_n_ctx,
        )
    )


def _local(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    machine: Machine,
    backend: Backend,
    source: MemorySource,
) -> Served:
    needs = local.needs_of(arch, weights, settings, machine, backend)
    position = min(range(len(machine.gpus)), key=lambda i: likeness(machine.gpus[i]), default=None)
    if position is not None and backend == "onnx" and machine.gpus[position].vendor == "apple":
        position = None  # its execution providers for Apple are not planned for
    own = {
        "weights_bytes": needs.weights,
        "kv_cache_bytes": needs.kv_cache,
        "recurrent_bytes": needs.recurrent,
        "compute_bytes": needs.compute,
    }
    gpus = [
        DeviceMemory(
            name=gpu.name,
            kind="gpu",
            capacity_bytes=gpu.capacity_bytes,
            **(own if i == position else {}),
            overhead_bytes=needs.overhead + context_bytes(gpu) if i == position else 0,
        )
        for i, gpu in enumerate(machine.gpus)
    ]
    taken = sum(row.total_bytes for row in gpus if machine.unified)
    host = DeviceMemory(
        name=HOST_NAME,
        kind="cpu",
        **(own if position is None else {}),
        overhead_bytes=needs.overhead,
        capacity_bytes=host_capacity(machine, taken),
    )
    return Served(
        plan=EnginePlan(gpus=() if position is None else (position,)),
        memory=MemoryEstimate.of((*gpus, host), source),
        notes=(_(_LOCAL_NOTES[backend]),),
    )


_LOCAL_NOTES: Final = {
    "mlx": N_(
        "by rule, not measured: MLX's cache grows as requests do; the figures are for their full length"
    ),
    "transformers": N_(
        "by rule, not measured: 16-bit activations of the whole prompt in one pass, no paging"
    ),
    "onnx": N_("by rule, not measured: ONNX Runtime GenAI allocates the whole context's cache at the start"),
}
