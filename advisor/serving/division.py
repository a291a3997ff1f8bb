"""The divisions of a model over GPUs that vLLM and SGLang accept.

Read in the wheels of vLLM 0.33.0 (2026-11-02) and SGLang 0.5.23 (2026-10-30) on 2026-11-21; the files named
here are vLLM's. Tensor parallel ranks take equal parts of

- the attention heads (config/model.py), and of the KV heads unless each rank gets a copy of one
  (QKVParallelLinear); latents are on every rank,
- the rows of the vocabulary, padded to 64 (layers/vocab_parallel_embedding.py),
- the columns of feed-forward blocks and of every routed expert (layers/linear.py, fused_moe/config.py),
- the heads of recurrent layers: K and V heads of delta nets, a group of Mamba 2's with its heads unless there
  is only one (layers/mamba),
- weights in FP8 by whole blocks of 128 x 128 values (quantization/utils/fp8_utils.py; vLLM issues 17569 and
  25292, SGLang issues 10852 and 26107 are what else is seen). Routed experts that are too narrow for that are
  dealt out whole instead: expert parallel. Shared ones cannot be.

Pipeline stages take whole layers, and need nothing to divide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Final

from advisor.architecture import Architecture
from advisor.hardware import Gpu, Machine
from advisor.serving.plan import EnginePlan
from advisor.serving.ranks import VOCABULARY_PADDING
from advisor.units import pad

FP8_BLOCK: Final = 128
"""Values along each side of a block with one scale."""
FP8_WITHOUT_BLOCKS: Final = frozenset(
    {"gemma4", "glm4moe", "llama", "llama4", "nemotron_h", "nemotron_h_moe"}
)
"""Families whose FP8 checkpoints have a scale for a channel or a tensor instead, which any cut leaves whole:
NVIDIA's (hf_quant_config.json: FP8), Red Hat's FP8-dynamic, and Zhipu's before GLM 5 (compressed tensors,
HabanaAI/vllm-hpu-extension pull request 350, 2025-08-26)."""


def plans(arch: Architecture, machine: Machine, quantization: str) -> Iterator[EnginePlan]:
    """Divisions that the engines accept, the fewest GPUs first and of these the most tensor parallel.

    GPUs that share layers are alike; unlike ones become stages of one pipeline over the whole machine.
    """
    groups = like_gpus(machine)
    found = [
        _plan(arch, quantization, n, n_ranks // n, group[:n_ranks])
        for group in groups
        for n_ranks in range(1, len(group) + 1)
        for n in _tensor_sizes(arch, quantization, n_ranks)
        if n_ranks // n <= arch.n_layers
    ]
    if len(groups) > 1 and len({gpu.vendor for gpu in machine.gpus}) == 1:
        found += _unlike(arch, machine, quantization, groups)
    yield from sorted(found, key=lambda plan: (plan.n_ranks, plan.pipeline_parallel))


def like_gpus(machine: Machine) -> tuple[tuple[int, ...], ...]:
    """Positions of GPUs that are the same, the largest first."""
    order = sorted(range(len(machine.gpus)), key=lambda i: likeness(machine.gpus[i]))
    return tuple(tuple(same) for _key, same in groupby(order, key=lambda i: likeness(machine.gpus[i])))


def likeness(gpu: Gpu) -> tuple[int, str]:
    """What GPUs have in common that may share a layer; smaller for larger ones."""
    return (-gpu.vram_bytes, gpu.name)


def _unlike(
    arch: Architecture, machine: Machine, quantization: str, groups: tuple[tuple[int, ...], ...]
) -> Iterator[EnginePlan]:
    """Pipelines over all GPUs, each stage of like ones and with layers in proportion to its free memory."""
    for n in _tensor_sizes(arch, quantization, min(map(len, groups))):
        if any(len(group) % n for group in groups):
            continue
        parts = sorted(group[i : i + n] for group in groups for i in range(0, len(group), n))
        gpus = tuple(i for part in parts for i in part)
        # Engines number ranks as the driver numbers GPUs.
        if len(parts) <= arch.n_layers and gpus == tuple(range(len(gpus))):
            rooms = [min(machine.gpus[i].capacity_bytes for i in part) for part in parts]
            plan = _plan(arch, quantization, n, len(parts), gpus)
            yield plan.model_copy(update={"stage_layers": _by_room(arch.n_layers, rooms)})


def _by_room(n_layers: int, rooms: list[int]) -> tuple[int, ...]:
    """Layers of every stage."""
    ends = [round(n_layers * sum(rooms[: i + 1]) / max(1, sum(rooms))) for i in range(len(rooms))]
    counts = [max(1, stop - start) for start, stop in pairwise((0, *ends))]
    counts[counts.index(max(counts))] += n_layers - sum(counts)
    return tuple(counts)


def _plan(
    arch: Architecture, quantization: str, tensor: int, pipeline: int, gpus: tuple[int, ...]
) -> EnginePlan:
    return EnginePlan(
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        expert_parallel=not _cuts_experts(arch, quantization, tensor),
        gpus=gpus,
    )


def _tensor_sizes(arch: Architecture, quantization: str, n_ranks: int) -> Iterator[int]:
    """Numbers of ranks that may share a layer, where so many work on the model."""
    sizes = _sizes(arch)
    kv_heads = {layer.n_kv_heads for layer in arch.layers if layer.n_kv_heads and not arch.mla}
    for n in range(1, n_ranks + 1):
        if (
            n_ranks % n == 0
            and all(size % n == 0 for size in sizes)
            and all(heads % n == 0 or n % heads == 0 for heads in kv_heads)
            and _cuts_blocks(arch, quantization, n)
            and (_cuts_experts(arch, quantization, n) or _deals_experts(arch, n))
        ):
            yield n


def _sizes(arch: Architecture) -> set[int]:
    """What is cut into equal parts, in heads, rows or columns; 0 divides like nothing there."""
    sizes = {pad(arch.n_vocab, VOCABULARY_PADDING)}
    for layer in arch.layers:
        sizes |= {layer.n_heads, layer.n_ff}
    if arch.moe:
        sizes.add(arch.moe.n_ff_shared)
    if recurrent := arch.recurrent:
        sizes |= {recurrent.n_heads, recurrent.d_inner}
        has_groups = recurrent.kind == "delta_net" or (recurrent.kind == "mamba2" and recurrent.n_groups > 1)
        sizes.add(recurrent.n_groups if has_groups else 0)
        sizes.add(arch.n_embd if recurrent.kind == "short_conv" else 0)
    return sizes


def _cuts_blocks(arch: Architecture, quantization: str, n: int) -> bool:
    """Whether what is cut, routed experts aside, is cut between blocks that have one scale."""
    if not _has_blocks(arch, quantization):
        return True
    widths = {arch.moe.n_ff_shared if arch.moe else 0, arch.recurrent.d_inner if arch.recurrent else 0}
    for layer in arch.layers:
        widths |= {layer.n_ff, layer.n_heads * (arch.mla.v_head_dim if arch.mla else layer.head_dim_v)}
    return all(_is_whole(width, n) for width in widths)


def _cuts_experts(arch: Architecture, quantization: str, n: int) -> bool:
    """Whether every expert can be cut into so many parts."""
    if arch.moe is None:
        return True
    return arch.moe.n_ff % n == 0 and (not _has_blocks(arch, quantization) or _is_whole(arch.moe.n_ff, n))


def _deals_experts(arch: Architecture, n: int) -> bool:
    """Whether so many ranks can have equally many experts."""
    return arch.moe is not None and arch.moe.n_experts % n == 0


def _has_blocks(arch: Architecture, quantization: str) -> bool:
    return quantization == "FP8" and arch.family not in FP8_WITHOUT_BLOCKS


def _is_whole(width: int, n: int) -> bool:
    """Whether parts of a width are whole blocks; the last of an uncut one may be short."""
    return n == 1 or width // n % FP8_BLOCK == 0
