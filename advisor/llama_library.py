"""The installed llama.cpp, asked directly: its devices, and the exact bytes of a context's buffers.

Only a child process imports this: llama.cpp aborts its process when an assertion fails, and the exact bytes
are read from a C++ map, whose layout is checked but not promised.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any, Final

from advisor.measurements import Buffer, DeviceKind, Library, LibraryDevice

_DEVICE_KINDS: Final[dict[int, DeviceKind]] = {0: "cpu", 1: "gpu", 2: "gpu", 3: "accelerator", 4: "gpu"}
"""ggml_backend_dev_type: CPU, GPU, IGPU, ACCEL, META (ggml-backend.h of llama-cpp-python 0.3.36)."""

_BREAKDOWN: Final = "_Z26llama_get_memory_breakdownPK13llama_context"
"""llama_get_memory_breakdown (llama-ext.h): a std::map from buffer type to {model, context, compute}."""
_MAX_BUFFER_TYPES: Final = 64
"""More entries than any machine has buffer types: a larger count means that the layout was misread."""


def describe() -> Library:
    """What the installed library is and finds; raises `ImportError` without one."""
    import llama_cpp

    count = _function("ggml_backend_dev_count", ctypes.c_size_t)()
    get = _function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    return Library(
        version=llama_cpp.__version__,
        gpu_offload=bool(llama_cpp.llama_supports_gpu_offload()),
        devices=tuple(_device(get(i)) for i in range(count)),
    )


def cpu_buffer_type() -> int:
    """The plain host memory, for weights that must not go to a GPU."""
    return int(_function("ggml_backend_cpu_buffer_type", ctypes.c_void_p)())


def breakdown(context: Any) -> tuple[Buffer, ...] | None:
    """Every buffer of a context and its model in exact bytes; None where the map's layout is not known.

    Known is libstdc++'s (Linux); the header is checked for sense before a pointer in it is followed.
    """
    from llama_cpp import llama_cpp as api

    if not _uses_libstdcxx() or not hasattr(api._lib, _BREAKDOWN):
        return None
    read = api._lib[_BREAKDOWN]
    read.restype, read.argtypes = _StdMap, [ctypes.c_void_p]
    tree = read(context)
    if tree.colour != 0 or not tree.root or not 0 < tree.size <= _MAX_BUFFER_TYPES:
        return None
    nodes = _nodes(tree.root, limit=tree.size)
    return tuple(_buffer(node) for node in nodes) if len(nodes) == tree.size else None


class _StdMap(ctypes.Structure):
    """libstdc++: the comparator, then the header node (colour red, root, first, last), then the size."""

    _fields_ = (
        ("compare", ctypes.c_size_t),
        ("colour", ctypes.c_int),
        ("root", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
    )


class _Node(ctypes.Structure):
    """A node of that map: the tree's links, then the key and the three sizes."""

    _fields_ = (
        ("colour", ctypes.c_int),
        ("parent", ctypes.c_void_p),
        ("left", ctypes.c_void_p),
        ("right", ctypes.c_void_p),
        ("buffer_type", ctypes.c_void_p),
        ("model", ctypes.c_size_t),
        ("context", ctypes.c_size_t),
        ("compute", ctypes.c_size_t),
    )


def _nodes(root: int, *, limit: int) -> list[_Node]:
    """The map's nodes from the left, at most one more than `limit`."""
    found: list[_Node] = []
    above: list[_Node] = []
    address: int | None = root
    while (address or above) and len(found) <= limit and len(above) <= limit:
        if address:
            above.append(_Node.from_address(address))
            address = above[-1].left
        else:
            found.append(above.pop())
            address = found[-1].right
    return found


def _buffer(node: _Node) -> Buffer:
    kind = node.buffer_type
    device = _function("ggml_backend_buft_get_device", ctypes.c_void_p, ctypes.c_void_p)(kind)
    of = _device(device) if device else None
    is_host = _function("ggml_backend_buft_is_host", ctypes.c_bool, ctypes.c_void_p)(kind)
    return Buffer(
        name=_function("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)(kind).decode(),
        device=of.name if of else "CPU",
        host=is_host or of is None or of.kind != "gpu",
        weights_bytes=node.model,
        context_bytes=node.context,
        compute_bytes=node.compute,
    )


def _device(device: int) -> LibraryDevice:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _function("ggml_backend_dev_memory", None, *[ctypes.c_void_p] * 3)(
        device, ctypes.byref(free), ctypes.byref(total)
    )
    kind = _function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(device)
    return LibraryDevice(
        name=_text("ggml_backend_dev_name", device),
        description=_text("ggml_backend_dev_description", device).strip(),
        kind=_DEVICE_KINDS.get(kind, "accelerator"),
        free_bytes=free.value,
        total_bytes=total.value,
    )


def _text(function: str, device: int) -> str:
    raw = _function(function, ctypes.c_char_p, ctypes.c_void_p)(device)
    return raw.decode("utf-8", "replace") if raw else ""


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of libllama or of the ggml libraries that it links to, typed."""
    from llama_cpp import llama_cpp as api
    from llama_cpp._ctypes_extensions import load_shared_library

    library = api._lib
    if not hasattr(library, name):  # Windows looks in the library itself only
        names = ("ggml", "ggml-base", "ggml-cpu")
        libraries = (load_shared_library(base, api._base_path) for base in names)
        library = next(candidate for candidate in libraries if hasattr(candidate, name))
    function = library[name]
    function.restype, function.argtypes = result, list(arguments)
    return function


def _uses_libstdcxx() -> bool:
    if sys.platform != "linux":
        return False
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return "libstdc++" in mapped and "libc++." not in mapped
