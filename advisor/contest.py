"""The catalog's models weighed against each other, each only when it can still matter.

To place and time a model takes milliseconds. What it can be worth at most is known at once: its quality, in
its finest file, at a rate that its bytes and the machine's bandwidth do not let it exceed. Models come best
first from a heap of such bounds, and those that cannot reach the places asked for are never worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import Final

from advisor.backends import BACKENDS
from advisor.candidates import Turned
from advisor.compiled import Compiled
from advisor.downloaded import Download
from advisor.hardware import Machine
from advisor.model import Artifact, Model, ModelKind
from advisor.offers import Known, offers
from advisor.proposal import beside_projector, projector_room
from advisor.quality import QualityData, quality_of
from advisor.ranking import (
    FLOOR_TOKENS_PER_S,
    Contender,
    Ranked,
    Setbacks,
    best_of,
    least_bits,
    most_worth,
)
from advisor.usecase import Backend, Requirements
from advisor.weights import Weights

Downloads = Mapping[tuple[str, str], Download]
"""What lies on the disk already, by model and quantization."""


class Shelf:
    """The catalog's part that a recommendation is made from, and what of it is on the disk."""

    def __init__(
        self,
        models: Sequence[Model],
        weights: Mapping[str, Mapping[str, Weights]],
        quality: QualityData,
        catalog_date: date,
        compute: Mapping[str, Compiled] = MappingProxyType({}),
        checkpoints: Mapping[str, Mapping[str, Weights]] = MappingProxyType({}),
        downloads: Downloads = MappingProxyType({}),
    ) -> None:
        self.models, self.quality, self.date = models, quality, catalog_date
        self.weights, self.checkpoints, self.compute = weights, checkpoints, compute
        self.downloads = downloads

    def known_of(self, model: Model) -> Known:
        """What was computed of a model beforehand."""
        return Known(
            self.weights.get(model.id, {}),
            self.checkpoints.get(model.id, {}),
            self.compute.get(model.id, {}),
        )

    def of_kind(self, kind: ModelKind) -> list[Model]:
        return [model for model in self.models if model.kind is kind]


def anyone(contender: Contender) -> bool:
    """Every contender."""
    return True


_UNSEEN: Final = -1
"""Where evidence stands in the order of what was weighed: a bound comes out before what only equals it."""


class Contest:
    """Models of one kind, weighed for one request on one machine."""

    def __init__(self, shelf: Shelf, needs: Requirements, machine: Machine) -> None:
        self.needs, self._machine, self._data = needs, machine, shelf.quality
        self._downloads = shelf.downloads
        self._backend: Backend = needs.backend or "llama.cpp"
        self._floor_bits = least_bits(machine, needs)
        self._models = {model.id: model for model in shelf.of_kind(needs.kind)}
        self._turned: dict[str, Turned] = {}
        self._contenders: dict[str, Contender] = {}
        self._bounds: dict[tuple[str, str], _Order] = {}
        self._weighed: dict[tuple[str, str], Ranked | Turned] = {}
        for model in self._models.values():
            room = machine
            if needs.profile.images:
                room = beside_projector(machine, projector_room(model))
            found = offers(model, shelf.known_of(model), needs, room)
            if isinstance(found, Turned):
                self._turned[model.id] = found
            elif found.is_too_large:
                self._turned[model.id] = found.turned()
            else:
                quality = quality_of(model, needs.use_case, needs.languages, shelf.quality)
                self._contenders[model.id] = Contender(model, quality, found)

    @property
    def models(self) -> tuple[Model, ...]:
        """All of the kind, ruled out or not."""
        return tuple(self._models.values())

    def ranked(
        self, needs: Requirements | None = None, among: Callable[[Contender], bool] = anyone
    ) -> Iterator[Ranked]:
        """The usable models, best first, as they are asked for.

        needs: the same request with another preference. among: which contenders are looked at.
        """
        asked = needs or self.needs
        waiting: list[tuple[_Order, str, Ranked | None]] = [
            (self._bound(name, asked), name, None)
            for name, contender in self._contenders.items()
            if among(contender)
        ]
        heapify(waiting)
        while waiting:
            _order, name, row = heappop(waiting)
            if row is not None:
                yield row
            elif self.successor_in_use(name) is None:
                weighed = self._weigh(name, asked)
                if isinstance(weighed, Ranked):
                    heappush(waiting, (weighed.order, name, weighed))

    def weighed(self, name: str) -> Ranked | Turned | None:
        """What came of a model, None where it was not worked out."""
        return self._turned.get(name) or self._weighed.get((name, self.needs.quality))

    def weigh(self, name: str) -> Ranked | Turned:
        """What comes of a model, whether or not it can matter."""
        return self._turned.get(name) or self._weigh(name, self.needs)

    def successor_in_use(self, name: str) -> str | None:
        """The next model that replaced it and is usable here, if there is one."""
        return next(
            (newer for newer in successors(self._models[name], self._models) if self._is_usable(newer)), None
        )

    def successor_known_in_use(self, name: str) -> str | None:
        """The same, of models that were worked out."""
        known = (
            newer for newer in successors(self._models[name], self._models) if self.weighed(newer) is not None
        )
        return next((newer for newer in known if self._is_usable(newer)), None)

    def bound(self, name: str) -> tuple[Contender, float]:
        """A contender, and the score that it cannot exceed."""
        return self._contenders[name], -self._bound(name, self.needs)[1]

    def _is_usable(self, name: str) -> bool:
        weighed = self.weigh(name)
        return isinstance(weighed, Ranked) and not any(weighed.setbacks)

    def _weigh(self, name: str, needs: Requirements) -> Ranked | Turned:
        key = (name, needs.quality)
        if key not in self._weighed:
            self._weighed[key] = self._work_out(self._contenders[name], needs)
        return self._weighed[key]

    def _work_out(self, contender: Contender, needs: Requirements) -> Ranked | Turned:
        name = contender.model.id

        def is_here(file: Artifact) -> bool:
            return (name, file.quantization) in self._downloads

        row = best_of(contender, needs, self._data, self._floor_bits, is_here)
        if row is None:
            return contender.offers.turned()
        why = BACKENDS[self._backend].refusal(row.option, self._machine)
        return Turned(why, row.option.artifact.quantization) if why else row

    def _bound(self, name: str, needs: Requirements) -> _Order:
        key = (name, needs.quality)
        if key not in self._bounds:
            contender = self._contenders[name]
            slow = contender.most_tokens_per_s < FLOOR_TOKENS_PER_S and needs.quality != "best"
            most = most_worth(contender, needs, self._data)
            self._bounds[key] = ((slow, False, False), -most, _UNSEEN, name, "")
        return self._bounds[key]


_Order = tuple[Setbacks, float, int, str, str]
"""As `Ranked.order`."""


def successors(model: Model, models: Mapping[str, Model]) -> list[str]:
    """The ids of the models that replaced one, the next one first."""
    chain: list[str] = []
    newer = model.superseded_by
    while newer is not None and newer in models and newer not in chain:
        chain.append(newer)
        newer = models[newer].superseded_by
    return chain
