"""Huawei's Ascend accelerators, from the table that npu-smi prints: it writes no other form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from advisor.hardware import Gpu, GpuSpec, HostMemory
from advisor.i18n import N_, _
from advisor.probes.answers import whole, words
from advisor.probes.found import FoundGpu, Reading
from advisor.probes.source import Source
from advisor.units import MIB

NPU_SMI: Final = ("npu-smi", "info")
NO_ANSWER: Final = N_(
    "An Ascend accelerator is there, but npu-smi does not tell of it: install the card's driver."
)
DEVICES: Final = "dev/davinci[0-9]*"
CARD_ROW: Final = re.compile(r"\|\s*\d+\s+([A-Za-z0-9][A-Za-z0-9 ._-]*?)\s*\|\s*[A-Za-z]+\s*\|[^|]*\|")
"""A card's first row: its number, its name, its health."""
CHIP_ROW: Final = re.compile(r"\|[\d\s]+\|\s*([0-9A-Fa-f]{4}:\S+)\s*\|(.*)\|")
"""Each chip's second row: its number, its place on the bus, and its use."""
USED_OF: Final = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})")
"""Mebibytes in use and in all: of the DDR memory and of the HBM; the larger is what models are put in."""


def read_ascend(source: Source, memory: HostMemory, specs: Sequence[GpuSpec] = ()) -> Reading:
    """All chips of the Ascend cards here, in the tool's order.

    The host's memory is not shared with any, and the tool tells all: `memory` and `specs` are not needed.
    """
    if source.platform != "linux" or not source.glob(DEVICES):
        return Reading()
    answer = source.run(*NPU_SMI)
    if answer is None:
        return Reading(notes=(_(NO_ANSWER),))
    gpus = []
    name = None
    for line in (words(line) for line in answer.splitlines()):
        chip, card = CHIP_ROW.fullmatch(line), CARD_ROW.fullmatch(line)
        if chip and name:
            gpus += _chip(name, chip[1], chip[2])
        elif card:
            name = card[1]
    return Reading(gpus=tuple(gpus), notes=() if gpus else (_(NO_ANSWER),))


def _chip(name: str, bus: str, use: str) -> list[FoundGpu]:
    sizes = [(whole(used) or 0, whole(total) or 0) for used, total in USED_OF.findall(use)]
    used, total = max(sizes, key=lambda pair: pair[1], default=(0, 0))
    if not total:
        return []
    gpu = Gpu(
        index=0,
        name=name if name.startswith("Ascend") else f"Ascend {name}",
        vendor="huawei",
        vram_bytes=total * MIB,
        free_bytes=max(0, total - used) * MIB,
    )
    return [FoundGpu(gpu=gpu, bus=bus or None)]
