"""The terminal that commands print to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from advisor.i18n import _

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH: Final = 160
"""Columns without a terminal: the widest table with the longest names."""


def noted(text: str) -> str:
    """The line of a note."""
    return _("note: {text}").format(text=text)


def assumed(text: str) -> str:
    """The line of an assumption about a machine."""
    return _("assumed: {text}").format(text=text)


def console(*, to_stderr: bool = False) -> Console:
    """A console that never breaks words in a pipe: without a terminal, lines are as long as they are."""
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, soft_wrap=not stream.isatty(), highlight=False, emoji=False)
