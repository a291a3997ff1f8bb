"""What a process takes of a GPU before its engine allocates anything, by vendor."""

from __future__ import annotations

from typing import Final

from advisor.hardware import Gpu, Vendor
from advisor.units import MIB

CUDA_HIDDEN_BYTES: Final = 512 * MIB
"""What the driver counts of a card and CUDA does not offer: nvidia-smi's total less PyTorch's is 357 to 480
MiB on the RTX 4090, 448 on the H100, 489 on the RTX 5090, 692 on the A100 80 GB and 698 on the H200 (vLLM and
PyTorch issues, 2023-12 to 2026-02)."""

CONTEXT_BYTES: Final[dict[Vendor, int]] = {
    "nvidia": 512 * MIB,
    "amd": 512 * MIB,
    "intel": 512 * MIB,
    "apple": 0,
}
"""Driver, kernels and library handles of one PyTorch process. NVIDIA: about 300 MB since CUDA 11.7 loads
kernels when they are first used (PyTorch issue 107667, 2023-08-28); vLLM finds 78.84 of 79.25 GiB free on an
A100 and 78.66 of 79.19 on an H100 when it starts (logs of 2026-10-06 and 2025-09-23). AMD and Intel: no
published figure was found, NVIDIA's is taken. Apple: Metal's buffers are the engine's own."""


def context_bytes(gpu: Gpu) -> int:
    """The process's own share of a GPU."""
    return CONTEXT_BYTES[gpu.vendor]


def offered_bytes(gpu: Gpu) -> int:
    """The memory that the compute API calls the device's total."""
    return gpu.vram_bytes if gpu.unified or gpu.vendor != "nvidia" else gpu.vram_bytes - CUDA_HIDDEN_BYTES


def free_bytes(gpu: Gpu) -> int:
    """What of it is free once the process has its context."""
    return max(0, min(gpu.capacity_bytes, offered_bytes(gpu)) - context_bytes(gpu))
