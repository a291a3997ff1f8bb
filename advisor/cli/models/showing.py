"""`advisor models show`: all that is known about a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

import click

from advisor.assessment import EVIDENCE_WORDS
from advisor.catalog import Catalog
from advisor.cli.localized import LocalizedCommand
from advisor.cli.models.wording import document, quality, sentences, size
from advisor.cli.sampling import sampling_text
from advisor.i18n import N_, _
from advisor.model import Artifact, Model
from advisor.units import format_bytes, ljust
from advisor.user_catalog import load_catalog, own_ids
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from rich.table import Table


_COMMERCIAL: Final = {
    True: N_("commercial use allowed"),
    False: N_("not for commercial use"),
    None: N_("terms not read"),
}


@click.command("show", cls=LocalizedCommand)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as JSON.")
def show_command(name: str, as_json: bool) -> None:
    """Show all that is known about a model, with its sources; NAME is an id or an alias."""
    catalog = load_catalog()
    model = catalog.get(name)
    if as_json:
        whole = {"schema_version": SCHEMA_VERSION, **document(model, catalog)}
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
    else:
        _show(model, catalog)


def _show(model: Model, catalog: Catalog) -> None:
    from rich.markup import escape

    from advisor.cli.terminal import console

    out = console()
    whose = _("{id}, of your own catalog") if model.id in own_ids(catalog) else "{id}"
    out.print(f"[bold]{escape(model.name)}[/] {whose.format(id=model.id)}\n")
    for title, text in (*_facts(model), *_scores(model, catalog)):
        out.print(f"[bold]{ljust(title, 14)}[/] {escape(text)}")
    out.print()
    out.print(_artifacts(model, catalog))
    out.print()
    architecture = _("architecture: {source}").format(source=model.architecture_source)
    for source in (*model.sources, architecture):
        out.print(f"[dim]{escape(_('source: {source}').format(source=source))}[/]")
    out.print(f"[dim]{_('checked {date}').format(date=model.checked)}[/]")


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    arch, terms = model.architecture, model.license
    yield (
        _("publisher"),
        _("{publisher}, released {date}").format(publisher=model.publisher, date=model.released),
    )
    conditions = [_(_COMMERCIAL[terms.commercial])]
    if terms.gated:
        conditions.append(_("the hub asks for an acceptance"))
    yield _("licence"), f"{_(terms.id)} ({', '.join(conditions)})"
    yield _("parameters"), size(model)
    layers = _("{family}, {n} layers, {n_ctx:,} tokens of context")
    yield _("architecture"), layers.format(family=arch.family, n=arch.n_layers, n_ctx=arch.n_ctx_train)
    if model.n_ctx_effective:
        known = _("holds its quality to about {n_ctx:,} tokens ({source})")
        source = model.n_ctx_effective_source
        yield _("context"), known.format(n_ctx=model.n_ctx_effective, source=source)
    yield _("takes"), ", ".join(model.modalities)
    yield _("languages"), ", ".join(model.languages) or _("no list was read")
    abilities = [name for name, has in ((_("thinking"), model.reasoning), (_("tools"), model.tools)) if has]
    yield _("trained for"), ", ".join(abilities) or model.kind.value
    yield _("also called"), ", ".join(model.names[1:]) or "-"
    if model.superseded_by:
        yield _("superseded by"), model.superseded_by
    if model.sampling:
        source = model.sampling.source
        yield _("sampling"), f"{sampling_text(model.sampling)} ({source})"
    if model.template_note:
        yield _("template"), _(model.template_note)
    if model.note:
        yield _("note"), " ".join(map(_, sentences(model.note)))


def _scores(model: Model, catalog: Catalog) -> Iterator[tuple[str, str]]:
    known = quality(model, catalog)
    if known.score is not None:
        evidence = _(EVIDENCE_WORDS[known.evidence])
        if known.low and known.high:
            band = _("{evidence}, {low:.0f} to {high:.0f}")
            evidence = band.format(evidence=evidence, low=known.low, high=known.high)
        yield (
            _("score"),
            _("{score:.0f} of 100 ({evidence}): {metric}").format(
                score=known.score, evidence=evidence, metric=known.metric
            ),
        )
    for cell in model.quality:
        figure = f"{cell.score:g} {cell.metric}"
        if cell.harness == "vendor":
            figure = _("{score}, run by a maker").format(score=figure)
        yield cell.axis, f"{figure} ({_when(cell.date)}, {cell.source})"


def _when(day: date) -> str:
    return day.strftime("%Y-%m")


def _artifacts(model: Model, catalog: Catalog) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(_("quantization"), no_wrap=True)
    table.add_column(_("size"), justify="right", no_wrap=True)
    table.add_column(_("repository"), no_wrap=True)
    table.add_column(_("files"))
    for artifact in model.artifacts:
        files = ", ".join(artifact.files) or "-"
        table.add_row(artifact.quantization, _file_size(model, artifact, catalog), artifact.repo, files)
    return table


def _file_size(model: Model, artifact: Artifact, catalog: Catalog) -> str:
    if artifact.bytes is not None:
        return format_bytes(artifact.bytes)
    sizes = (catalog.weights if artifact.is_gguf else catalog.checkpoints).get(model.id, {})
    by_rule = sizes.get(artifact.quantization)
    if by_rule is None:
        return _("unknown")
    return _("about {size}").format(size=format_bytes(by_rule.total_bytes))
