"""What one decode step reads on every device: the bridge from a placement to its speed."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.architecture import Architecture, Layer, LayerKind
from advisor.backends.devices import threads
from advisor.hardware import Machine
from advisor.memory import Share, Split, kv_token_bytes, recurrent_bytes, shares
from advisor.placement import HOST_NAME
from advisor.settings import Settings
from advisor.speed import DeviceLoad
from advisor.value import Value
from advisor.weights import Weights


def device_loads(
    arch: Architecture,
    weights: Weights,
    settings: Settings,
    split: Split,
    machine: Machine,
    *,
    depth: int,
    n_params_active: int,
) -> tuple[DeviceLoad, ...]:
    """The loads of the devices that do any work, GPUs first.

    depth: tokens already in a sequence's cache. n_params_active: parameters a token passes through, looked-up
    embeddings included.
    """
    on_gpus, on_host = shares(split, arch.n_layers)
    model = _Reads(arch, weights, settings, depth)
    everything = model.part(Share(first=0, stop=arch.n_layers, has_output=True), range(arch.n_layers))
    multiplied = n_params_active - looked_up_params(arch)
    loads = []
    for gpu, share in zip(machine.gpus, on_gpus, strict=False):
        if share is None:
            continue
        part = model.part(share, [i for i in range(share.first, share.stop) if i >= split.n_cpu_moe])
        loads.append(
            DeviceLoad(
                name=gpu.name,
                kind="gpu",
                vendor=gpu.vendor,
                unified=gpu.unified,
                bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
                fp16_flops=gpu.fp16_flops,
                compute_capability=gpu.compute_capability,
                n_params_active=part.share_of(everything, multiplied),
                **part.model_dump(),
            )
        )
    part = model.part(on_host, list(_host_expert_layers(arch, on_host, split)))
    if part.weight_bytes:
        host = machine.host
        loads.append(
            DeviceLoad(
                name=HOST_NAME,
                kind="cpu",
                unified=machine.unified,
                bandwidth_bytes_per_s=host.memory.bandwidth_bytes_per_s,
                physical_cores=threads(machine),
                features=host.cpu.features,
                n_params_active=part.share_of(everything, multiplied),
                **part.model_dump(),
            )
        )
    return tuple(loads)


def looked_up_params(arch: Architecture) -> int:
    """Parameters of the tables that a token reads one row of, and is not multiplied with."""
    embedding = 0 if arch.tied_embeddings else arch.n_vocab * arch.n_embd
    per_layer = arch.per_layer_embeddings.n_embd * arch.n_layers if arch.per_layer_embeddings else 0
    return embedding + per_layer * arch.n_vocab


def _host_expert_layers(arch: Architecture, on_host: Share, split: Split) -> Iterator[int]:
    """Layers whose experts the host runs: its own, and those kept off the GPUs."""
    yield from range(min(max(on_host.stop, split.n_cpu_moe), arch.n_layers))


class _Part(Value):
    """What one token reads of a part of the model, in `DeviceLoad`'s names."""

    weight_bytes: int
    shared_bytes: int
    expert_bytes_total: int
    kv_bytes: int
    recurrent_bytes: int
    n_layers: int

    def share_of(self, whole: _Part, n_params: int) -> int:
        """The parameters among `n_params` that belong to this part, by its share of the bytes."""
        return max(0, n_params) * self.weight_bytes // max(1, whole.weight_bytes)


class _Reads:
    """Bytes that one step of one sequence reads, by part of the model."""

    def __init__(self, arch: Architecture, weights: Weights, settings: Settings, depth: int) -> None:
        self._weights = weights
        self._active = arch.moe.n_experts_used / arch.moe.n_experts if arch.moe else 0.0
        one = settings.model_copy(update={"n_seqs": 1})
        self._states = recurrent_bytes(arch, one)
        self._caches = [_cache_bytes(arch, layer, settings, depth) for layer in arch.layers]

    def part(self, share: Share, expert_layers: range | list[int]) -> _Part:
        """A share's own layers, and the experts of `expert_layers`."""
        held = sum(self._weights.expert_bytes(i) for i in expert_layers)
        common = sum(self._weights.layers[share.first : share.stop])
        if share.has_output:
            # A tied output matrix is the token embedding, read as a whole for every token.
            common += self._weights.output_bytes + self._weights.tied_bytes
        return _Part(
            weight_bytes=common + int(held * self._active),
            shared_bytes=common,
            expert_bytes_total=held,
            kv_bytes=sum(self._caches[share.first : share.stop]),
            recurrent_bytes=sum(self._states[share.first : share.stop]),
            n_layers=len({*range(share.first, share.stop), *expert_layers}),
        )


def _cache_bytes(arch: Architecture, layer: Layer, settings: Settings, depth: int) -> int:
    """What a token reads of one layer's cache; layers that share another's read that one's."""
    tokens = min(depth, arch.n_swa) if layer.kind is LayerKind.SLIDING else depth
    return tokens * kv_token_bytes(arch, layer, settings.kv_type)
