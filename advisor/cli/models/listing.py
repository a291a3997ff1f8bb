"""`advisor models list|search|show`: what the catalogs hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click

from advisor.catalog import Catalog
from advisor.cli.localized import LocalizedCommand
from advisor.cli.models.wording import document, quality, size
from advisor.i18n import _
from advisor.model import Model, ModelKind
from advisor.units import format_bytes
from advisor.user_catalog import load_catalog, own_ids
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from rich.table import Table

    from advisor.downloaded import Download, Held

_KINDS: Final = [kind.value for kind in ModelKind]
_PARAMS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([MB]?)", re.IGNORECASE)
_POWERS: Final = {"": 1, "m": 10**6, "b": 10**9}


@click.command("list", cls=LocalizedCommand)
@click.option("--kind", type=click.Choice(_KINDS), help="Only models of that kind.")
@click.option("--family", metavar="NAME", help="Only models of that family: qwen3, gemma4 …")
@click.option("--max-params", metavar="N", help="Only models of at most so many parameters: 8B, 500M …")
@click.option("--own", is_flag=True, help="Only your own entries.")
@click.option("--downloaded", is_flag=True, help="Only models on this disk, and where they are.")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def list_command(
    kind: str | None,
    family: str | None,
    max_params: str | None,
    own: bool,
    downloaded: bool,
    as_json: bool,
) -> None:
    """List the models of the catalog and of your own.

    --downloaded looks into the stores of Hugging Face, llama.cpp, LM Studio and Ollama.
    """
    limit = None if max_params is None else _param_count(max_params)
    catalog = load_catalog()
    models = [
        model
        for model in catalog.models
        if (kind is None or model.kind == kind)
        and (family is None or model.family == family.lower())
        and (limit is None or model.n_params <= limit)
        and (not own or model.id in own_ids(catalog))
    ]
    if downloaded:
        _print_downloads(models, as_json=as_json)
    else:
        _print(models, catalog, as_json=as_json)


@click.command("search", cls=LocalizedCommand)
@click.argument("text", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def search_command(text: tuple[str, ...], as_json: bool) -> None:
    """List the models that have every word of TEXT in a name, the publisher or the licence."""
    catalog = load_catalog()
    words = " ".join(text).lower().split()
    _print([model for model in catalog.models if _matches(model, words)], catalog, as_json=as_json)


def _param_count(text: str) -> int:
    """The number in "8B", "500M" or "8000000000"."""
    match = _PARAMS.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(
            _("{text!r} is not a number of parameters such as 8B").format(text=text),
            param_hint="--max-params",
        )
    number, power = match.groups()
    return int(float(number) * _POWERS[power.lower()])


def _matches(model: Model, words: Iterable[str]) -> bool:
    text = " ".join((*model.names, model.name, model.family, model.publisher, model.license.id)).lower()
    return all(word in text for word in words)


def _print(models: list[Model], catalog: Catalog, *, as_json: bool) -> None:
    if as_json:
        whole = {
            "schema_version": SCHEMA_VERSION,
            "catalog_date": catalog.date.isoformat(),
            "models": [document(model, catalog) for model in models],
        }
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    from advisor.cli.terminal import console

    out = console()
    if not models:
        none = _("No model of the catalog is like that; `advisor models list` shows all.")
        out.print(none, markup=False)
        return
    out.print(_table(models, catalog))
    told = _("{n} models, checked {date}; advisor models show MODEL tells more.")
    out.print(f"[dim]{told.format(n=len(models), date=catalog.date)}[/]")


def _table(models: Iterable[Model], catalog: Catalog) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in (_("model"), _("kind")):
        table.add_column(title, no_wrap=True)
    for title in (_("parameters"), _("context"), _("score")):
        table.add_column(title, justify="right", no_wrap=True)
    for title in (_("released"), _("licence")):
        table.add_column(title, no_wrap=True)
    own = own_ids(catalog)
    table.add_column(_("yours") if own else "", no_wrap=True)
    for model in models:
        score = quality(model, catalog).score
        table.add_row(
            model.id,
            model.kind.value,
            size(model),
            f"{model.architecture.n_ctx_train:,}",
            _("unknown") if score is None else f"{score:.0f}",
            str(model.released),
            _(model.license.id),  # one id is a word: unknown
            _("yes") if model.id in own else "",
        )
    return table


def _print_downloads(models: list[Model], *, as_json: bool) -> None:
    """What lies on the disk: of these models, and how much else."""
    import os
    from pathlib import Path

    from advisor.downloaded import held
    from advisor.downloads import find_downloads

    found = find_downloads(os.environ, Path.home())
    rows = held(models, found)
    matched = {row.download.path for row in rows}
    others = [one for one in found if one.path not in matched]
    if as_json:
        whole = {
            "schema_version": SCHEMA_VERSION,
            "models": [
                {"model": row.model, "quantization": row.quantization, **_place(row.download)} for row in rows
            ],
            "others": [{"quantization": one.quantization, **_place(one)} for one in others],
        }
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    from advisor.cli.terminal import console

    out = console()
    if rows:
        out.print(_downloads_table(rows))
    for one in others:
        unlisted = _("not in the catalog: {name}, {size} ({store})")
        out.print(
            unlisted.format(name=_label(one), size=format_bytes(one.bytes), store=one.store), markup=False
        )
    if not found:
        out.print(_("No model was found in the stores of Hugging Face, llama.cpp, LM Studio and Ollama."))


def _place(download: Download) -> dict[str, object]:
    return download.model_dump(mode="json", exclude={"quantization", "parameters"})


def _label(download: Download) -> str:
    name = "/".join(part for part in (download.repo, download.file) if part)
    return ", ".join(download.tags) or name or download.path


def _downloads_table(rows: Iterable[Held]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(_("model"), no_wrap=True)
    table.add_column(_("quantization"), no_wrap=True)
    table.add_column(_("size"), justify="right", no_wrap=True)
    table.add_column(_("store"), no_wrap=True)
    table.add_column(_("path"), overflow="fold")
    for row in rows:
        one = row.download
        label = row.quantization or _("unknown")
        table.add_row(row.model, label, format_bytes(one.bytes), one.store, one.path)
    return table
