"""What llama.cpp allocates for a model, by rule: caches, states, graphs and outputs, device by device.

Formulas: llama.cpp as of llama-cpp-python 0.3.36 (2026-10-01), measured on 1,130 planned contexts of 16
models. Weights, caches, states and outputs are exact; a compute buffer is the peak of a graph allocator and
is given by the largest of the phases below, which is exact for most dense models and close for the others.
"""

from __future__ import annotations

from typing import Final

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.settings import Settings
from advisor.units import MIB, pad
from advisor.usecase import KvType
from advisor.value import Value
from advisor.weights import Weights

KV_BLOCKS: Final[dict[KvType, tuple[int, int]]] = {
    "f16": (1, 2),
    "q8_0": (32, 34),
    "q4_0": (32, 18),
    "fp8": (1, 1),
}
"""(values, bytes) of a block of the cache."""

F32: Final = 4
"""Activations and recurrent states are always F32."""

GPU_OVERHEAD_BYTES: Final = 512 * MIB
"""A discrete GPU's context, its math library's workspace and the pool of dequantized activations, all outside
the buffers below. llama.cpp's own fit leaves 1024 MiB a device for it (common/fit.cpp): half is taken as
the expected cost, half as margin."""
GPU_MARGIN_BYTES: Final = 512 * MIB
HOST_OVERHEAD_BYTES: Final = 28 * MIB
"""Anonymous memory of the process beside the buffers: 25 MiB of libraries, 3 MiB a context (measured)."""


PIPELINE_COPIES: Final = 4
"""llama.cpp keeps so many copies of a split's inputs once it runs several GPUs as a pipeline."""


class Buffers(Value):
    """What llama.cpp allocates in one kind of memory."""

    weights_bytes: int = 0
    kv_cache_bytes: int = 0
    recurrent_bytes: int = 0
    compute_bytes: int = 0
    output_bytes: int = 0


class Split(Value):
    """Which layers stand where: the host takes the first ones, the GPUs the rest in their order."""

    gpu_layers: tuple[int, ...] = ()
    """Layers on every GPU; the last GPU that has any also holds the output layer, which counts as one."""
    n_cpu_moe: int = 0
    """Leading layers whose routed experts stay in host memory."""

    @property
    def n_gpu_layers(self) -> int:
        """llama.cpp's `-ngl`."""
        return sum(self.gpu_layers)


def kv_row_bytes(width: int, kv_type: KvType) -> int:
    """Bytes of one token's K (or V) of `width` values in one layer."""
    values, size = KV_BLOCKS[kv_type]
    return -(-width // values) * size


def kv_token_bytes(arch: Architecture, layer: Layer, kv_type: KvType) -> int:
    """Bytes of one token's keys and values in the cache that a layer reads; 0 without attention."""
    if arch.is_encoder or not layer.kind.has_attention:
        return 0
    if arch.mla:  # the latent alone; V is rebuilt from it
        return kv_row_bytes(arch.mla.kv_lora_rank + arch.mla.qk_rope_head_dim, kv_type)
    widths = (layer.n_kv_heads * layer.head_dim, layer.n_kv_heads * layer.head_dim_v)
    return sum(kv_row_bytes(width, kv_type) for width in widths)


def kv_cache_bytes(arch: Architecture, settings: Settings) -> tuple[int, ...]:
    """The cache of every layer, all sequences together."""
    full, sliding = settings.n_cells, settings.n_cells_swa(arch.n_swa)
    return tuple(
        kv_token_bytes(arch, layer, settings.kv_type)
        * (sliding if layer.kind is LayerKind.SLIDING else full)
        * settings.n_streams
        if layer.owns_cache
        else 0
        for layer in arch.layers
    )


def recurrent_bytes(arch: Architecture, settings: Settings) -> tuple[int, ...]:
    """The recurrent state of every layer, all sequences together; neither context nor KV type matters."""
    r = arch.recurrent
    if r is None:
        return (0,) * arch.n_layers
    if r.kind == "short_conv":
        values = arch.n_embd * (r.d_conv - 1)
    else:
        values = (r.d_conv - 1) * (r.d_inner + 2 * r.n_groups * r.d_state) + r.d_state * r.d_inner
    state = F32 * settings.n_seqs * values
    return tuple(state if layer.kind.has_state else 0 for layer in arch.layers)


def output_bytes(arch: Architecture, settings: Settings) -> int:
    """The buffer that results are copied to, always in host memory."""
    width = arch.n_vocab + (arch.n_embd if settings.embeddings else 0)
    return F32 * settings.n_seqs * width


class Graph(Value):
    """The phases whose largest is a compute buffer, for one model under one setting."""

    mask: int
    """Attention masks, one a kind of cache."""
    inputs: int
    n_ubatch: int
    n_outputs: int
    n_embd: int
    n_vocab: int
    q: int
    """Width of the query that lives on beside the feed-forward block."""
    ff: int
    """Values alive in the widest feed-forward block: gate, up and their product, of every expert used."""
    state: int
    """Values alive in a recurrent layer: the convolution's input, output and its parts."""
    n_experts_used: int
    kv_width: int
    scores: int
    """Attention scores, which only exist without flash attention."""

    @property
    def logits(self) -> int:
        """Logits and the two rows of width n_embd they are made from, on one kind of memory."""
        return F32 * self.n_outputs * (self.n_vocab + 2 * self.n_embd + 1)

    def _row(self, width: int) -> int:
        return F32 * self.n_ubatch * width

    @property
    def layers_on_host(self) -> int:
        """The host's part when it runs some of the layers."""
        return max(self._feed_forward(3) + self.inputs, self._attention(3))

    @property
    def whole(self) -> int:
        """Everything in one kind of memory."""
        return max(self.logits, self.layers_on_host)

    def device(self, *, has_output: bool) -> int:
        """A GPU's part where GPUs do not form a pipeline."""
        return max(self._device_logits(has_output), self._feed_forward(2), self._attention(2))

    def pipeline_device(self, *, is_first: bool, has_output: bool) -> int:
        """A GPU's part of a pipeline: masks and activations that cross a split are kept in several copies."""
        crossing = self._row(self.n_embd) * (1 if is_first else 2) + self.mask
        work = max(
            self._device_logits(has_output), max(self._feed_forward(2), self._attention(2)) - self.mask
        )
        return work + PIPELINE_COPIES * crossing

    def _device_logits(self, has_output: bool) -> int:
        return F32 * self.n_outputs * (self.n_vocab + self.n_embd) if has_output else 0

    @property
    def host_of_offload(self) -> int:
        """The host's part when every layer is on a GPU: embeddings looked up, masks and inputs."""
        return 2 * self._row(self.n_embd) + self.mask + self.inputs

    @property
    def host_of_pipeline(self) -> int:
        """The same when the GPUs form a pipeline."""
        return PIPELINE_COPIES * (self._row(self.n_embd) + self.mask) + self._row(self.n_embd)

    def _feed_forward(self, rows: int) -> int:
        """The widest moment of a feed-forward block; `rows` of width n_embd stay alive beside it."""
        width = self.ff + rows * self.n_embd + self.q
        if self.n_experts_used:
            width = max(width, (2 * self.n_experts_used + 1 + rows) * self.n_embd + self.q)
        return max(self.mask + self._row(width), self._row(self.state))

    def _attention(self, rows: int) -> int:
        if not self.scores:
            return 0
        return self.scores + self.mask + self._row(rows * self.n_embd + 2 * self.q + 2 * self.kv_width)


_QUERY_FREED: Final = frozenset({"phi3", "nomic-bert", "bert", "qwen35", "qwen35moe", "qwen3next"})
"""Families whose query is not alive beside the feed-forward block."""
_GATED: Final = 3
"""A gated feed-forward block holds gate, up and their product at once; a plain one holds one of them."""


def graph_of(arch: Architecture, settings: Settings) -> Graph:
    """The sizes that a compute buffer is made of."""
    n_ub = settings.n_ubatch_used
    pattern = set(arch.layer_kinds())
    cells = [n_ub] if arch.is_encoder else []
    if not arch.is_encoder and pattern & {LayerKind.FULL, LayerKind.PARALLEL}:
        cells.append(settings.n_cells)
    if not arch.is_encoder and LayerKind.SLIDING in pattern:
        cells.append(settings.n_cells_swa(arch.n_swa))
    wide = max(arch.layers, key=lambda layer: layer.n_heads * layer.head_dim)
    q, kv_width = wide.n_heads * wide.head_dim, wide.n_kv_heads * wide.head_dim
    if arch.mla:
        kv_width = arch.mla.kv_lora_rank + arch.mla.qk_rope_head_dim
        q = arch.n_heads * kv_width
    ff = max(layer.n_ff for layer in arch.layers)
    if arch.moe:
        ff = max(ff, arch.moe.n_experts_used * arch.moe.n_ff)
    r = arch.recurrent
    state = 4 * (r.d_inner + 2 * r.n_groups * r.d_state) + arch.n_embd if r and r.kind == "delta_net" else 0
    per_layer = arch.per_layer_embeddings.n_embd * arch.n_layers if arch.per_layer_embeddings else 0
    return Graph(
        mask=(2 if settings.flash_attn else F32) * sum(cells) * n_ub,
        inputs=n_ub * (8 + 16 * len(cells)) + pad(F32 * settings.n_outputs, 32),
        n_ubatch=n_ub,
        n_outputs=0 if arch.is_encoder else settings.n_outputs,  # encoders pool instead of predicting
        n_embd=arch.n_embd,
        n_vocab=arch.n_vocab,
        q=0 if arch.family in _QUERY_FREED else q,
        ff=ff * (1 if arch.family == "bert" else _GATED) + per_layer,
        state=state,
        n_experts_used=arch.moe.n_experts_used if arch.moe else 0,
        kv_width=kv_width * len(cells),
        scores=0 if settings.flash_attn else F32 * arch.n_heads * max(cells, default=0) * n_ub,
    )


class Share(Value):
    """The part of a model that one GPU, or the host, holds."""

    first: int
    stop: int
    """Layers first … stop - 1."""
    has_output: bool
    """Holds the final norm and the output matrix too."""


def shares(split: Split, n_layers: int) -> tuple[tuple[Share | None, ...], Share]:
    """What every GPU holds (None for one that stays empty), and what is left to the host.

    A split longer than the model is cut at its front: the output layer and the last layers go first.
    """
    offloaded = min(split.n_gpu_layers, n_layers + 1)
    at = n_layers + 1 - offloaded
    host = Share(first=0, stop=min(at, n_layers), has_output=offloaded == 0)
    gpus: list[Share | None] = []
    for n in split.gpu_layers:
        stop = min(at + n, n_layers + 1)
        gpus.append(
            Share(first=at, stop=min(stop, n_layers), has_output=stop > n_layers) if stop > at else None
        )
        at = stop
    return tuple(gpus), host


class Footprint(Value):
    """Everything about a model under one setting that does not depend on where its layers go."""

    weights: Weights
    kv_cache_bytes: tuple[int, ...]
    """Every layer's."""
    recurrent_bytes: tuple[int, ...]
    graph: Graph
    output_bytes: int

    @property
    def n_layers(self) -> int:
        return len(self.kv_cache_bytes)

    @property
    def has_experts(self) -> bool:
        return bool(self.weights.experts)

    def layer_bytes(self, layer: int, n_cpu_moe: int) -> int:
        """What moves to a GPU with one layer; n_layers is the output layer."""
        if layer == self.n_layers:
            return self.weights.output_bytes + self.weights.tied_bytes
        experts = self.weights.expert_bytes(layer) if layer >= n_cpu_moe else 0
        cache = self.kv_cache_bytes[layer] + self.recurrent_bytes[layer]
        return self.weights.layers[layer] + experts + cache


def footprint_of(arch: Architecture, weights: Weights, settings: Settings) -> Footprint:
    """What a model needs under one setting."""
    return Footprint(
        weights=weights,
        kv_cache_bytes=kv_cache_bytes(arch, settings),
        recurrent_bytes=recurrent_bytes(arch, settings),
        graph=graph_of(arch, settings),
        output_bytes=output_bytes(arch, settings),
    )


def allocate(footprint: Footprint, split: Split) -> tuple[tuple[Buffers, ...], Buffers]:
    """The buffers on every GPU of the split, and on the host."""
    on_gpus, on_host = shares(split, footprint.n_layers)
    weights, graph = footprint.weights, footprint.graph
    used = [share for share in on_gpus if share]
    offloaded = bool(used) and on_host.stop == 0 and not split.n_cpu_moe
    is_pipeline = offloaded and len(used) > 1

    def buffers(share: Share, weights_bytes: int, compute: int, output: int = 0) -> Buffers:
        return Buffers(
            weights_bytes=weights_bytes,
            kv_cache_bytes=sum(footprint.kv_cache_bytes[share.first : share.stop]),
            recurrent_bytes=sum(footprint.recurrent_bytes[share.first : share.stop]),
            compute_bytes=compute,
            output_bytes=output,
        )

    gpus = tuple(
        buffers(
            share,
            _gpu_weights(weights, split, share),
            graph.pipeline_device(is_first=share.first == 0, has_output=share.has_output)
            if is_pipeline
            else graph.device(has_output=share.has_output),
        )
        if share
        else Buffers()
        for share in on_gpus
    )
    if not used:
        compute = graph.whole
    elif is_pipeline:
        compute = graph.host_of_pipeline
    elif offloaded:
        compute = graph.host_of_offload
    else:
        compute = max(graph.host_of_offload, graph.layers_on_host)
    host_weights = _host_weights(weights, split, on_host, footprint.n_layers)
    return gpus, buffers(on_host, host_weights, compute, footprint.output_bytes)


def _gpu_weights(weights: Weights, split: Split, share: Share) -> int:
    layers = range(share.first, share.stop)
    size = sum(weights.layers[share.first : share.stop])
    size += sum(weights.expert_bytes(i) for i in layers if i >= split.n_cpu_moe)
    size += weights.rope_bytes if layers else 0
    return size + (weights.output_bytes + weights.tied_bytes if share.has_output else 0)


def _host_weights(weights: Weights, split: Split, share: Share, n_layers: int) -> int:
    """Input tables, the leading layers, and the experts that are kept off the GPUs."""
    size = weights.input_bytes + sum(weights.layers[: share.stop])
    size += sum(weights.expert_bytes(i) for i in range(min(max(share.stop, split.n_cpu_moe), n_layers)))
    size += weights.rope_bytes if share.stop else 0
    return size + (weights.output_bytes if share.has_output else 0)
