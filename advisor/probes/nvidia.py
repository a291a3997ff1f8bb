"""NVIDIA GPUs, from what the driver's own library told (`nvml`).

A driver that is missing or broken, or a card that failed while it was read, becomes a note; the other cards
are read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from advisor.hardware import Gpu, GpuUser, HostMemory
from advisor.probes.nvml import Told
from advisor.probes.pci import display_vendors
from advisor.probes.source import Source
from advisor.value import Value

BOARD: Final = "proc/device-tree/model"
"""Where boards tell their name: "NVIDIA Jetson AGX Orin Developer Kit"."""


class NvidiaReading(Value):
    """What the driver told, and what it did not."""

    gpus: tuple[Gpu, ...] = ()
    interconnect: str | None = None
    """The slowest link that all cards have: "nvlink" or "pcie 4.0 x16"; None for a single one."""
    notes: tuple[str, ...] = ()


def read_nvidia(told: Told | None, source: Source, memory: HostMemory) -> NvidiaReading:
    """Understand what the library told; None: nothing.

    source: where cards without a driver are looked for. memory: the host's, which a GPU without memory of its
    own shares.
    """
    if told and "error" not in told:
        return _read_cards(told, memory)
    if board := _jetson(source, memory):
        return NvidiaReading(gpus=(board,))
    return NvidiaReading(notes=tuple(_why_no_driver(told, source)) if told else ())


def has_card(source: Source) -> bool:
    """Whether an NVIDIA card is in the machine, be there a driver or not."""
    return "nvidia" in display_vendors(source) or bool(source.glob("dev/nvidia[0-9]*"))


def _jetson(source: Source, memory: HostMemory) -> Gpu | None:
    """The GPU of a board whose system has no NVML (JetPack 6 and before); by the board's name."""
    name = (source.text(BOARD) or "").strip("\0 \n")
    if "Jetson" not in name:
        return None
    return Gpu(
        index=0,
        name=name,
        vendor="nvidia",
        vram_bytes=memory.total_bytes,
        free_bytes=memory.available_bytes,
        memory="unified",
    )


def _why_no_driver(told: Told, source: Source) -> Iterator[str]:
    error = told["error"]
    match told["kind"]:
        case "no module":
            yield f"NVIDIA GPUs were not looked for: pynvml is broken ({error})."
        case "mismatch":
            yield (
                "The NVIDIA driver in the kernel and its library are of different versions, as after an"
                " update: restart the machine, and its GPUs can be read."
            )
        case "no driver":
            if has_card(source):
                yield (
                    f"An NVIDIA card is there, but its driver is not ({error}): install or load the driver;"
                    " in a container, start it with --gpus all."
                )
            elif source.glob("dev/dxg"):
                yield (
                    f"WSL offers a GPU, but NVIDIA's driver is not seen ({error}): if the card is NVIDIA's,"
                    " install its current driver in Windows, and none in Linux."
                )
        case "no list":
            yield f"The NVIDIA driver does not list its GPUs ({error})."
        case _:
            yield f"The NVIDIA driver does not answer ({error}): nvidia-smi may tell more."


def _read_cards(told: Told, memory: HostMemory) -> NvidiaReading:
    gpus: list[Gpu] = []
    notes: list[str] = []
    links: list[str | None] = []
    for index, card in enumerate(told["cards"]):
        name = f"GPU {index} (as nvidia-smi counts)"
        if "error" in card:
            notes.append(f"{name} could not be read and is left out: {card['error']}.")
            continue
        links.append(card["link"])
        devices = [card] if card["slices"] is None else card["slices"]
        if not devices:
            notes.append(f"{name} is in MIG mode without a slice: make one, or turn MIG off.")
        for device in devices:
            gpu = _gpu(device, memory).model_copy(
                update={
                    "index": len(gpus),
                    "driver": told["driver"],
                    "compute_capability": card["capability"],
                    "mig": card["slices"] is not None,
                }
            )
            gpus.append(gpu)
    if sum(gpu.mig for gpu in gpus) > 1:
        notes.append("A CUDA program sees one MIG slice at a time: they do not add up.")
    return NvidiaReading(gpus=tuple(gpus), interconnect=_slowest(links, gpus), notes=tuple(notes))


def _gpu(told: Told, memory: HostMemory) -> Gpu:
    # GB10 and Jetson have no memory of their own.
    own = bool(told["total"])
    return Gpu(
        index=0,
        name=told["name"],
        vendor="nvidia",
        vram_bytes=told["total"] if own else memory.total_bytes,
        free_bytes=told["free"] if own else memory.available_bytes,
        memory="discrete" if own else "unified",
        users=tuple(_users(told["users"])),
    )


def _users(told: Sequence[Told]) -> Iterator[GpuUser]:
    """The programs, the largest first; several of one name as one."""
    sums: dict[str | None, int] = {}
    for user in told:
        sums[user["name"]] = sums.get(user["name"], 0) + user["bytes"]
    for name, size in sorted(sums.items(), key=lambda item: -item[1]):
        yield GpuUser(name=name, bytes=size)


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
