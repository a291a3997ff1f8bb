"""What shares a model's devices: vision projectors, draft models, and other models side by side.

An attachment is placed before the model itself: it is small, and useless when it is slow. What it takes is
gone for the model, and is counted in the model's memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from advisor.assessment import MEMORY_PARTS, DeviceMemory, MemoryEstimate
from advisor.backends.devices import less
from advisor.hardware import Machine
from advisor.memory import Buffers
from advisor.placement import HOST_NAME
from advisor.value import Value


class Attachment(Value):
    """Something that stands beside a model."""

    name: str
    """What it is: "projector F16", "draft qwen3-0.6b Q8_0"."""
    devices: tuple[DeviceMemory, ...]
    """What it takes of every device: one entry per GPU, then one for the host."""
    proposes_in_s: float | None = None
    """Seconds in which a draft model proposes one token; None for everything else, and where not known."""

    @property
    def total_bytes(self) -> int:
        return sum(row.total_bytes for row in self.devices)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the devices that hold something of it."""
        return tuple(row.name for row in self.devices if row.total_bytes)


def beside(machine: Machine, attachments: Iterable[Attachment]) -> Machine:
    """The machine without what the attachments take of it."""
    for attachment in attachments:
        *gpus, host = (row.total_bytes for row in attachment.devices)
        machine = less(machine, host + (sum(gpus) if machine.unified else 0), gpus)
    return machine


def in_process(name: str, memory: MemoryEstimate) -> Attachment:
    """A second model of the same process: what a device costs apart from the buffers is paid already."""
    kept = [part for part in MEMORY_PARTS if part not in ("overhead_bytes", "margin_bytes")]
    return Attachment(name=name, devices=tuple(_row(row, kept) for row in memory.devices))


def own_process(name: str, memory: MemoryEstimate) -> Attachment:
    """A model that another server runs."""
    return Attachment(name=name, devices=memory.devices)


def on_one_device(name: str, buffers: Buffers, machine: Machine) -> Attachment:
    """Something that one device holds: the roomiest GPU if it has the room, else the host."""
    rows = [
        DeviceMemory(name=gpu.name, kind="gpu", capacity_bytes=gpu.capacity_bytes) for gpu in machine.gpus
    ]
    rows.append(DeviceMemory(name=HOST_NAME, kind="cpu", capacity_bytes=machine.host_capacity_bytes))
    roomiest = max(range(len(machine.gpus)), key=lambda i: machine.gpus[i].capacity_bytes, default=-1)
    fits = roomiest >= 0 and machine.gpus[roomiest].capacity_bytes >= buffers.total_bytes
    at = roomiest if fits else len(rows) - 1
    rows[at] = DeviceMemory(
        name=rows[at].name,
        kind=rows[at].kind,
        capacity_bytes=rows[at].capacity_bytes,
        **buffers._asdict(),
    )
    return Attachment(name=name, devices=tuple(rows))


def with_attachments(memory: MemoryEstimate, attachments: Sequence[Attachment]) -> MemoryEstimate:
    """The memory of a model, estimated on the machine that the attachments leave, together with theirs."""
    rows = [
        _together(row, [attachment.devices[i] for attachment in attachments])
        for i, row in enumerate(memory.devices)
    ]
    return MemoryEstimate.of(rows, memory.source)


def _together(row: DeviceMemory, parts: Sequence[DeviceMemory]) -> DeviceMemory:
    capacity = row.capacity_bytes
    return DeviceMemory(
        name=row.name,
        kind=row.kind,
        capacity_bytes=None if capacity is None else capacity + sum(part.total_bytes for part in parts),
        **{name: getattr(row, name) + sum(getattr(part, name) for part in parts) for name in MEMORY_PARTS},
    )


def _row(row: DeviceMemory, kept: Iterable[str]) -> DeviceMemory:
    """The row with those parts alone."""
    return DeviceMemory(
        name=row.name,
        kind=row.kind,
        capacity_bytes=row.capacity_bytes,
        **{name: getattr(row, name) for name in kept},
    )
