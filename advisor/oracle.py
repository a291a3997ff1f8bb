"""llama.cpp itself, asked what a placement takes: a file of holes is planned in a process of its own.

The plan reads a header and allocates next to nothing. A first question takes about 0.4 s, most of it the
start of Python and of the library; its answer is kept. Weights are planned without llama.cpp's repacking for
the processor's own matrix kernels: what that adds differs from processor to processor, and with AMX it makes
llama.cpp abort on latent attention.

"probe" insists on a proof; "auto" takes one where it comes within `QUICK_S`, and remembers where it did not;
"rules" never asks. A placement on GPUs is proven where the installed library sees those GPUs. Elsewhere the
same model is planned in RAM, which proves weights, cache and state, and leaves their division to the rules.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, reduce
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from advisor.assessment import MemoryEstimate
from advisor.errors import AdvisorError, OracleError
from advisor.hardware import Machine
from advisor.i18n import _, language
from advisor.measurements import BufferReport, Library, Reading, Trial
from advisor.memory import Footprint, Split
from advisor.model import ModelKind
from advisor.oracle_cache import Answer, cache_folder, keep, kept
from advisor.placement import placement_of
from advisor.proof import Proof, Prove, by_rule, in_ram, proven
from advisor.settings import Settings
from advisor.trials import trial_of_file
from advisor.units import GIB, format_bytes
from advisor.usecase import Backend, Method

if TYPE_CHECKING:
    from advisor.gguf.sparse import Blueprint

QUICK_S: Final = 5.0
"""What "auto" gives llama.cpp at the most: ten times what it takes on an idle machine."""
PATIENT_S: Final = 60.0
"""What "probe" gives it."""
NOTICED_S: Final = 1.0
"""Who waits longer is told what for."""
MAX_ALLOCATED_BYTES: Final = GIB
"""Recurrent states and outputs are allocated even by a plan: no more of them than this is tried."""
INSTALL: Final = "pip install 'llama-cpp-python>=0.3.36'"

_log = logging.getLogger("advisor")


class Asked(NamedTuple):
    """A model as it is to be run, wherever it is placed."""

    blueprint: Callable[[], Blueprint]
    """Its file; raises `AdvisorError` where there are no rules for one."""
    settings: Settings
    kind: ModelKind
    backend: Backend


class Plan(NamedTuple):
    """llama.cpp's own."""

    library: Library
    buffers: BufferReport


def prover(
    asked: Asked, machine: Machine, method: Method, on_slow: Callable[[], None] | None = None
) -> Prove:
    """What holds placements of the model on the machine against llama.cpp.

    on_slow: called when an answer takes over a second. With "auto" it never raises, and costs nothing
    without llama-cpp-python; with "probe" it raises `OracleError` where there is nobody to ask, and so does
    what it returns where a placement is not proven.
    """
    if method == "rules":
        return by_rule
    if why := _why_nobody_is_asked(asked.backend):
        if method == "auto":
            return by_rule
        raise OracleError(_("{why}, or use --method rules").format(why=why))
    oracle = _Oracle(asked, machine, PATIENT_S if method == "probe" else QUICK_S, on_slow or _ignore)
    return oracle.insist if method == "probe" else oracle.attempt


def _why_nobody_is_asked(backend: Backend) -> str | None:
    if backend != "llama.cpp":
        text = _("--method probe asks llama.cpp, not {backend}: take --backend llama.cpp")
        return text.format(backend=backend)
    if _library_folder() is None:
        return _("--method probe needs llama-cpp-python: {install}").format(install=INSTALL)
    return None


class _OtherGpusError(OracleError):
    """The library does not see the GPUs that are planned for."""


class _Oracle:
    """Answers for one model on one machine."""

    def __init__(self, asked: Asked, machine: Machine, limit_s: float, on_slow: Callable[[], None]) -> None:
        self._asked, self._machine = asked, machine
        self._limit_s, self._on_slow = limit_s, on_slow

    def insist(self, footprint: Footprint, split: Split, memory: MemoryEstimate) -> Proof:
        """The placement's proof; raises `AdvisorError`, with what to do, where there is none."""
        try:
            return self._placed(footprint, split, memory)
        except _OtherGpusError as error:
            raise OracleError(
                _("{problem}: use --method auto, or leave GPUs out with --accelerator cpu").format(
                    problem=error
                )
            ) from error
        except OracleError as error:
            raise OracleError(_("{problem}: use --method rules").format(problem=error)) from error

    def attempt(self, footprint: Footprint, split: Split, memory: MemoryEstimate) -> Proof:
        """What can be proven, with a note where that is less than the placement."""
        try:
            return self._placed(footprint, split, memory)
        except _OtherGpusError:
            return self._confirmed(footprint, split, memory)
        except AdvisorError as error:
            return _unproven(memory, error)

    def _placed(self, footprint: Footprint, split: Split, memory: MemoryEstimate) -> Proof:
        """The placement's proof; raises `AdvisorError`, with the reason, where there is none."""
        _refuse_large_allocations(memory)
        trial = self._trial(footprint, split)
        if not trial.uses_gpu:
            return self._proof(footprint, trial, memory, ("",) * len(self._machine.gpus))
        library = self._plan(trial.in_ram()).library
        names = _gpu_names(library, self._machine)
        if names is None:
            seen = _together([gpu.description for gpu in library.gpus]) or _("no GPU")
            planned = _together([gpu.name for gpu in self._machine.gpus])
            raise _OtherGpusError(
                _("{library} sees {seen} here, so no placement on {planned} is proven").format(
                    library=_name(library), seen=seen, planned=planned
                )
            )
        return self._proof(footprint, trial, memory, names)

    def _confirmed(self, footprint: Footprint, split: Split, memory: MemoryEstimate) -> Proof:
        """The estimate as it is; what llama.cpp says of the same model in RAM is noted."""
        trial = self._trial(footprint, split).in_ram()
        try:
            proof = self._proof(footprint, trial, in_ram(footprint, memory), ())
        except OracleError as error:
            return _unproven(memory, error)
        by = proof.memory.proven_by
        text = (
            _("{by} planned it in RAM; it sees no such GPU, so the placement is by rule")
            if proof.notes
            else _(
                "{by} agrees on weights, cache and state; it sees no such GPU, so the placement is by rule"
            )
        )
        return Proof(memory, (text.format(by=by), *proof.notes))

    def _trial(self, footprint: Footprint, split: Split) -> Trial:
        placement = placement_of(split, footprint, self._machine)
        trial = trial_of_file(self._asked.settings, self._asked.kind, placement, self._machine, 0)
        return trial.model_copy(update={"repack": False, "n_threads": 1})

    def _proof(
        self, footprint: Footprint, trial: Trial, memory: MemoryEstimate, gpu_names: Sequence[str]
    ) -> Proof:
        library, buffers = self._plan(trial)
        weights = footprint.weights
        proof = proven(
            memory,
            buffers,
            gpu_names,
            by=_name(library),
            tied_bytes=weights.tied_bytes,
            grown=weights.total_bytes > self._blueprint.data_bytes,
        )
        if proof is None:
            raise OracleError(
                _("{library} does not tell its buffers by device on this system").format(
                    library=_name(library)
                )
            )
        _log.info("by rule %s, planned %s", memory, proof.memory)
        return proof

    @cached_property
    def _blueprint(self) -> Blueprint:
        return self._asked.blueprint()

    def _plan(self, trial: Trial) -> Plan:
        """Who planned what; raises `OracleError` with the reason where nothing was planned."""
        answer = self._answer(trial)
        if answer.library is None or answer.buffers is None:
            raise OracleError(
                _("{library} made no plan of it ({refusal})").format(
                    library=_name(answer.library), refusal=answer.refusal
                )
            )
        return Plan(answer.library, answer.buffers)

    def _answer(self, trial: Trial) -> Answer:
        """Kept from before, or asked for now and kept."""
        key = _key(self._blueprint, trial)
        answer = kept(cache_folder(), key)
        if answer is None or (answer.limit_s or self._limit_s) < self._limit_s:
            answer = _plan_holes(self._blueprint, trial, self._limit_s, self._on_slow)
            keep(cache_folder(), key, answer)
        return answer


def _unproven(memory: MemoryEstimate, why: AdvisorError) -> Proof:
    return Proof(memory, (_("memory is by rule: {why}").format(why=why),))


def _refuse_large_allocations(memory: MemoryEstimate) -> None:
    allocated = memory.recurrent_bytes + memory.output_bytes
    if allocated > MAX_ALLOCATED_BYTES:
        raise OracleError(
            _("to plan it, llama.cpp would allocate {size} of states and outputs for real").format(
                size=format_bytes(allocated)
            )
        )


def plan(file: Path, trial: Trial, limit_s: float) -> Answer:
    """Let llama.cpp plan with a .gguf, sparse or not, in a process of its own; whatever it does is told."""
    from advisor.llama_process import run_child
    from advisor.smoke_failure import own_words

    told = run_child(("plan", str(file), trial.model_dump_json()), limit_s)
    library = Library.model_validate(told.news["library"]) if "library" in told.news else None
    buffers = Reading.model_validate({"buffers": told.news.get("buffers")}).buffers
    if buffers is not None:
        return Answer(library=library, buffers=buffers)
    if told.ending.status is None:
        return Answer(
            library=library, refusal=_("no answer within {limit:g} s").format(limit=limit_s), limit_s=limit_s
        )
    if "missing" in told.news:
        return Answer(refusal=_("it does not load: {reason}").format(reason=told.news["missing"]))
    lasts = told.ending.crashed or told.ending.error is not None
    return Answer(library=library, refusal=own_words(told.ending, limit_s=limit_s), lasts=lasts)


def _plan_holes(blueprint: Blueprint, trial: Trial, limit_s: float, on_slow: Callable[[], None]) -> Answer:
    """The same with a file of holes; raises `OracleError` where that cannot be written."""
    slow = threading.Timer(NOTICED_S, on_slow)
    slow.start()
    try:
        with TemporaryDirectory(prefix="advisor-") as folder:
            return plan(blueprint.write(Path(folder) / "model.gguf"), trial, limit_s)
    except OSError as error:
        size = format_bytes(blueprint.data_bytes)
        raise OracleError(
            _(
                "a file of {size} of holes cannot be written to the temporary folder ({reason}; "
                "TMPDIR names another)"
            ).format(size=size, reason=_(error.strerror or str(error)))
        ) from error
    finally:
        slow.cancel()


def _library_folder() -> Path | None:
    """Where llama-cpp-python has its libraries; None where it is not installed."""
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return None
    own = os.environ.get("LLAMA_CPP_LIB_PATH")
    return Path(own) if own else Path(spec.origin).with_name("lib")


def _build() -> list[tuple[str, int, int]]:
    """What identifies the installed build: name, size and time of its libraries."""
    folder = _library_folder()
    if folder is None or not folder.is_dir():
        return []
    rows = ((file.name, file.stat()) for file in folder.iterdir())
    return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in rows)


_DEVICE_VARIABLES: Final = ("GGML_", "LLAMA_")
_GPU_FILES: Final = ("nvidia", "kfd", "render", "card")


def _environment() -> list[tuple[str, str]]:
    """Variables that change which devices llama.cpp sees, and what it does with them."""
    return sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(_DEVICE_VARIABLES) or name.endswith("_VISIBLE_DEVICES")
    )


def _device_files() -> list[str]:
    """What GPU drivers leave in /dev: a GPU that appears makes earlier answers stale."""
    found: list[str] = []
    for folder in (Path("/dev"), Path("/dev/dri")):
        with suppress(OSError):
            found += (name for name in os.listdir(folder) if name.startswith(_GPU_FILES))
    return sorted(found)


def _key(blueprint: Blueprint, trial: Trial) -> str:
    """A name for the question: another file, parameter, build or set of devices is another question."""
    parameters = trial.model_dump(mode="json")
    told_in = language()  # a refusal is kept in words
    about: list[Any] = [blueprint.data_bytes, parameters, _build(), _environment(), _device_files(), told_in]
    return hashlib.sha256(blueprint.header + json.dumps(about).encode()).hexdigest()


def _gpu_names(library: Library, machine: Machine) -> tuple[str, ...] | None:
    """The machine's GPUs by ggml's names; None where the library does not see exactly those."""
    if len(library.gpus) != len(machine.gpus):
        return None
    for seen, planned in zip(library.gpus, machine.gpus, strict=True):
        if not set(planned.name.lower().split()) <= set(seen.description.lower().split()):
            return None
    return tuple(gpu.name for gpu in library.gpus)


def _together(names: Sequence[str]) -> str:
    """For people: "A", "A and B"; empty where there is none."""
    if not names:
        return ""
    return reduce(lambda some, one: _("{some} and {one}").format(some=some, one=one), names)


def _name(library: Library | None) -> str:
    return f"llama.cpp (llama-cpp-python {library.version})" if library else "llama-cpp-python"


def _ignore() -> None:
    """For those who do not wait."""
