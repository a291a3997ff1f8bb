"""`advisor detect`: what this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from advisor.describing import GPU_COLUMNS, gpu_row, host_rows, runtimes_line, user_lines

if TYPE_CHECKING:
    from rich.table import Table

    from advisor.hardware import Gpu, Machine


@click.command(name="detect")
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
    from advisor.machines import detect
    from advisor.output import write_whole
    from advisor.probes import with_runtime_versions

    if measure:
        bandwidth.forget_bandwidth(bandwidth.cache_file())
    machine = with_runtime_versions(detect())
    text = machine.model_dump_json(indent=2)
    if output is not None:
        write_whole(output, text + "\n", force=force)
        click.echo(f"Written to {output}; plan for it elsewhere with --hardware {output}", err=True)
    if as_json:
        click.echo(text)
    else:
        _show(machine)


def _show(machine: Machine) -> None:
    from rich.markup import escape

    from advisor.cli.terminal import console

    out = console()
    for title, text in host_rows(machine.host):
        out.print(f"[bold]{title:10}[/] {escape(text)}")
    if machine.gpus:
        out.print(_gpu_table(machine.gpus))
    else:
        out.print(f"[bold]{'GPU':10}[/] none found")
    for text in user_lines(machine):
        out.print(f"[bold]{'used by':10}[/] {escape(text)}")
    if machine.interconnect:
        out.print(f"[bold]{'link':10}[/] {machine.interconnect}")
    out.print(f"[bold]{'runtimes':10}[/] {escape(runtimes_line(machine))}")
    for note in machine.notes:
        out.print(f"[dim]note: {escape(note)}[/]")


def _gpu_table(gpus: tuple[Gpu, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in GPU_COLUMNS:
        table.add_column(title, justify="left" if title in ("GPU", "driver") else "right")
    for gpu in gpus:
        table.add_row(*map(Text, gpu_row(gpu)))
    return table
