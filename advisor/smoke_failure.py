"""Why a run of llama.cpp ended before its end, from its exit status and its last words."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from typing import Final

from advisor.i18n import N_, _
from advisor.measurements import Failure, Stage
from advisor.value import Value

LAST_LINES: Final = 8
"""Lines of the log that a failure shows."""
OUT_OF_MEMORY: Final = N_("out of memory")
AGAIN: Final = N_("download the file again: it is incomplete or damaged")
NEWER: Final = N_("install a newer llama-cpp-python: pip install --upgrade llama-cpp-python")
OTHER: Final = N_("report it to llama.cpp, with its last words")

_CAUSES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    (r"out of memory|failed to allocate|unable to allocate|cudaMalloc failed", OUT_OF_MEMORY, ()),
    (
        r"not within the file bounds|corrupted or incomplete|failed to read",
        N_("the file is truncated"),
        (AGAIN,),
    ),
    (
        r"invalid magic|bad magic|failed to load GGUF|failed to open GGUF",
        N_("this is not a GGUF file"),
        (AGAIN,),
    ),
    (r"unknown model architecture", N_("this llama.cpp does not know the model's architecture"), (NEWER,)),
    (r"unknown pre-tokenizer type", N_("this llama.cpp does not know the model's tokenizer"), (NEWER,)),
    (
        r"quantized V cache .* requires|V cache quantization requires",
        N_("the cache's type needs flash attention"),
        (),
    ),
    (
        r"missing tensor|wrong number of tensors|has wrong shape",
        N_("the file's tensors are not what its header says"),
        (AGAIN,),
    ),
    (r"GGML_ASSERT|GGML_ABORT", N_("an assertion in llama.cpp failed"), (OTHER,)),
)
"""What a log says, what it means, and what to do; the first that matches counts."""

_METADATA: Final = ("print_info:", "llama_model_loader: - ")
"""Lines that list the file's own words."""
_TELLING: Final = re.compile(r"error|fail|unable|abort|assert|invalid|unknown|out of memory", re.IGNORECASE)


_OWN_WORDS: Final = re.compile(
    r"(GGML_(?:ASSERT|ABORT)\(.*\) failed"
    r"|(?<=error loading model: )(?!error loading).*"
    r"|(?<=error loading model hyperparameters: ).*"
    r"|(?<=failed to initialize the context: ).*"
    r"|(?<=llama_init_from_model: )(?!failed).*)"
)
"""The part of a line in which llama.cpp says why it stops."""


class Ending(Value):
    """How a process ended."""

    status: int | None
    """Exit status, negative for a signal; None when it was stopped for running too long."""
    stage: Stage
    error: str | None = None
    """What the process itself said."""
    log: tuple[str, ...] = ()

    @property
    def crashed(self) -> bool:
        """Whether the library brought its own process down."""
        return self.status in _CRASHES


_CRASHES: Final = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGILL, -signal.SIGFPE, 3, 0xC0000005}
"""3 and 0xC0000005: abort and access violation on Windows."""


def less_memory(*, on_gpu: bool) -> tuple[str, ...]:
    """What to do about too little memory."""
    fewer = (_("put fewer layers on the GPU (--n-gpu-layers)"),) if on_gpu else ()
    return (_("take a smaller context (--ctx), a smaller quantization or fewer sequences"), *fewer)


def explain(ending: Ending, *, limit_s: float, on_gpu: bool) -> Failure:
    """The reason of an ending that was not a success, with what to do about it."""
    told = "\n".join(ending.log)
    cause, advice = next(
        ((meaning, remedy) for pattern, meaning, remedy in _CAUSES if re.search(pattern, told)), (None, ())
    )
    advice = less_memory(on_gpu=on_gpu) if cause == OUT_OF_MEMORY else tuple(_(line) for line in advice)
    doing = _(_DOING[ending.stage])
    if ending.status is None:
        reason = _("it was stopped after {limit:.0f} s, {doing}").format(limit=limit_s, doing=doing)
        advice = (_("give it more time (--timeout), or take a smaller model or quantization"),)
    elif ending.status == -signal.SIGKILL:
        reason = _("the system killed it {doing}: most likely memory ran out").format(doing=doing)
        advice = less_memory(on_gpu=on_gpu)
    else:
        said = ending.error or _death(ending.status, doing)
        reason = f"{said}: {_(cause)}" if cause else said
        advice = advice or (_(OTHER),)
    log = () if ending.status is None else telling(ending.log)
    return Failure(stage=ending.stage, reason=reason, advice=advice, log=log)


def own_words(ending: Ending, *, limit_s: float) -> str:
    """Why llama.cpp ended, on one line: in its own words where it said any."""
    said = [match[1] for line in reversed(ending.log) if (match := _OWN_WORDS.search(line))]
    return said[0].strip() if said else explain(ending, limit_s=limit_s, on_gpu=False).reason


_DOING: Final[dict[Stage, str]] = {
    "start": N_("while llama.cpp was loaded"),
    "plan": N_("while llama.cpp planned its memory"),
    "load": N_("while the model was loaded"),
    "prefill": N_("while the prompt was processed"),
    "decode": N_("while tokens were generated"),
}


def _death(status: int, doing: str) -> str:
    if status >= 0:
        return _("it ended with status {status} {doing}").format(status=status, doing=doing)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = _("signal {number}").format(number=-status)
    return _("it was ended by {signal} {doing}").format(signal=name, doing=doing)


def telling(log: Sequence[str]) -> tuple[str, ...]:
    """The lines that speak of something wrong, or the last ones where none does."""
    lines = [line.rstrip() for line in log if line.strip() and not line.startswith(_METADATA)]
    return tuple([line for line in lines if _TELLING.search(line)][-LAST_LINES:] or lines[-LAST_LINES:])
