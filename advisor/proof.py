"""llama.cpp's own plan held against the rules: what it proves, and by how much the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from advisor.assessment import DeviceMemory, MemoryEstimate
from advisor.i18n import N_, _
from advisor.llama_log import LOG_ROUNDING_BYTES
from advisor.measurements import USE_PARTS, Buffer, BufferReport
from advisor.memory import Footprint, Split, allocate
from advisor.placement import HOST_NAME
from advisor.units import MIB, format_bytes

NOTABLE_BYTES: Final = MIB // 20
"""A difference that a table with one decimal of a MiB would show."""

_WORDS: Final = {
    "weights_bytes": N_("weights"),
    "kv_cache_bytes": N_("cache"),
    "recurrent_bytes": N_("state"),
    "compute_bytes": N_("compute"),
    "output_bytes": N_("outputs"),
}


class Proof(NamedTuple):
    """Memory, by llama.cpp's own plan where `MemoryEstimate.proven_by` names it."""

    memory: MemoryEstimate
    notes: tuple[str, ...] = ()
    """Differences from the rules, or why nothing was proven."""


Prove = Callable[[Footprint, Split, MemoryEstimate], Proof]
"""Holds a placement, estimated by rule, against llama.cpp."""


def by_rule(footprint: Footprint, split: Split, memory: MemoryEstimate) -> Proof:
    """The estimate as it is: nobody was asked."""
    return Proof(memory)


def in_ram(footprint: Footprint, memory: MemoryEstimate) -> MemoryEstimate:
    """By rule, the same model and context without any GPU."""
    host = allocate(footprint, Split())[1]
    row = DeviceMemory(name=HOST_NAME, kind="cpu", **{part: getattr(host, part) for part in USE_PARTS})
    return MemoryEstimate.of((row,), memory.source)


def proven(
    memory: MemoryEstimate,
    report: BufferReport,
    gpu_names: Sequence[str],
    *,
    by: str,
    tied_bytes: int,
    grown: bool,
) -> Proof | None:
    """The estimate with llama.cpp's bytes in the place of ours; None where the report cannot tell them.

    gpu_names: ggml's names of the estimate's GPUs, in its order. by: who planned. tied_bytes: an embedding
    that serves as output matrix too. grown: the weights are those of a published file that is larger than
    the one that was planned with.
    """
    exact = _holds(report)
    if not exact and any(row.kind == "gpu" and row.weights_bytes for row in memory.devices):
        return None
    buffers = report.exact if exact else (_published(report, memory.devices[-1]),)
    rows = [
        _row(row, [b for b in buffers if _device(b) == name], report, tied_bytes, grown=grown)
        for row, name in zip(memory.devices, (*gpu_names, HOST_NAME), strict=True)
    ]
    by = by if exact else _("{by}, to 0.01 MiB").format(by=by)
    planned = MemoryEstimate.of(rows, "probe").model_copy(update={"proven_by": by})
    return Proof(planned, tuple(differences(memory, planned)))


def differences(ours: MemoryEstimate, theirs: MemoryEstimate) -> Iterator[str]:
    """One sentence for each part in which the plan differs notably from the rules."""
    for part, word in _WORDS.items():
        more = getattr(theirs, part) - getattr(ours, part)
        if abs(more) >= NOTABLE_BYTES:
            text = (
                _("llama.cpp plans {size} more for {part} than the rules")
                if more > 0
                else _("llama.cpp plans {size} less for {part} than the rules")
            )
            yield text.format(size=format_bytes(abs(more)), part=_(word))


def _holds(report: BufferReport) -> bool:
    """Whether the breakdown, read from a C++ map, agrees with what the same plan's log says.

    A plan allocates nothing, so that the log has no weights; caches and graphs are in both.
    """
    logged = {line.name: line.bytes for line in report.logged if line.kind == "compute"}
    exact = {buffer.name: buffer.compute_bytes for buffer in report.exact}
    if not logged or any(
        abs(exact.get(name, -MIB) - size) > LOG_ROUNDING_BYTES for name, size in logged.items()
    ):
        return False
    states = [line.bytes for line in report.logged if line.kind == "RS"]
    context = sum(buffer.context_bytes for buffer in report.exact)
    said = (report.kv_cache_bytes or 0) + sum(states)
    return abs(context - said) <= LOG_ROUNDING_BYTES * (1 + len(states))


def _published(report: BufferReport, host: DeviceMemory) -> Buffer:
    """All in RAM, by what the log and the public functions tell; the weights are those of the tensor list."""
    return Buffer(
        name=HOST_NAME,
        device=HOST_NAME,
        host=True,
        weights_bytes=host.weights_bytes,
        context_bytes=(report.kv_cache_bytes or 0) + _logged(report, "RS"),
        compute_bytes=_logged(report, "compute"),
    )


def _logged(report: BufferReport, kind: str) -> int:
    return sum(line.bytes for line in report.logged if line.kind == kind)


def _device(buffer: Buffer) -> str:
    return HOST_NAME if buffer.host else buffer.device


def _row(
    row: DeviceMemory, buffers: Sequence[Buffer], report: BufferReport, tied_bytes: int, *, grown: bool
) -> DeviceMemory:
    weights = sum(b.weights_bytes for b in buffers)
    if row.kind == "cpu" and weights == row.weights_bytes + tied_bytes:
        weights -= tied_bytes  # the plan maps no file; a mapped one has the shared matrix once
    context = sum(b.context_bytes for b in buffers)
    state = row.recurrent_bytes if row.recurrent_bytes <= context else _logged(report, "RS")
    sizes = {
        "weights_bytes": max(weights, row.weights_bytes) if grown else weights,
        "kv_cache_bytes": context - state,
        "recurrent_bytes": state,
        "compute_bytes": sum(b.compute_bytes for b in buffers),
        "output_bytes": _output(row, report) if row.kind == "cpu" else 0,
    }
    kept = {"overhead_bytes": row.overhead_bytes, "margin_bytes": row.margin_bytes}
    return DeviceMemory(name=row.name, kind=row.kind, **sizes, **kept, capacity_bytes=row.capacity_bytes)


def _output(row: DeviceMemory, report: BufferReport) -> int:
    """The rule's size where the log's rounding allows it."""
    said = _logged(report, "output")
    return row.output_bytes if abs(row.output_bytes - said) <= LOG_ROUNDING_BYTES else said
