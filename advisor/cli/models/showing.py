"""`advisor models show`: all that is known about a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import click

from advisor.catalog import Catalog
from advisor.cli.models.wording import document, quality, size
from advisor.model import Artifact, Model
from advisor.units import format_bytes
from advisor.user_catalog import load_catalog, own_ids
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from rich.table import Table


@click.command("show")
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
    whose = ", of your own catalog" if model.id in own_ids(catalog) else ""
    out.print(f"[bold]{escape(model.name)}[/] {model.id}{whose}\n")
    for title, text in (*_facts(model), *_scores(model, catalog)):
        out.print(f"[bold]{title:14}[/] {escape(text)}")
    out.print()
    out.print(_artifacts(model, catalog))
    out.print()
    for source in (*model.sources, f"architecture: {model.architecture_source}"):
        out.print(f"[dim]source: {escape(source)}[/]")
    out.print(f"[dim]checked {model.checked}[/]")


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    arch, terms = model.architecture, model.license
    commercial = {True: "commercial use allowed", False: "not for commercial use", None: "terms not read"}
    yield "publisher", f"{model.publisher}, released {model.released}"
    gated = ", the hub asks for an acceptance" if terms.gated else ""
    yield "licence", f"{terms.id} ({commercial[terms.commercial]}{gated})"
    yield "parameters", size(model)
    yield "architecture", f"{arch.family}, {arch.n_layers} layers, {arch.n_ctx_train:,} tokens of context"
    yield "takes", ", ".join(model.modalities)
    yield "languages", ", ".join(model.languages) or "no list was read"
    abilities = [name for name, has in (("thinking", model.reasoning), ("tools", model.tools)) if has]
    yield "trained for", ", ".join(abilities) or model.kind.value
    yield "also called", ", ".join(model.names[1:]) or "-"
    if model.superseded_by:
        yield "superseded by", model.superseded_by
    if model.note:
        yield "note", model.note


def _scores(model: Model, catalog: Catalog) -> Iterator[tuple[str, str]]:
    known = quality(model, catalog)
    if known.score is not None:
        band = f", {known.low:.0f} to {known.high:.0f}" if known.low and known.high else ""
        yield "score", f"{known.score:.0f} of 100 ({known.evidence}{band}): {known.metric}"
    for cell in model.quality:
        by = ", run by a maker" if cell.harness == "vendor" else ""
        yield cell.axis, f"{cell.score:g} {cell.metric}{by} ({_when(cell.date)}, {cell.source})"


def _when(day: date) -> str:
    return day.strftime("%Y-%m")


def _artifacts(model: Model, catalog: Catalog) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("quantization", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("repository", no_wrap=True)
    table.add_column("files")
    for artifact in model.artifacts:
        files = ", ".join(artifact.files) or "-"
        table.add_row(artifact.quantization, _file_size(model, artifact, catalog), artifact.repo, files)
    return table


def _file_size(model: Model, artifact: Artifact, catalog: Catalog) -> str:
    if artifact.bytes is not None:
        return format_bytes(artifact.bytes)
    if artifact.format == "gguf":
        return "about " + format_bytes(catalog.weights[model.id][artifact.quantization].total_bytes)
    return "unknown"
