"""Keeping catalogs current: what changed on the hub, and which entries are stale or broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from advisor.errors import AdvisorError, DownloadError
from advisor.hub_cards import HubCard, Tell, patiently, read_card
from advisor.hub_entries import Wanted, read_entry, refreshed, repos_of
from advisor.hub_errors import is_gated, is_missing, is_refusal
from advisor.i18n import _
from advisor.model import Artifact, Model
from advisor.units import format_bytes, shortened
from advisor.user_entry import HubState, UserEntry
from advisor.value import Value

STALE_MONTHS: Final = 12
"""An entry that nobody looked at for so long describes another time: families succeed each other yearly."""
DAYS_A_MONTH: Final = 365.25 / 12
_CHECKPOINT: Final = re.compile(r"model(-[0-9]+-of-[0-9]+)?\.safetensors")
"""What transformers loads of a repository: some hold the same weights once more in the maker's own layout."""
MAX_NAMED: Final = 5
"""Files that a line names."""


class Level(StrEnum):
    """How bad a finding is."""

    BROKEN = "broken"
    """Something that the entry promises is not so."""
    STALE = "stale"
    NOTE = "note"


class Finding(Value):
    """One thing about one entry."""

    model: str | None
    """Its id; None for a file that could not be read."""
    level: Level
    text: str
    """What is so, and what to do where something can be done."""


class Synced(Value):
    """What became of one entry of the user's."""

    model: str
    changes: tuple[str, ...]
    """What is different upstream; empty where nothing is."""
    failed: str | None = None
    """Why the entry was left as it was."""


class Refresh(NamedTuple):
    """One entry read again."""

    report: Synced
    entry: UserEntry | None
    """What is to be written; None where the entry stays as it is."""


# --- sync ---


def refresh(entry: UserEntry, today: date, tell: Tell) -> Refresh:
    """Read an entry's repositories again; headers only where a commit is another.

    Raises `DownloadError` where the hub cannot be asked at all: the next entry would fare no better.
    """
    name = entry.model.id
    if not entry.hub:
        return Refresh(
            Synced(model=name, changes=(), failed=_("written by hand: the hub is not asked")), None
        )
    try:
        cards = [patiently(partial(read_card, state.repo), tell) for state in entry.hub]
        if tuple(card.state for card in cards) == entry.hub:
            model = entry.model.model_copy(update={"checked": today})
            return Refresh(Synced(model=name, changes=()), entry.model_copy(update={"model": model}))
        wanted = Wanted(name, entry.model.kind, entry.model.released)
        fresh = patiently(partial(read_entry, cards[0], wanted, cards[1:], today), tell)
    except AdvisorError as error:
        if isinstance(error, DownloadError) and not is_refusal(error):
            raise
        return Refresh(Synced(model=name, changes=(), failed=str(error)), None)
    changes = tuple(line for old, card in zip(entry.hub, cards, strict=True) for line in _changes(old, card))
    return Refresh(Synced(model=name, changes=changes), refreshed(entry, fresh))


def _changes(old: HubState, card: HubCard) -> Iterator[str]:
    new = card.state
    if new.repo.lower() != old.repo.lower():
        yield _("{old} is now called {new}").format(old=old.repo, new=new.repo)
    if new.license != old.license:
        before, now = old.license or _("unknown"), new.license or _("unknown")
        yield _("licence: {before} became {now}").format(before=before, now=now)
    if new.gated != old.gated:
        yield _("it is gated now") if new.gated else _("it is no longer gated")
    both = old.files.keys() & new.files.keys()
    yield from _files(_("new in {repo}: {names}"), new.files.keys() - old.files.keys(), new.repo)
    yield from _files(_("gone in {repo}: {names}"), old.files.keys() - new.files.keys(), new.repo)
    resized = (f for f in both if old.files[f] != new.files[f])
    yield from _files(_("of another size in {repo}: {names}"), resized, new.repo)
    if new.commit != old.commit and old.files == new.files:
        text = _("{repo} has a new commit, {commit}, with the same files of weights")
        yield text.format(repo=new.repo, commit=new.commit[:8])


def _files(text: str, names: Iterable[str], repo: str) -> Iterator[str]:
    if listed := sorted(names):
        yield text.format(repo=repo, names=shortened(listed, MAX_NAMED))


# --- check ---


def findings_offline(models: Sequence[Model], today: date, months: int = STALE_MONTHS) -> Iterator[Finding]:
    """What entries say about themselves: age, successors, dangling references."""
    ids = {model.id for model in models}
    for model in models:
        age = (today - model.checked).days / DAYS_A_MONTH
        if age > months:
            yield Finding(
                model=model.id,
                level=Level.STALE,
                text=_("was last held against its sources {age:.0f} months ago, on {date}").format(
                    age=age, date=model.checked
                ),
            )
        if model.superseded_by and model.superseded_by not in ids:
            text = _("is superseded by {other}, which no catalog has: correct or remove the field")
            text = text.format(other=model.superseded_by)
            yield Finding(model=model.id, level=Level.BROKEN, text=text)
        elif model.superseded_by:
            text = _("is superseded by {other}").format(other=model.superseded_by)
            yield Finding(model=model.id, level=Level.NOTE, text=text)


def findings_online(models: Sequence[Model], tell: Tell, advance: Callable[[str], None]) -> Iterator[Finding]:
    """What the hub says about every repository that entries take files from, each asked once.

    advance: called with a repository before it is asked.
    Raises `DownloadError` where the hub cannot be asked at all.
    """
    answers: dict[str, HubCard | DownloadError] = {}
    for model in models:
        for repo in repos_of(model):
            if repo not in answers:
                advance(repo)
                answers[repo] = _ask(repo, tell)
            for level, text in _compare(model, repo, answers[repo]):
                yield Finding(model=model.id, level=level, text=text)


def n_repos(models: Iterable[Model]) -> int:
    """Questions that `findings_online` puts to the hub."""
    return len({repo for model in models for repo in repos_of(model)})


def _ask(repo: str, tell: Tell) -> HubCard | DownloadError:
    try:
        return patiently(partial(read_card, repo), tell)
    except DownloadError as error:
        if not is_refusal(error):
            raise
        return error


def _compare(model: Model, repo: str, answer: HubCard | DownloadError) -> Iterator[tuple[Level, str]]:
    if isinstance(answer, DownloadError):
        yield Level.BROKEN, _refused(repo, answer)
        return
    state = answer.state
    if state.repo.lower() != repo.lower():
        text = _("{repo} is now called {new}: name that instead")
        yield Level.STALE, text.format(repo=repo, new=state.repo)
    # A packager's licence and gate are not the model's: only the repository that carries its name is asked.
    if repo in model.aliases:
        if state.gated != model.license.gated:
            text = (
                _("{repo} is gated on the hub") if state.gated else _("{repo} is no longer gated on the hub")
            )
            yield Level.STALE, text.format(repo=repo)
        if state.license and state.license != model.license.id:
            text = _("{repo}: the hub gives the licence {found}, not {known}")
            yield Level.NOTE, text.format(repo=repo, found=state.license, known=model.license.id)
    for artifact in model.artifacts:
        if artifact.repo == repo:
            yield from _compare_files(artifact, answer)


def _refused(repo: str, error: DownloadError) -> str:
    if is_missing(error):
        text = _("{repo} is gone from the hub, or only some may see it: name another repository")
        return text.format(repo=repo)
    text = _("{repo}: gated: {problem}") if is_gated(error) else _("{repo}: refused: {problem}")
    return text.format(repo=repo, problem=error)


def _compare_files(artifact: Artifact, card: HubCard) -> Iterator[tuple[Level, str]]:
    lacking = [name for name in artifact.files if name not in card.names]
    if lacking:
        text = _("{repo} has no file {file}: it was renamed or removed")
        yield Level.BROKEN, text.format(repo=artifact.repo, file=lacking[0])
        return
    size = published_bytes(artifact, card.state.files)
    if artifact.bytes is not None and size is not None and size != artifact.bytes:
        text = _("{repo} {quantization} has {size} ({n_bytes:,} bytes), not {known} ({n_known:,})").format(
            repo=artifact.repo,
            quantization=artifact.quantization,
            size=format_bytes(size),
            n_bytes=size,
            known=format_bytes(artifact.bytes),
            n_known=artifact.bytes,
        )
        yield Level.STALE, text


def published_bytes(artifact: Artifact, sizes: Mapping[str, int | None]) -> int | None:
    """The artifact's files together, as the hub lists them; None where a size is not listed."""
    names = artifact.files or tuple(name for name in sizes if _CHECKPOINT.fullmatch(name))
    listed = [sizes.get(name) for name in names]
    known = [size for size in listed if size is not None]
    return sum(known) if listed and len(known) == len(listed) else None
