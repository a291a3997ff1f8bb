"""The processor: its name, cores and SIMD extensions, as Linux, macOS and Windows tell them."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from advisor.hardware import Cpu
from advisor.probes.source import Source

SYSCTL_LIMIT_S: Final = 0.8
"""sysctl answers in milliseconds; a system where it does not is not waited for."""
CPUS: Final = Path("/sys/devices/system/cpu")
CORE_LISTS: Final = ("core_cpus_list", "thread_siblings_list")
"""Which threads share a core, under /sys/devices/system/cpu/cpu*/topology; before Linux 5.3 the second."""

LINUX_FEATURES: Final = {
    # x86 (flags)
    "sse4_2": "sse4_2",
    "avx": "avx",
    "f16c": "f16c",
    "fma": "fma",
    "bmi2": "bmi2",
    "avx2": "avx2",
    "avx_vnni": "avx_vnni",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512vbmi": "avx512_vbmi",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_tile": "amx_tile",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    # ARM (Features)
    "neon": "neon",
    "asimd": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
}
"""The kernel's flag → the name used here, for the extensions that ggml chooses its kernels by."""

MAC_FEATURES: Final = {
    "hw.optional.neon": "neon",
    "hw.optional.arm.FEAT_FP16": "fp16",
    "hw.optional.arm.FEAT_DotProd": "dotprod",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme",
    "hw.optional.sse4_2": "sse4_2",
    "hw.optional.avx1_0": "avx",
    "hw.optional.f16c": "f16c",
    "hw.optional.fma": "fma",
    "hw.optional.bmi2": "bmi2",
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
}
"""The same for sysctl's keys on macOS."""

WINDOWS_FEATURES: Final = {19: "neon", 38: "sse4_2", 39: "avx", 40: "avx2", 41: "avx512f", 43: "dotprod"}
"""The same for the numbers that IsProcessorFeaturePresent takes (winnt.h)."""

ARM_CORES: Final = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD85): "Cortex-X925",
    (0x41, 0xD87): "Cortex-A725",
    (0x41, 0xD8E): "Neoverse-N3",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1A",
}
"""(implementer, part) → core; Linux gives ARM cores by number (arch/arm64/include/asm/cputype.h)."""


def describe(source: Source) -> Cpu:
    """Name and SIMD extensions; what the system does not tell is None or left out."""
    name, features = _described(source)
    return Cpu(name=name, features=features)


def with_cores(cpu: Cpu, told: Mapping[str, int | None], quota: float | None) -> Cpu:
    """The processor with its cores, as `read_cores` told them; quota: CPUs' worth of time allowed."""
    logical = told.get("logical")
    return cpu.model_copy(
        update={
            "sockets": told.get("sockets") or 1,
            "physical_cores": told.get("physical"),
            "logical_cores": logical,
            "limit_cores": limit_cores(quota, told.get("allowed"), logical),
        }
    )


def read_cores(source: Source) -> Mapping[str, int | None]:
    """Cores and threads of the machine, threads that this process may run on, and processors."""
    told: Mapping[str, int | None] | None = source.ask("cores", partial(_cores, source))
    return told or {}


def _cores(source: Source) -> dict[str, int | None]:
    if sys.platform != "linux":
        import psutil

        physical = psutil.cpu_count(logical=False)
        return {"logical": psutil.cpu_count(), "physical": physical, "allowed": None, "sockets": None}
    processors = parse_cpuinfo(source.text("proc/cpuinfo") or "")
    sockets = {processor["physical id"] for processor in processors if "physical id" in processor}
    return {
        "logical": os.cpu_count(),
        "physical": physical_cores(CPUS, processors),
        "allowed": len(os.sched_getaffinity(0)),
        "sockets": len(sockets) or None,
    }


def physical_cores(cpus: Path, processors: Sequence[Mapping[str, str]]) -> int | None:
    """Cores by the kernel's lists of threads that share one, else by /proc/cpuinfo; None: neither tells."""
    for name in CORE_LISTS:
        with contextlib.suppress(OSError):  # a processor that is being switched off
            if shared := {file.read_text() for file in cpus.glob(f"cpu[0-9]*/topology/{name}")}:
                return len(shared)
    numbers = {(p.get("physical id"), p["core id"]) for p in processors if "core id" in p}
    return len(numbers) or None


def limit_cores(quota: float | None, allowed: int | None, logical_cores: int | None) -> float | None:
    """The tighter of the quota and the set of CPUs that this process may run on, where either limits."""
    limit = min((float(n) for n in (quota, allowed) if n is not None), default=None)
    return limit if limit is not None and (logical_cores is None or limit < logical_cores) else None


def _described(source: Source) -> tuple[str | None, tuple[str, ...]]:
    if source.platform == "win32":
        told = source.ask("processor", _windows_processor) or {"name": None, "features": []}
        return told["name"], tuple(told["features"])
    if source.platform == "darwin":
        facts = parse_sysctl(sysctl(source, "machdep.cpu", "hw.optional"))
        return facts.get("machdep.cpu.brand_string"), mac_features(facts)
    processors = parse_cpuinfo(source.text("proc/cpuinfo") or "")
    return linux_cpu_name(source, processors), linux_features(processors)


def parse_cpuinfo(text: str) -> tuple[dict[str, str], ...]:
    """The processors of /proc/cpuinfo, each with its fields."""
    blocks = (block for block in text.split("\n\n") if block.strip())
    pairs = ([line.partition(":") for line in block.splitlines()] for block in blocks)
    return tuple({key.strip(): value.strip() for key, _, value in lines} for lines in pairs)


def linux_cpu_name(source: Source, processors: tuple[dict[str, str], ...]) -> str | None:
    """The board's name where a device tree gives one (ARM), else the processor's, else its cores'."""
    board = (source.text("proc/device-tree/model") or "").strip("\0 \n")
    if board:
        return board
    for processor in processors:
        if processor.get("model name"):
            return processor["model name"]
    cores = (_arm_core(processor) for processor in processors)
    return " + ".join(dict.fromkeys(core for core in cores if core)) or None


def _arm_core(processor: dict[str, str]) -> str | None:
    try:
        key = int(processor["CPU implementer"], 16), int(processor["CPU part"], 16)
    except (KeyError, ValueError):
        return None
    return ARM_CORES.get(key, f"ARM core {key[0]:#x}:{key[1]:#x}")


def linux_features(processors: tuple[dict[str, str], ...]) -> tuple[str, ...]:
    """SIMD extensions, in the order of the table; the kernel shows what all cores have."""
    fields = processors[0] if processors else {}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return tuple(dict.fromkeys(name for flag, name in LINUX_FEATURES.items() if flag in flags))


def parse_sysctl(text: str) -> dict[str, str]:
    """Split sysctl's lines of "key: value"."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def mac_features(facts: Mapping[str, str]) -> tuple[str, ...]:
    """SIMD extensions that sysctl reports as 1."""
    return tuple(name for key, name in MAC_FEATURES.items() if facts.get(key) == "1")


def sysctl(source: Source, *names: str) -> str:
    """What macOS's sysctl prints for the names; "" where it does not answer in time."""
    return source.run("/usr/sbin/sysctl", *names, limit_s=SYSCTL_LIMIT_S) or ""


def _windows_processor() -> dict[str, Any]:
    return {"name": _windows_name(), "features": list(_windows_features())}


def _windows_name() -> str | None:
    if sys.platform == "win32":
        import winreg

        try:
            path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        except OSError:
            pass
    return platform.processor() or None


def _windows_features() -> tuple[str, ...]:
    if sys.platform == "win32":
        import ctypes

        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return tuple(name for number, name in WINDOWS_FEATURES.items() if present(number))
    return ()
