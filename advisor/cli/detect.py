"""`advisor detect`: what this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from advisor.units import format_bandwidth, format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from advisor.hardware import Gpu, Host, Machine


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
    from advisor.api import detect
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

    from advisor.cli.show import console

    out = console()
    for title, text in _host_lines(machine.host):
        out.print(f"[bold]{title:10}[/] {escape(text)}")
    if machine.gpus:
        out.print(_gpu_table(machine.gpus))
    else:
        out.print(f"[bold]{'GPU':10}[/] none found")
    if machine.interconnect:
        out.print(f"[bold]{'link':10}[/] {machine.interconnect}")
    runtimes = ", ".join(
        " ".join(filter(None, (r.name, r.version, r.endpoint and f"({r.endpoint})")))
        for r in machine.runtimes
    )
    out.print(f"[bold]{'runtimes':10}[/] {escape(runtimes) or 'none found'}")
    for note in machine.notes:
        out.print(f"[dim]note: {escape(note)}[/]")


def _host_lines(host: Host) -> Iterator[tuple[str, str]]:
    cpu, memory, disk = host.cpu, host.memory, host.disk
    yield "system", host.os + (", in a container" if host.container else "")
    cores = f"{_count(cpu.physical_cores, 'cores')}, {_count(cpu.logical_cores, 'threads')}"
    limit = f", limited to {cpu.limit_cores:g}" if cpu.limit_cores is not None else ""
    yield "processor", f"{cpu.name or 'unknown'}, {cores}{limit}"
    yield "", " ".join(cpu.features) or "SIMD extensions unknown"
    parts = [f"{format_bytes(memory.total_bytes)} in total"]
    if memory.limit_bytes is not None:
        parts.append(f"limited to {format_bytes(memory.limit_bytes)}")
    available = memory.available_bytes
    parts.append("available unknown" if available is None else f"{format_bytes(available)} available")
    rate = memory.bandwidth_bytes_per_s
    parts.append("bandwidth unknown" if rate is None else f"{format_bandwidth(rate)} measured")
    yield "memory", ", ".join(parts)
    free = "free space unknown" if disk.free_bytes is None else f"{format_bytes(disk.free_bytes)} free"
    yield "disk", f"{free} for models in {disk.cache_dir or 'an unknown folder'}"


def _gpu_table(gpus: tuple[Gpu, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("GPU")
    for title in ("memory", "free", "bandwidth"):
        table.add_column(title, justify="right")
    table.add_column("compute", justify="right")
    table.add_column("driver")
    for gpu in gpus:
        rate = gpu.bandwidth_bytes_per_s
        table.add_row(
            Text(f"{gpu.index}  {gpu.name}"),
            format_bytes(gpu.vram_bytes) + (" shared" if gpu.unified else ""),
            _size(gpu.free_bytes),
            "unknown" if rate is None else format_bandwidth(rate),
            gpu.compute_capability or "unknown",
            gpu.driver or "unknown",
        )
    return table


def _count(n: int | None, what: str) -> str:
    return f"{what} unknown" if n is None else f"{n} {what}"


def _size(size: int | None) -> str:
    return "unknown" if size is None else format_bytes(size)
