"""The program as its entry point runs it, without a process of its own."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.testing import CliRunner, Result

from advisor.cli import advisor, error_funnel


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def _program(words: tuple[str, ...]) -> None:
    with error_funnel():
        advisor.main(list(words), standalone_mode=False, prog_name="advisor")


def run(*words: str, env: Mapping[str, str] | None = None) -> Result:
    """A command line with its exit status, errors told in one line included."""
    return CliRunner().invoke(_program, ["--", *words], env=env, prog_name="advisor")
