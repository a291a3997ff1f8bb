"""The smoke test: a child process loads the model and runs it; its figures are held against the estimate.

The child may be killed, abort or hang: what it told before is kept, and its end is explained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from advisor.errors import SmokeTestError
from advisor.hardware import Machine, Vendor
from advisor.i18n import N_, _
from advisor.llama_process import run_child
from advisor.measurements import Expected, Failure, Library, Needs, Reading, Resident, SmokeResult, Trial
from advisor.memory_use import measured_memory, own_host_bytes
from advisor.smoke_failure import Ending, explain, less_memory
from advisor.smoke_verdict import Asked, judge, without_gpu
from advisor.units import format_bytes

DEFAULT_LIMIT_S: Final = 600.0
START_LIMIT_S: Final = 60.0
"""For importing the library and listing its devices."""
BUSY_SHARE: Final = 0.5
"""Share of the cores that may be busy with other work before it is worth a word."""
INSTALL: Final = N_("install it with pip install 'llama-cpp-python>=0.3.36'")

Progress = Callable[[str], None]
_MESSAGES: Final = {
    "plan": N_("Planning memory"),
    "load": N_("Loading the model"),
    "prefill": N_("Processing a prompt"),
    "decode": N_("Generating"),
}


class _Told(NamedTuple):
    """Everything that came from one child."""

    news: dict[str, Any]
    ending: Ending
    gpu_used_bytes: int | None
    """Peak of the GPUs' used memory, over what was used before."""

    @property
    def reading(self) -> Reading:
        """What belongs to a reading."""
        return Reading.model_validate({k: v for k, v in self.news.items() if k in Reading.model_fields})


def read_library() -> Library:
    """The installed llama-cpp-python and the devices it finds.

    Raises `SmokeTestError` when there is none, or it cannot be loaded.
    """
    told = _child(("library",), START_LIMIT_S, watch_gpus=False, on_progress=_ignore)
    if "library" in told.news:
        return Library.model_validate(told.news["library"])
    if "missing" in told.news:
        raise SmokeTestError(
            _("the smoke test needs llama-cpp-python ({reason}): {install}").format(
                reason=told.news["missing"], install=_(INSTALL)
            )
        )
    failure = explain(told.ending, limit_s=START_LIMIT_S, on_gpu=False)
    raise SmokeTestError(
        _("llama-cpp-python does not load ({reason}): install it again").format(reason=failure.reason)
    )


def run_smoke_test(
    gguf: Path,
    trial: Trial,
    *,
    library: Library,
    expected: Expected | None = None,
    needs: Needs | None = None,
    machine: Machine | None = None,
    vendor: Vendor | None = None,
    limit_s: float = DEFAULT_LIMIT_S,
    on_progress: Progress | None = None,
) -> SmokeResult:
    """Load the model as the trial says, measure it, and judge.

    library: what `read_library` found. expected: the estimate, where there is one. machine: this one; its
    memory is checked before the model is loaded. vendor: of the GPU that the trial is for, for the advice.
    limit_s: for all of it. on_progress: called with what is being done.
    A crash, a timeout or a lack of memory is a verdict, not an error. A trial that `lacks_gpu` is judged
    without running anything, file or not; else a file that is not there raises `SmokeTestError`.
    """
    asked = Asked(model_file=str(gguf), trial=trial, expected=expected or Expected(), needs=needs or Needs())
    if lacks_gpu(trial, library):
        return without_gpu(asked, library, vendor)
    if not gguf.is_file():
        raise SmokeTestError(_("no file {gguf}: give the path of an existing .gguf").format(gguf=gguf))
    return _Run(asked, library, machine, limit_s, on_progress or _ignore).result()


def lacks_gpu(trial: Trial, library: Library) -> bool:
    """Whether the trial needs a GPU that the library cannot use: its model need not be downloaded."""
    return trial.uses_gpu and not library.gpus


class _Run:
    """One smoke test: llama.cpp's plan first, then the real thing, both within one time limit."""

    def __init__(
        self, asked: Asked, library: Library, machine: Machine | None, limit_s: float, progress: Progress
    ) -> None:
        self._asked, self._library, self._machine = asked, library, machine
        self._limit_s, self._progress = limit_s, progress
        self._deadline = time.monotonic() + limit_s
        self._notes: list[str] = []

    def result(self) -> SmokeResult:
        """Run it all, as far as it goes."""
        self._notes += _busy()
        planned = self._try("plan").reading
        if planned.failure:
            return judge(self._asked, self._library, planned, None, tuple(self._notes))
        refusal = self._lacks_memory(planned)
        if refusal:
            return judge(self._asked, self._library, Reading(failure=refusal), None, tuple(self._notes))
        told = self._try("run")
        reading = told.reading
        memory = None
        if reading.buffers:
            exact = planned.buffers.exact if planned.buffers else ()
            seen = {"resident": reading.resident or Resident(), "gpu_used_bytes": told.gpu_used_bytes}
            memory = measured_memory(reading.buffers, exact).model_copy(update=seen)
        return judge(self._asked, self._library, reading, memory, tuple(self._notes))

    def _try(self, mode: str) -> _Told:
        """Run a child; once more without repacked weights where llama.cpp crashes with them."""
        trial, told = self._asked.trial, self._once(mode)
        if told.ending.crashed and trial.repack and not self._is_done(told):
            plain = trial.model_copy(update={"repack": False})
            self._asked = self._asked.model_copy(update={"trial": plain})
            self._notes.append(
                _(
                    "llama.cpp crashed with repacked weights and was run without: start llama-server with "
                    "--no-repack"
                )
            )
            told = self._once(mode)
        if told.ending.status == 0 or self._is_done(told):
            return told
        failure = explain(told.ending, limit_s=self._limit_s, on_gpu=trial.uses_gpu)
        return told._replace(news={**told.news, "failure": failure.model_dump()})

    def _once(self, mode: str) -> _Told:
        trial = self._asked.trial
        return _child(
            (mode, self._asked.model_file, trial.model_dump_json()),
            max(0.0, self._deadline - time.monotonic()),
            watch_gpus=trial.uses_gpu and mode == "run",
            on_progress=self._progress,
        )

    @staticmethod
    def _is_done(told: _Told) -> bool:
        """Whether all was told: only reading the exact sizes comes after, and the log has them too."""
        return "buffers" in told.news

    def _lacks_memory(self, planned: Reading) -> Failure | None:
        """A refusal where the process would not fit: trying would make the system kill or swap."""
        if self._machine is None or planned.buffers is None or self._machine.unified:
            return None
        need = own_host_bytes(planned.buffers.exact)
        free = self._machine.host_capacity_bytes
        if need <= free:
            return None
        return Failure(
            stage="plan",
            reason=_(
                "out of memory: it needs {need} of RAM for its own, {free} are free; it was not loaded"
            ).format(need=format_bytes(need), free=format_bytes(free)),
            advice=less_memory(on_gpu=self._asked.trial.uses_gpu),
        )


def _child(arguments: tuple[str, ...], limit_s: float, *, watch_gpus: bool, on_progress: Progress) -> _Told:
    """Run `advisor.llama_child`, say what it does, and watch the GPUs' memory meanwhile."""
    before = _gpu_used_bytes() if watch_gpus else None
    peak = before

    def listen(line: Mapping[str, Any]) -> None:
        nonlocal peak
        if line.get("stage") in _MESSAGES:
            on_progress(_(_MESSAGES[line["stage"]]))
        if before is not None:
            peak = max(peak or 0, _gpu_used_bytes() or 0)

    told = run_child(arguments, limit_s, listen)
    return _Told(*told, None if before is None or peak is None else peak - before)


def _busy() -> Iterator[str]:
    """A note when other programs compute: what is measured now is slower than it would be."""
    import psutil

    load, cores = psutil.getloadavg()[0], psutil.cpu_count() or 1
    if load > BUSY_SHARE * cores:
        text = _(
            "other programs keep the processor busy (load {load:.1f} on {cores} cores): rates are too low"
        )
        yield text.format(load=load, cores=cores)


def _gpu_used_bytes() -> int | None:
    """Used memory of all NVIDIA GPUs; None without their driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # whatever a broken driver does, this figure is only left out
        return None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return sum(int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) for handle in handles)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _ignore(message: str) -> None:
    """For those who do not watch."""
