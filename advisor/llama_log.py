"""What llama.cpp says of its buffers in its log: sizes rounded to hundredths of a MiB, by buffer type.

Lines and their wording: llama.cpp as of llama-cpp-python 0.3.36 (2026-10-01).
"""

from __future__ import annotations

import re
from typing import Final

from advisor.measurements import LayerCount, LogBuffer, LogKind
from advisor.units import MIB

LOG_ROUNDING_BYTES: Final = MIB // 200 + 1
"""Half of the last decimal that the log prints: two figures nearer than this may be equal."""

_BUFFER: Final = re.compile(r":\s+(\S+)\s+(model|KV|RS|compute|output) buffer size =\s+([0-9.]+) MiB")
_ON_DEVICE: Final = re.compile(r"layer\s+\d+ assigned to device ([^,\s]+)")
_KV_SIZE: Final = re.compile(
    r"llama_kv_cache: size =.*\(\s*(\d+) cells,\s+(\d+) layers,\s+\d+/(\d+) seqs\),"
    r" K \((\w+)\):\s+([0-9.]+) MiB, V \((\w+)\):\s+([0-9.]+) MiB"
)
_KV_BLOCK_BYTES: Final = {"f32": 128, "f16": 64, "bf16": 64, "q8_0": 34, "q4_0": 18}
"""Bytes of 32 values: a row of the cache is a whole number of these."""


def buffers(log: str) -> tuple[LogBuffer, ...]:
    """One entry a buffer type and kind, in order of appearance.

    Weights and caches add up over their lines (several files, two caches); graphs and outputs are reserved
    again and again, so their last line counts.
    """
    found: dict[tuple[str, LogKind], int] = {}
    for name, kind, mib in _BUFFER.findall(log):
        size = round(float(mib) * MIB)
        earlier = 0 if kind in ("compute", "output") else found.get((name, kind), 0)
        found[name, kind] = earlier + size
    return tuple(LogBuffer(name=name, kind=kind, bytes=size) for (name, kind), size in found.items())


def kv_cache_bytes(log: str) -> int | None:
    """Exact bytes of the attention caches: the rounded sizes, put back on whole rows; None without a line."""
    lines = _KV_SIZE.findall(log)
    if not lines:
        return None
    return sum(
        _whole_rows(float(mib), int(cells) * int(layers) * int(streams), kv_type)
        for cells, layers, streams, k_type, k_mib, v_type, v_mib in lines
        for mib, kv_type in ((k_mib, k_type), (v_mib, v_type))
    )


def _whole_rows(mib: float, n_rows: int, kv_type: str) -> int:
    unit = n_rows * _KV_BLOCK_BYTES.get(kv_type, 1)
    return round(mib * MIB / unit) * unit if unit else 0  # a kind of cache may have no layers


def layers(log: str) -> tuple[LayerCount, ...]:
    """How many layers, the output layer counted, each device was given."""
    counts: dict[str, int] = {}
    for device in _ON_DEVICE.findall(log):
        counts[device] = counts.get(device, 0) + 1
    return tuple(LayerCount(device=device, n_layers=n) for device, n in counts.items())


def is_mapped(name: str) -> bool:
    """Whether a buffer is a view of the file: pages that can be dropped, from first to last tensor."""
    return name.endswith("_Mapped")


def is_host(name: str) -> bool:
    """Whether a buffer type, by its name alone, lies in host memory."""
    return name.startswith(("CPU", "AMX", "BLAS")) or name.endswith("_Host")
