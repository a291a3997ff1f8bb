"""From llama.cpp's report of its buffers to memory by device and kind, as an estimate is divided."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from advisor.llama_log import LOG_ROUNDING_BYTES, is_host, is_mapped
from advisor.measurements import (
    USE_PARTS,
    Buffer,
    BufferReport,
    DeviceUse,
    LogBuffer,
    LogKind,
    MemoryUse,
)

HOST_NAME: Final = "CPU"


def measured_memory(report: BufferReport, planned: tuple[Buffer, ...] = ()) -> MemoryUse:
    """Memory by device; exact where the library's breakdown agrees with its own log.

    planned: the buffers of the same run in llama.cpp's planning mode. They tell how much of a mapped file is
    really used from there: a mapping spans from the first to the last tensor, whatever lies between.
    """
    exact = agrees(report.exact, report.logged)
    buffers = report.exact if exact else _from_log(report.logged)
    mapped = sum(buffer.weights_bytes for buffer in buffers if is_mapped(buffer.name))
    names = list(dict.fromkeys(_device(buffer) for buffer in buffers))
    ordered = [*(name for name in names if name != HOST_NAME), HOST_NAME]
    several = sum(1 for name in names if _context(buffers, name)) > 1
    devices = []
    for name in ordered:
        kv, recurrent = _split_context(report, name, _context(buffers, name), several=several)
        devices.append(
            DeviceUse(
                name=name,
                kind="cpu" if name == HOST_NAME else "gpu",
                weights_bytes=_weights(buffers, planned, name, report.model_bytes),
                kv_cache_bytes=kv,
                recurrent_bytes=recurrent,
                compute_bytes=sum(b.compute_bytes for b in buffers if _device(b) == name),
                output_bytes=_output(report) if name == HOST_NAME else 0,
            )
        )
    sums = {part: sum(getattr(device, part) for device in devices) for part in USE_PARTS}
    return MemoryUse(
        devices=tuple(devices),
        **sums,
        total_bytes=sum(sums.values()),
        mapped_bytes=mapped,
        source="breakdown" if exact else "log",
    )


def own_host_bytes(planned: Iterable[Buffer]) -> int:
    """Host memory that the process will own and no file backs: what must be free before it starts.

    Planning does not map the file, so plain "CPU" weights are the ones that will be file pages.
    """
    return sum(
        buffer.context_bytes
        + buffer.compute_bytes
        + (0 if buffer.name == HOST_NAME else buffer.weights_bytes)
        for buffer in planned
        if buffer.host
    )


def agrees(exact: tuple[Buffer, ...], logged: tuple[LogBuffer, ...]) -> bool:
    """Whether every logged weight and cache is in the breakdown, to the log's last decimal."""
    if not exact or not logged:
        return False
    by_name = {buffer.name: buffer for buffer in exact}
    for name in {line.name for line in logged if line.kind != "output"}:
        buffer = by_name.get(name)
        if buffer is None:
            return False
        lines = [line for line in logged if line.name == name]
        pairs = (
            (buffer.weights_bytes, _total(lines, "model")),
            (buffer.context_bytes, _total(lines, "KV", "RS")),
        )
        allowed = LOG_ROUNDING_BYTES * len(lines) * 2  # two caches of a kind are two roundings
        if any(abs(size - said) > allowed for size, said in pairs):
            return False
    return True


def _from_log(logged: tuple[LogBuffer, ...]) -> tuple[Buffer, ...]:
    names = dict.fromkeys(line.name for line in logged if line.kind != "output")
    return tuple(_named(name, [line for line in logged if line.name == name]) for name in names)


def _named(name: str, lines: list[LogBuffer]) -> Buffer:
    return Buffer(
        name=name,
        device=HOST_NAME if is_host(name) else name.removesuffix("_Mapped"),
        host=is_host(name),
        weights_bytes=_total(lines, "model"),
        context_bytes=_total(lines, "KV", "RS"),
        compute_bytes=_total(lines, "compute"),
    )


def _device(buffer: Buffer) -> str:
    return HOST_NAME if buffer.host else buffer.device


def _context(buffers: Iterable[Buffer], device: str) -> int:
    return sum(buffer.context_bytes for buffer in buffers if _device(buffer) == device)


def _total(lines: Iterable[LogBuffer], *kinds: LogKind) -> int:
    return sum(line.bytes for line in lines if line.kind in kinds)


def _weights(buffers: tuple[Buffer, ...], planned: tuple[Buffer, ...], device: str, model_bytes: int) -> int:
    """Tensors that the device computes with, each counted where it is read from."""
    own = [buffer for buffer in buffers if _device(buffer) == device]
    copied = sum(buffer.weights_bytes for buffer in own if not is_mapped(buffer.name))
    in_file = [buffer for buffer in own if is_mapped(buffer.name)]
    if not in_file:
        return copied
    plain = {buffer.name.removesuffix("_Mapped") for buffer in in_file}
    used = sum(buffer.weights_bytes for buffer in planned if buffer.name in plain)
    if planned:
        return copied + used
    elsewhere = sum(buffer.weights_bytes for buffer in buffers if not is_mapped(buffer.name))
    return copied + min(sum(b.weights_bytes for b in in_file), max(0, model_bytes - elsewhere))


def _split_context(report: BufferReport, device: str, context: int, *, several: bool) -> tuple[int, int]:
    """(KV cache, recurrent state) of a device whose context is known."""
    own = [line for line in report.logged if _device(_named(line.name, [])) == device]
    kv, recurrent = _total(own, "KV"), _total(own, "RS")
    if not recurrent:
        return context, 0
    if not kv:
        return 0, context
    exact = kv if several or report.kv_cache_bytes is None else report.kv_cache_bytes
    return exact, context - exact


def _output(report: BufferReport) -> int:
    return report.output_bytes or _total(report.logged, "output")
