"""The process that llama.cpp runs in: loads a model, plans or runs it, and tells what it sees.

    python -m advisor.llama_child library
    python -m advisor.llama_child plan MODEL.gguf TRIAL
    python -m advisor.llama_child run MODEL.gguf TRIAL

Every line on stdout is a JSON object, printed as soon as its figures are known, so that what was measured
survives a crash; llama.cpp's log goes to stderr. TRIAL is a `Trial` as JSON. What may crash (reading the
library's memory map) comes last.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from advisor import llama_library, llama_log
from advisor.i18n import language_of, use_language
from advisor.llama_session import LlamaError, Session
from advisor.measurements import Decode, Loaded, Output, Prefill, Resident, Stage, Trial
from advisor.units import KIB

DECODE_STEPS: Final = 64
"""Steps whose mean is the decode rate …"""
DECODE_LIMIT_S: Final = 5.0
"""… or as many as fit in this time, so that a slow machine is not tried."""
MIN_DECODE_STEPS: Final = 2
FILL_LIMIT_S: Final = 20.0
"""Time for filling the cache up to the depth that the estimate is stated for."""
TEMPERATURE: Final = 0.8
"""High enough for a healthy model not to loop, low enough for text."""
SEED: Final = 20261121


class Teller:
    """Speaks to the parent on the process's stdout, which nothing else may write to."""

    def __init__(self) -> None:
        self._pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def tell(self, **news: Any) -> None:
        """Print fields of a `Reading`, or the `library`, the `stage`, an `error`."""
        print(json.dumps(news), file=self._pipe, flush=True)

    def stage(self, name: Stage) -> None:
        """Say what comes now: where the process was when it died."""
        self.tell(stage=name)


class Sampler:
    """Picks tokens at a fixed seed, and sees whether the logits are numbers."""

    def __init__(self, session: Session) -> None:
        import numpy as np

        self._session, self._random = session, np.random.default_rng(SEED)
        self.finite = True

    def pick(self, row: int) -> int:
        """A token by the last batch's `row`-th logits; 0 where they are not numbers."""
        import numpy as np

        logits = self._session.logits(row)
        if not np.isfinite(logits).all():
            self.finite = False
            return 0
        weights = np.exp((logits - logits.max()) / TEMPERATURE, dtype=np.float64)
        return int(self._random.choice(len(weights), p=weights / weights.sum()))


def generate(session: Session, teller: Teller) -> None:
    """Time a prompt and the tokens after it, and tell what came out."""
    teller.stage("prefill")
    sampler, n_prompt = Sampler(session), session.trial.prompt_tokens
    prompt = session.tokens(n_prompt)
    started = time.perf_counter()
    prefill_s = session.fill(prompt)
    first = sampler.pick(-1)
    ttft_s = time.perf_counter() - started
    prefill = Prefill(prompt_tokens=n_prompt, ttft_s=ttft_s, tokens_per_s=n_prompt / prefill_s)
    teller.tell(prefill=prefill.model_dump())

    depth = _fill_to_depth(session, n_prompt, prefill.tokens_per_s)
    teller.stage("decode")
    session.spread()
    decode, picked = _decode(session, sampler, first, depth)
    teller.tell(decode=decode.model_dump() if decode else None)
    output = Output(
        finite=sampler.finite,
        valid=all(0 <= token < session.n_vocab for token in picked),
        text=session.text(picked),
        n_distinct=len(set(picked)),
        n_tokens=len(picked),
    )
    teller.tell(output=output.model_dump())


def _fill_to_depth(session: Session, filled: int, tokens_per_s: float) -> int:
    """Fill the cache towards the depth that is asked for, as far as the time allows."""
    room = session.trial.settings.n_ctx - DECODE_STEPS
    wanted = min(session.trial.depth, room, filled + int(tokens_per_s * FILL_LIMIT_S))
    if wanted <= filled:
        return filled
    session.fill(session.tokens(wanted)[filled:], at=filled)
    return wanted


def _decode(session: Session, sampler: Sampler, first: int, depth: int) -> tuple[Decode | None, list[int]]:
    """Generate in all sequences at once; the picked tokens are sequence 0's."""
    settings = session.trial.settings
    n_seqs = settings.n_seqs
    last, picked, spent_s, steps = [first] * n_seqs, [first], 0.0, 0
    while steps < min(DECODE_STEPS, settings.n_ctx - depth):
        spent_s += session.decode([[token] for token in last], [depth + steps] * n_seqs)
        last = [sampler.pick(row) for row in range(n_seqs)]
        picked.append(last[0])
        steps += 1
        if spent_s >= DECODE_LIMIT_S and steps >= MIN_DECODE_STEPS:
            break
    if not steps:
        return None, picked
    decode = Decode(
        depth=depth,
        n_tokens=steps * n_seqs,
        tokens_per_s=steps / spent_s,
        throughput_tokens_per_s=steps * n_seqs / spent_s,
    )
    return decode, picked


def embed(session: Session, teller: Teller) -> None:
    """Time a text through an embedder or reranker, and look at what came out."""
    import numpy as np

    teller.stage("prefill")
    n_prompt = min(session.trial.prompt_tokens, session.trial.settings.n_ubatch)
    took_s = session.decode([session.tokens(n_prompt)], [0])
    prefill = Prefill(prompt_tokens=n_prompt, ttft_s=took_s, tokens_per_s=n_prompt / took_s)
    teller.tell(prefill=prefill.model_dump())
    values = session.embedding()
    # A score may well be zero; a vector of zeros points nowhere.
    output = Output(finite=bool(np.isfinite(values).all()), valid=len(values) == 1 or bool(values.any()))
    teller.tell(output=output.model_dump())


def resident() -> Resident:
    """Peak memory of the process; its own part and the file's are what it holds now."""
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        import psutil

        info = psutil.Process().memory_info()
        return Resident(peak_bytes=getattr(info, "peak_wset", info.rss))
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if line.endswith(" kB")}
    fields = {"peak_bytes": "VmHWM", "anonymous_bytes": "RssAnon", "file_bytes": "RssFile"}
    return Resident(**{field: sizes[key] * KIB for field, key in fields.items() if key in sizes})


def measure(session: Session, teller: Teller) -> None:
    """Tell everything about a loaded model but its buffers."""
    loaded = Loaded(load_s=session.load_s, layers=llama_log.layers(session.log.text))
    teller.tell(loaded=loaded.model_dump())
    if session.trial.settings.embeddings:
        embed(session, teller)
    else:
        generate(session, teller)
    teller.tell(resident=resident().model_dump())


def _load_and_tell(mode: str, path: str, trial: Trial, teller: Teller) -> None:
    plan = mode == "plan"
    teller.stage("plan" if plan else "load")
    session = Session(path, trial, plan=plan)
    if not plan:
        measure(session, teller)
    report = session.buffers()
    teller.tell(buffers=report.model_dump())
    exact = llama_library.breakdown(session.context)
    if exact:
        teller.tell(buffers=report.model_copy(update={"exact": exact}).model_dump())


def _be_the_first_to_be_killed() -> None:
    """When memory runs out, the kernel should end this process and none of the user's."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    use_language(language_of(os.environ))
    teller = Teller()
    teller.stage("start")
    try:
        teller.tell(library=llama_library.describe().model_dump())
        if arguments[0] != "library":
            mode, path, trial = arguments
            _be_the_first_to_be_killed()
            _load_and_tell(mode, path, Trial.model_validate_json(trial), teller)
    except ImportError as error:
        teller.tell(missing=str(error))
        return 1
    except (LlamaError, OSError, RuntimeError, AttributeError) as error:
        teller.tell(error=str(error) or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
