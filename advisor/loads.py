"""What one decode step reads on every device: the bridge from a placement to its speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.backends.devices import threads
from advisor.caches import kv_row_bytes, kv_token_bytes, recurrent_bytes
from advisor.hardware import Gpu, Machine
from advisor.memory import Share, Split, shares
from advisor.placement import HOST_NAME
from advisor.settings import Settings
from advisor.speed import DeviceLoad
from advisor.weights import Weights

_INDEX_BLOCK: Final = 128
"""Tokens of a block that MiniMax M3's index chooses."""
_DENSE_BELOW: Final = 4096
"""Entries from which llama.cpp reads only what an index chose, where that is half of them or less
(ggml-cuda/fattn.cu as of llama-cpp-python 0.3.36, 2026-10-01)."""


class Loads:
    """The loads that a model puts on a machine's devices, split by split.

    depth: tokens already in a sequence's cache. n_params_active: parameters a token passes through, looked-up
    embeddings included.
    """

    def __init__(
        self,
        arch: Architecture,
        weights: Weights,
        settings: Settings,
        machine: Machine,
        *,
        depth: int,
        n_params_active: int,
    ) -> None:
        self._machine, self._n_layers = machine, arch.n_layers
        self._model = _Reads(arch, weights, settings, depth)
        everything = Share(first=0, stop=arch.n_layers, has_output=True)
        self._whole = self._model.on_host(everything, Split())
        self._multiplied = n_params_active - looked_up_params(arch)

    def under(self, split: Split) -> tuple[DeviceLoad, ...]:
        """The loads of the devices that do any work, GPUs first."""
        on_gpus, on_host = shares(split, self._n_layers)
        loads = [
            self._on_gpu(gpu, self._model.on_gpu(share, split))
            for gpu, share in zip(self._machine.gpus, on_gpus, strict=False)
            if share is not None
        ]
        part = self._model.on_host(on_host, split)
        if part.weight_bytes or part.kv_bytes:
            loads.append(self._on_host(part))
        return tuple(loads)

    def _on_gpu(self, gpu: Gpu, part: _Part) -> DeviceLoad:
        return DeviceLoad(
            name=gpu.name,
            kind="gpu",
            vendor=gpu.vendor,
            accelerator=gpu.accelerator,
            unified=gpu.unified,
            bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
            fp16_flops=gpu.fp16_flops,
            compute_capability=gpu.compute_capability,
            n_params_active=part.share_of(self._whole, self._multiplied),
            **part._asdict(),
        )

    def _on_host(self, part: _Part) -> DeviceLoad:
        host = self._machine.host
        return DeviceLoad(
            name=HOST_NAME,
            kind="cpu",
            unified=self._machine.unified,
            bandwidth_bytes_per_s=host.memory.bandwidth_bytes_per_s,
            measured=self._machine.is_read,
            sockets=host.cpu.sockets,
            physical_cores=threads(self._machine),
            features=host.cpu.features,
            n_params_active=part.share_of(self._whole, self._multiplied),
            **part._asdict(),
        )


def looked_up_params(arch: Architecture) -> int:
    """Parameters of the tables that a token reads one row of, and is not multiplied with."""
    embedding = 0 if arch.tied_embeddings else arch.n_vocab * arch.n_embd
    per_layer = arch.per_layer_embeddings.n_embd * arch.n_layers if arch.per_layer_embeddings else 0
    return embedding + per_layer * arch.n_vocab


class _Part(NamedTuple):
    """What one token reads of a part of the model, in `DeviceLoad`'s names."""

    weight_bytes: int
    shared_bytes: int
    expert_bytes_total: int
    kv_bytes: int
    kv_bytes_f16: int | None
    recurrent_bytes: int
    attention: tuple[tuple[int, int], ...]
    n_layers: int

    def share_of(self, whole: _Part, n_params: int) -> int:
        """The parameters among `n_params` that belong to this part, by its share of the bytes."""
        return max(0, n_params) * self.weight_bytes // max(1, whole.weight_bytes)


class _Reads:
    """Bytes that one step of one sequence reads, by part of the model."""

    def __init__(self, arch: Architecture, weights: Weights, settings: Settings, depth: int) -> None:
        self._weights, self._kv_offload = weights, settings.kv_offload
        self._active = arch.moe.n_experts_used / arch.moe.n_experts if arch.moe else 0.0
        one = settings.model_copy(update={"n_seqs": 1})
        self._states = recurrent_bytes(arch, one)
        of_kind = {layer: _cache_bytes(arch, layer, settings, depth) for layer in set(arch.layers)}
        self._caches = [of_kind[layer] for layer in arch.layers]
        self._unpacked: list[int] | None = None
        if settings.kv_type != "f16":
            plain = settings.model_copy(update={"kv_type": "f16"})
            at_f16 = {layer: _cache_bytes(arch, layer, plain, depth) for layer in set(arch.layers)}
            self._unpacked = [at_f16[layer] for layer in arch.layers]
        attention = {layer: _attention(arch, layer) for layer in set(arch.layers)}
        self._attention = [attention[layer] for layer in arch.layers]

    def on_gpu(self, share: Share, split: Split) -> _Part:
        """A GPU's layers, without the blocks that stay on the host."""
        layers = range(share.first, share.stop)
        left = sum(self._weights.ffn_bytes(i) for i in layers if i < split.n_cpu_ffn)
        cached = layers if self._kv_offload else range(0)
        return self._part(share, layers, [i for i in layers if i >= split.n_cpu_moe], cached, -left)

    def on_host(self, share: Share, split: Split) -> _Part:
        """The host's own layers, and the blocks that are kept off the GPUs."""
        n_layers = len(self._caches)
        experts = range(min(max(share.stop, split.n_cpu_moe), n_layers))
        kept = range(share.stop, min(split.n_cpu_ffn, n_layers))
        cached = range(share.stop if self._kv_offload else n_layers)
        layers = range(max(len(cached), len(experts), kept.stop))
        return self._part(share, layers, experts, cached, sum(self._weights.ffn_bytes(i) for i in kept))

    def _part(
        self, share: Share, layers: range, expert_layers: Sequence[int], cached: range, ffn_bytes: int
    ) -> _Part:
        """A share's own layers and so many bytes more, run in `layers`: experts and caches are of theirs."""
        held = sum(self._weights.expert_bytes(i) for i in expert_layers)
        common = sum(self._weights.layers[share.first : share.stop]) + ffn_bytes
        if share.has_output:
            # A tied output matrix is the token embedding, read as a whole for every token.
            common += self._weights.output_bytes + self._weights.tied_bytes
        return _Part(
            weight_bytes=common + int(held * self._active),
            shared_bytes=common,
            expert_bytes_total=held,
            kv_bytes=sum(self._caches[i] for i in cached),
            kv_bytes_f16=None if self._unpacked is None else sum(self._unpacked[i] for i in cached),
            recurrent_bytes=sum(self._states[i] for i in cached),
            attention=self._attended(cached),
            n_layers=len(layers),
        )

    def _attended(self, layers: range) -> tuple[tuple[int, int], ...]:
        """FLOPs by token attended to, and the most such tokens, of the layers' attention together."""
        flops: dict[int, int] = {}
        for i in layers:
            each, most = self._attention[i]
            flops[most] = flops.get(most, 0) + each
        return tuple((each, most) for most, each in flops.items() if each)


def _attention(arch: Architecture, layer: Layer) -> tuple[int, int]:
    """FLOPs of one layer by token attended to, and the most tokens that it attends to.

    Of sparse attention the index is small beside what it chooses, and not counted.
    """
    if not layer.kind.has_attention:
        return 0, 0
    width = layer.head_dim + layer.head_dim_v
    if arch.mla:  # llama.cpp attends to the latents themselves
        width = 2 * arch.mla.kv_lora_rank + arch.mla.qk_rope_head_dim
    most = arch.n_swa if layer.kind is LayerKind.SLIDING else arch.n_ctx_train
    if arch.indexer and (arch.mla or layer.index_dim):
        most = min(most, arch.indexer.top_k * (1 if arch.mla else _INDEX_BLOCK))
    return 2 * layer.n_heads * width, most


def _cache_bytes(arch: Architecture, layer: Layer, settings: Settings, depth: int) -> int:
    """What a token reads of one layer's cache; layers that share another's read that one's."""
    each = kv_token_bytes(arch, layer, settings.kv_type)
    index = kv_row_bytes(layer.index_dim, settings.kv_type)
    if layer.kind is LayerKind.SLIDING:
        return min(depth, arch.n_swa) * each + _summary_bytes(arch, layer, settings, depth)
    # Beside latents, a layer without an index of its own takes an earlier one's choice.
    if arch.indexer is None or not (arch.mla or layer.index_dim):
        return depth * each
    block = 1 if arch.mla else _INDEX_BLOCK
    return depth * index + _chosen(depth, arch.indexer.top_k * block) * each


def _summary_bytes(arch: Architecture, layer: Layer, settings: Settings, depth: int) -> int:
    """What a token reads of the summaries of older tokens; 0 where a layer keeps none."""
    if not layer.compress_ratio:
        return 0
    n = depth // layer.compress_ratio
    each, index = (kv_row_bytes(width, settings.kv_type) for width in (layer.head_dim, layer.index_dim))
    if arch.indexer is None or not layer.index_dim:
        return n * each
    return n * index + _chosen(n, arch.indexer.top_k) * each


def _chosen(n_entries: int, top_k: int) -> int:
    """Entries that a token reads of so many, by the kernels for CPUs and for NVIDIA's GPUs.

    Other GPUs read all of them, and mask what was not chosen.
    """
    return top_k if n_entries >= max(_DENSE_BELOW, 2 * top_k) else n_entries
