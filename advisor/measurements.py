"""What a smoke test runs, what it measures, and what it concludes."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from advisor.assessment import MemoryEstimate, SpeedEstimate
from advisor.model import ModelKind
from advisor.settings import Settings
from advisor.usecase import DEFAULT_PROMPT_TOKENS
from advisor.value import SCHEMA_VERSION, Value

ALL_LAYERS: Final = -1
"""llama.cpp's way to say: every layer that can be offloaded."""

DeviceKind = Literal["cpu", "gpu", "accelerator"]
Stage = Literal["start", "plan", "load", "prefill", "decode"]
LogKind = Literal["model", "KV", "RS", "compute", "output"]


class Trial(Value):
    """How a model is to be run: the plan's parameters, to the last."""

    settings: Settings
    kind: ModelKind = ModelKind.CHAT
    n_gpu_layers: int = 0
    """Layers on GPUs, the output layer counted; `ALL_LAYERS` for as many as there are."""
    gpu_layers: tuple[int, ...] = ()
    """The same by GPU; empty where llama.cpp divides them."""
    n_cpu_moe: int = 0
    """Leading layers whose experts stay in host memory."""
    n_cpu_ffn: int = 0
    """Leading layers whose ordinary feed-forward block stays in host memory."""
    n_threads: int | None = None
    """None: the physical cores."""
    repack: bool = True
    """llama.cpp's default: weights are rearranged for the CPU's matrix kernels, in memory of their own."""
    depth: int = 0
    """Tokens in each sequence's cache where the decode rate is wanted; fewer where that takes too long."""

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt whose processing is timed."""
        return max(1, min(DEFAULT_PROMPT_TOKENS, self.settings.n_ctx // 2))

    @property
    def uses_gpu(self) -> bool:
        """Whether any layer is meant to run on a GPU."""
        return self.n_gpu_layers != 0

    def in_ram(self) -> Trial:
        """The same without GPUs."""
        return self.model_copy(update={"n_gpu_layers": 0, "gpu_layers": (), "n_cpu_moe": 0, "n_cpu_ffn": 0})


class LibraryDevice(Value):
    """A device that the library was built for and found."""

    name: str
    """ggml's name: "CPU", "CUDA0"."""
    description: str
    """The maker's: "NVIDIA GeForce RTX 3070"."""
    kind: DeviceKind
    free_bytes: int
    total_bytes: int


class Library(Value):
    """The installed llama-cpp-python."""

    version: str
    gpu_offload: bool
    """Whether it was built with a GPU backend that works here."""
    devices: tuple[LibraryDevice, ...]

    @property
    def gpus(self) -> tuple[LibraryDevice, ...]:
        """The devices that layers can be offloaded to."""
        return tuple(device for device in self.devices if device.kind == "gpu")


class Buffer(Value):
    """What one of ggml's buffer types holds, in bytes."""

    name: str
    """ggml's name: "CPU", "CPU_Mapped", "CUDA0", "CUDA_Host"."""
    device: str
    host: bool
    """Whether it lies in host memory."""
    weights_bytes: int = 0
    context_bytes: int = 0
    """KV cache and recurrent state."""
    compute_bytes: int = 0


class LogBuffer(Value):
    """What one buffer type holds of one kind, as llama.cpp's log rounds it."""

    name: str
    kind: LogKind
    bytes: int


class BufferReport(Value):
    """All that llama.cpp tells of a context's buffers."""

    exact: tuple[Buffer, ...] = ()
    """From the library's own breakdown; empty where its layout is not known."""
    logged: tuple[LogBuffer, ...] = ()
    kv_cache_bytes: int | None = None
    """Exact, from the log's cells and layers."""
    model_bytes: int
    """Tensor data of the model."""
    output_bytes: int | None = None
    """Exact, where the rows and columns explain the logged figure."""


class LayerCount(Value):
    """How many layers, the output layer counted, a device was given."""

    device: str
    n_layers: int


class Loaded(Value):
    """The model is ready to serve."""

    load_s: float
    """Model and context, and one warm-up pass."""
    layers: tuple[LayerCount, ...]


class Prefill(Value):
    """A prompt was processed."""

    prompt_tokens: int
    ttft_s: float
    """From the prompt to the first token, nothing else running."""
    tokens_per_s: float


class Decode(Value):
    """Tokens were generated, one a sequence and step."""

    depth: int
    """Tokens in each sequence's cache when it began."""
    n_tokens: int
    """All sequences together."""
    tokens_per_s: float
    """What one sequence got while all were busy."""
    throughput_tokens_per_s: float


class Output(Value):
    """What came out, judged for its mechanics: a test cannot tell sense from nonsense."""

    finite: bool
    """No NaN or infinity among the logits (or the embedding's values)."""
    valid: bool
    """Every token is in the vocabulary (or the embedding is not all zeros)."""
    text: str | None = None
    """Up to the first end of text; None for embeddings."""
    n_distinct: int | None = None
    """Different tokens among those generated."""
    n_tokens: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the mechanics work."""
        return self.finite and self.valid


class Resident(Value):
    """Peak of the process's memory as the system counts it; None where the system does not tell."""

    peak_bytes: int | None = None
    anonymous_bytes: int | None = None
    """Memory of its own."""
    file_bytes: int | None = None
    """Pages of the model's file: the system may drop them."""


class Failure(Value):
    """Why a run ended before its end."""

    stage: Stage
    reason: str
    advice: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    """llama.cpp's last words."""


class Reading(Value):
    """What a run told, as far as it came."""

    loaded: Loaded | None = None
    prefill: Prefill | None = None
    decode: Decode | None = None
    output: Output | None = None
    buffers: BufferReport | None = None
    resident: Resident | None = None
    failure: Failure | None = None


class DeviceUse(Value):
    """What one device was measured to hold, in bytes."""

    name: str
    kind: Literal["gpu", "cpu"]
    weights_bytes: int
    kv_cache_bytes: int
    recurrent_bytes: int
    compute_bytes: int
    output_bytes: int

    @property
    def total_bytes(self) -> int:
        """The parts together."""
        return sum(getattr(self, part) for part in USE_PARTS)


USE_PARTS: Final = ("weights_bytes", "kv_cache_bytes", "recurrent_bytes", "compute_bytes", "output_bytes")
"""The parts of an estimate that llama.cpp's buffers can be held against."""


class MemoryUse(Value):
    """Measured memory by device and kind, and their sums."""

    devices: tuple[DeviceUse, ...]
    """GPUs, then the host."""
    weights_bytes: int
    kv_cache_bytes: int
    recurrent_bytes: int
    compute_bytes: int
    output_bytes: int
    total_bytes: int
    mapped_bytes: int
    """Size of the file's mapping: pages that can be dropped, also of weights that were copied elsewhere."""
    source: Literal["breakdown", "log"]
    """Exact bytes, or the log's hundredths of a MiB."""
    resident: Resident = Resident()
    gpu_used_bytes: int | None = None
    """Growth of the GPUs' used memory at its peak, by NVML; None without NVIDIA's driver."""


class Measured(Value):
    """The figures of a run; None for what it did not come to."""

    load_s: float | None = None
    ttft_s: float | None = None
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None
    throughput_tokens_per_s: float | None = None
    prompt_tokens: int | None = None
    depth: int | None = None
    decoded_tokens: int | None = None
    memory: MemoryUse | None = None
    output_ok: bool = False
    output: Output | None = None
    layers: tuple[LayerCount, ...] = ()
    """Where the layers really ran."""


class Expected(Value):
    """What was promised."""

    memory: MemoryEstimate | None = None
    speed: SpeedEstimate | None = None


class Needs(Value):
    """What the user asked for, as far as a run can show it."""

    min_tokens_per_s: float | None = None
    max_ttft_s: float | None = None


class Difference(Value):
    """One figure, promised and measured."""

    part: str
    """`weights_bytes` … `total_bytes`, or a speed's name."""
    device: str | None = None
    """None: all of them."""
    estimated: float
    measured: float
    percent: float | None
    """Of the estimate; None where that is zero."""
    low: float | None = None
    high: float | None = None
    """The estimate's band."""
    within: bool | None
    """Whether the promise holds; None where none was made for this figure."""


class SmokeResult(Value):
    """The document of `advisor smoke-test`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    verdict: Literal["pass", "warn", "fail"]
    reasons: tuple[str, ...] = Field(min_length=1)
    """Why the verdict is what it is."""
    estimated: Expected
    measured: Measured
    differences: tuple[Difference, ...] = ()
    advice: tuple[str, ...] = ()
    model_file: str
    trial: Trial
    library: Library
    notes: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    """llama.cpp's last words when it failed."""
