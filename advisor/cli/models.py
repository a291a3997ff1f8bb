"""`advisor models`: the model catalog."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

import click

from advisor.catalog import Catalog, load_catalog
from advisor.model import Artifact, Model, ModelKind
from advisor.quality import quality_of
from advisor.units import format_bytes, format_count
from advisor.usecase import UseCase
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from rich.table import Table

    from advisor.assessment import Quality

_KINDS: Final = [kind.value for kind in ModelKind]
_SCORED_BY: Final = {ModelKind.EMBEDDING: UseCase.EMBEDDING, ModelKind.RERANK: UseCase.RERANK}
_PARAMS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([MB]?)", re.IGNORECASE)
_POWERS: Final = {"": 1, "m": 10**6, "b": 10**9}


@click.group(name="models")
def command() -> None:
    """Look into the model catalog."""


@command.command(name="list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only models of that kind.")
@click.option("--family", metavar="NAME", help="Only models of that family: qwen3, gemma4 …")
@click.option("--max-params", metavar="N", help="Only models of at most so many parameters: 8B, 500M …")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def list_command(kind: str | None, family: str | None, max_params: str | None, as_json: bool) -> None:
    """List the catalog's models."""
    limit = None if max_params is None else _param_count(max_params)
    catalog = load_catalog()
    models = [
        model
        for model in catalog.models
        if (kind is None or model.kind == kind)
        and (family is None or model.family == family.lower())
        and (limit is None or model.n_params <= limit)
    ]
    _print(models, catalog, as_json=as_json)


@command.command(name="search")
@click.argument("text", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def search_command(text: tuple[str, ...], as_json: bool) -> None:
    """List the models that have every word of TEXT in a name, the publisher or the licence."""
    catalog = load_catalog()
    words = " ".join(text).lower().split()
    _print([model for model in catalog.models if _matches(model, words)], catalog, as_json=as_json)


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as JSON.")
def show_command(name: str, as_json: bool) -> None:
    """Show all that is known about a model, with its sources; NAME is an id or an alias."""
    catalog = load_catalog()
    model = catalog.get(name)
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, **_document(model)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(model, catalog)


def _param_count(text: str) -> int:
    """The number in "8B", "500M" or "8000000000"."""
    match = _PARAMS.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(
            f"{text!r} is not a number of parameters such as 8B", param_hint="--max-params"
        )
    number, power = match.groups()
    return int(float(number) * _POWERS[power.lower()])


def _matches(model: Model, words: Iterable[str]) -> bool:
    text = " ".join((*model.names, model.name, model.family, model.publisher, model.license.id)).lower()
    return all(word in text for word in words)


def _document(model: Model) -> dict[str, object]:
    return model.model_dump(mode="json")


def _print(models: list[Model], catalog: Catalog, *, as_json: bool) -> None:
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "catalog_date": catalog.date.isoformat(),
            "models": [_document(model) for model in models],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from advisor.cli.show import console

    out = console()
    if not models:
        out.print("No model of the catalog is like that; `advisor models list` shows all.", markup=False)
        return
    out.print(_table(models, catalog))
    out.print(f"[dim]{len(models)} models, checked {catalog.date}; advisor models show MODEL tells more.[/]")


def _table(models: Iterable[Model], catalog: Catalog) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("model", "kind"):
        table.add_column(title, no_wrap=True)
    for title in ("parameters", "context", "score"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("released", "licence"):
        table.add_column(title, no_wrap=True)
    for model in models:
        score = _quality(model, catalog).score
        table.add_row(
            model.id,
            model.kind.value,
            _size(model),
            f"{model.architecture.n_ctx_train:,}",
            "unknown" if score is None else f"{score:.0f}",
            str(model.released),
            model.license.id,
        )
    return table


def _quality(model: Model, catalog: Catalog) -> Quality:
    """What it scores for the use that its kind is for."""
    return quality_of(model, _SCORED_BY.get(model.kind, UseCase.CHAT), (), catalog.quality)


def _size(model: Model) -> str:
    total = format_count(model.n_params)
    return (
        total if model.n_params_active is None else f"{total}, {format_count(model.n_params_active)} active"
    )


def _show(model: Model, catalog: Catalog) -> None:
    from rich.markup import escape

    from advisor.cli.show import console

    out = console()
    out.print(f"[bold]{escape(model.name)}[/] {model.id}\n")
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
    yield "parameters", _size(model)
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
    quality = _quality(model, catalog)
    if quality.score is not None:
        band = f", {quality.low:.0f} to {quality.high:.0f}" if quality.low and quality.high else ""
        yield "score", f"{quality.score:.0f} of 100 ({quality.evidence}{band}): {quality.metric}"
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
