"""What the commands that ask the hub share: progress on stderr, and the day."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import click

from advisor.i18n import _


def tell(message: str) -> None:
    """Say on stderr what is going on."""
    click.echo(f"advisor: {message}", err=True)


def today() -> date:
    """The day that entries are dated with."""
    return date.today()


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """A function to call with each thing before it is done: a bar in a terminal, else a line now and then."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from advisor.cli.terminal import console

    if not sys.stderr.isatty():
        done = 0

        def count(_name: str) -> None:
            nonlocal done
            if done % _EVERY == 0 and total > _EVERY:
                tell(_("{what}: {done} of {total}").format(what=what, done=done, total=total))
            done += 1

        yield count
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console(to_stderr=True), transient=True) as shown:
        task = shown.add_task("", total=total)

        def step(name: str) -> None:
            shown.update(task, advance=1, description=name)

        yield step


_EVERY = 20
