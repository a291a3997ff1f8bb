"""What one decode step reads on every device: the bridge from a placement to its speed."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.hardware import Machine
from advisor.memory import Share, Split, kv_token_bytes, shares
from advisor.model import Architecture, LayerKind
from advisor.placement import HOST_NAME
from advisor.settings import Settings
from advisor.speed import DeviceLoad
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

    depth: tokens already in a sequence's cache. n_params_active: parameters a token passes through.
    """
    on_gpus, on_host = shares(split, arch.n_layers)
    reads = _Reads(arch, weights, settings, split.n_cpu_moe, depth)
    everything = reads.layers(range(arch.n_layers)) + reads.experts(range(arch.n_layers)) + reads.output

    def share_of_params(read: int) -> int:
        return n_params_active * read // max(1, everything)

    loads = []
    for gpu, share in zip(machine.gpus, on_gpus, strict=False):
        if share is None:
            continue
        layers = range(share.first, share.stop)
        expert_layers = [i for i in layers if i >= split.n_cpu_moe]
        common = reads.layers(layers) + (reads.output if share.has_output else 0)
        active = reads.experts(expert_layers)
        loads.append(
            DeviceLoad(
                name=gpu.name,
                kind="gpu",
                vendor=gpu.vendor,
                unified=gpu.unified,
                bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
                fp16_flops=gpu.fp16_flops,
                compute_capability=gpu.compute_capability,
                weight_bytes=common + active,
                shared_bytes=common,
                expert_bytes_total=sum(weights.expert_bytes(i) for i in expert_layers),
                kv_bytes=reads.cache(layers),
                n_params_active=share_of_params(common + active),
                n_layers=len(layers),
            )
        )
    expert_layers = list(_host_expert_layers(arch, on_host, split))
    common = reads.layers(range(on_host.stop)) + (reads.output if on_host.has_output else 0)
    active = reads.experts(expert_layers)
    if common + active:
        host = machine.host
        loads.append(
            DeviceLoad(
                name=HOST_NAME,
                kind="cpu",
                unified=machine.unified,
                bandwidth_bytes_per_s=host.memory.bandwidth_bytes_per_s,
                physical_cores=host.cpu.physical_cores,
                features=host.cpu.features,
                weight_bytes=common + active,
                shared_bytes=common,
                expert_bytes_total=sum(weights.expert_bytes(i) for i in expert_layers),
                kv_bytes=reads.cache(range(on_host.stop)),
                n_params_active=share_of_params(common + active),
                n_layers=len(set(expert_layers) | set(range(on_host.stop))),
            )
        )
    return tuple(loads)


def _host_expert_layers(arch: Architecture, on_host: Share, split: Split) -> Iterator[int]:
    """Layers whose experts the host runs: its own, and those kept off the GPUs."""
    yield from range(min(max(on_host.stop, split.n_cpu_moe), arch.n_layers))


class _Reads:
    """Bytes that one step of one sequence reads, by part of the model."""

    def __init__(
        self, arch: Architecture, weights: Weights, settings: Settings, n_cpu_moe: int, depth: int
    ) -> None:
        self._arch, self._weights, self._settings, self._depth = arch, weights, settings, depth
        self._kinds = arch.layer_kinds()
        self._active = arch.moe.n_experts_used / arch.moe.n_experts if arch.moe else 0.0
        # A tied output matrix is the token embedding, read as a whole for every token.
        self.output = weights.output_bytes + weights.tied_bytes

    def layers(self, layers: range) -> int:
        """Weights that every token of every sequence uses."""
        return sum(self._weights.layers[layers.start : layers.stop])

    def experts(self, layers: range | list[int]) -> int:
        """The experts that one token is routed to."""
        return int(sum(self._weights.expert_bytes(i) for i in layers) * self._active)

    def cache(self, layers: range) -> int:
        """Keys, values and states of one sequence at the depth asked for."""
        return sum(self._layer_cache(i) for i in layers)

    def _layer_cache(self, layer: int) -> int:
        arch, kind = self._arch, self._kinds[layer]
        if arch.is_encoder or kind is LayerKind.RECURRENT:
            return 0  # a recurrent state is a few MB a layer, small beside the layer's weights
        tokens = min(self._depth, arch.n_swa) if kind is LayerKind.SLIDING else self._depth
        return tokens * kv_token_bytes(arch, kind, self._settings.kv_type)
