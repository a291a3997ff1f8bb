"""What shares a model's devices: projectors, adapters, drafts, and other models side by side.

An attachment is placed before the model itself: it is small, and useless when it is slow. What it takes is
gone for the model, and is counted in the model's memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from advisor.assessment import MEMORY_PARTS, DeviceMemory, MemoryEstimate
from advisor.backends.devices import less
from advisor.hardware import Machine
from advisor.memory import Buffers
from advisor.value import Value

_BUFFERS: Final = tuple(Buffers.model_fields)


class Attachment(Value):
    """Something that stands beside a model, and what it takes of every device."""

    name: str
    """What it is: "projector F16", "draft qwen3-0.6b Q8_0"."""
    gpus: tuple[Buffers, ...] = ()
    """By GPU, in the machine's order; shorter where the last ones hold nothing of it."""
    host: Buffers = Buffers()

    @property
    def total_bytes(self) -> int:
        return sum(part.total_bytes for part in (*self.gpus, self.host))


def beside(machine: Machine, attachments: Iterable[Attachment]) -> Machine:
    """The machine without what the attachments take of it."""
    for attachment in attachments:
        on_gpus = [part.total_bytes for part in attachment.gpus]
        shared = sum(on_gpus) if machine.unified else 0
        machine = less(machine, attachment.host.total_bytes + shared, on_gpus)
    return machine


def placed(name: str, buffers: Buffers, machine: Machine) -> Attachment:
    """An attachment that one device holds: the roomiest GPU that has room for it, else the host."""
    order = sorted(range(len(machine.gpus)), key=lambda i: -machine.gpus[i].capacity_bytes)
    if order and machine.gpus[order[0]].capacity_bytes >= buffers.total_bytes:
        nothing = (Buffers(),) * order[0]
        return Attachment(name=name, gpus=(*nothing, buffers))
    return Attachment(name=name, host=buffers)


def with_attachments(memory: MemoryEstimate, attachments: Sequence[Attachment]) -> MemoryEstimate:
    """The memory of a model with what stands beside it.

    `memory` was estimated against the whole machine's capacities; the verdicts are made anew.
    """
    if not attachments:
        return memory
    *gpus, host = memory.devices
    rows = [_grown(row, [a.gpus[i] for a in attachments if i < len(a.gpus)]) for i, row in enumerate(gpus)]
    rows.append(_grown(host, [a.host for a in attachments]))
    return MemoryEstimate.of(rows, memory.source)


def _grown(row: DeviceMemory, parts: Sequence[Buffers]) -> DeviceMemory:
    sizes = {part: getattr(row, part) for part in MEMORY_PARTS}
    for part in _BUFFERS:
        sizes[part] += sum(getattr(buffers, part) for buffers in parts)
    return DeviceMemory(name=row.name, kind=row.kind, capacity_bytes=row.capacity_bytes, **sizes)
