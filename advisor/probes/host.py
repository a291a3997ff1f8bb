"""The host: processor, memory within the container's limit, the disk that models are downloaded to."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from advisor.errors import ProbeError
from advisor.hardware import Cpu, Disk, Host, HostMemory
from advisor.probes import cgroups
from advisor.probes.deadline import Started
from advisor.probes.source import Source

DISK_LIMIT_S: Final = 1.0
"""A network file system that hangs is not waited for longer."""
WSL_MARK: Final = "microsoft"
"""In the release of the kernel that Windows runs Linux with: "5.15.153.1-microsoft-standard-WSL2"."""
SYSCTL_LIMIT_S: Final = 2.0
"""sysctl answers in milliseconds; a system where it does not is not waited for."""

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

CONTAINER_FILES: Final = (".dockerenv", "run/.containerenv")
"""What Docker and Podman leave in the root of their containers."""
CONTAINER_GROUP: Final = re.compile(r"/(docker[-/]|cri-containerd[-:]|kubepods[./]|libpod[-_]|lxc[./])")
"""What container runtimes write into a control group's path; /system.slice/docker.service is the daemon."""
CONTAINER_VARIABLES: Final = ("container", "KUBERNETES_SERVICE_HOST")
"""Set by systemd-nspawn, Podman and LXC; set by Kubernetes."""


def read_host(source: Source) -> Host:
    """Read the host.

    Raises `ProbeError` when not even the size of the memory can be read.
    """
    return Host(
        os=_system_name(source.ask("system", _system)),
        cpu=read_cpu(source),
        memory=read_memory(source),
        disk=read_disk(source),
        container=in_container(source),
    )


def _system() -> dict[str, str]:
    return {"name": platform.system(), "release": platform.release(), "machine": platform.machine()}


def _system_name(told: Mapping[str, str] | None) -> str:
    """System, release and kind of machine; Windows' Linux is named as such."""
    if told is None:
        return "unknown"
    name = {"Darwin": "macOS"}.get(told["name"], told["name"])
    text = f"{name} {told['release']} {told['machine']}"
    return f"{text} (WSL)" if WSL_MARK in told["release"].lower() else text


def read_memory(source: Source) -> HostMemory:
    """RAM in total, and what is available within the control groups' limits."""
    import psutil

    try:
        told = source.ask("memory", _memory)
    except (psutil.Error, OSError, ValueError) as error:
        raise _no_memory(str(error)) from error
    if told is None:
        raise _no_memory("it was not recorded")
    total, available = told["total"], told["available"]
    limit = cgroups.memory_limit(source, total)
    return HostMemory(
        total_bytes=total,
        available_bytes=min(available, limit.available_bytes) if limit else available,
        limit_bytes=limit.limit_bytes if limit else None,
    )


def _memory() -> dict[str, int]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total": memory.total, "available": memory.available}


def _no_memory(why: str) -> ProbeError:
    return ProbeError(
        f"The size of the memory could not be read ({why}): describe the machine with --hardware."
    )


def read_cpu(source: Source) -> Cpu:
    """Name, cores and SIMD extensions; what the system does not tell is None or left out."""
    told = source.ask("cores", partial(_cores, source)) or {}
    logical = told.get("logical")
    name, features = _describe_cpu(source)
    return Cpu(
        name=name,
        sockets=told.get("sockets") or 1,
        physical_cores=told.get("physical"),
        logical_cores=logical,
        limit_cores=limit_cores(cgroups.cpu_quota(source), told.get("allowed"), logical),
        features=features,
    )


def _cores(source: Source) -> dict[str, int | None]:
    """Cores and threads of the machine, threads that this process may run on, and processors."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else None
    processors = parse_cpuinfo(_text(source, "proc/cpuinfo"))
    sockets = {processor["physical id"] for processor in processors if "physical id" in processor}
    return {
        "logical": psutil.cpu_count(),
        "physical": psutil.cpu_count(logical=False),
        "allowed": allowed,
        "sockets": len(sockets) or None,
    }


def limit_cores(quota: float | None, allowed: int | None, logical_cores: int | None) -> float | None:
    """The tighter of the quota and the set of CPUs that this process may run on, where either limits."""
    limit = min((float(n) for n in (quota, allowed) if n is not None), default=None)
    return limit if limit is not None and (logical_cores is None or limit < logical_cores) else None


def _describe_cpu(source: Source) -> tuple[str | None, tuple[str, ...]]:
    if source.platform == "win32":
        told = source.ask("processor", _windows_processor) or {"name": None, "features": []}
        return told["name"], tuple(told["features"])
    if source.platform == "darwin":
        facts = parse_sysctl(sysctl(source, "machdep.cpu", "hw.optional"))
        return facts.get("machdep.cpu.brand_string"), mac_features(facts)
    processors = parse_cpuinfo(_text(source, "proc/cpuinfo"))
    return linux_cpu_name(source, processors), linux_features(processors)


def parse_cpuinfo(text: str) -> tuple[dict[str, str], ...]:
    """The processors of /proc/cpuinfo, each with its fields."""
    blocks = (block for block in text.split("\n\n") if block.strip())
    pairs = ([line.partition(":") for line in block.splitlines()] for block in blocks)
    return tuple({key.strip(): value.strip() for key, _, value in lines} for lines in pairs)


def linux_cpu_name(source: Source, processors: tuple[dict[str, str], ...]) -> str | None:
    """The board's name where a device tree gives one (ARM), else the processor's, else its cores'."""
    board = _text(source, "proc/device-tree/model").strip("\0 \n")
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


def cache_dir(environ: Mapping[str, str]) -> Path | None:
    """Where the Hugging Face hub keeps downloads, by its own rules; None where there is no home folder."""
    home = environ.get("HF_HOME")
    if not home and environ.get("XDG_CACHE_HOME"):
        home = f"{environ['XDG_CACHE_HOME']}/huggingface"
    hub = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    try:
        return Path(os.path.expandvars(hub or f"{home or '~/.cache/huggingface'}/hub")).expanduser()
    except RuntimeError:
        return None


def read_disk(source: Source) -> Disk:
    """Space where models are downloaded to; unknown where the file system does not answer in time."""
    try:
        told = Started(lambda: source.ask("disk", lambda: disk_of(cache_dir(source.environ))), DISK_LIMIT_S)
        return Disk.model_validate(told.result() or {})
    except TimeoutError:
        return Disk()


def disk_of(folder: Path | None) -> dict[str, str | int | None]:
    """Space on the folder's file system; the folder itself may not exist yet."""
    if folder is None:
        return {}
    named: dict[str, str | int | None] = {"cache_dir": _printable(folder)}
    for existing in (folder, *folder.absolute().parents):
        try:
            usage = shutil.disk_usage(existing)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            break
        return {**named, "free_bytes": usage.free, "total_bytes": usage.total}
    return named


def _printable(path: Path) -> str:
    """The path as valid text: names on disk are bytes, and JSON is not."""
    return os.fsencode(path).decode(errors="replace")


def in_container(source: Source) -> bool:
    """Whether this process runs in a container, by the traces that runtimes leave."""
    if any(source.glob(name) for name in CONTAINER_FILES):
        return True
    if any(source.environ.get(name) for name in CONTAINER_VARIABLES):
        return True
    return CONTAINER_GROUP.search(_text(source, "proc/self/cgroup")) is not None


def _text(source: Source, path: str) -> str:
    return source.text(path) or ""
