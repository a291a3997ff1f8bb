"""The host's memory bandwidth: measured in under a second, and kept.

Generating a token reads every active weight once, so decoding on a CPU runs at the speed of memory. What is
measured is that: all cores reading, none writing, through a buffer that no cache holds. The reading is done
by the C library (`memchr`, `memcmp`), whose loops are vectorized and run without Python's lock. Each counts
only bytes that were read, so each is a lower bound, and the better one's middle window is the figure. On a
machine with several NUMA nodes every core reads its own node, as a model does that was spread with `--numa`.

The figure is an attainable rate: an engine gets a part of it, which is the speed estimate's business.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from advisor.errors import OutputError, ProbeError
from advisor.hardware import Host
from advisor.i18n import _
from advisor.output import write_whole
from advisor.units import MIB, pad
from advisor.value import SCHEMA_VERSION, Value

STEP_BYTES: Final = 8 * MIB
"""Read by one call: long against the call's overhead, short against a window."""
BUFFER_BYTES: Final = 512 * MIB
"""Smallest buffer of all cores together."""
BUFFER_CACHES: Final = 8
"""The buffer is at least so many last-level caches: what is left in them counts for an eighth at most."""
ENOUGH_CACHES: Final = 4
"""Below this many caches the figure would be the cache's, and none is given."""
AVAILABLE_SHARE: Final = 4
"""At most this part of the available memory (1/4) is taken for the buffer."""
FILL_S: Final = 0.25
"""Time limit for making the buffer real: untouched pages all map to one page of zeros."""
WINDOW_S: Final = 0.06
"""Length of one measurement."""
N_WINDOWS: Final = 3
"""Measurements of each kind of read; the middle one counts, since another program may disturb one."""

Read = Callable[[int, int], None]
"""Reads so many bytes from an address."""


class Measurement(Value):
    """A figure, with what tells one machine from another."""

    cpu: str | None
    physical_cores: int | None
    limit_cores: float | None
    total_bytes: int
    limit_bytes: int | None
    bandwidth_bytes_per_s: int = Field(gt=0)


class Measurements(Value):
    """The file in the cache folder; a home folder may be shared by several machines."""

    schema_version: Literal[1] = SCHEMA_VERSION
    machines: tuple[Measurement, ...] = ()


def cache_file() -> Path:
    """Where measurements are kept: in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("advisor", appauthor=False)) / "bandwidth.json"


def kept_bandwidth(host: Host, file: Path) -> tuple[int | None, tuple[str, ...]]:
    """Look up this machine's figure in bytes/s, where an earlier run measured it; a note if that fails."""
    try:
        entries = _load(file).machines
    except ProbeError as error:
        return None, (str(error),)
    return next((e.bandwidth_bytes_per_s for e in entries if _same_machine(e, host)), None), ()


def host_bandwidth(host: Host, file: Path) -> tuple[int | None, tuple[str, ...]]:
    """Give this machine's figure in bytes/s, kept or measured now, and notes on what failed."""
    kept, notes = kept_bandwidth(host, file)
    if kept is not None:
        return kept, notes
    try:
        measured = measure_bandwidth(host)
    except ProbeError as error:
        return None, (*notes, str(error))
    try:
        keep_bandwidth(host, measured, file)
    except OutputError as error:
        text = _("The measured memory bandwidth is not kept for the next run: {problem}")
        notes = (*notes, text.format(problem=error))
    return measured, notes


def keep_bandwidth(host: Host, bandwidth_bytes_per_s: int, file: Path) -> None:
    """Keep this machine's figure beside other machines'. Raises `OutputError` when that fails."""
    try:
        others = tuple(e for e in _load(file).machines if not _same_machine(e, host))
    except ProbeError:
        others = ()  # a broken file is replaced
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            _("{folder} could not be made ({reason}).").format(
                folder=file.parent, reason=_(error.strerror or str(error))
            )
        ) from error
    entries = (*others, _measurement(host, bandwidth_bytes_per_s))
    write_whole(file, Measurements(machines=entries).model_dump_json(indent=2) + "\n", force=True)


def forget_bandwidth(file: Path) -> None:
    """Drop the kept figures, so that the next run measures. Raises `OutputError` when that fails."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            _("{file} could not be removed ({reason}): remove it yourself.").format(
                file=file, reason=_(error.strerror or str(error))
            )
        ) from error


def measure_bandwidth(host: Host, root: Path = Path("/")) -> int:
    """Measure how many bytes per second all cores read from memory together.

    Raises `ProbeError` when there is too little free memory, or the system refuses memory or threads.
    """
    memory = host.memory
    available = memory.total_bytes if memory.available_bytes is None else memory.available_bytes
    cache_bytes = last_level_cache_bytes(root)
    buffer_bytes = buffer_size(available, cache_bytes)
    try:
        return _measure(threads(host), buffer_bytes, ENOUGH_CACHES * cache_bytes)
    except (OSError, RuntimeError, AttributeError) as error:  # no memory, no threads, no C library
        raise ProbeError(
            _("The memory bandwidth could not be measured ({problem}).").format(problem=error)
        ) from error


def threads(host: Host) -> int:
    """One thread a physical core, as llama.cpp runs; fewer where a container allows fewer."""
    cores = host.cpu.physical_cores or host.cpu.logical_cores or 1
    limit = host.cpu.limit_cores
    return cores if limit is None else max(1, min(cores, int(limit)))


def buffer_size(available_bytes: int, cache_bytes: int) -> int:
    """How much memory to read. Raises `ProbeError` when so little is free that caches would hold it."""
    size = min(max(BUFFER_BYTES, BUFFER_CACHES * cache_bytes), available_bytes // AVAILABLE_SHARE)
    if size < max(STEP_BYTES, ENOUGH_CACHES * cache_bytes):
        raise ProbeError(_("The memory bandwidth was not measured: too little memory is free."))
    return size


def last_level_cache_bytes(root: Path = Path("/")) -> int:
    """All last-level caches together; 0 where the system does not say (any but Linux)."""
    sizes: dict[tuple[int, str], int] = {}
    for cache in root.glob("sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]*"):
        try:
            level = int((cache / "level").read_text())
            shared = (cache / "shared_cpu_list").read_text().strip()
            size = (cache / "size").read_text().strip()
            sizes[level, shared] = int(size.removesuffix("K")) * 1024
        except (OSError, ValueError):
            continue
    last = max((level for level, _shared in sizes), default=0)
    return sum(size for (level, _shared), size in sizes.items() if level == last)


def _load(file: Path) -> Measurements:
    try:
        return Measurements.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Measurements()
    except (OSError, ValidationError) as error:
        reason = _(error.strerror or str(error)) if isinstance(error, OSError) else _("it is broken")
        raise ProbeError(
            _("The kept memory bandwidth in {file} could not be read ({reason}).").format(
                file=file, reason=reason
            )
        ) from error


def _same_machine(entry: Measurement, host: Host) -> bool:
    return entry == _measurement(host, entry.bandwidth_bytes_per_s)


def _measurement(host: Host, bandwidth_bytes_per_s: int) -> Measurement:
    return Measurement(
        cpu=host.cpu.name,
        physical_cores=host.cpu.physical_cores,
        limit_cores=host.cpu.limit_cores,
        total_bytes=host.memory.total_bytes,
        limit_bytes=host.memory.limit_bytes,
        bandwidth_bytes_per_s=bandwidth_bytes_per_s,
    )


def _measure(n_threads: int, buffer_bytes: int, enough_bytes: int) -> int:
    from concurrent.futures import ThreadPoolExecutor

    n_threads = min(n_threads, buffer_bytes // STEP_BYTES)
    chunk = buffer_bytes // n_threads // STEP_BYTES * STEP_BYTES
    enough = min(chunk, pad(enough_bytes // n_threads, STEP_BYTES))
    memory = mmap.mmap(-1, chunk * n_threads)
    first = ctypes.c_char.from_buffer(memory)  # keeps the memory mapped while it lives
    starts = [ctypes.addressof(first) + i * chunk for i in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        filled = list(pool.map(partial(_fill, size=chunk, enough=enough), starts))

        def window(read: Read) -> int:
            return int(sum(pool.map(partial(_rate, read), starts, filled)))

        return max(sorted(window(read) for _nth in range(N_WINDOWS))[N_WINDOWS // 2] for read in _reads())


def _fill(start: int, size: int, enough: int) -> int:
    """Write to memory so that it becomes real, past `enough` within the time limit; returns how much is."""
    end = time.perf_counter() + FILL_S
    done = 0
    while done < size and (done <= enough or time.perf_counter() < end):
        ctypes.memset(start + done, 1, STEP_BYTES)
        done += STEP_BYTES
    return done


def _rate(read: Read, start: int, size: int) -> float:
    """Bytes per second that one core reads, round and round, during a window."""
    began = time.perf_counter()
    done = 0
    elapsed = 0.0
    while elapsed < WINDOW_S:
        read(start + done % size, STEP_BYTES)
        done += STEP_BYTES
        elapsed = time.perf_counter() - began
    return done / elapsed


def _reads() -> Iterator[Read]:
    """The C library's reads; both run to the end, since every byte of the buffer is the same."""
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    find = library.memchr
    find.argtypes, find.restype = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t), ctypes.c_void_p
    compare = library.memcmp
    compare.argtypes, compare.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t), ctypes.c_int
    yield lambda start, size: find(start, 0, size)
    yield lambda start, size: compare(start, start + size // 2, size // 2)
