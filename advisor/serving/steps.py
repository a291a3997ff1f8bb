"""A model and a machine as `engine_steps` takes them: what vLLM's and SGLang's steps read and multiply."""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.batching import Scheduler
from advisor.caches import kv_token_bytes, recurrent_bytes
from advisor.engine_steps import Arithmetic, Group, Kind, Model
from advisor.hardware import Gpu, GpuSpec, Machine
from advisor.loads import looked_up_params
from advisor.serving.plan import EnginePlan
from advisor.serving.ranks import kv_heads_of_rank
from advisor.settings import Settings
from advisor.units import GIB
from advisor.usecase import Backend
from advisor.weights import Weights

LARGE_GPU_BYTES: Final = 70 * GIB
"""From this memory on vLLM's defaults are those of servers, the A100 excepted (its config, 0.10 to 0.22)."""
SMALL_MEMORY: Final = ("a100",)
"""GPUs with that much memory that vLLM counts among the others."""
BUDGETS: Final = {"large": (8192, 1024), "small": (2048, 256)}
"""vLLM: tokens of a step, and sequences at once."""
SGLANG_BUDGET: Final = 8192
"""Tokens of a step that reads prompts (--chunked-prefill-size)."""
SGLANG_SEQS: Final = 4096
"""More than any pool holds: SGLang sets no limit of its own."""


def engine_model(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    n_params_active: int,
    tensor_parallel: int = 1,
) -> Model:
    """What the model makes a step read, all GPUs together; n_params_active: looked-up embeddings included.

    GPUs that share a layer each read its latents, and a KV head of their own though there are fewer.
    """
    caches = [
        (layer, kv_token_bytes(arch, layer, settings.kv_type) * _copies(arch, layer, tensor_parallel))
        for layer in arch.layers
    ]
    n_attending = sum(layer.kind.has_attention for layer in arch.layers)
    return Model(
        shared_bytes=sum(weights.layers) + weights.output_bytes + weights.tied_bytes,
        n_params_active=n_params_active - looked_up_params(arch),
        n_layers=arch.n_layers,
        n_embd=arch.n_embd,
        cache_bytes=sum(n for layer, n in caches if layer.kind is not LayerKind.SLIDING),
        attention_flops=4 * arch.n_heads * arch.head_dim * n_attending,
        expert_bytes=sum(weights.experts),
        expert_share=arch.moe.n_experts_used / arch.moe.n_experts if arch.moe else 0.0,
        window_bytes=sum(n for layer, n in caches if layer.kind is LayerKind.SLIDING),
        window=arch.n_swa or 0,
        state_bytes=sum(recurrent_bytes(arch, settings.model_copy(update={"n_seqs": 1}))),
    )


def _copies(arch: Architecture, layer: Layer, tensor_parallel: int) -> int:
    """How often the GPUs that share a layer hold its cache."""
    kv_heads = 1 if arch.mla else layer.n_kv_heads or 1
    return kv_heads_of_rank(kv_heads, tensor_parallel) * tensor_parallel // kv_heads


def engine_group(gpu: Gpu | GpuSpec, quantization: str, n_gpus: int, *, is_linked: bool) -> Group | None:
    """GPUs like this one that share every layer; None where its bandwidth or 16-bit rate is not known.

    is_linked: by NVLink or xGMI.
    """
    flops = flops_16(gpu)
    if not gpu.bandwidth_bytes_per_s or not flops:
        return None
    arithmetic, rate = _arithmetic(quantization, gpu, flops)
    return Group(
        kind=_kind(gpu),
        bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
        flops=rate,
        flops_16=flops,
        arithmetic=arithmetic,
        n_gpus=n_gpus,
        link="nvlink" if is_linked else "pcie",
    )


def flops_16(gpu: Gpu | GpuSpec) -> int:
    """With 32-bit sums: what makers state for BF16 on NVIDIA's GPUs, and for FP16 on others; 0: not known."""
    return (gpu.bf16_flops if gpu.vendor == "nvidia" else None) or gpu.fp16_flops or 0


def _kind(gpu: Gpu | GpuSpec) -> Kind:
    if gpu.vendor == "amd":
        return "amd"
    generation = (gpu.compute_capability or "0").split(".")[0]
    return "hopper" if generation in ("9", "10") else "nvidia"


def _arithmetic(quantization: str, gpu: Gpu | GpuSpec, flops: int) -> tuple[Arithmetic, int]:
    """What weights are multiplied as, and at what rate."""
    if quantization in ("BF16", "F16"):
        return "16 bit", flops
    rate = {"FP8": gpu.fp8_flops, "INT8": gpu.int8_ops}.get(quantization)
    return ("8 bit", rate) if rate else ("4 bit", flops)


def scheduler_of(backend: Backend, gpu: Gpu, kv_tokens: int | None) -> Scheduler:
    """The engine's defaults on such a GPU, with room for so many tokens in the caches."""
    if backend == "sglang":
        return Scheduler(SGLANG_BUDGET, SGLANG_SEQS, mixes=False, kv_tokens=kv_tokens)
    name = (gpu.catalog_id or gpu.name).lower()
    is_large = gpu.vram_bytes >= LARGE_GPU_BYTES and not name.startswith(SMALL_MEMORY)
    budget, max_seqs = BUDGETS["large" if is_large else "small"]
    return Scheduler(budget, max_seqs, kv_tokens=kv_tokens)


def slowest_of(plan: EnginePlan, machine: Machine) -> Gpu:
    """The GPU that the others of a plan wait for."""
    return min((machine.gpus[i] for i in plan.gpus), key=lambda gpu: gpu.bandwidth_bytes_per_s or 0)
