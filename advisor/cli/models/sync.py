"""`advisor models sync`: the user's own entries as the hub has them now."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.i18n import _
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from advisor.upkeep import Synced


@click.command("sync", cls=LocalizedCommand)
@click.argument("names", metavar="[ID]...", nargs=-1)
@options.as_json
def sync_command(names: tuple[str, ...], as_json: bool) -> None:
    """Read your own entries from the hub again, and tell what changed there.

    Without IDs, all of them. An entry whose repository is gone or refused stays as it was, and the exit
    status is 1.
    """
    from advisor.cli.models.asking import progress, tell, today
    from advisor.hub_entries import missing_id
    from advisor.upkeep import refresh
    from advisor.user_catalog import read_user_catalog, user_folder, write_entry

    folder = user_folder()
    own = read_user_catalog(folder)
    for problem in own.problems:
        tell(problem)
    entries = {ready.entry.model.id: ready.entry for ready in own.entries}
    for name in names:
        if name not in entries:
            raise missing_id(name)
    reports: list[Synced] = []
    with progress(len(names or entries), _("Asking the hub")) as step:
        for name in names or entries:
            step(name)
            report, entry = refresh(entries[name], today(), tell)
            if entry is not None:
                write_entry(folder, entry, force=True)
            reports.append(report)
    _show(reports, as_json=as_json)
    sys.exit(1 if own.problems or any(report.failed for report in reports) else 0)


def _show(reports: list[Synced], *, as_json: bool) -> None:
    if as_json:
        rows = [report.model_dump(mode="json") for report in reports]
        click.echo(
            json.dumps({"schema_version": SCHEMA_VERSION, "models": rows}, indent=2, ensure_ascii=False)
        )
        return
    if not reports:
        click.echo(_("Your catalog is empty: `advisor models add OWNER/NAME` adds a model of the hub."))
    for report in reports:
        if report.failed:
            kept = _("{model}: left as it was: {reason}")
            click.echo(kept.format(model=report.model, reason=report.failed))
        elif not report.changes:
            click.echo(_("{model}: nothing changed").format(model=report.model))
        for change in report.changes:
            click.echo(f"{report.model}: {change}")
