"""`advisor hardware`: what `--hardware` can name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from advisor.cli.localized import LocalizedGroup
from advisor.hardware_catalog import HardwareCatalog, load_hardware, resolve_hardware
from advisor.i18n import _
from advisor.sentences import find_processor
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from advisor.hardware import CpuSpec, GpuSpec, Machine, Preset

SECTIONS = ("presets", "gpus", "cpus")


@click.group(name="hardware", cls=LocalizedGroup)
def command() -> None:
    """Look into the hardware catalog: what --hardware can name."""


@command.command(name="list")
@click.argument("text", required=False)
@click.option("--only", type=click.Choice(SECTIONS), help="List only these, each with its figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the catalog as JSON.")
def list_command(text: str | None, only: str | None, as_json: bool) -> None:
    """List presets, GPUs and processors; with TEXT only those whose name has it, with their figures.

    A sentence combines any of them: "2x RTX 4090, Ryzen 9 7950X, 64 GB RAM".
    """
    catalog = _section(_matching(load_hardware(), text or ""), only)
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, **catalog.model_dump(mode="json")}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _list(catalog, text, in_full=bool(text or only))


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


def _section(catalog: HardwareCatalog, only: str | None) -> HardwareCatalog:
    return catalog.model_copy(update={name: () for name in SECTIONS if only not in (None, name)})


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
    cpu = find_processor(machine.host.cpu.name or "", catalog.cpus)
    return HardwareCatalog(
        gpus=tuple(row for row in catalog.gpus if row.id in ids),
        cpus=(cpu,) if cpu else (),
        presets=(),
    )


def _list(catalog: HardwareCatalog, text: str | None, *, in_full: bool) -> None:
    """Presets in tables by kind; the many GPUs and processors as ids, or in full with their figures."""
    from advisor.cli import show_hardware
    from advisor.cli.terminal import console

    out = console()
    if not (catalog.presets or catalog.gpus or catalog.cpus):
        out.print(_("Nothing in the catalog has {text!r} in its name.").format(text=text), markup=False)
    for heading, presets in show_hardware.preset_tables(catalog.presets):
        out.print(f"[bold]{heading}[/]")
        out.print(presets, "")
    gpus = show_hardware.gpu_table if in_full else show_hardware.gpu_groups
    cpus = show_hardware.cpu_table if in_full else show_hardware.cpu_groups
    for table in (gpus(catalog.gpus), cpus(catalog.cpus)):
        if table.row_count:
            out.print(table, "")
    if not in_full:
        out.print(_("Figures: `advisor hardware list TEXT` or `--only gpus`; all of one: `show ID`."))


def _show(machine: Machine, used: HardwareCatalog, preset: Preset | None) -> None:
    from rich.markup import escape

    from advisor.cli import show_hardware
    from advisor.cli.terminal import assumed, console

    out = console()
    out.print(f"[bold]{escape(_(preset.title) if preset else machine.title)}[/]")
    if preset:
        out.print(_("means: {sentence}").format(sentence=preset.spec), markup=False)
        source = preset.source or _("a usual configuration")
        told = _("source: {source} (checked {date})")
        out.print(told.format(source=source, date=preset.checked), markup=False)
    out.print(show_hardware.device_table(machine))
    if machine.interconnect:
        out.print(_("link: {link}").format(link=machine.interconnect), markup=False)
    for line in machine.assumptions:
        out.print(f"[dim]{escape(assumed(line))}[/]")
    for gpu in used.gpus:
        out.print("", show_hardware.gpu_row(gpu))
    for cpu in used.cpus:
        out.print("", show_hardware.cpu_row(cpu))
