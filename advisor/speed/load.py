"""What one decode step makes a device do: the input of every speed estimate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advisor.usecase import Backend
from advisor.value import Value

Engine = Backend


class DeviceLoad(Value):
    """What one decode step of one sequence makes a device do."""

    name: str
    kind: Literal["gpu", "cpu"]
    vendor: str | None = None
    accelerator: str | None = None
    """What drives a GPU ("vulkan"); None: the vendor's own."""
    unified: bool = False
    """A GPU that shares the host's memory."""
    bandwidth_bytes_per_s: int | None = Field(default=None, gt=0)
    measured: bool = False
    """The bandwidth is what programs were measured to reach, not what the memory could do."""
    fp16_flops: int | None = Field(default=None, gt=0)
    """Dense FP16 rate of the tensor cores (GeForce: with FP16 accumulation, which the INT8 kernels scale
    with), or of the shaders where there are none."""
    compute_capability: str | None = None
    sockets: int = Field(default=1, gt=0)
    """Processors that the bandwidth and the cores of a host belong to."""
    physical_cores: int | None = Field(default=None, gt=0)
    features: tuple[str, ...] = ()
    """SIMD extensions of a CPU, as in `Cpu.features`."""
    weight_bytes: int = Field(ge=0)
    """Weights read: with experts, only the active ones'; looked-up rows of the embedding do not count."""
    shared_bytes: int = Field(default=0, ge=0)
    """The part of `weight_bytes` outside the routed experts."""
    expert_bytes_total: int = Field(default=0, ge=0)
    """All routed experts that the device holds, active or not; 0 for dense models."""
    kv_bytes: int = Field(default=0, ge=0)
    """Cache read at the depth."""
    kv_bytes_f16: int | None = Field(default=None, ge=0)
    """The same at F16, which attention unpacks a quantized cache to; None: it is F16."""
    recurrent_bytes: int = Field(default=0, ge=0)
    """Recurrent states, read whatever the depth."""
    attention: tuple[tuple[int, int], ...] = ()
    """Of attention: FLOPs of one token for every token it attends to, and the most tokens it attends to
    (the window of sliding layers), by kind of layer."""
    n_params_active: int = Field(ge=0)
    """Parameters a token is multiplied with on this device."""
    n_layers: int = Field(ge=0)
    """Layers it runs."""

    @property
    def kv_bytes_attended(self) -> int:
        """What the attention kernels handle of the cache, in bytes of F16."""
        return self.kv_bytes if self.kv_bytes_f16 is None else self.kv_bytes_f16

    @property
    def bits(self) -> float:
        """Bits a weight; 0 for a device without any."""
        return 8 * self.weight_bytes / self.n_params_active if self.n_params_active else 0.0

    @property
    def expert_share(self) -> float:
        """The part of what one token reads that is routed experts."""
        if not self.expert_bytes_total or not self.weight_bytes:
            return 0.0
        return 1 - min(1.0, self.shared_bytes / self.weight_bytes)

    def attention_flops(self, first: int, n_tokens: int) -> float:
        """FLOPs of attention for a prompt of `n_tokens` behind `first` tokens that are in the cache."""
        return sum(
            flops * (_attended(first + n_tokens, most) - _attended(first, most))
            for flops, most in self.attention
        )


def _attended(n_tokens: int, most: int) -> float:
    """Tokens that those of a prompt attend to, all together, each to at most so many before it."""
    if n_tokens <= most:
        return n_tokens**2 / 2
    return most**2 / 2 + (n_tokens - most) * most
