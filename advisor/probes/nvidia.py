"""NVIDIA GPUs, from what the driver's own library told (`nvml`).

A driver that is missing or broken, or a card that failed while it was read, becomes a note; the other cards
are read all the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from advisor.hardware import Gpu, HostMemory, Vendor
from advisor.i18n import N_, _
from advisor.probes.found import users_of
from advisor.probes.nvml import Told
from advisor.probes.source import Source

BOARD: Final = "proc/device-tree/model"
"""Where boards tell their name: "NVIDIA Jetson AGX Orin Developer Kit"."""
L4T_FILE: Final = "etc/nv_tegra_release"
"""Of Jetson's Linux; a container may have it that does not see the board's name."""
L4T: Final = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")
UNNAMED_BOARD: Final = "NVIDIA Jetson"


DRIVER_MISSING: Final = N_(
    "An NVIDIA card is there, but its driver is not ({error}): install or load the driver."
)
DRIVER_MISSING_IN_CONTAINER: Final = N_(
    "An NVIDIA card is there, but not passed to this container ({error}): install NVIDIA's container toolkit"
    " on the host, and start the container with --gpus all."
)
DRIVER_MISSING_IN_WSL: Final = N_(
    "WSL2 offers a GPU, but NVIDIA's driver is not seen ({error}): if the card is NVIDIA's, install its"
    " current driver in Windows, and none in Linux."
)


class NvidiaReading(NamedTuple):
    """What the driver told, and what it did not."""

    gpus: tuple[Gpu, ...] = ()
    interconnect: str | None = None
    """The slowest link that all cards have: "nvlink" or "pcie 4.0 x16"; None for a single one."""
    notes: tuple[str, ...] = ()


def read_nvidia(
    told: Told | None,
    source: Source,
    memory: HostMemory,
    *,
    on_bus: Collection[Vendor] = (),
    container: bool = False,
) -> NvidiaReading:
    """Understand what the library told; None: nothing.

    source: where boards and cards without a driver are looked for. memory: the host's, which a GPU without
    memory of its own shares. on_bus: makers of the graphics cards on the bus. container: this is one.
    """
    if told and "error" not in told:
        return _read_cards(told, memory)
    if board := _jetson(source, memory):
        return NvidiaReading(gpus=(board,))
    if not told:
        return NvidiaReading()
    if told["kind"] != "no driver":
        return NvidiaReading(notes=(_why_no_answer(told),))
    if "nvidia" in on_bus or source.glob("dev/nvidia[0-9]*"):
        missing = DRIVER_MISSING_IN_CONTAINER if container else DRIVER_MISSING
    elif source.glob("dev/dxg"):
        missing = DRIVER_MISSING_IN_WSL
    else:
        return NvidiaReading()
    return NvidiaReading(notes=(_(missing).format(error=told["error"]),))


def _jetson(source: Source, memory: HostMemory) -> Gpu | None:
    """The GPU of a board whose system has no NVML (JetPack 6 and before); by the board's name."""
    name = (source.text(BOARD) or "").strip("\0 \n")
    release = L4T.match(source.text(L4T_FILE) or "")
    if "Jetson" not in name and release is None:
        return None
    return Gpu(
        index=0,
        name=name or UNNAMED_BOARD,
        vendor="nvidia",
        vram_bytes=memory.total_bytes,
        free_bytes=memory.available_bytes,
        driver=f"L4T {release[1]}.{release[2]}" if release else None,
        memory="unified",
    )


def _why_no_answer(told: Told) -> str:
    match told["kind"]:
        case "no module":
            text = _("NVIDIA GPUs were not looked for: pynvml is broken ({error}).")
        case "mismatch":
            text = _(
                "The NVIDIA driver in the kernel and its library are of different versions, as after an"
                " update: restart the machine, and its GPUs can be read."
            )
        case "no list":
            text = _("The NVIDIA driver does not list its GPUs ({error}).")
        case _other:
            text = _("The NVIDIA driver does not answer ({error}): nvidia-smi may tell more.")
    return text.format(error=told["error"])


def _read_cards(told: Told, memory: HostMemory) -> NvidiaReading:
    gpus: list[Gpu] = []
    notes: list[str] = []
    links: list[str | None] = []
    for index, card in enumerate(told["cards"]):
        if "error" in card:
            lost = _("GPU {index} (as nvidia-smi counts) could not be read and is left out: {error}.")
            notes.append(lost.format(index=index, error=card["error"]))
            continue
        links.append(card["link"])
        devices = [card] if card["slices"] is None else card["slices"]
        if not devices:
            empty = _(
                "GPU {index} (as nvidia-smi counts) is in MIG mode without a slice: make one, or turn MIG"
                " off."
            )
            notes.append(empty.format(index=index))
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
        notes.append(_("A CUDA program sees one MIG slice at a time: they do not add up."))
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
        users=tuple(users_of(told["users"])),
    )


def _slowest(links: list[str | None], gpus: list[Gpu]) -> str | None:
    known = [link for link in links if link is not None]
    if len(gpus) < 2 or len(known) < len(links) or any(gpu.mig for gpu in gpus):  # slices have no link
        return None
    return min(known, key=_link_rank)


def _link_rank(link: str) -> float:
    """Roughly the lanes' speed: it doubles with each PCIe generation, and NVLink is above all of them."""
    if link == "nvlink":
        return float("inf")
    generation, width = link.split()[1:]
    return float(2 ** float(generation) * int(width.removeprefix("x")))
