"""Questions that are waited for only so long: drivers and network file systems may hang for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Started(Generic[T]):
    """A call in a thread of its own, under way since it was made.

    The thread is a daemon: a program ends without waiting for one that hangs.
    """

    def __init__(self, call: Callable[[], T], limit_s: float) -> None:
        self._ends = time.monotonic() + limit_s
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.late = False
        """Whether it was waited for in vain; it has no result from then on."""
        self._thread = Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def settle(self, until: float) -> None:
        """Return when the call has ended, at its limit, or at a time of `time.monotonic`."""
        self._thread.join(max(0.0, min(until, self._ends) - time.monotonic()))

    def result(self) -> T:
        """What the call returned or raised; raises `TimeoutError` where it did not end in time."""
        self.settle(self._ends)
        self.late = self.late or self._thread.is_alive()
        if self.late:
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value[0]

    def result_or(self, missing: T) -> T:
        """What the call returned or raised; `missing` where it did not end in time."""
        try:
            return self.result()
        except TimeoutError:
            return missing

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._value.append(call())
        except BaseException as error:  # for whoever asks for the result
            self._error = error


class Questions:
    """Everything that is asked for one answer, side by side: each with its limit, all with one end."""

    def __init__(self, limit_s: float) -> None:
        self._began = time.monotonic()
        self._limit_s = limit_s
        self._asked: list[tuple[Started[Any], str]] = []

    def ask(self, call: Callable[[], T], limit_s: float, note: str) -> Started[T]:
        """Start a call; note: what a reader should know where it does not answer in time."""
        left_s = self._began + self._limit_s - time.monotonic()
        started = Started(call, max(0.0, min(limit_s, left_s)))
        self._asked.append((started, note))
        return started

    def settle(self, after_s: float) -> None:
        """Return when everything has ended, or so long after the first question."""
        for started, _ in self._asked:
            started.settle(self._began + after_s)

    @property
    def late(self) -> tuple[str, ...]:
        """The notes of those that were waited for in vain, each once."""
        return tuple(dict.fromkeys(note for started, note in self._asked if started.late))
