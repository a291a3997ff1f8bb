"""`advisor models`: the shipped catalog, the user's own, and what is on the disk."""

from __future__ import annotations

import click

from advisor.cli.localized import LocalizedGroup
from advisor.cli.models.add import add_command
from advisor.cli.models.check import check_command
from advisor.cli.models.compare import compare_command
from advisor.cli.models.listing import list_command, search_command
from advisor.cli.models.showing import show_command
from advisor.cli.models.sync import sync_command


@click.group(name="models", cls=LocalizedGroup)
def command() -> None:
    """Look into the model catalog, and keep one of your own."""


for _command in (
    list_command,
    search_command,
    show_command,
    compare_command,
    add_command,
    sync_command,
    check_command,
):
    command.add_command(_command)
