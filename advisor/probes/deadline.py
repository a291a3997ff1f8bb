"""Work that is waited for only so long: drivers and network file systems may hang for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Started(Generic[T]):
    """A call in a thread of its own, under way since it was made.

    The thread is a daemon: a program ends without waiting for one that hangs.
    """

    def __init__(self, call: Callable[[], T], limit_s: float) -> None:
        self._ends = time.monotonic() + limit_s
        self._value: list[T] = []
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What the call returned or raised; raises `TimeoutError` where it did not end in time."""
        self._thread.join(max(0.0, self._ends - time.monotonic()))
        if self._error is not None:
            raise self._error
        if not self._value:
            raise TimeoutError
        return self._value[0]

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._value.append(call())
        except Exception as error:  # for whoever asks for the result
            self._error = error
