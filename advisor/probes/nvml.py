"""What NVIDIA's library tells, as plain data: gathered here, understood in `nvidia`.

Whatever a card or a driver does not tell is None; an error is kept as text.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final, TypeVar

T = TypeVar("T")

LINUX_LIBRARY: Final = "libnvidia-ml.so.1"
"""Its name as the driver installs it, which `pynvml` opens too."""

Told = dict[str, Any]
"""JSON values: {"error", "kind"} where the library does not work, else {"driver", "cards": […]}."""


def ask_nvml() -> Told:
    """Ask the library of this machine."""
    if sys.platform == "linux" and (reason := _why_no_library()):
        return {"kind": "no driver", "error": reason}
    try:
        import pynvml
    except ImportError as error:
        return {"kind": "no module", "error": str(error)}
    return gather(pynvml)


def _why_no_library() -> str | None:
    """Why the driver's library cannot be loaded, as `pynvml` says it, which takes longer to load itself."""
    try:
        ctypes.CDLL(LINUX_LIBRARY)
    except OSError:
        return "NVML Shared Library Not Found"
    return None


def gather(nvml: ModuleType) -> Told:
    """Everything that detection wants of the library; nvml: the `pynvml` module."""
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return {"kind": _kind(nvml, error), "error": str(error)}
    try:
        driver = _optional(nvml, nvml.nvmlSystemGetDriverVersion)
        return {"driver": driver, "cards": [_card(nvml, i) for i in range(nvml.nvmlDeviceGetCount())]}
    except nvml.NVMLError as error:
        return {"kind": "no list", "error": str(error)}
    finally:
        _optional(nvml, nvml.nvmlShutdown)


def _kind(nvml: ModuleType, error: Exception) -> str:
    if isinstance(error, nvml.NVMLError_LibRmVersionMismatch):
        return "mismatch"
    missing = (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded)
    return "no driver" if isinstance(error, missing) else "other"


def _card(nvml: ModuleType, index: int) -> Told:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        mode = _optional(nvml, nvml.nvmlDeviceGetMigMode, handle)
        is_divided = mode is not None and mode[0] == nvml.NVML_DEVICE_MIG_ENABLE
        return {
            "capability": _capability(nvml, handle),
            "link": _link(nvml, handle),
            "slices": list(_slices(nvml, handle)) if is_divided else None,
            **({} if is_divided else _device(nvml, handle)),
        }
    except (nvml.NVMLError, ValueError) as error:  # ValueError: an answer that makes no sense
        return {"error": str(error).partition("\n")[0]}


def _slices(nvml: ModuleType, handle: Any) -> Iterator[Told]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        piece = _optional(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if piece is not None:
            yield _device(nvml, piece)


def _device(nvml: ModuleType, handle: Any) -> Told:
    """Name, memory (0: the host's) and who uses it."""
    try:
        info = nvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = info.total, info.free
    except nvml.NVMLError_NotSupported:
        total, free = 0, None
    return {
        "name": nvml.nvmlDeviceGetName(handle),
        "total": total,
        "free": free,
        "users": list(_users(nvml, handle)),
    }


def _users(nvml: ModuleType, handle: Any) -> Iterator[Told]:
    """Programs that hold memory: their names without folders and arguments, which may tell secrets."""
    asked = (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses)
    processes = [process for ask in asked for process in _optional(nvml, ask, handle) or ()]
    for process in {process.pid: process for process in processes}.values():
        if process.usedGpuMemory is not None:  # Windows does not tell
            path = _optional(nvml, nvml.nvmlSystemGetProcessName, process.pid) or ""
            name = path.split(" ")[0].replace("\\", "/").rpartition("/")[2]
            yield {"name": name or None, "bytes": process.usedGpuMemory}


def _capability(nvml: ModuleType, handle: Any) -> str | None:
    capability = _optional(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return None if capability is None else f"{capability[0]}.{capability[1]}"


def _link(nvml: ModuleType, handle: Any) -> str | None:
    """The card's link to others: NVLink where one is up, else the PCIe that card and slot can do."""
    for number in range(nvml.NVML_NVLINK_MAX_LINKS):
        state = _optional(nvml, nvml.nvmlDeviceGetNvLinkState, handle, number)
        if state is None:  # no more links, or none at all
            break
        if state == nvml.NVML_FEATURE_ENABLED:
            return "nvlink"
    # The current generation drops when a card idles, the maximum does not.
    generation = _optional(nvml, nvml.nvmlDeviceGetMaxPcieLinkGeneration, handle)
    width = _optional(nvml, nvml.nvmlDeviceGetMaxPcieLinkWidth, handle)
    return f"pcie {generation}.0 x{width}" if generation and width else None


def _optional(nvml: ModuleType, call: Callable[..., T], *args: Any) -> T | None:
    """A detail that some cards and drivers do not tell."""
    try:
        return call(*args)
    except nvml.NVMLError:
        return None
