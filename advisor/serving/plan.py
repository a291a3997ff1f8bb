"""What an engine makes of a model on a machine: its division, what each GPU holds, and the pool it keeps."""

from __future__ import annotations

from pydantic import Field

from advisor.assessment import MemoryEstimate, Placement
from advisor.hardware import Machine
from advisor.i18n import ngettext
from advisor.serving.ranks import as_ranges, stages
from advisor.value import Value


class EnginePlan(Value):
    """How an engine divides a model over GPUs."""

    tensor_parallel: int = Field(default=1, ge=1)
    """Every layer is cut into so many parts."""
    pipeline_parallel: int = Field(default=1, ge=1)
    """The layers are dealt out to so many stages."""
    expert_parallel: bool = False
    """The ranks that share a layer have whole experts instead of a part of each."""
    gpus: tuple[int, ...] = ()
    """Positions in `Machine.gpus`, one a rank, stage by stage."""
    stage_layers: tuple[int, ...] = ()
    """Layers of every stage where the engine is told them; empty where it divides them evenly."""

    @property
    def n_ranks(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel

    def stages(self, n_layers: int) -> tuple[range, ...]:
        """The layers of every stage."""
        return as_ranges(self.stage_layers) if self.stage_layers else stages(n_layers, self.pipeline_parallel)

    def stage_of(self, rank: int) -> int:
        """The pipeline stage that a rank belongs to."""
        return rank // self.tensor_parallel


class Pool(Value):
    """The memory that an engine takes for its cache, however little the requests need."""

    flag: str
    """The engine's flag that sets it: "--gpu-memory-utilization 0.92"."""
    reserved_bytes: int
    """What the engine takes of one GPU in all; of the smallest where they differ."""
    kv_bytes: int
    """The part of it that is left to the cache."""
    kv_tokens: int
    """Tokens that the caches of all GPUs hold, at this context."""
    concurrency: float
    """Requests of the whole context that fit at once."""
    max_n_ctx: int
    """The longest single sequence that fits; 0 where not even one token does."""


class Served(Value):
    """An engine's memory under one plan."""

    plan: EnginePlan
    memory: MemoryEstimate
    pool: Pool | None = None
    """None for engines that take memory as requests need it."""
    notes: tuple[str, ...] = ()
    """What was assumed, and what the pool offers."""
    n_more: int = 0
    """Further servers like this one that the idle GPUs have room for."""

    def placement(self, machine: Machine) -> Placement:
        """The plan in the words of a candidate; an engine without a GPU runs on the host."""
        names = tuple(machine.gpus[i].name for i in self.plan.gpus)
        return Placement(
            n_gpu_layers=None,
            tensor_parallel=self.plan.tensor_parallel,
            pipeline_parallel=self.plan.pipeline_parallel,
            expert_parallel=self.plan.expert_parallel,
            gpu_layers=self._gpu_layers(machine),
            devices=names or tuple(row.name for row in self.memory.devices if row.kind == "cpu"),
        )

    def _gpu_layers(self, machine: Machine) -> tuple[int, ...]:
        """Layers by GPU where the engine is told them: those of a stage on its first rank."""
        told = dict(zip(self.plan.gpus[:: self.plan.tensor_parallel], self.plan.stage_layers, strict=False))
        return tuple(told.get(i, 0) for i in range(len(machine.gpus))) if told else ()


def room_for_more(n: int) -> str:
    """What idle GPUs are good for."""
    return ngettext(
        "the idle GPUs would not make it faster, but have room for {n} more server like it",
        "the idle GPUs would not make it faster, but have room for {n} more servers like it",
        n,
    ).format(n=n)
