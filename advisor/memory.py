"""What llama.cpp allocates for a model, by rule: caches, states, graphs and outputs, device by device.

After llama.cpp as of llama-cpp-python 0.3.36 (2026-10-01). Weights, caches, states and outputs are sums; a
compute buffer is the peak of a graph allocator, which `advisor.graphs` simulates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from types import MappingProxyType
from typing import Final, NamedTuple

from advisor.architecture import Architecture
from advisor.caches import kv_cache_bytes, output_bytes, recurrent_bytes
from advisor.graphs import Compute, Layout, Place, cache_owners
from advisor.settings import Settings
from advisor.units import MIB
from advisor.value import Value
from advisor.weights import Weights

GPU_OVERHEAD_BYTES: Final = 512 * MIB
"""A discrete GPU's context, its math library's workspace and the pool of dequantized activations, all outside
the buffers below. llama.cpp's own fit leaves 1024 MiB a device for it (common/fit.cpp): half is taken as
the expected cost, half as margin."""
GPU_MARGIN_BYTES: Final = 512 * MIB
HOST_OVERHEAD_BYTES: Final = 28 * MIB
"""Anonymous memory of the process beside the buffers: 25 MiB of libraries, 3 MiB a context (measured)."""


class Buffers(NamedTuple):
    """What llama.cpp allocates in one kind of memory."""

    weights_bytes: int = 0
    kv_cache_bytes: int = 0
    recurrent_bytes: int = 0
    compute_bytes: int = 0
    output_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return sum(self)


class Split(Value):
    """Which layers stand where: the host takes the first ones, the GPUs the rest in their order."""

    gpu_layers: tuple[int, ...] = ()
    """Layers on every GPU; the last GPU that has any also holds the output layer, which counts as one."""
    n_cpu_moe: int = 0
    """Leading layers whose routed experts stay in host memory."""
    n_cpu_ffn: int = 0
    """Leading layers whose ordinary feed-forward block stays in host memory."""

    @property
    def n_gpu_layers(self) -> int:
        """Layers on GPUs, the output layer counted."""
        return sum(self.gpu_layers)

    @property
    def has_overrides(self) -> bool:
        """Whether parts of layers stay behind on the host: llama.cpp then runs no pipeline."""
        return self.n_cpu_moe > 0 or self.n_cpu_ffn > 0

    def is_pipeline(self, n_layers: int) -> bool:
        """Whether llama.cpp runs the GPUs as a pipeline, where the caches are on them too."""
        whole = self.n_gpu_layers > n_layers and not self.has_overrides
        return whole and sum(1 for n in self.gpu_layers if n) > 1


class Share(NamedTuple):
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
    graph: Compute
    output_bytes: int
    kv_offload: bool = True
    """Caches and states follow their layers; False: all of them stay in host memory."""
    n_mtp_layers: int = 0
    """Multi-token-prediction blocks, which are not loaded but which llama.cpp counts among the layers."""

    @property
    def n_layers(self) -> int:
        return len(self.kv_cache_bytes)

    @property
    def has_experts(self) -> bool:
        return bool(self.weights.experts)

    @property
    def has_dense_ffn(self) -> bool:
        return bool(self.weights.ffn)

    def layer_sizes(self, n_cpu_moe: int = 0, n_cpu_ffn: int = 0) -> list[int]:
        """What moves to a GPU with each layer, the output layer last."""
        weights = self.weights
        sizes = [*weights.layers, weights.output_bytes + weights.tied_bytes]
        for i, size in enumerate(weights.experts[n_cpu_moe:], n_cpu_moe):
            sizes[i] += size
        for i, size in enumerate(weights.ffn[:n_cpu_ffn]):
            sizes[i] -= size
        if self.kv_offload:
            states = zip(self.kv_cache_bytes, self.recurrent_bytes, strict=True)
            for i, (cache, state) in enumerate(states):
                sizes[i] += cache + state
        return sizes

    def moved_bytes(self, first: int, n_cpu_moe: int = 0, n_cpu_ffn: int = 0) -> int:
        """The sum of `layer_sizes` from a layer on."""
        own, experts, ffn = self._from_layer
        moved = own[first] + experts[min(max(first, n_cpu_moe), self.n_layers)]
        return moved - (ffn[first] - ffn[n_cpu_ffn] if n_cpu_ffn > first else 0)

    @cached_property
    def _from_layer(self) -> tuple[list[int], list[int], list[int]]:
        """Bytes of the layers from each on: their own with caches and output, experts, feed-forward."""
        n, weights = self.n_layers, self.weights
        own = list(weights.layers)
        if self.kv_offload:
            own = [sum(sizes) for sizes in zip(own, self.kv_cache_bytes, self.recurrent_bytes, strict=True)]
        own.append(weights.output_bytes + weights.tied_bytes)
        return _from_each(own), _from_each(weights.experts or (0,) * n), _from_each(weights.ffn or (0,) * n)

    def with_weights(self, weights: Weights) -> Footprint:
        """The same model in another quantization."""
        own = {name: getattr(self, name) for name in type(self).model_fields}  # a copy would keep the sums
        return Footprint(**own | {"weights": weights})


def _from_each(sizes: Sequence[int]) -> list[int]:
    """The sums of the sizes from each on, and 0 behind the last."""
    return [*accumulate(reversed(sizes), initial=0)][::-1]


def footprint_of(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    compiled: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> Footprint:
    """What a model needs under one setting; `compiled` are compute buffers that are known already."""
    return Footprint(
        weights=weights,
        kv_cache_bytes=kv_cache_bytes(arch, settings),
        recurrent_bytes=recurrent_bytes(arch, settings),
        graph=Compute(arch=arch, settings=settings, compiled=compiled),
        output_bytes=output_bytes(arch, settings),
        kv_offload=settings.kv_offload,
        n_mtp_layers=arch.n_mtp_layers,
    )


def allocate(footprint: Footprint, split: Split) -> tuple[tuple[Buffers, ...], Buffers]:
    """The buffers on every GPU of the split, and on the host."""
    gpus, host = held(footprint, split)
    layout = layout_of(footprint.graph.arch, split, kv_offload=footprint.kv_offload)
    *on_each, on_host = footprint.graph.on(layout)
    computes = iter(on_each)
    on_gpus = shares(split, footprint.n_layers)[0]
    return tuple(
        part._replace(compute_bytes=next(computes)) if share else part
        for part, share in zip(gpus, on_gpus, strict=True)
    ), host._replace(compute_bytes=on_host)


def held(footprint: Footprint, split: Split) -> tuple[tuple[Buffers, ...], Buffers]:
    """The same without the compute buffers, which take long to find out."""
    on_gpus, on_host = shares(split, footprint.n_layers)
    weights = footprint.weights

    def buffers(share: Share, weights_bytes: int, output: int = 0) -> Buffers:
        cached = slice(share.first, share.stop)
        if not footprint.kv_offload:
            cached = slice(0, footprint.n_layers if share is on_host else 0)
        return Buffers(
            weights_bytes=weights_bytes,
            kv_cache_bytes=sum(footprint.kv_cache_bytes[cached]),
            recurrent_bytes=sum(footprint.recurrent_bytes[cached]),
            output_bytes=output,
        )

    gpus = tuple(
        buffers(share, _gpu_weights(weights, split, share)) if share else Buffers() for share in on_gpus
    )
    host_weights = _host_weights(weights, split, on_host, footprint.n_layers)
    return gpus, buffers(on_host, host_weights, footprint.output_bytes)


@lru_cache(maxsize=4096)
def layout_of(arch: Architecture, split: Split, *, kv_offload: bool = True) -> Layout:
    """Where the graph runs; only GPUs that hold something count."""
    used = [share for share in shares(split, arch.n_layers)[0] if share]
    host = len(used)
    devices = [host] * arch.n_layers
    for gpu, share in enumerate(used):
        devices[share.first : share.stop] = [gpu] * (share.stop - share.first)
    owners = cache_owners(arch.layers)
    places = tuple(
        Place(
            layer=device,
            experts=host if i < split.n_cpu_moe else device,
            ffn=host if i < split.n_cpu_ffn else device,
            cache=devices[owners[i]] if kv_offload else host,
        )
        for i, device in enumerate(devices)
    )
    offloaded = host not in devices and not split.has_overrides and kv_offload
    output = host - 1 if host else host
    return Layout(host, places, output, pipeline=offloaded and len(used) > 1)


def _gpu_weights(weights: Weights, split: Split, share: Share) -> int:
    layers = range(share.first, share.stop)
    size = sum(weights.layers[share.first : share.stop])
    size += sum(weights.expert_bytes(i) for i in layers if i >= split.n_cpu_moe)
    size -= sum(weights.ffn_bytes(i) for i in layers if i < split.n_cpu_ffn)
    size += weights.rope_bytes if layers else 0
    return size + (weights.output_bytes + weights.tied_bytes if share.has_output else 0)


def _host_weights(weights: Weights, split: Split, share: Share, n_layers: int) -> int:
    """Input tables, the leading layers, and the blocks that are kept off the GPUs."""
    size = weights.input_bytes + sum(weights.layers[: share.stop])
    size += sum(weights.expert_bytes(i) for i in range(min(max(share.stop, split.n_cpu_moe), n_layers)))
    size += sum(weights.ffn_bytes(i) for i in range(share.stop, min(split.n_cpu_ffn, n_layers)))
    size += weights.rope_bytes if share.stop else 0
    return size + (weights.output_bytes if share.has_output else 0)
