"""Hardware sentences: a machine from words such as "RTX 3070 8 GB, 32 GB RAM".

`spelling` brings ways of writing into one, `grammar` makes parts of the words, `description` compares them
with the hardware catalog, and `machine` and `host` fill in what they leave open, stated under
`Machine.assumptions`. In sentences GB means GiB.
"""

from __future__ import annotations

from collections.abc import Sequence

from advisor.device_names import plain_name
from advisor.errors import HardwareError
from advisor.hardware import CpuSpec, GpuSpec, Machine
from advisor.sentences.description import describe
from advisor.sentences.host import APPLE_LARGE_BYTES, APPLE_LARGE_SHARE, APPLE_SMALL_SHARE
from advisor.sentences.machine import make_machine
from advisor.sentences.names import find_processor

__all__ = ["APPLE_LARGE_BYTES", "APPLE_LARGE_SHARE", "APPLE_SMALL_SHARE", "find_processor", "parse_sentence"]


def parse_sentence(text: str, gpus: Sequence[GpuSpec], cpus: Sequence[CpuSpec]) -> Machine:
    """The machine that a sentence describes, simulated: nothing in it is in use.

    Raises `HardwareError`, one line, for a part that is not known (with the nearest names), a size that no
    variant has, and parts that contradict each other.
    """
    try:
        return make_machine(describe(text, gpus, cpus))
    except HardwareError:
        plain = plain_name(text)  # as a driver prints it: "AMD Radeon RX 6600 (RADV NAVI23)"
        if plain == text:
            raise
        return make_machine(describe(plain, gpus, cpus))
