"""What a model has to offer on a machine: its files, each placed and timed when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from advisor.candidates import DOES_NOT_FIT, Option, Turned
from advisor.compiled import Compiled
from advisor.engine_steps import chosen_share
from advisor.errors import AdvisorError
from advisor.estimation import Pace, Workload, depth_within, prompt_within, serve_on
from advisor.hardware import Machine
from advisor.i18n import N_, _
from advisor.limits import Change, Question, holds_anywhere, would_fit
from advisor.memory import HOST_OVERHEAD_BYTES, Footprint, Split, allocate, footprint_of
from advisor.model import Artifact, Model
from advisor.needs import quantizations, settings_for, unmet_need
from advisor.placement import solve
from advisor.serving.engines import ENGINES
from advisor.serving.formats import engine_weights
from advisor.serving.plan import Served
from advisor.serving.speed import as_split
from advisor.settings import Settings
from advisor.units import format_bytes
from advisor.usecase import Requirements
from advisor.weights import Weights, as_large_as


class Offers:
    """A model's files on a machine: each is placed and timed when it is asked for, once."""

    def __init__(self, model: Model, files: Sequence[Artifact], needs: Requirements, maker: _Maker) -> None:
        self.model, self.files = model, files
        self._needs, self._maker = needs, maker
        self._made: dict[str, Option | Turned] = {}
        self._at_most: dict[str, float] = {}

    @cached_property
    def least_bytes(self) -> int:
        """The weights of the smallest file, at least."""
        return min(self._maker.least_bytes(file) for file in self.files)

    @cached_property
    def most_tokens_per_s(self) -> float:
        """A decode rate that no file exceeds here."""
        return max(map(self.at_most, self.files))

    def at_most(self, file: Artifact) -> float:
        """A decode rate that the file does not exceed here, in tokens/s; infinite where nothing is known."""
        if file.quantization not in self._at_most:
            seconds = self._maker.least_seconds(file)
            self._at_most[file.quantization] = 1 / seconds if seconds else inf
        return self._at_most[file.quantization]

    @property
    def is_too_large(self) -> bool:
        """Whether the weights alone are more than the machine holds, whatever the placement."""
        return self.least_bytes > self._maker.room_bytes

    def option(self, file: Artifact) -> Option | None:
        """The model in that file; None where it does not fit or misses a limit that was asked for."""
        if self._maker.least_bytes(file) > self._maker.room_bytes:
            return None
        made = self._of(file)
        return None if isinstance(made, Turned) or _too_slow(made, self._needs) else made

    def turned(self) -> Turned:
        """Why there is no option: what keeps that file from being one which comes nearest."""
        if not self._made:
            return self._maker.refuse(min(self.files, key=self._maker.least_bytes))
        run = [made for made in self._made.values() if isinstance(made, Option)]
        slow = _too_slow(max(run, key=lambda o: o.speed.decode_tokens_per_s), self._needs) if run else None
        turned = [made for made in self._made.values() if isinstance(made, Turned)]
        return slow or min(turned, key=lambda t: t.missing_bytes or 0)

    def _of(self, file: Artifact) -> Option | Turned:
        if file.quantization not in self._made:
            self._made[file.quantization] = self._maker.make(file)
        return self._made[file.quantization]


class Known(NamedTuple):
    """What was computed of a model beforehand."""

    weights: Mapping[str, Weights]
    """By GGUF quantization, all that are on offer."""
    checkpoints: Mapping[str, Weights] = MappingProxyType({})
    """By the format of a checkpoint, as far as they are known."""
    compute: Compiled = MappingProxyType({})
    """Compute buffers under the settings that no requirement changes."""


def offers(model: Model, known: Known, requirements: Requirements, machine: Machine) -> Offers | Turned:
    """What the model has to offer on the machine, or why it needs no look at its placement."""
    if need := unmet_need(model, requirements):
        return Turned(need)
    files = quantizations(model, requirements)
    if isinstance(files, Turned):
        return files
    if requirements.backend in ENGINES:
        return Offers(model, files, requirements, _Served(model, known, requirements, machine))
    return Offers(model, files, requirements, _Placed(model, known, requirements, machine))


class _Maker(Protocol):
    """A way to run a model's files on a machine."""

    room_bytes: int
    """All the memory that weights could lie in."""

    def least_bytes(self, file: Artifact) -> int:
        """What the file's weights take, at least."""

    def least_seconds(self, file: Artifact) -> float:
        """What reading the weights for one token takes, at least; 0 where a bandwidth is not known."""

    def make(self, file: Artifact) -> Option | Turned:
        """The file, placed and timed, or why it cannot be."""

    def refuse(self, file: Artifact) -> Turned:
        """Why a file that is more than all the memory is too large."""


class _Placed:
    """llama.cpp and what is built on it: layers are placed by this program."""

    def __init__(self, model: Model, known: Known, needs: Requirements, machine: Machine) -> None:
        self._model, self._weights, self._needs, self._machine = model, known.weights, needs, machine
        self._settings = settings_for(model, needs)
        self._compiled = known.compute if self._settings == settings_for(model, Requirements()) else {}
        self.room_bytes = room_bytes(machine)

    def least_bytes(self, file: Artifact) -> int:
        return self._weights[file.quantization].total_bytes

    def least_seconds(self, file: Artifact) -> float:
        """The devices read one after the other: the GPUs what they can hold, the host the rest."""
        machine, weights = self._machine, self._weights[file.quantization]
        read = _read_bytes(self._model, weights, self._settings.n_seqs)
        rates = [
            inf if gpu.bandwidth_bytes_per_s is None else gpu.bandwidth_bytes_per_s for gpu in machine.gpus
        ]
        host = machine.host.memory.bandwidth_bytes_per_s or inf
        fastest = max((*rates, host))
        if machine.unified or not machine.gpus:
            return read / fastest
        over = weights.total_bytes - weights.input_bytes - sum(gpu.capacity_bytes for gpu in machine.gpus)
        # Of routed experts, which are read least, some at the most are on the host.
        left = max(0.0, over * _share_read(self._model, self._settings.n_seqs))
        return (read - left) / fastest + left / host

    def make(self, file: Artifact) -> Option | Turned:
        machine, weights = self._machine, as_large_as(self._weights[file.quantization], file.bytes)
        footprint = self._footprint.with_weights(weights)
        pace = Pace(_workload(self._model, file, weights, self._settings, self._needs), machine)
        split = solve(footprint, machine, pace.rate)
        if split is None:
            return too_large(footprint, machine, file.quantization)
        speed = pace.speed(split)
        if speed is None:
            return Turned(_(UNKNOWN_BANDWIDTH))
        return Option(self._model, file, self._settings, footprint, split, speed, machine)

    def refuse(self, file: Artifact) -> Turned:
        weights = as_large_as(self._weights[file.quantization], file.bytes)
        return too_large(self._footprint.with_weights(weights), self._machine, file.quantization)

    @cached_property
    def _footprint(self) -> Footprint:
        """The model's, with any weights: nothing else depends on the quantization."""
        weights = next(iter(self._weights.values()))
        return footprint_of(self._model.architecture, weights, self._settings, self._compiled)


def _read_bytes(model: Model, weights: Weights, n_seqs: int) -> float:
    """What a step of so many sequences reads of the weights, in bytes."""
    common = sum(weights.layers) + weights.output_bytes + weights.tied_bytes
    return common + _share_read(model, n_seqs) * sum(weights.experts)


def _share_read(model: Model, n_seqs: int) -> float:
    """The part of the routed experts that so many sequences choose between them, 1 for dense models."""
    moe = model.architecture.moe
    return chosen_share(moe.n_experts_used / moe.n_experts, n_seqs) if moe else 1.0


class _Served:
    """An engine that divides the model over GPUs by itself."""

    def __init__(self, model: Model, known: Known, needs: Requirements, machine: Machine) -> None:
        self._model, self._checkpoints, self._needs, self._machine = model, known.checkpoints, needs, machine
        self._settings = settings_for(model, needs)
        rates = [gpu.bandwidth_bytes_per_s for gpu in machine.gpus]
        self._bytes_per_s = sum(inf if rate is None else float(rate) for rate in rates) or inf
        self.room_bytes = room_bytes(machine)

    def least_bytes(self, file: Artifact) -> int:
        weights = self._checkpoints.get(file.quantization)
        return weights.total_bytes if weights else self._model.n_params * LEAST_BITS // 8

    def least_seconds(self, file: Artifact) -> float:
        """All GPUs read at once, each its part."""
        if weights := self._checkpoints.get(file.quantization):
            read = _read_bytes(self._model, weights, self._settings.n_seqs)
        else:
            read = (self._model.n_params_active or self._model.n_params) * LEAST_READ_BITS / 8
        return read / self._bytes_per_s

    def make(self, file: Artifact) -> Option | Turned:
        arch, settings, machine = self._model.architecture, self._settings, self._machine
        try:
            weights = self._checkpoints.get(file.quantization) or engine_weights(arch, file.quantization)
            served, speed = serve_on(_workload(self._model, file, weights, settings, self._needs), machine)
        except AdvisorError as error:
            return Turned(str(error), file.quantization)
        if served.memory.fits is False:
            return _too_large_for(served, file.quantization)
        if speed is None:
            return Turned(_(UNKNOWN_BANDWIDTH))
        split, footprint = as_split(arch, served.plan, machine), footprint_of(arch, weights, settings)
        return Option(self._model, file, settings, footprint, split, speed, machine, served)

    def refuse(self, file: Artifact) -> Turned:
        made = self.make(file)
        return made if isinstance(made, Turned) else Turned(_("has no quantization that can be estimated"))


LEAST_BITS: Final = 4
"""No format of the engines' own stores a weight in fewer bits."""
LEAST_READ_BITS: Final = 2
"""Of the parameters that a token passes through, half may be a table that it reads one row of."""

UNKNOWN_BANDWIDTH: Final = N_(
    "its speed cannot be told: the memory bandwidth of a device it needs is unknown"
)


def _too_large_for(served: Served, quantization: str) -> Turned:
    """What the GPUs lack under the plan that comes closest."""
    rows = [row for row in served.memory.devices if row.fits is False]
    need = sum(row.total_bytes for row in rows)
    room = sum(row.capacity_bytes or 0 for row in rows)
    text = _("{quantization} needs {need} on {devices}, which has {room} free for it").format(
        quantization=quantization,
        need=format_bytes(need, digits=1),
        devices=_(" and ").join(dict.fromkeys(row.name for row in rows)),
        room=format_bytes(room, digits=1),
    )
    return Turned(
        _(DOES_NOT_FIT) + text,
        quantization,
        max(1, served.memory.missing_bytes),
    )


def _workload(
    model: Model, artifact: Artifact, weights: Weights, settings: Settings, requirements: Requirements
) -> Workload:
    return Workload(
        name=model.id,
        architecture=model.architecture,
        weights=weights,
        quantization=artifact.quantization,
        settings=settings,
        n_params_active=model.n_params_active or model.n_params,
        source="config-rules",
        backend=requirements.backend or "llama.cpp",
        depth=depth_within(settings.n_ctx, requirements.depth),
        prompt_tokens=prompt_within(settings.n_ctx, requirements.prompt_tokens),
    )


def lifts(
    model: Model, weights: Mapping[str, Weights], requirements: Requirements, machine: Machine
) -> tuple[Change, ...]:
    """What would make the model fit in its smallest file, each change alone, cheapest first."""
    files = quantizations(model, requirements)
    if isinstance(files, Turned) or requirements.backend in ENGINES:
        return ()
    smallest = min(files, key=lambda file: weights[file.quantization].total_bytes)
    file = as_large_as(weights[smallest.quantization], smallest.bytes)
    question = Question(
        architecture=model.architecture,
        weights=file,
        quantization=smallest.quantization,
        settings=settings_for(model, requirements),
        machine=machine,
        weights_in=lambda name: file,  # no other file is smaller
    )
    return would_fit(question, holds_anywhere)


def room_bytes(machine: Machine) -> int:
    """All the memory of a machine that models may use, its parts counted together."""
    gpus = 0 if machine.unified else sum(gpu.capacity_bytes for gpu in machine.gpus)
    return machine.host_capacity_bytes + gpus


def too_large(footprint: Footprint, machine: Machine, quantization: str) -> Turned:
    """What the machine lacks, counted over all its memory together."""
    _gpus, everything = allocate(footprint, Split())
    need, room = everything.total_bytes + HOST_OVERHEAD_BYTES, room_bytes(machine)
    missing = max(1, need - room)
    text = _("{quantization} needs {need}, the machine has {room} free for it").format(
        quantization=quantization,
        need=format_bytes(need, digits=1),
        room=format_bytes(room, digits=1),
    )
    return Turned(_(DOES_NOT_FIT) + text, quantization, missing)


def _too_slow(option: Option, needs: Requirements) -> Turned | None:
    """The limit on speed that an option misses, if there is one."""
    speed, quantization = option.speed, option.artifact.quantization
    floor, limit = needs.min_tokens_per_s, needs.max_ttft_s
    if floor is not None and speed.decode_tokens_per_s < floor:
        return Turned(
            _("reaches about {rate:.1f} tok/s here as {quantization}; {asked:g} were asked for").format(
                rate=speed.decode_tokens_per_s, quantization=quantization, asked=floor
            ),
            quantization,
        )
    if limit is not None and speed.ttft_s is None:
        return Turned(
            _("needs an unknown time to the first token here; at most {asked:g} s were asked for").format(
                asked=limit
            )
        )
    if limit is not None and speed.ttft_s is not None and speed.ttft_s > limit:
        return Turned(
            _(
                "needs about {seconds:.1f} s to the first token here as {quantization}; "
                "at most {asked:g} s were asked for"
            ).format(seconds=speed.ttft_s, quantization=quantization, asked=limit),
            quantization,
        )
    return None
