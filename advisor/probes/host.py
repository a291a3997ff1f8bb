"""The host: system, memory within the container's limit, the disk that models are downloaded to.

Each part is asked in a thread of its own, so that one that hangs hides no other.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from advisor.errors import ProbeError
from advisor.hardware import Cpu, Disk, Host, HostMemory
from advisor.i18n import _
from advisor.probes import cgroups, processor
from advisor.probes.cgroups import MemoryLimit
from advisor.probes.deadline import Questions, Started
from advisor.probes.source import Source
from advisor.units import KIB

T = TypeVar("T")

SYSTEM_LIMIT_S: Final = 1.0
"""For what the system and its disks tell: they answer in milliseconds or, where something hangs, never."""
UNKNOWN_SYSTEM: Final = "unknown"
WSL2_MARKS: Final = ("microsoft-standard", "wsl2")
"""In the release of the kernel that Windows runs Linux with: "5.15.153.1-microsoft-standard-WSL2" …"""
WSL1_MARK: Final = "microsoft"
"""… and in what the first version shows in place of one: "4.4.0-19041-Microsoft"."""
MEMINFO: Final = Path("/proc/meminfo")

CONTAINER_FILES: Final = (".dockerenv", "run/.containerenv")
"""What Docker and Podman leave in the root of their containers."""
CONTAINER_GROUP: Final = re.compile(r"/(docker[-/]|cri-containerd[-:]|kubepods[./]|libpod[-_]|lxc[./])")
"""What container runtimes write into a control group's path; /system.slice/docker.service is the daemon."""
CONTAINER_VARIABLES: Final = ("container", "KUBERNETES_SERVICE_HOST")
"""Set by systemd-nspawn, Podman and LXC; set by Kubernetes."""


class Ram(NamedTuple):
    """The machine's memory, whatever a container may use of it; bytes."""

    total: int
    available: int


class HostQuestions:
    """Everything about the host, under way."""

    def __init__(self, source: Source, questions: Questions) -> None:
        def ask(call: Callable[[Source], T], note: str) -> Started[T]:
            return questions.ask(partial(call, source), SYSTEM_LIMIT_S, note)

        self._system = ask(read_system, _("The system did not tell its name in time: it is not known."))
        self._ram = ask(read_ram, _("The size of the memory was not told in time."))
        limits = _("The control groups could not be read in time: a container's limits are not known.")
        self._limit = ask(lambda told: cgroups.memory_limit(told, self._ram.result().total), limits)
        self._quota = ask(cgroups.cpu_quota, limits)
        self._description = ask(
            processor.describe, _("The processor's name and SIMD extensions were not told in time.")
        )
        self._cores = ask(
            processor.read_cores, _("The number of cores was not told in time: it is not known.")
        )
        self._disk = ask(
            read_disk, _("The disk for models did not answer in time: its free space is not known.")
        )
        self._container = ask(in_container, _("Whether this is a container could not be read in time."))

    @property
    def memory(self) -> HostMemory:
        """RAM in total, and what is available within the control groups' limits.

        Raises `ProbeError` where not even its size can be read.
        """
        try:
            ram = self._ram.result()
        except TimeoutError as error:
            raise _no_memory(_("the system did not answer in time")) from error
        return limited(ram, self._limit.result_or(None))

    @property
    def container(self) -> bool:
        """Whether this process is known to run in a container."""
        return self._container.result_or(False)

    @property
    def identified(self) -> bool:
        """Whether all was told by which this machine is known from others."""
        return not any(part.late for part in (self._limit, self._quota, self._description, self._cores))

    @property
    def host(self) -> Host:
        """All of it; raises `ProbeError` as `memory` does."""
        quota = self._quota.result_or(None)
        cpu = self._description.result_or(Cpu())
        return Host(
            os=self._system.result_or(UNKNOWN_SYSTEM),
            cpu=processor.with_cores(cpu, self._cores.result_or({}), quota),
            memory=self.memory,
            disk=self._disk.result_or(Disk()),
            container=self.container,
        )


def read_system(source: Source) -> str:
    """System, release and kind of machine; Windows' Linux is named as such."""
    told = source.ask("system", _system)
    if told is None:
        return UNKNOWN_SYSTEM
    name = {"Darwin": "macOS"}.get(told["name"], told["name"])
    text = f"{name} {told['release']} {told['machine']}"
    release = told["release"].lower()
    if any(mark in release for mark in WSL2_MARKS):
        return f"{text} (WSL2)"
    return f"{text} (WSL1)" if WSL1_MARK in release else text


def _system() -> dict[str, str]:
    return {"name": platform.system(), "release": platform.release(), "machine": platform.machine()}


def read_ram(source: Source) -> Ram:
    """The machine's memory. Raises `ProbeError` where its size cannot be read."""
    try:
        told = source.ask("memory", _memory)
    except (OSError, ValueError) as error:
        raise _no_memory(str(error)) from error
    if told is None:
        raise _no_memory(_("it was not recorded"))
    return Ram(told["total"], told["available"])


def limited(ram: Ram, limit: MemoryLimit | None) -> HostMemory:
    """The memory as far as the control groups let this process use it."""
    if limit is None:
        return HostMemory(total_bytes=ram.total, available_bytes=ram.available)
    return HostMemory(
        total_bytes=ram.total,
        available_bytes=min(ram.available, limit.available_bytes),
        limit_bytes=limit.limit_bytes,
    )


def _memory() -> dict[str, int]:
    told = meminfo() if sys.platform == "linux" else None
    if told is not None:
        return told
    import psutil

    try:
        memory = psutil.virtual_memory()
    except psutil.Error as error:
        raise OSError(str(error)) from error
    return {"total": memory.total, "available": memory.available}


def meminfo(file: Path = MEMINFO) -> dict[str, int] | None:
    """Linux's own figures, for which psutil is too slow to load; None of kernels before 3.14."""
    sizes = dict(re.findall(r"^(\w+): +(\d+) kB$", file.read_text(), re.MULTILINE))
    try:
        return {"total": int(sizes["MemTotal"]) * KIB, "available": int(sizes["MemAvailable"]) * KIB}
    except KeyError:
        return None


def _no_memory(why: str) -> ProbeError:
    return ProbeError(
        _("The size of the memory could not be read ({why}): describe the machine with --hardware.").format(
            why=why
        )
    )


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
    """Space where models are downloaded to."""
    return Disk.model_validate(source.ask("disk", lambda: disk_of(cache_dir(source.environ))) or {})


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
    return CONTAINER_GROUP.search(source.text("proc/self/cgroup") or "") is not None
