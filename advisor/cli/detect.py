"""`advisor detect`: what this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from advisor.cli.localized import LocalizedCommand
from advisor.describing import GPU_COLUMNS, gpu_row, host_rows, runtimes_line, user_lines
from advisor.i18n import _
from advisor.units import ljust

TITLE_WIDTH: Final = 10
"""Columns of the words that lines begin with."""

if TYPE_CHECKING:
    from rich.table import Table

    from advisor.hardware import Gpu, Machine


@click.command(name="detect", cls=LocalizedCommand)
@click.option("--json", "as_json", is_flag=True, help="Print the machine as JSON, which --hardware reads.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the same JSON to a file, for --hardware.",
)
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.option("--measure", is_flag=True, help="Measure the memory's bandwidth again.")
def command(as_json: bool, output: Path | None, force: bool, measure: bool) -> None:
    """Show what this machine has: GPUs, memory, processor, runtimes.

    Every figure is read or measured, or is unknown. The first run measures the memory's bandwidth, in
    under a second, and keeps it.
    """
    from advisor import bandwidth
    from advisor.machines import detect_with_versions
    from advisor.output import write_whole

    if measure:
        bandwidth.forget_bandwidth(bandwidth.cache_file())
    machine = detect_with_versions()
    text = machine.model_dump_json(indent=2)
    if output is not None:
        write_whole(output, text + "\n", force=force)
        written = _("Written to {file}; plan for it elsewhere with --hardware {file}")
        click.echo(written.format(file=output), err=True)
    if as_json:
        click.echo(text)
    else:
        _show(machine)


def _show(machine: Machine) -> None:
    from advisor.cli.terminal import console, noted

    for title, text in host_rows(machine.host):
        _print_row(title, text)
    if machine.gpus:
        console().print(_gpu_table(machine.gpus))
    else:
        _print_row("GPU", _("none found"))
    for text in user_lines(machine):
        _print_row(_("used by"), text)
    if machine.interconnect:
        _print_row(_("link"), machine.interconnect)
    _print_row(_("runtimes"), runtimes_line(machine))
    for note in machine.notes:
        click.secho(noted(note), dim=True)


def _print_row(title: str, text: str) -> None:
    """A line, without rich: it takes longer to load than most machines to read."""
    click.echo(f"{click.style(ljust(title, TITLE_WIDTH), bold=True)} {text}")


def _gpu_table(gpus: tuple[Gpu, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in GPU_COLUMNS:
        table.add_column(_(title), justify="left" if title in ("GPU", "driver") else "right")
    for gpu in gpus:
        table.add_row(*map(Text, gpu_row(gpu)))
    return table
