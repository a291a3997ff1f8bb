"""What a machine is: plain data, so that planning for one that is not here is the same thing.

`Machine` is what `advisor detect --json` writes and what `--hardware` reads: every figure was read from
the machine or the hardware catalog, or is None.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from advisor.i18n import _
from advisor.units import GIB, MIB
from advisor.value import SCHEMA_VERSION, Value

HOST_RESERVE_BYTES: Final = 2 * GIB
"""Simulated machines: what an operating system and its desktop keep for themselves."""
HOST_RESERVE_FRACTION: Final = 0.05
"""Simulated machines: firmware, integrated graphics and page tables take a share of what is sold."""
GPU_RESERVE_BYTES: Final = 512 * MIB
"""Simulated discrete GPUs: what a driver, a compositor and a browser hold on an otherwise idle card."""

GPU_FIGURES: Final = (
    "memory",
    "architecture",
    "fp16_flops",
    "bf16_flops",
    "int8_ops",
    "fp8_flops",
    "tdp_watts",
    "idle_watts",
)
"""Fields that a GPU's row in the hardware catalog decides alone."""

Vendor = Literal["nvidia", "amd", "intel", "apple", "huawei"]
Accelerator = Literal["cuda", "rocm", "vulkan", "sycl", "metal", "cann", "cpu"]
GpuMemory = Literal["discrete", "unified"]


class GpuSpec(Value):
    """A row of the hardware catalog: one GPU variant, with the maker's figures."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    name: str
    """The maker's marketing name: "GeForce RTX 3070"."""
    vendor: Vendor
    architecture: str
    memory: GpuMemory = "discrete"
    vram_bytes: int | None = Field(gt=0)
    """What the driver reports for a discrete card; None for unified memory, which is the host's."""
    bandwidth_bytes_per_s: int | None = Field(gt=0)
    fp16_flops: int | None = Field(default=None, gt=0)
    """Dense rate of the tensor cores at FP16 (GeForce: with FP16 accumulation), or of the shaders where there
    are none; None where that says nothing about the kernels (Pascal)."""
    bf16_flops: int | None = Field(default=None, gt=0)
    """Dense rate of the matrix units at BF16 with FP32 accumulation; None where there are none for it."""
    int8_ops: int | None = Field(default=None, gt=0)
    """Dense INT8 rate of the matrix units, or of DP4A where there are none (Pascal), operations/s."""
    fp8_flops: int | None = Field(default=None, gt=0)
    """Dense FP8 rate of the matrix units; None where they have none."""
    tdp_watts: int | None = Field(default=None, gt=0)
    idle_watts: float | None = Field(default=None, gt=0)
    """The card alone at rest, as a named test measured it (its source is in the row's comment)."""
    compute_capability: str | None = None
    """NVIDIA: "8.6"."""
    pcie: str | None = Field(default=None, pattern=r"^[1-7]\.0 x(1|2|4|8|16)$")
    """The slot it is made for: "4.0 x16"; None for SXM modules, integrated GPUs, and where not known."""
    link: str | None = None
    """How several of them are linked in the machines they are sold in: "nvlink", "xgmi"."""
    link_bytes_per_s: int | None = Field(default=None, gt=0)
    """Of that link, one GPU's total in both directions, as makers state it."""
    gpu_cores: int | None = Field(default=None, gt=0)
    """Apple: cores of the GPU, where a chip is sold with several numbers of them."""
    cpu_cores: int | None = Field(default=None, gt=0)
    """Unified memory: physical cores of the chip's processor."""
    ram_bytes: tuple[int, ...] = ()
    """Unified memory: the sizes it is sold with, smallest first; empty where any RAM can be fitted."""
    usable_fraction: float | None = Field(default=None, gt=0, le=1)
    """Unified memory: share of the pool that the driver lets the GPU use; None: the system's rule (Apple)."""
    match: tuple[str, ...] = ()
    """Exact names that drivers report (NVML, amd-smi, Metal); variants that share one differ in memory."""
    aliases: tuple[str, ...] = ()
    """What people write beside the id, the name and the driver's names: "3070", "dgx spark"."""
    default: bool = False
    """A variant meant when a name leaves it open (stated as an assumption)."""
    source: str
    checked: str

    @property
    def figures(self) -> dict[str, object]:
        """What a `Gpu` takes over from its row, by field."""
        return {field: getattr(self, field) for field in GPU_FIGURES}

    @model_validator(mode="after")
    def _memory_kind(self) -> GpuSpec:
        if (self.memory == "discrete") != (self.vram_bytes is not None):
            raise ValueError(_("vram_bytes: give it for discrete memory, null for unified"))
        if list(self.ram_bytes) != sorted(self.ram_bytes):
            raise ValueError(_("ram_bytes: list the sizes smallest first"))
        return self


class CpuSpec(Value):
    """A row of the hardware catalog: one processor, with the maker's figures."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    name: str
    """The maker's marketing name: "Ryzen 9 7950X"."""
    physical_cores: int = Field(gt=0)
    memory_bus_bits: int = Field(gt=0)
    """All channels of one socket together: 128 is dual-channel DDR."""
    memory_mt_per_s: int = Field(gt=0)
    """Fastest memory that the maker supports, in million transfers a second."""
    features: tuple[str, ...] = ()
    """SIMD extensions, as in `Cpu.features`."""
    ram_bytes: tuple[int, ...] = ()
    """The sizes it is sold with where the memory is soldered on, smallest first."""
    match: tuple[str, ...] = ()
    """Exact names that operating systems report."""
    aliases: tuple[str, ...] = ()
    """What people write beside the id, the name and the system's names."""
    source: str
    checked: str

    @property
    def bandwidth_bytes_per_s(self) -> int:
        """Theoretical: the width of the bus times its transfers."""
        return self.memory_bus_bits // 8 * self.memory_mt_per_s * 10**6


PresetKind = Literal["desktop", "laptop", "mac", "small", "workstation", "cloud"]


class Preset(Value):
    """A machine with a name, described by a sentence."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    kind: PresetKind
    spec: str
    """A hardware sentence, as `--hardware` takes it."""
    source: str | None = None
    """Where the configuration is described, for products and cloud instances."""
    checked: str


class Cpu(Value):
    """The processor, as the operating system describes it."""

    name: str | None = None
    sockets: int = Field(default=1, gt=0)
    """Processors; cores and memory bandwidth are of all of them together."""
    physical_cores: int | None = None
    logical_cores: int | None = None
    limit_cores: float | None = None
    """What the container's quota or the CPU set allows; None where every core may be used."""
    features: tuple[str, ...] = ()
    """SIMD extensions that llama.cpp has kernels for: avx2, avx512f, amx_int8, neon, sve …"""


class HostMemory(Value):
    """System RAM."""

    total_bytes: int
    available_bytes: int | None = None
    """What could be allocated now without swapping; None on a simulated machine."""
    limit_bytes: int | None = None
    """The container's (cgroup's) limit where one is set."""
    gpu_only_bytes: int = 0
    """Of what is available, the part that the firmware keeps for an integrated GPU: no other may use it."""
    taken_bytes: int = 0
    """What is planned for other services of the same machine."""
    bandwidth_bytes_per_s: int | None = None
    """Measured here, or from the hardware catalog; None when neither is known."""


class Disk(Value):
    """The file system that models are downloaded to."""

    cache_dir: str | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None


class Host(Value):
    """Everything but the GPUs."""

    os: str
    cpu: Cpu = Cpu()
    memory: HostMemory
    disk: Disk = Disk()
    container: bool = False


class GpuUser(Value):
    """A program that holds a GPU's memory."""

    name: str | None
    """Without folder and arguments; None where the system does not tell."""
    bytes: int = Field(ge=0)


class Gpu(Value):
    """One GPU as its driver reports it, completed from the hardware catalog."""

    index: int
    name: str
    vendor: Vendor
    vram_bytes: int
    """Total; for unified memory, the part of the pool that the GPU may use."""
    free_bytes: int | None = None
    """Free now; None on a simulated machine."""
    users: tuple[GpuUser, ...] = ()
    """Who holds what is not free, as far as the driver tells; the largest first."""
    bandwidth_bytes_per_s: int | None = None
    driver: str | None = None
    compute_capability: str | None = None
    catalog_id: str | None = None
    memory: GpuMemory = "discrete"
    architecture: str | None = None
    """The maker's generation: "Ada Lovelace", "RDNA 3"; with all that follows, from the hardware catalog."""
    fp16_flops: int | None = None
    bf16_flops: int | None = None
    int8_ops: int | None = None
    fp8_flops: int | None = None
    tdp_watts: int | None = None
    idle_watts: float | None = None
    accelerator: Accelerator | None = None
    """What drives it; None: the maker's own (CUDA, ROCm, SYCL, Metal)."""
    mig: bool = False
    """A slice of a partitioned card."""

    @property
    def unified(self) -> bool:
        """Whether this GPU shares the host's memory: one pool, to be counted once."""
        return self.memory == "unified"

    @property
    def capacity_bytes(self) -> int:
        """What may be planned on: free memory where it was read, else the total less a named reserve."""
        if self.free_bytes is not None:
            return self.free_bytes
        return self.vram_bytes if self.unified else max(0, self.vram_bytes - GPU_RESERVE_BYTES)


class Runtime(Value):
    """A program found on the machine that can serve or contain a model."""

    name: str
    version: str | None = None
    endpoint: str | None = None


class Machine(Value):
    """A machine: detected, replayed, or made from a sentence."""

    schema_version: Literal[1] = SCHEMA_VERSION
    host: Host
    gpus: tuple[Gpu, ...] = ()
    interconnect: str | None = None
    """How several GPUs are linked: "nvlink", "pcie 4.0 x16" …; None when not known."""
    runtimes: tuple[Runtime, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be read, and why."""
    assumptions: tuple[str, ...] = ()
    """What a sentence left open and was filled in with a stated default."""

    @property
    def unified(self) -> bool:
        """Whether GPU and host share one pool of memory."""
        return any(gpu.unified for gpu in self.gpus)

    @property
    def is_read(self) -> bool:
        """Whether this is a machine that was read, whose figures are its own, not a described one."""
        return self.host.memory.available_bytes is not None

    @property
    def host_capacity_bytes(self) -> int:
        """RAM that may be planned on.

        On a machine that was read: what is available, within the container's limit. On a simulated one:
        the total less a named reserve. Never negative.
        """
        memory = self.host.memory
        if memory.available_bytes is not None:
            limit = memory.limit_bytes if memory.limit_bytes is not None else memory.total_bytes
            return max(0, min(memory.available_bytes, limit) - memory.taken_bytes)
        reserve = HOST_RESERVE_BYTES + int(memory.total_bytes * HOST_RESERVE_FRACTION)
        return max(0, memory.total_bytes - reserve - memory.taken_bytes)

    @property
    def title(self) -> str:
        """One line: "2 × GeForce RTX 4090, 64 GiB RAM"."""
        counts: dict[str, int] = {}
        for gpu in self.gpus:
            counts[gpu.name] = counts.get(gpu.name, 0) + 1
        parts = [name if n == 1 else f"{n} × {name}" for name, n in counts.items()]
        if not parts:
            cpu = self.host.cpu
            parts.append(cpu.name or _("CPU only"))
            if cpu.physical_cores:
                parts.append(_("{n} cores").format(n=cpu.physical_cores))
        memory = self.host.memory
        usable = min(memory.total_bytes, memory.limit_bytes or memory.total_bytes)
        parts.append(_("{gib:g} GiB RAM").format(gib=round(usable / GIB, 1)))
        return ", ".join(parts)
