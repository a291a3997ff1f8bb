"""The figures that a plan rests on: memory by device, speed with its band, quality with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Literal, Protocol

from pydantic import Field, model_validator

from advisor.i18n import N_, _
from advisor.model import ModelKind, Sampling
from advisor.usecase import Backend, KvType
from advisor.value import Value

MemorySource = Literal["probe", "gguf-header", "config-rules"]


class DeviceMemory(Value):
    """What one device must hold, in bytes."""

    name: str
    kind: Literal["gpu", "cpu"]
    weights_bytes: int = Field(default=0, ge=0)
    kv_cache_bytes: int = Field(default=0, ge=0)
    recurrent_bytes: int = Field(default=0, ge=0)
    compute_bytes: int = Field(default=0, ge=0)
    output_bytes: int = Field(default=0, ge=0)
    overhead_bytes: int = Field(default=0, ge=0)
    """Outside the runtime's own buffers: the device's context, the process."""
    margin_bytes: int = Field(default=0, ge=0)
    """Deliberate safety on top of the best estimate."""
    total_bytes: int = Field(default=0, ge=0)
    """The sum of the parts: what must be available."""
    capacity_bytes: int | None = None
    """What the device offers; None when that is not known."""
    fits: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_total(cls, data: object) -> object:
        """Total and verdict follow from the parts; given ones are checked in `_consistent`."""
        if isinstance(data, dict) and "total_bytes" not in data:
            total = sum(data.get(part, 0) for part in MEMORY_PARTS)
            capacity = data.get("capacity_bytes")
            return {**data, "total_bytes": total, "fits": None if capacity is None else total <= capacity}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> DeviceMemory:
        if self.total_bytes != sum(getattr(self, part) for part in MEMORY_PARTS):
            raise ValueError(_("{name}: total_bytes is not the sum of its parts").format(name=self.name))
        return self


MEMORY_PARTS = (
    "weights_bytes",
    "kv_cache_bytes",
    "recurrent_bytes",
    "compute_bytes",
    "output_bytes",
    "overhead_bytes",
    "margin_bytes",
)
"""The parts of a total, in the order they are shown."""


class MemoryEstimate(Value):
    """Memory by device, and the same parts summed over the devices."""

    devices: tuple[DeviceMemory, ...]
    """One entry per GPU, then one for the host."""
    weights_bytes: int
    kv_cache_bytes: int
    recurrent_bytes: int
    compute_bytes: int
    output_bytes: int
    overhead_bytes: int
    margin_bytes: int
    total_bytes: int
    source: MemorySource
    proven_by: str | None = None
    """The engine whose own plan this is; None where the figures are by rule."""

    @model_validator(mode="after")
    def _consistent(self) -> MemoryEstimate:
        for part in (*MEMORY_PARTS, "total_bytes"):
            if getattr(self, part) != sum(getattr(row, part) for row in self.devices):
                raise ValueError(_("{part} is not the sum over the devices").format(part=part))
        return self

    @classmethod
    def of(cls, devices: Iterable[DeviceMemory], source: MemorySource) -> MemoryEstimate:
        """Sum the devices."""
        rows = tuple(devices)
        sums = {part: sum(getattr(row, part) for row in rows) for part in MEMORY_PARTS}
        return cls(devices=rows, **sums, total_bytes=sum(sums.values()), source=source)

    @property
    def fits(self) -> bool | None:
        """Whether every device holds its part; None when a capacity is unknown."""
        verdicts = [row.fits for row in self.devices]
        if False in verdicts:
            return False
        return None if None in verdicts else True

    @property
    def missing_bytes(self) -> int:
        """What the devices that do not fit lack together."""
        return sum(
            max(0, row.total_bytes - row.capacity_bytes)
            for row in self.devices
            if row.capacity_bytes is not None
        )


class SpeculativeSpeed(Value):
    """What one sequence gets where a draft model proposes tokens."""

    n_draft: int
    """Tokens proposed at a time."""
    accepted: tuple[float, ...]
    """Shares of the proposals that the model accepts: the text decides which."""
    decode_tokens_per_s: tuple[float, ...]
    """The rate at each of those shares."""


class SpeedEstimate(Value):
    """How fast, with the band that about four of five measurements fall into."""

    decode_tokens_per_s: float = Field(gt=0)
    """What one sequence gets while all n_seqs are busy, at `depth` tokens in the cache."""
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    throughput_tokens_per_s: float = Field(gt=0)
    """All sequences together."""
    prefill_tokens_per_s: float | None
    """None where the device's compute rate is not known."""
    ttft_s: float | None
    """Time to the first token of a prompt of `prompt_tokens`, all n_seqs busy."""
    depth: int
    prompt_tokens: int
    basis: str
    """What the figure rests on, in a sentence."""
    speculative: SpeculativeSpeed | None = None
    """Beside a draft model; the other figures are without it."""


class Quality(Value):
    """How good, and how that is known."""

    score: float | None
    """From 0 to 100 on the scale that `metric` names."""
    metric: str | None
    source: str | None
    date: date | None
    evidence: Literal["measured", "inherited", "estimated", "none"]
    low: float | None = None
    """Four of five models with the same evidence lie between `low` and `high`; None where it was measured."""
    high: float | None = None
    residual: float | None = None
    """Standard deviation of the line or guess that the score went through; None where it was measured."""


EVIDENCE_WORDS: Final[Mapping[str, str]] = {
    "measured": N_("measured"),
    "inherited": N_("inherited"),
    "estimated": N_("estimated"),
    "none": N_("none"),
}
"""`Quality.evidence` in words."""


class Placement(Value):
    """Which part of the model runs where."""

    n_gpu_layers: int | None
    """Layers on GPUs, the output layer counted (n_layers + 1 is all); None for backends that place all."""
    gpu_layers: tuple[int, ...] = ()
    """The same by GPU, in the machine's order (0: not used); empty where the engine divides them."""
    n_cpu_moe: int | None = None
    """Leading layers whose experts stay in host memory; None when no expert does."""
    n_cpu_ffn: int | None = None
    """Leading layers whose ordinary feed-forward block stays in host memory; None when none does."""
    tensor_parallel: int = Field(default=1, ge=1)
    pipeline_parallel: int = Field(default=1, ge=1)
    expert_parallel: bool = False
    """GPUs that share a layer have whole experts instead of a part of each."""
    devices: tuple[str, ...] = ()
    """Names of the devices used, GPUs first."""


class ArtifactChoice(Value):
    """The files to download."""

    repo: str
    files: tuple[str, ...]
    bytes: int | None
    """Published size, or the estimated tensor data where the size was not published (see `estimated`)."""
    estimated: bool = False
    format: Literal["gguf", "safetensors", "mlx"] = "gguf"

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are in llama.cpp's format."""
        return self.format == "gguf"


class Files(Protocol):
    """What an engine is to load."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names inside the repository; empty where all of it is loaded."""

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are in llama.cpp's format."""


class Runnable(Protocol):
    """What an engine must know to say whether it runs a model: a candidate, or one that is still weighed."""

    @property
    def kind(self) -> ModelKind: ...
    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def n_seqs(self) -> int: ...
    @property
    def kv_type(self) -> KvType: ...
    @property
    def artifact(self) -> Files: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def memory(self) -> MemoryEstimate: ...


class Candidate(Value):
    """One way to serve one model on one machine, assessed."""

    model: str
    kind: ModelKind = ModelKind.CHAT
    """What the engine is started for."""
    name: str
    family: str
    publisher: str
    released: date
    license: str
    n_params: int
    n_params_active: int | None
    modalities: tuple[str, ...]
    languages: tuple[str, ...]
    quantization: str
    backend: Backend
    projector: bool = False
    """Started with its vision projector (`mmproj`), for which memory was kept free."""
    n_ctx: int
    n_seqs: int
    kv_type: KvType
    placement: Placement
    memory: MemoryEstimate
    speed: SpeedEstimate
    quality: Quality
    score: float
    artifact: ArtifactChoice
    command: str
    """The engine's own line."""
    reasons: tuple[str, ...] = Field(min_length=2)
    sampling: Sampling | None = None
    """What the maker says to sample with; None where it was not read."""
    n_ctx_effective: int | None = None
    """Tokens up to which the model keeps its quality by a published test; None where none was read."""
