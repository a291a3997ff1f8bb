"""Apple's GPUs: the chip and its memory from sysctl, the number of GPU cores from system_profiler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from advisor.hardware import Gpu, GpuSpec, HostMemory
from advisor.probes.source import Source
from advisor.sentences import APPLE_LARGE_BYTES, APPLE_LARGE_SHARE, APPLE_SMALL_SHARE
from advisor.units import MIB

PROFILER: Final = ("/usr/sbin/system_profiler", "SPDisplaysDataType", "-json")
PROFILER_LIMIT_S: Final = 2.0
"""It answers within a second; without it, chips sold with several numbers of cores stay unidentified."""
SYSCTL_NAMES: Final = ("machdep.cpu.brand_string", "iogpu.wired_limit_mb")


def read_apple(facts: Mapping[str, str], memory: HostMemory) -> tuple[Gpu, ...]:
    """The chip's GPU; none on a Mac with an Intel processor. `facts` are sysctl's."""
    chip = facts.get("machdep.cpu.brand_string", "")
    if not chip.startswith("Apple "):
        return ()
    limit = wired_limit(facts, memory.total_bytes)
    available = memory.available_bytes
    return (
        Gpu(
            index=0,
            name=chip,
            vendor="apple",
            vram_bytes=limit,
            free_bytes=None if available is None else min(limit, available),
            memory="unified",
        ),
    )


def wired_limit(facts: Mapping[str, str], total_bytes: int) -> int:
    """What the GPU may hold of the memory: iogpu.wired_limit_mb where set (0: not), else macOS's rule."""
    written = facts.get("iogpu.wired_limit_mb", "")
    if written.isdecimal() and int(written):
        return min(int(written) * MIB, total_bytes)
    share = APPLE_LARGE_SHARE if total_bytes >= APPLE_LARGE_BYTES else APPLE_SMALL_SHARE
    return int(total_bytes * share)


def gpu_cores(profile: str) -> int | None:
    """The number of GPU cores in what system_profiler printed; None where it does not tell."""
    try:
        rows: Any = json.loads(profile)["SPDisplaysDataType"]
        counts = [str(row["sppci_cores"]) for row in rows if "sppci_cores" in row]
    except (ValueError, KeyError, TypeError):
        return None
    return int(counts[0]) if counts and counts[0].isdecimal() else None


def specs_of(cores: int | None, specs: Sequence[GpuSpec]) -> tuple[GpuSpec, ...]:
    """The catalog's rows that a chip with so many GPU cores can be; all where that is not known."""
    return tuple(spec for spec in specs if cores is None or spec.gpu_cores in (None, cores))


def profile(source: Source) -> str:
    """What system_profiler prints; "" where it does not answer in time."""
    return source.run(*PROFILER, limit_s=PROFILER_LIMIT_S) or ""
