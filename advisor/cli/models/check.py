"""`advisor models check`: stale and broken entries of both catalogs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.i18n import N_, _
from advisor.units import ljust
from advisor.value import SCHEMA_VERSION

LEVELS: Final = {"broken": N_("broken"), "stale": N_("stale"), "note": N_("note")}
"""In the order of their weight."""

if TYPE_CHECKING:
    from advisor.model import Model
    from advisor.upkeep import Finding


@click.command("check", cls=LocalizedCommand)
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option("--own", is_flag=True, help="Check your own entries alone.")
@click.option("--offline", is_flag=True, help="Do not ask the hub.")
@click.option(
    "--months",
    type=click.IntRange(1),
    default=12,
    help="Months after which an entry is stale.  [default: 12]",
)
@options.as_json
def check_command(names: tuple[str, ...], own: bool, offline: bool, months: int, as_json: bool) -> None:
    """Report entries that are stale or broken, of the shipped catalog and your own.

    Looks at ages, successors and references, and asks the hub, unless --offline, whether every repository and
    file is still there, under that name, of that size, and under those terms. The exit status is 1 when
    something is broken.
    """
    from advisor.cli.models.asking import today
    from advisor.upkeep import Finding, Level, findings_offline
    from advisor.user_catalog import load_catalog, own_ids, read_user_catalog, user_folder

    catalog = load_catalog()
    asked = {catalog.get(name).id for name in names} or {model.id for model in catalog.models}
    asked &= own_ids(catalog) if own else asked
    models = [model for model in catalog.models if model.id in asked]
    problems = () if names else read_user_catalog(user_folder()).problems
    findings = [Finding(model=None, level=Level.BROKEN, text=problem) for problem in problems]
    findings += [f for f in findings_offline(catalog.models, today(), months) if f.model in asked]
    if not offline:
        findings += _ask(models)
    _show(findings, models, as_json=as_json)
    sys.exit(1 if any(finding.level is Level.BROKEN for finding in findings) else 0)


def _ask(models: Sequence[Model]) -> list[Finding]:
    from advisor.cli.models.asking import progress, tell
    from advisor.errors import DownloadError
    from advisor.upkeep import findings_online, n_repos

    try:
        with progress(n_repos(models), _("Asking the hub")) as step:
            return list(findings_online(models, tell, step))
    except DownloadError as error:
        raise DownloadError(
            _("{error}; --offline checks what needs no network").format(error=error)
        ) from error


def _show(findings: list[Finding], models: Sequence[Model], *, as_json: bool) -> None:
    counts = Counter(finding.level.value for finding in findings)
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "checked": len(models),
            "findings": [finding.model_dump(mode="json") for finding in findings],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for finding in sorted(findings, key=lambda f: (f.level.value, f.model or "")):
        level = ljust(_(LEVELS[finding.level.value]), 7)
        click.echo(f"{level} {finding.model or _('your catalog')}: {finding.text}")
    told = ", ".join(
        _("{n} {level}").format(n=counts[level], level=_(word))
        for level, word in LEVELS.items()
        if counts[level]
    )
    summary = _("{n} models checked: {findings}.")
    click.echo(summary.format(n=len(models), findings=told or _("nothing to report")))
