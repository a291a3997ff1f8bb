"""`advisor doctor`: whether all is well here, and a recording of what detection saw."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.doctor.checks import SIGNS
from advisor.i18n import _
from advisor.units import ljust

_STYLES: Final = {"ok": "green", "failed": "bold red", "absent": "dim"}

if TYPE_CHECKING:
    from advisor.doctor.examination import Report


@click.command(name="doctor", cls=LocalizedCommand)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what detection saw to FILE (Markdown).",
)
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.option(
    "--from",
    "dump",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Report on the machine that such a file was written on.",
)
@click.option(
    "--hardware", metavar="SPEC", help="Check a machine that is planned for: what is known of its parts."
)
@options.as_json
def command(out: Path | None, force: bool, dump: Path | None, hardware: str | None, as_json: bool) -> None:
    """Check what models need here, and write down what detection saw, to be looked at elsewhere.

    Nothing leaves the machine. FILE has no names, serial numbers or addresses in it; with --hardware FILE any
    command plans for this machine. Exits with status 1 where a check failed.
    """
    if sum(given is not None for given in (out, dump, hardware)) > 1:
        raise click.UsageError(_("give one of --out, --from and --hardware"))
    if dump is not None:
        report = _of_dump(dump)
    elif hardware is not None:
        report = _of_plan(hardware)
    else:
        report = _of_this_machine(out, force=force)
    _show(report, as_json=as_json, hint=not (out or dump or hardware))
    sys.exit(1 if report.failed else 0)


def _of_this_machine(out: Path | None, *, force: bool) -> Report:
    from advisor.doctor.examination import examine
    from advisor.hardware_catalog import load_hardware
    from advisor.probes.recording import Recording
    from advisor.probes.source import Live

    specs, recording = load_hardware().gpus, Recording(Live())
    with _progress() as on_progress:
        report = examine(recording, specs, on_progress)
    if out is None:
        return report
    from advisor.doctor.identity import own_identity
    from advisor.doctor.page import page_of
    from advisor.doctor.scrub import Scrubber, vocabulary
    from advisor.output import write_whole

    page = page_of(report, recording.transcript, Scrubber(own_identity(), vocabulary(specs)), specs)
    write_whole(out, page.text, force=force)
    click.echo(_("Written to {file}: look it through before you share it.").format(file=out), err=True)
    if page.differences:
        otherwise = _("It tells otherwise than this machine: {parts}.")
        click.echo(otherwise.format(parts=", ".join(page.differences)), err=True)
    return report


def _of_dump(file: Path) -> Report:
    from advisor.doctor.examination import examine_dump
    from advisor.hardware_catalog import load_hardware

    return examine_dump(file, load_hardware().gpus)


def _of_plan(spec: str) -> Report:
    from advisor.doctor.examination import examine_planned
    from advisor.hardware_catalog import load_hardware, resolve_hardware

    return examine_planned(resolve_hardware(spec, load_hardware()))


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Say on a terminal what takes its time; nothing of it stays there."""
    from advisor.cli.terminal import console

    with console(to_stderr=True).status("") as status:
        yield lambda message: status.update(f"{message} …")


def _show(report: Report, *, as_json: bool, hint: bool) -> None:
    if as_json:
        click.echo(report.model_dump_json(indent=2))
    else:
        _print(report, hint=hint)


def _print(report: Report, *, hint: bool) -> None:
    from rich.markup import escape

    from advisor.cli.terminal import console, noted

    out = console()
    out.print(f"[bold]{escape(report.machine.title)}[/] ({escape(report.machine.host.os)})")
    for check in report.checks:
        style, sign = _STYLES[check.status], SIGNS[check.status]
        out.print(f"[{style}]{sign}[/] {ljust(_(check.name), 12)} {escape(check.detail)}")
        if check.remedy:
            out.print(f"  {'':12} [dim]{escape(check.remedy)}[/]")
    for note in report.machine.notes:
        out.print(f"[dim]{escape(noted(note))}[/]")
    out.print(_verdict(report))
    if hint:
        others = _("To show what detection saw to others: {command}")
        out.print(f"[dim]{others.format(command='advisor doctor --out doctor.md')}[/]")


def _verdict(report: Report) -> str:
    if not report.failed:
        return _("All is well.")
    names = ", ".join(_(check.name) for check in report.failed)
    return _("To be looked after: {names}.").format(names=names)
