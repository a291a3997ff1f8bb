"""NVIDIA GPUs, through the driver's own library (NVML).

Nothing here may stop the program: a driver that is missing or broken, or a card that fails while it is
read, becomes a note; the other cards are read all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar

from advisor.hardware import Gpu, HostMemory
from advisor.probes.pci import display_vendors
from advisor.probes.source import Source
from advisor.value import Value

T = TypeVar("T")


class NvidiaReading(Value):
    """What the driver told, and what it did not."""

    gpus: tuple[Gpu, ...] = ()
    interconnect: str | None = None
    """The slowest link that all cards have: "nvlink" or "pcie 4.0 x16"; None for a single one."""
    notes: tuple[str, ...] = ()


def read_nvidia(nvml: ModuleType, source: Source, memory: HostMemory) -> NvidiaReading:
    """Read all NVIDIA GPUs.

    nvml: the `pynvml` module. source: where cards without a driver are looked for.
    memory: the host's, which a GPU without memory of its own shares.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return NvidiaReading(notes=tuple(_why_no_driver(nvml, error, source)))
    try:
        return _read_cards(nvml, memory)
    except nvml.NVMLError as error:
        return NvidiaReading(notes=(f"The NVIDIA driver does not list its GPUs ({error}).",))
    finally:
        _optional(nvml, nvml.nvmlShutdown)


def has_card(source: Source) -> bool:
    """Whether an NVIDIA card is in the machine, be there a driver or not."""
    return "nvidia" in display_vendors(source) or bool(source.glob("dev/nvidia[0-9]*"))


def _why_no_driver(nvml: ModuleType, error: Exception, source: Source) -> Iterator[str]:
    if isinstance(error, nvml.NVMLError_LibRmVersionMismatch):
        yield (
            "The NVIDIA driver in the kernel and its library are of different versions, as after an update:"
            " restart the machine, and its GPUs can be read."
        )
    elif isinstance(error, nvml.NVMLError_LibraryNotFound | nvml.NVMLError_DriverNotLoaded):
        if has_card(source):
            yield (
                f"An NVIDIA card is there, but its driver is not ({error}): install or load the driver;"
                " in a container, start it with --gpus all."
            )
    else:
        yield f"The NVIDIA driver does not answer ({error}): nvidia-smi may tell more."


def _read_cards(nvml: ModuleType, memory: HostMemory) -> NvidiaReading:
    driver = _optional(nvml, nvml.nvmlSystemGetDriverVersion)
    gpus: list[Gpu] = []
    notes: list[str] = []
    links: list[str | None] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        name = f"GPU {index} (as nvidia-smi counts)"
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            card = list(_devices(nvml, handle, memory))
        except (nvml.NVMLError, ValueError) as error:  # ValueError: an answer that makes no sense
            reason = str(error).partition("\n")[0]
            notes.append(f"{name} could not be read and is left out: {reason}.")
            continue
        links.append(_link(nvml, handle))
        if not card:
            notes.append(f"{name} is in MIG mode without a slice: make one, or turn MIG off.")
        start = len(gpus)
        gpus += [gpu.model_copy(update={"index": start + i, "driver": driver}) for i, gpu in enumerate(card)]
    if sum(gpu.mig for gpu in gpus) > 1:
        notes.append("A CUDA program sees one MIG slice at a time: they do not add up.")
    return NvidiaReading(gpus=tuple(gpus), interconnect=_slowest(links, gpus), notes=tuple(notes))


def _devices(nvml: ModuleType, handle: Any, memory: HostMemory) -> Iterator[Gpu]:
    """What can be used of a card: the card, or its MIG slices."""
    capability = _capability(nvml, handle)
    mode = _optional(nvml, nvml.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        yield _card(nvml, handle, memory).model_copy(update={"compute_capability": capability})
        return
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        piece = _optional(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if piece is not None:
            info = nvml.nvmlDeviceGetMemoryInfo(piece)
            gpu = _gpu(nvml, piece, info.total, info.free)
            yield gpu.model_copy(update={"compute_capability": capability, "mig": True})


def _card(nvml: ModuleType, handle: Any, memory: HostMemory) -> Gpu:
    try:
        info = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError_NotSupported:
        info = None
    if info is None or info.total == 0:
        # GB10 and Jetson have no memory of their own, and their driver says so in one of these ways.
        gpu = _gpu(nvml, handle, memory.total_bytes, memory.available_bytes)
        return gpu.model_copy(update={"memory": "unified"})
    return _gpu(nvml, handle, info.total, info.free)


def _gpu(nvml: ModuleType, handle: Any, vram_bytes: int, free_bytes: int | None) -> Gpu:
    return Gpu(
        index=0,  # numbered when all are read
        name=nvml.nvmlDeviceGetName(handle),
        vendor="nvidia",
        vram_bytes=vram_bytes,
        free_bytes=free_bytes,
    )


def _capability(nvml: ModuleType, handle: Any) -> str | None:
    capability = _optional(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return None if capability is None else f"{capability[0]}.{capability[1]}"


def _link(nvml: ModuleType, handle: Any) -> str | None:
    """The card's link to others: NVLink where one is up, else the PCIe that card and slot can do."""
    for number in range(nvml.NVML_NVLINK_MAX_LINKS):
        state = _optional(nvml, nvml.nvmlDeviceGetNvLinkState, handle, number)
        if state is None:  # no more links, or none at all
            break
        if state == nvml.NVML_FEATURE_ENABLED:
            return "nvlink"
    # The current generation drops when a card idles, the maximum does not.
    generation = _optional(nvml, nvml.nvmlDeviceGetMaxPcieLinkGeneration, handle)
    width = _optional(nvml, nvml.nvmlDeviceGetMaxPcieLinkWidth, handle)
    return f"pcie {generation}.0 x{width}" if generation and width else None


def _slowest(links: list[str | None], gpus: list[Gpu]) -> str | None:
    known = [link for link in links if link is not None]
    if len(gpus) < 2 or len(known) < len(links) or any(gpu.mig for gpu in gpus):  # slices have no link
        return None
    return min(known, key=_link_rank)


def _link_rank(link: str) -> float:
    """Roughly the lanes' speed: it doubles with each PCIe generation, and NVLink is above all of them."""
    if link == "nvlink":
        return float("inf")
    _, generation, width = link.split()
    return float(2 ** float(generation) * int(width.removeprefix("x")))


def _optional(nvml: ModuleType, call: Callable[..., T], *args: Any) -> T | None:
    """A detail that some cards and drivers do not tell."""
    try:
        return call(*args)
    except nvml.NVMLError:
        return None
