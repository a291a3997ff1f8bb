"""`advisor hardware`: what `--hardware` can name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from advisor.hardware_catalog import HardwareCatalog, load_hardware, resolve_hardware
from advisor.units import format_bandwidth, format_bytes
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from rich.table import Table

    from advisor.hardware import CpuSpec, Gpu, GpuSpec, Machine, Preset


@click.group(name="hardware")
def command() -> None:
    """Look into the hardware catalog: what --hardware can name."""


@command.command(name="list")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the catalog as JSON.")
def list_command(text: str | None, as_json: bool) -> None:
    """List presets, GPUs and processors; with TEXT only those whose name has it.

    A sentence combines any of them: "2x RTX 4090, Ryzen 9 7950X, 64 GB RAM".
    """
    catalog = _matching(load_hardware(), text or "")
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, **catalog.model_dump(mode="json")}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from advisor.cli.show import console

    out = console()
    if not (catalog.presets or catalog.gpus or catalog.cpus):
        out.print(f"Nothing in the catalog has {text!r} in its name.", markup=False)
    for table in (_presets(catalog.presets), _gpus(catalog.gpus), _cpus(catalog.cpus)):
        if table.row_count:
            out.print(table, "")


@command.command(name="show")
@click.argument("name", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the machine and its catalog rows as JSON.")
def show_command(name: tuple[str, ...], as_json: bool) -> None:
    """Show what NAME means: a preset, a GPU, a processor, a sentence, or a file of `advisor detect`."""
    catalog = load_hardware()
    spec = " ".join(name)
    machine = resolve_hardware(spec, catalog)
    used = _rows_of(machine, catalog)
    preset = next((preset for preset in catalog.presets if preset.id == spec.strip().lower()), None)
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "preset": preset and preset.model_dump(mode="json"),
            "machine": machine.model_dump(mode="json"),
            "gpus": [row.model_dump(mode="json") for row in used.gpus],
            "cpus": [row.model_dump(mode="json") for row in used.cpus],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(machine, used, preset)


def _matching(catalog: HardwareCatalog, text: str) -> HardwareCatalog:
    wanted = text.lower()

    def keep(row: GpuSpec | CpuSpec | Preset, *names: str) -> bool:
        return any(wanted in name.lower() for name in (row.id, *names))

    return HardwareCatalog(
        gpus=tuple(row for row in catalog.gpus if keep(row, row.name, *row.aliases)),
        cpus=tuple(row for row in catalog.cpus if keep(row, row.name, *row.aliases)),
        presets=tuple(row for row in catalog.presets if keep(row, row.title, row.spec)),
    )


def _rows_of(machine: Machine, catalog: HardwareCatalog) -> HardwareCatalog:
    ids = {gpu.catalog_id for gpu in machine.gpus}
    cpu = machine.host.cpu.name
    return HardwareCatalog(
        gpus=tuple(row for row in catalog.gpus if row.id in ids),
        cpus=tuple(row for row in catalog.cpus if cpu is not None and cpu in (row.name, *row.match)),
        presets=(),
    )


def _show(machine: Machine, used: HardwareCatalog, preset: Preset | None) -> None:
    from rich.markup import escape

    from advisor.cli.show import console

    out = console()
    out.print(f"[bold]{escape(preset.title if preset else machine.title)}[/]")
    if preset:
        out.print(f"means: {preset.spec}", markup=False)
    out.print(_devices(machine))
    for line in machine.assumptions:
        out.print(f"[dim]assumed: {escape(line)}[/]")
    rows: tuple[GpuSpec | CpuSpec, ...] = (*used.gpus, *used.cpus)
    for row in rows:
        out.print(f"[dim]source: {escape(row.name)}: {escape(row.source)} (checked {row.checked})[/]")


def _table(*titles: str, right: Sequence[str] = ()) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        # Names may be broken where the terminal is narrow; ids and figures are copied, so they stay whole.
        whole = title in right or title == titles[0]
        table.add_column(title, justify="right" if title in right else "left", no_wrap=whole)
    return table


def _presets(presets: Sequence[Preset]) -> Table:
    table = _table("preset", "machine", "the same as a sentence")
    for row in presets:
        table.add_row(row.id, row.title, row.spec)
    return table


def _gpus(gpus: Sequence[GpuSpec]) -> Table:
    numbers = ("memory", "bandwidth", "FP16", "TDP")
    table = _table("GPU", "name", *numbers, right=numbers)
    for row in gpus:
        memory = "shared" if row.vram_bytes is None else format_bytes(row.vram_bytes, digits=1)
        power = "-" if row.tdp_watts is None else f"{row.tdp_watts} W"
        table.add_row(
            row.id, row.name, memory, _rate(row.bandwidth_bytes_per_s), _flops(row.fp16_flops), power
        )
    return table


def _cpus(cpus: Sequence[CpuSpec]) -> Table:
    numbers = ("cores", "memory bandwidth")
    table = _table("processor", "name", *numbers, right=numbers)
    for row in cpus:
        table.add_row(row.id, row.name, str(row.physical_cores), _rate(row.bandwidth_bytes_per_s))
    return table


def _devices(machine: Machine) -> Table:
    numbers = ("memory", "to plan on", "bandwidth", "FP16")
    table = _table("device", *numbers, right=numbers)
    for gpu in machine.gpus:
        table.add_row(*_gpu_cells(gpu))
    host = machine.host
    cores = f", {host.cpu.physical_cores} cores" if host.cpu.physical_cores else ""
    capacity = format_bytes(machine.host_capacity_bytes, digits=1)
    total = format_bytes(host.memory.total_bytes, digits=1)
    name = f"{host.cpu.name or 'CPU'}{cores} ({host.os})"
    table.add_row(name, total, capacity, _rate(host.memory.bandwidth_bytes_per_s), "-")
    return table


def _gpu_cells(gpu: Gpu) -> tuple[str, ...]:
    sizes = (format_bytes(size, digits=1) for size in (gpu.vram_bytes, gpu.capacity_bytes))
    return (gpu.name, *sizes, _rate(gpu.bandwidth_bytes_per_s), _flops(gpu.fp16_flops))


def _rate(bytes_per_s: int | None) -> str:
    return "unknown" if bytes_per_s is None else format_bandwidth(bytes_per_s)


def _flops(flops: int | None) -> str:
    return "unknown" if flops is None else f"{flops / 10**12:.1f} TFLOPS"
