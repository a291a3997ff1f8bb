"""Apple's GPUs: the chip and its memory from sysctl, the number of GPU cores from system_profiler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from advisor.hardware import Gpu, GpuSpec, HostMemory
from advisor.i18n import N_, _
from advisor.probes.found import FoundGpu, Reading
from advisor.probes.identify import complete
from advisor.probes.processor import parse_sysctl, sysctl
from advisor.probes.source import Source
from advisor.units import GIB, MIB

PROFILER: Final = ("/usr/sbin/system_profiler", "SPDisplaysDataType", "-json")
PROFILER_LIMIT_S: Final = 1.4
"""It answers within a second; without it, chips sold with several numbers of cores stay unidentified."""
CHIP: Final = "machdep.cpu.brand_string"
DARWIN: Final = "kern.osrelease"
SYSCTL_NAMES: Final = (CHIP, DARWIN, "iogpu.wired_limit_mb")
MACOS_26: Final = 25
"""Of Darwin, the major version."""
SHARES: Final = ((128 * GIB, 0.84), (64 * GIB, 0.81), (32 * GIB, 0.78), (0, 0.74))
"""Memory, at least → what of it macOS 26 and 27 let the GPU use: Metal's recommendedMaxWorkingSetSize, as
owners printed it by 2026-11-21. 11.84 of 16 GB (github.com/AlexsJones/llmfit/pull/754), 37.44 of 48
(github.com/ggml-org/llama.cpp/pull/16634), 107.52 of 128 (github.com/antirez/ds4/pull/893), and in logs of
llama.cpp 17.76 of 24, 24.96 of 32, 28.08 of 36, 51.84 of 64; none is known of 96, or of more than 128.
"""
CHIP_UNKNOWN: Final = N_("An Apple GPU is there and was not read: name it with --hardware to plan for it.")


def read_apple(source: Source, memory: HostMemory, specs: Sequence[GpuSpec] = ()) -> Reading:
    """The GPU of a Mac's chip, with its row of the hardware catalog; none with an Intel processor.

    memory: the host's, which the GPU shares. specs: the catalog's rows.
    """
    if source.platform != "darwin":
        return Reading()
    facts = parse_sysctl(sysctl(source, *SYSCTL_NAMES))
    if CHIP not in facts:
        return Reading(notes=(_(CHIP_UNKNOWN),))
    if not facts[CHIP].startswith("Apple "):
        return Reading()
    rows = specs_of(gpu_cores(_profile(source)), specs)
    return Reading(gpus=(FoundGpu(gpu=complete(chip_gpu(facts, memory), rows)),))


def chip_gpu(facts: Mapping[str, str], memory: HostMemory) -> Gpu:
    """The chip's GPU; `facts` are sysctl's."""
    limit = wired_limit(facts, memory.total_bytes)
    available = memory.available_bytes
    return Gpu(
        index=0,
        name=facts[CHIP],
        vendor="apple",
        vram_bytes=limit,
        free_bytes=None if available is None else min(limit, available),
        memory="unified",
    )


def wired_limit(facts: Mapping[str, str], total_bytes: int) -> int:
    """What the GPU may hold of the memory: iogpu.wired_limit_mb where set (0: not), else macOS's rule.

    A system that does not tell its version is taken for one before macOS 26, which gives less.
    """
    written = facts.get("iogpu.wired_limit_mb", "")
    if written.isdecimal() and int(written):
        return min(int(written) * MIB, total_bytes)
    major = facts.get(DARWIN, "").partition(".")[0]
    if major.isdecimal() and int(major) >= MACOS_26:
        return int(total_bytes * next(share for least, share in SHARES if total_bytes >= least))
    from advisor.sentences import APPLE_LARGE_BYTES, APPLE_LARGE_SHARE, APPLE_SMALL_SHARE

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


def _profile(source: Source) -> str:
    """What system_profiler prints; "" where it does not answer in time."""
    return source.run(*PROFILER, limit_s=PROFILER_LIMIT_S) or ""
