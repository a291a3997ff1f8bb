"""What Linux control groups allow this process: memory and CPU time, for versions 1 and 2.

Every group on the path from the process's own up to the mounted root may set a limit, so the smallest of
them holds. Inside a container the mount shows the container's group as the root.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from advisor.probes.source import Source

RECLAIMABLE_V2: Final = ("active_file", "inactive_file", "slab_reclaimable")
"""File cache that the kernel gives back on demand, as it counts for MemAvailable; tmpfs is not in it."""
RECLAIMABLE_V1: Final = ("total_active_file", "total_inactive_file")
"""The same in version 1; "total" counts the groups below too."""


class MemoryLimit(NamedTuple):
    """The tightest memory limit on the path."""

    limit_bytes: int
    available_bytes: int
    """What may still be allocated in the fullest group: its limit less its usage, file cache not counted."""


def memory_limit(source: Source, total_bytes: int) -> MemoryLimit | None:
    """The memory limit, or None where no group sets one below the machine's memory."""
    levels = [
        level
        for level in (*_levels_v2(source), *_levels_v1(source))
        if level.limit_bytes < total_bytes  # version 1 writes "no limit" as 2^63 less a page
    ]
    if not levels:
        return None
    return MemoryLimit(
        limit_bytes=min(level.limit_bytes for level in levels),
        available_bytes=min(level.available_bytes for level in levels),
    )


def cpu_quota(source: Source) -> float | None:
    """CPUs' worth of time that the process may use, or None where no group sets a quota."""
    written = [_text(source, group / "cpu.max") for group in _groups(source, None)]
    for group in _groups(source, "cpu"):
        written.append(
            f"{_text(source, group / 'cpu.cfs_quota_us')} {_text(source, group / 'cpu.cfs_period_us')}"
        )
    return min((quota for quota in map(_quota, written) if quota is not None), default=None)


def _levels_v2(source: Source) -> Iterator[MemoryLimit]:
    for group in _groups(source, None):
        # Past memory.high a process is slowed to a crawl: as good as a limit.
        limits = [_number(source, group / name) for name in ("memory.max", "memory.high")]
        level = _level(
            limits, _number(source, group / "memory.current"), _stat(source, group), RECLAIMABLE_V2
        )
        if level:
            yield level


def _levels_v1(source: Source) -> Iterator[MemoryLimit]:
    for group in _groups(source, "memory"):
        limits = [_number(source, group / "memory.limit_in_bytes")]
        level = _level(
            limits, _number(source, group / "memory.usage_in_bytes"), _stat(source, group), RECLAIMABLE_V1
        )
        if level:
            yield level


def _level(
    limits: list[int | None], usage: int | None, stat: dict[str, int], reclaimable: tuple[str, ...]
) -> MemoryLimit | None:
    limit = min((limit for limit in limits if limit is not None), default=None)
    if limit is None:
        return None
    in_use = max(0, (usage or 0) - sum(stat.get(key, 0) for key in reclaimable))
    return MemoryLimit(limit_bytes=limit, available_bytes=max(0, limit - in_use))


def _groups(source: Source, controller: str | None) -> Iterator[PurePosixPath]:
    """Folders from the process's group up to the mounted root; `controller` None means version 2."""
    path = _group_path(source, controller)
    mount = _mount(source, controller)
    if path is None or mount is None:
        return
    mounted, top = mount
    inside = path.removeprefix(mounted).strip("/") if f"{path}/".startswith(f"{mounted}/") else ""
    if ".." in inside.split("/"):  # a group outside this container's view
        inside = ""
    group = top / inside
    yield group
    while group != top:
        group = group.parent
        yield group


def _group_path(source: Source, controller: str | None) -> str | None:
    """The process's group, as /proc/self/cgroup names it: lines of "number:controllers:path"."""
    for line in _text(source, "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" if controller is None else controller in controllers.split(","):
            return path
    return None


def _mount(source: Source, controller: str | None) -> tuple[str, PurePosixPath] | None:
    """Which group is mounted, and where, from /proc/self/mountinfo."""
    for line in _text(source, "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, options = before.split(), after.split()
        if len(fields) < 5 or len(options) < 3:
            continue
        wanted = (
            options[0] == "cgroup2"
            if controller is None
            else options[0] == "cgroup" and controller in options[2].split(",")
        )
        if wanted:
            return fields[3].rstrip("/"), PurePosixPath(fields[4].lstrip("/"))
    return None


def _quota(written: str) -> float | None:
    """Time over period, both in microseconds; "max" and -1 mean no quota."""
    match written.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            return int(quota) / int(period)
    return None


def _text(source: Source, path: PurePosixPath | str) -> str:
    return source.text(str(path)) or ""


def _number(source: Source, path: PurePosixPath) -> int | None:
    text = _text(source, path).strip()
    return int(text) if text.isdecimal() else None


def _stat(source: Source, group: PurePosixPath) -> dict[str, int]:
    """The counters of memory.stat."""
    pairs = (line.split() for line in _text(source, group / "memory.stat").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
