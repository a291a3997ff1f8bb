"""`advisor models add`: a repository of the hub as an entry of the user's own catalog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from advisor.cli import options
from advisor.cli.localized import LocalizedCommand
from advisor.i18n import _
from advisor.value import SCHEMA_VERSION

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from advisor.hub_cards import HubCard
    from advisor.hub_entries import Wanted
    from advisor.user_entry import UserEntry

_KINDS: Final = ("chat", "embedding", "rerank")


@click.command("add", cls=LocalizedCommand)
@click.argument("repo")
@click.option("--as", "as_id", metavar="ID", help="Id in the catalog.  [default: the repository's name]")
@click.option("--kind", type=click.Choice(_KINDS), help="What it is for.  [default: as the hub says]")
@click.option(
    "--gguf", multiple=True, metavar="REPO", help="Also offer this repository's GGUF files. Repeatable."
)
@click.option(
    "--released",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Release date.  [default: the day the repository was made]",
)
@click.option("--force", is_flag=True, help="Replace an entry of that id, or stand before the shipped one.")
@options.as_json
def add_command(
    repo: str,
    as_id: str | None,
    kind: str | None,
    gguf: tuple[str, ...],
    released: datetime | None,
    force: bool,
    as_json: bool,
) -> None:
    """Add REPO (owner/name on the Hugging Face hub) to your own catalog.

    Card, config and file headers are read, some megabytes; what the hub does not say is named. HF_TOKEN is
    used where it is set, and neither printed nor written. Your catalog is a folder of YAML files:
    ADVISOR_CATALOG, or the user's data folder.
    """
    from advisor.hub_entries import Wanted, default_id
    from advisor.model import ModelKind
    from advisor.user_catalog import user_folder, write_entry

    repo = _repository(repo)
    wanted = Wanted(
        as_id or default_id(repo), ModelKind(kind) if kind else None, released.date() if released else None
    )
    _refuse_taken(wanted.id or "", repo, force=force)
    entry = _read(repo, wanted, [_repository(name) for name in gguf])
    path = write_entry(user_folder(), entry, force=force)
    _show(entry, path, as_json=as_json)


def _repository(text: str) -> str:
    from advisor.hub_models import hub_name

    name = hub_name(text.removeprefix("https://huggingface.co/").rstrip("/"))
    if name is None or name.file or name.quantization:
        refusal = _("{text!r} is not a repository such as Qwen/Qwen3-8B").format(text=text)
        raise click.BadParameter(refusal, param_hint="REPO")
    return name.repo


def _refuse_taken(name: str, repo: str, *, force: bool) -> None:
    """Raise `AdvisorError`, before the hub is asked, for a name that is in a catalog."""
    import re

    from advisor.errors import AdvisorError, UnknownModelError
    from advisor.user_catalog import load_catalog, own_ids

    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        refusal = _("{name!r}: use a-z, 0-9, '.' and '-', as in qwen3-8b").format(name=name)
        raise click.BadParameter(refusal, param_hint="--as")
    if force:
        return
    catalog = load_catalog()
    for taken in (name, repo):
        try:
            model = catalog.get(taken)
        except UnknownModelError:
            continue
        raise AdvisorError(
            _taken(own=model.id in own_ids(catalog), by_id=taken == name).format(taken=taken, model=model.id)
        )


def _taken(*, own: bool, by_id: bool) -> str:
    if own and by_id:
        return _(
            "{taken} is in your catalog already, as {model}: use it, choose another id with --as, or replace"
            " it with --force"
        )
    if own:
        return _("{taken} is in your catalog already, as {model}: use it, or add it with --force")
    if by_id:
        return _(
            "{taken} is in the shipped catalog already, as {model}: use it, choose another id with --as, or"
            " replace it with --force"
        )
    return _("{taken} is in the shipped catalog already, as {model}: use it, or add it with --force")


def _read(repo: str, wanted: Wanted, packaged: list[str]) -> UserEntry:
    """Read repositories; raises `AdvisorError` with the nearest names where there is none of that name."""
    from advisor.cli.models.asking import progress, tell, today
    from advisor.hub_cards import patiently
    from advisor.hub_entries import read_entry

    with progress(len(packaged) + 2, _("Reading")) as step:
        cards = []
        for name in (repo, *packaged):
            step(name)
            cards.append(_card(name))
        step(_("headers"))
        return patiently(lambda: read_entry(cards[0], wanted, cards[1:], today()), tell)


def _card(repo: str) -> HubCard:
    from advisor.cli.models.asking import tell
    from advisor.errors import DownloadError
    from advisor.hub_cards import patiently, read_card, with_similar
    from advisor.user_catalog import load_catalog

    try:
        return patiently(lambda: read_card(repo), tell)
    except DownloadError as error:
        known = [alias for model in load_catalog().models for alias in model.aliases]
        raise with_similar(error, repo, known) from error


def _show(entry: UserEntry, path: Path, *, as_json: bool) -> None:
    from advisor.units import format_bytes, format_count, rjust

    model = entry.model
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "path": str(path), **entry.model_dump(mode="json")}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    license_id = model.license.id
    click.echo(
        _("{id}: {family}, {params} parameters, {n_ctx:,} tokens of context, licence {license}").format(
            id=model.id,
            family=model.architecture.family,
            params=format_count(model.n_params),
            n_ctx=model.architecture.n_ctx_train,
            license=_("{license}, gated").format(license=license_id) if model.license.gated else license_id,
        )
    )
    for artifact in model.artifacts:
        size = _("size unknown") if artifact.bytes is None else format_bytes(artifact.bytes)
        click.echo(f"  {artifact.quantization:8} {rjust(size, 12)}  {artifact.repo}")
    if entry.unknown:
        unsaid = _("the hub does not say: {fields} (add them to the file where you know)")
        click.echo(unsaid.format(fields=", ".join(entry.unknown)))
    if model.kind == "chat" and "tools" in entry.unknown:
        click.echo(_("it has no chat template on the hub: a base model answers no questions"))
    if all(artifact.format != "gguf" for artifact in model.artifacts):
        click.echo(_("it offers no GGUF files: `--gguf REPO` adds a packager's, for llama.cpp and Ollama"))
    click.echo(_("written to {file}").format(file=path))
