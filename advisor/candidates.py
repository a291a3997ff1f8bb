"""A model in one file on a machine, with its figures, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from advisor.assessment import MemoryEstimate, Placement, SpeedEstimate
from advisor.hardware import Machine
from advisor.i18n import N_
from advisor.memory import HOST_OVERHEAD_BYTES, Footprint, Split, held
from advisor.model import Artifact, Model, ModelKind
from advisor.placement import estimate_memory, placement_of
from advisor.plan import Rejection
from advisor.serving.plan import Served
from advisor.settings import Settings
from advisor.usecase import KvType

DOES_NOT_FIT: Final = N_("does not fit: ")
"""How the reason begins of a model that is too large."""


@dataclass(frozen=True)
class Option:
    """One model in one quantization and placement, with its figures: a `Runnable`."""

    model: Model
    artifact: Artifact
    settings: Settings
    footprint: Footprint
    split: Split
    speed: SpeedEstimate
    machine: Machine
    served: Served | None = None
    """How an engine that divides the model itself does so; `split` is then only its speed's."""
    proven: MemoryEstimate | None = None
    """What llama.cpp itself said of the memory, where it was asked."""

    @property
    def kind(self) -> ModelKind:
        return self.model.kind

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def family(self) -> str:
        return self.model.family

    @property
    def n_seqs(self) -> int:
        return self.settings.n_seqs

    @property
    def kv_type(self) -> KvType:
        return self.settings.kv_type

    @cached_property
    def memory(self) -> MemoryEstimate:
        """What every device must hold."""
        if self.proven is not None:
            return self.proven
        if self.served is not None:
            return self.served.memory
        return estimate_memory(self.footprint, self.split, self.machine, "config-rules")

    @cached_property
    def ram_share(self) -> float:
        """Part of the RAM left to models that it fills; the GPU's part counts where the memory is one pool.

        The graph is taken as that of evenly spread layers: where they are does not matter here.
        """
        if self.served is not None:
            taken = self.served.memory.devices[-1].total_bytes
        else:
            gpus, host = held(self.footprint, self.split)
            *on_gpus, on_host = self.footprint.graph.spread(min(1, len(gpus)), False)
            taken = host.total_bytes + on_host + HOST_OVERHEAD_BYTES
            if self.machine.unified:
                taken += sum(part.total_bytes for part in gpus) + sum(on_gpus)
        return taken / max(1, self.machine.host_capacity_bytes)

    @property
    def placement(self) -> Placement:
        """Where the model runs, in the words of a plan."""
        if self.served is not None:
            return self.served.placement(self.machine)
        return placement_of(self.split, self.footprint, self.machine)


class Turned(NamedTuple):
    """Why a model gives no option."""

    reason: str
    quantization: str | None = None
    missing_bytes: int | None = None

    def rejection(self, model: Model, backend: str | None) -> Rejection:
        return Rejection(
            model=model.id,
            quantization=self.quantization,
            backend=backend,
            reason=self.reason,
            missing_bytes=self.missing_bytes,
        )
