"""The questions turned round: how long a context, how many users, how fine a quantization fits.

And what would have to change for a model that does not fit. Every answer ends a search over a measure that
only grows: what it names fits, one step more does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Final, Literal, NamedTuple

from advisor.architecture import Architecture
from advisor.errors import ConfigError
from advisor.hardware import Machine
from advisor.i18n import _
from advisor.memory import Footprint, Split, footprint_of
from advisor.placement import fits, most_layers, placement_of, solve, solve_on_gpus
from advisor.quantization import MIXES, base_bits
from advisor.settings import CELL_PADDING, Settings
from advisor.units import GIB, format_bytes
from advisor.value import Value
from advisor.weights import Weights

MAX_SEQS: Final = 256
"""llama.cpp serves no more sequences in one context (LLAMA_MAX_SEQ of llama-cpp-python 0.3.36)."""
MAX_MORE_GIB: Final = 4096
"""Beyond this nobody's machine is extended."""
_NOT_SOUGHT: Final = frozenset(
    {
        *("F32", "BF16", "IQ4_NL"),  # twins of F16 and IQ4_XS
        *("Q5_1", "Q5_0", "Q4_1", "Q4_0"),  # the older types
        *("MXFP4", "TQ2_0", "TQ1_0", "Q2_0", "Q1_0"),  # for models that were trained in them
        *("IQ1_M", "IQ1_S"),  # little of the model is left
    }
)
"""Not answers to "the finest quantization that fits", unless asked for by name."""


class Reach(Value):
    """How far one kind of room takes a model, each measure alone; None where not even the least fits."""

    n_ctx: int | None
    """Longest context, in tokens per sequence, that fits and that the model was trained for."""
    n_ctx_q8_0: int | None
    """The same with the cache in 8 bits."""
    n_seqs: int | None
    """Most sequences at once, each with the context asked for."""
    quantization: str | None
    """The finest that fits with the settings asked for."""


class Change(Value):
    """One thing that, changed alone, would make a model fit."""

    change: Literal["n_gpu_layers", "kv_type", "n_seqs", "n_ctx", "quantization", "ram", "gpu_memory"]
    to: str | int
    """The new value; for memory, how many bytes more."""
    text: str


class Limits(Value):
    """What the machine allows the model."""

    on_gpus: Reach | None
    """With no layer left to the host; None without a GPU."""
    anywhere: Reach
    """On GPUs and host together."""
    n_gpu_layers: int
    """Most layers that the GPUs hold as asked, the output layer counted."""
    would_fit: tuple[Change, ...] = ()
    """What would make it fit at all, cheapest first; empty where it does."""
    would_fit_on_gpus: tuple[Change, ...] = ()
    """What would leave nothing to the host; empty where nothing is, or without a GPU."""


class Question(NamedTuple):
    """A model as it was asked for, on a machine."""

    architecture: Architecture
    weights: Weights
    quantization: str
    settings: Settings
    machine: Machine
    weights_in: Callable[[str], Weights]
    """The weights in another quantization; raises `ConfigError` for one that cannot be told."""

    def footprint(self, **changes: object) -> Footprint:
        """What it needs with these settings changed."""
        settings = self.settings.model_copy(update=changes) if changes else self.settings
        return footprint_of(self.architecture, self.weights, settings)


Holds = Callable[[Footprint, Machine], bool]
"""Whether a machine has room for a footprint."""


def holds_anywhere(footprint: Footprint, machine: Machine) -> bool:
    """Whether the model fits on GPUs and host together."""
    on_host = Split(gpu_layers=(0,) * len(machine.gpus))
    return fits(footprint, on_host, machine) or solve(footprint, machine) is not None


def holds_on_gpus(footprint: Footprint, machine: Machine) -> bool:
    """Whether the model fits with every layer on a GPU."""
    return solve_on_gpus(footprint, machine) is not None


def limits_of(question: Question) -> Limits:
    """Every limit of the model on the machine, and what would lift them."""
    weights_in = cache(question.weights_in)  # several searches pass the same quantizations
    question = question._replace(weights_in=weights_in)
    has_gpus = bool(question.machine.gpus)
    return Limits(
        on_gpus=reach(question, holds_on_gpus) if has_gpus else None,
        anywhere=reach(question, holds_anywhere),
        n_gpu_layers=_most_layers(question),
        would_fit=would_fit(question, holds_anywhere),
        would_fit_on_gpus=would_fit(question, holds_on_gpus) if has_gpus else (),
    )


def reach(question: Question, holds: Holds) -> Reach:
    """How far the room takes the model."""
    return Reach(
        n_ctx=longest_context(question, holds),
        n_ctx_q8_0=longest_context(question, holds, kv_type="q8_0"),
        n_seqs=most_sequences(question, holds),
        quantization=best_quantization(question, holds),
    )


def longest_context(question: Question, holds: Holds, **changes: object) -> int | None:
    """Tokens per sequence, in llama.cpp's steps of 256 cells, at most what the model was trained for."""
    longest = question.architecture.n_ctx_train

    def fits_with(steps: int) -> bool:
        n_ctx = min(steps * CELL_PADDING, longest)
        return holds(question.footprint(n_ctx=n_ctx, **changes), question.machine)

    steps = _last(-(-longest // CELL_PADDING), fits_with)
    return min(steps * CELL_PADDING, longest) if steps else None


def most_sequences(question: Question, holds: Holds) -> int | None:
    """Sequences at once, each with its context."""
    return _last(MAX_SEQS, lambda n: holds(question.footprint(n_seqs=n), question.machine)) or None


def best_quantization(question: Question, holds: Holds) -> str | None:
    """The finest of the quantizations with rules that fits; None where none does."""
    footprint = question.footprint()

    def fits_as(name: str) -> bool:
        try:
            weights = question.weights_in(name)
        except ConfigError:
            return False
        return holds(footprint.with_weights(weights), question.machine)

    names = [name for name in MIXES if name not in _NOT_SOUGHT or name == question.quantization]
    names.sort(key=base_bits, reverse=True)
    n_too_large = _last(len(names), lambda n: not fits_as(names[n - 1]))
    return names[n_too_large] if n_too_large < len(names) else None


def _most_layers(question: Question) -> int:
    """As llama.cpp counts them."""
    footprint, machine = question.footprint(), question.machine
    return placement_of(most_layers(footprint, machine), footprint, machine).n_gpu_layers or 0


def remedies(question: Question) -> tuple[Change, ...]:
    """What would make a placement that does not fit one that does, each alone, cheapest first."""
    if holds_anywhere(question.footprint(), question.machine):  # only the layers asked for do not
        return (Change(change="n_gpu_layers", to="auto", text="--n-gpu-layers auto"),)
    return would_fit(question, holds_anywhere)


def would_fit(question: Question, holds: Holds) -> tuple[Change, ...]:
    """The changes, other than of the placement, that would make the model fit; empty where it does."""
    if holds(question.footprint(), question.machine):
        return ()
    return tuple(_changes(question, holds))


def _changes(question: Question, holds: Holds) -> Iterator[Change]:
    asked, machine = question.settings, question.machine
    if asked.kv_type == "f16" and asked.flash_attn and holds(question.footprint(kv_type="q8_0"), machine):
        yield Change(change="kv_type", to="q8_0", text="--kv-type q8_0")
    n_seqs = most_sequences(question, holds)
    if n_seqs:
        yield Change(change="n_seqs", to=n_seqs, text=f"--parallel {n_seqs}")
    n_ctx = longest_context(question, holds)
    if n_ctx:
        yield Change(
            change="n_ctx",
            to=n_ctx,
            text=_("--ctx {n_ctx} (asked: {asked})").format(n_ctx=n_ctx, asked=asked.n_ctx),
        )
    quantization = best_quantization(question, holds)
    if quantization:
        size = format_bytes(question.weights_in(quantization).total_bytes, digits=1)
        yield Change(change="quantization", to=quantization, text=f"--quant {quantization} ({size})")
    yield from _more_memory(question, holds)


def _more_memory(question: Question, holds: Holds) -> Iterator[Change]:
    """More RAM, more memory on the largest GPU; a unified pool grows as one."""
    footprint, machine = question.footprint(), question.machine

    def least(grown: Callable[[int], Machine]) -> int | None:
        gib = 1 + _last(MAX_MORE_GIB, lambda n: not holds(footprint, grown(n)))
        return gib if gib <= MAX_MORE_GIB else None

    if ram := least(partial(_with_more_ram, machine)):
        yield Change(change="ram", to=ram * GIB, text=_("{gib} GiB more RAM").format(gib=ram))
    if machine.gpus and not machine.unified and (vram := least(partial(_with_more_vram, machine))):
        text = (
            _("{gib} GiB more GPU memory")
            if len(machine.gpus) == 1
            else _("{gib} GiB more memory on one GPU")
        )
        yield Change(change="gpu_memory", to=vram * GIB, text=text.format(gib=vram))


def _with_more_ram(machine: Machine, gib: int) -> Machine:
    more = gib * GIB
    memory = machine.host.memory.model_copy(
        update={"available_bytes": machine.host_capacity_bytes + more, "limit_bytes": None, "taken_bytes": 0}
    )
    memory = memory.model_copy(update={"total_bytes": memory.total_bytes + more})
    gpus = tuple(
        gpu.model_copy(update={"free_bytes": gpu.capacity_bytes + more}) if gpu.unified else gpu
        for gpu in machine.gpus
    )
    host = machine.host.model_copy(update={"memory": memory})
    return machine.model_copy(update={"host": host, "gpus": gpus})


def _with_more_vram(machine: Machine, gib: int) -> Machine:
    largest = max(machine.gpus, key=lambda gpu: gpu.capacity_bytes)
    grown = largest.model_copy(update={"free_bytes": largest.capacity_bytes + gib * GIB})
    return machine.model_copy(update={"gpus": tuple(grown if g is largest else g for g in machine.gpus)})


def _last(high: int, test: Callable[[int], bool]) -> int:
    """The largest n in 1 … high that passes a test that larger ones fail; 0 where 1 does not."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        if test(middle):
            low = middle
        else:
            high = middle - 1
    return low
