"""AMD GPUs on Linux, from what the kernel's driver shows under /sys: no tool has to be installed.

A card has memory of its own. An integrated GPU has a carve-out of the RAM, which the system does not count as
its own, and may map more of the RAM (GTT): together one pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from advisor.hardware import Gpu, HostMemory
from advisor.value import Value

AMD: Final = "0x1002"

INTEGRATED: Final = {
    "1114": "AMD Radeon 860M Graphics",
    "13c0": "AMD Radeon 610M",
    "150e": "AMD Radeon 890M Graphics",
    "1506": "AMD Radeon 610M",
    "1586": "AMD Radeon 8060S Graphics",
    "15bf": "AMD Radeon 780M Graphics",
    "15c8": "AMD Radeon 740M Graphics",
    "15d8": "AMD Radeon Vega Graphics",
    "15dd": "AMD Radeon Vega Graphics",
    "15e7": "AMD Radeon Graphics (Barcelo)",
    "1636": "AMD Radeon Graphics (Renoir)",
    "1638": "AMD Radeon Graphics (Cezanne)",
    "163f": "AMD Custom GPU 0405",
    "164c": "AMD Radeon Graphics (Lucienne)",
    "164e": "AMD Radeon Graphics (Raphael)",
    "1681": "AMD Radeon 680M",
    "1900": "AMD Radeon 780M Graphics",
    "1901": "AMD Radeon 740M Graphics",
}
"""PCI device → the usual name, of GPUs that share the processor's memory (libdrm's amdgpu.ids and the PCI ID
repository, as of 2026-11-21)."""

NAMES: Final = {
    "150e-c4": "AMD Radeon 880M Graphics",
    "150e-d2": "AMD Radeon 880M Graphics",
    "1586-c2": "AMD Radeon 8050S Graphics",
    "1586-c4": "AMD Radeon 8050S Graphics",
    "1586-d2": "AMD Radeon 8050S Graphics",
    "1586-d4": "AMD Radeon 8050S Graphics",
    "1586-d5": "AMD Radeon 8040S Graphics",
    "15bf-01": "AMD Radeon 760M Graphics",
    "15bf-03": "AMD Radeon 760M Graphics",
    "15bf-05": "AMD Radeon 760M Graphics",
    "15bf-07": "AMD Radeon 740M Graphics",
    "15bf-08": "AMD Radeon 740M Graphics",
    "15bf-c3": "AMD Radeon 760M Graphics",
    "15bf-c5": "AMD Radeon 740M Graphics",
    "15bf-c8": "AMD Radeon 760M Graphics",
    "15bf-ca": "AMD Radeon 740M Graphics",
    "15bf-cb": "AMD Radeon 760M Graphics",
    "15bf-cc": "AMD Radeon 740M Graphics",
    "731f-c1": "AMD Radeon RX 5700 XT",
    "731f-c4": "AMD Radeon RX 5700",
    "731f-c5": "AMD Radeon RX 5700 XT",
    "731f-ca": "AMD Radeon RX 5600 XT",
    "7340-c5": "AMD Radeon RX 5500 XT",
    "738c-01": "AMD Instinct MI100",
    "73a3-00": "AMD Radeon PRO W6800",
    "73a5-c0": "AMD Radeon RX 6950 XT",
    "73af-c0": "AMD Radeon RX 6900 XT",
    "73bf-c0": "AMD Radeon RX 6900 XT",
    "73bf-c1": "AMD Radeon RX 6800 XT",
    "73bf-c3": "AMD Radeon RX 6800",
    "73df-c0": "AMD Radeon RX 6750 XT",
    "73df-c1": "AMD Radeon RX 6700 XT",
    "73df-c2": "AMD Radeon RX 6800M",
    "73df-c3": "AMD Radeon RX 6800M",
    "73df-c5": "AMD Radeon RX 6700 XT",
    "73df-df": "AMD Radeon RX 6700",
    "73df-ff": "AMD Radeon RX 6700",
    "73ef-c1": "AMD Radeon RX 6650 XT",
    "73ff-c1": "AMD Radeon RX 6600 XT",
    "73ff-c7": "AMD Radeon RX 6600",
    "740f-02": "AMD Instinct MI210",
    "743f-c1": "AMD Radeon RX 6500 XT",
    "743f-c7": "AMD Radeon RX 6400",
    "743f-d7": "AMD Radeon RX 6400",
    "7448-00": "AMD Radeon PRO W7900",
    "7449-00": "AMD Radeon PRO W7800 48GB",
    "744c-c8": "AMD Radeon RX 7900 XTX",
    "744c-cc": "AMD Radeon RX 7900 XT",
    "744c-ce": "AMD Radeon RX 7900 GRE",
    "744c-cf": "AMD Radeon RX 7900M",
    "745e-cc": "AMD Radeon PRO W7800",
    "7470-00": "AMD Radeon PRO W7700",
    "747e-c8": "AMD Radeon RX 7800 XT",
    "747e-ff": "AMD Radeon RX 7700 XT",
    "7480-c0": "AMD Radeon RX 7600 XT",
    "7480-c7": "AMD Radeon RX 7600M XT",
    "7480-cf": "AMD Radeon RX 7600",
    "74a1-00": "AMD Instinct MI300X",
    "74a5-00": "AMD Instinct MI325X",
    "7550-c0": "AMD Radeon RX 9070 XT",
    "7550-c3": "AMD Radeon RX 9070",
    "7551-c0": "AMD Radeon AI PRO R9700",
    "7590-c0": "AMD Radeon RX 9060 XT",
    "75a0-00": "AMD Instinct MI350X",
    "75a3-00": "AMD Instinct MI355X",
}
"""PCI device and revision → name as the tools write it (libdrm's amdgpu.ids, as of 2026-11-21); one device is
sold under several names, and the revision tells them apart."""


class AmdGpu(Value):
    """A GPU, and what of the RAM is set aside for it."""

    gpu: Gpu
    carve_out_bytes: int = 0
    """Integrated: RAM that the firmware keeps for the GPU and the system does not see."""
    carve_out_free_bytes: int = 0


def read_amd(root: Path, memory: HostMemory) -> tuple[AmdGpu, ...]:
    """All GPUs that the amdgpu driver serves, in the kernel's order; a damaged entry is left out.

    root: "/", or a recorded tree. memory: the host's, which an integrated GPU shares.
    """
    folders = sorted(_cards(root), key=lambda folder: int(folder.parent.name.removeprefix("card")))
    read = (_read(folder, memory) for folder in folders)
    return tuple(found for found in read if found is not None)


def with_carve_out(memory: HostMemory, found: AmdGpu) -> HostMemory:
    """The host's memory with the part that was set aside for the GPU: the pool that both share."""
    available = memory.available_bytes
    return memory.model_copy(
        update={
            "total_bytes": memory.total_bytes + found.carve_out_bytes,
            "available_bytes": None if available is None else available + found.carve_out_free_bytes,
        }
    )


def _cards(root: Path) -> Iterator[Path]:
    for folder in root.glob("sys/class/drm/card*/device"):
        is_card = folder.parent.name.removeprefix("card").isdecimal()  # the others are its connectors
        if is_card and _text(folder / "vendor") == AMD:
            yield folder


def _read(folder: Path, memory: HostMemory) -> AmdGpu | None:
    vram, used = _number(folder / "mem_info_vram_total"), _number(folder / "mem_info_vram_used")
    if vram is None:
        return None
    free = None if used is None else max(0, vram - used)
    device = _text(folder / "device").removeprefix("0x")
    gpu = Gpu(index=0, name=_name(folder, device), vendor="amd", vram_bytes=vram, free_bytes=free)
    if device not in INTEGRATED:
        return AmdGpu(gpu=gpu)
    mapped = min(_number(folder / "mem_info_gtt_total") or 0, memory.total_bytes)
    room = max(0, mapped - (_number(folder / "mem_info_gtt_used") or 0))
    if memory.available_bytes is not None:
        room = min(room, memory.available_bytes)
    pooled = {
        "memory": "unified",
        "vram_bytes": vram + mapped,
        "free_bytes": None if free is None else free + room,
    }
    return AmdGpu(gpu=gpu.model_copy(update=pooled), carve_out_bytes=vram, carve_out_free_bytes=free or 0)


def _name(folder: Path, device: str) -> str:
    """The name by number; else the board's own, which data centre cards tell; else the number."""
    revision = _text(folder / "revision").removeprefix("0x")
    known = NAMES.get(f"{device}-{revision}") or INTEGRATED.get(device)
    return known or _text(folder / "product_name") or f"AMD GPU {device}:{revision}"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None
