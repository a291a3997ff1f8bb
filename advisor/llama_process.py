"""A process of its own for llama.cpp: started, listened to, and stopped at its time limit.

The process may be killed, abort or hang: what it told before is kept, and its end is described.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

from advisor.i18n import language
from advisor.smoke_failure import Ending

COMMAND: Final = (sys.executable, "-P", "-m", "advisor.llama_child")
"""-P: a folder named advisor or llama_cpp in the user's working directory must not be imported."""
LOG_BYTES: Final = 64 << 10
"""How much of the end of llama.cpp's log is looked at."""


class Told(NamedTuple):
    """Everything that came from one process."""

    news: dict[str, Any]
    """The fields of all lines together; a later line overrides an earlier one."""
    ending: Ending


def run_child(
    arguments: tuple[str, ...], limit_s: float, on_news: Callable[[Mapping[str, Any]], None] | None = None
) -> Told:
    """Run `advisor.llama_child` and collect what it tells, until it ends or the time is over.

    on_news: called with every line as it comes.
    """
    news, stage = dict[str, Any](), "start"
    with TemporaryFile() as log:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "GGML_NO_BACKTRACE": "1", "LANGUAGE": language()},
            text=True,
            encoding="utf-8",
        )
        try:
            for line in _lines(process, time.monotonic() + limit_s):
                news |= line
                stage = line.get("stage", stage)
                if on_news:
                    on_news(line)
            status = process.poll()
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        ending = Ending.model_validate(
            {"status": status, "stage": stage, "error": news.get("error"), "log": _tail(log)}
        )
    return Told(news, ending)


def _lines(process: subprocess.Popen[str], deadline: float) -> Iterator[dict[str, Any]]:
    """JSON objects as they come; returns at the end of the process or of the time."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        if line is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            return
        try:
            told = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed while it wrote
        if isinstance(told, dict):
            yield told


def _tail(log: IO[bytes]) -> tuple[str, ...]:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - LOG_BYTES))
    return tuple(log.read().decode("utf-8", "replace").splitlines())
