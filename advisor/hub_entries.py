"""From a repository on the hub to a catalog entry: what card and headers say, and what they do not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from advisor.architecture import Architecture
from advisor.config_files import parse_config
from advisor.errors import ConfigError, UnknownModelError
from advisor.gguf import architecture_of_header
from advisor.hf_config import architecture_of
from advisor.hub_cards import HubCard
from advisor.hub_folder import HubFolder
from advisor.hub_models import HubModel, HubName, read_model
from advisor.i18n import _
from advisor.model import Artifact, License, Model, ModelKind
from advisor.model_files import model_files, parts_of
from advisor.needs import PERMISSIVE_LICENSES
from advisor.quantization import DEFAULT_QUANTIZATION
from advisor.resolve import count_parameters
from advisor.tensors import tensors
from advisor.tower import Tower
from advisor.user_entry import HubState, UserEntry
from advisor.weights import weights_by_rule

_KINDS: Final[Mapping[str, ModelKind]] = {
    "text-generation": ModelKind.CHAT,
    "image-text-to-text": ModelKind.CHAT,
    "audio-text-to-text": ModelKind.CHAT,
    "any-to-any": ModelKind.CHAT,
    "feature-extraction": ModelKind.EMBEDDING,
    "sentence-similarity": ModelKind.EMBEDDING,
    "text-ranking": ModelKind.RERANK,
}
"""By the hub's pipeline tag (its documentation of tasks, read 2026-11-21)."""
_IMAGES: Final = ("image-text-to-text", "any-to-any")
_SOUND: Final = ("audio-text-to-text", "any-to-any")
_THINKS: Final = ("enable_thinking", "<think>", "reasoning_effort", "reasoning_content")
"""What chat templates of models with a thinking mode name."""
UNKNOWN_LICENSE: Final = "unknown"


class Wanted(NamedTuple):
    """What the user says about an entry; None leaves it to the hub."""

    id: str | None = None
    kind: ModelKind | None = None
    released: date | None = None


def default_id(repo: str) -> str:
    """The repository's name as an id: "Qwen/Qwen3-8B-GGUF" → "qwen3-8b"."""
    name = re.sub(r"[-_.]gguf$", "", repo.rpartition("/")[2].lower())
    return re.sub(r"[^a-z0-9.]+", "-", name).strip("-.")


def read_entry(card: HubCard, wanted: Wanted, packaged: Sequence[HubCard], today: date) -> UserEntry:
    """Read a repository's headers and make an entry of them and its card.

    packaged: repositories that offer the same model as GGUF files.
    Raises `AdvisorError`: the hub refuses, or nothing can be estimated from what is there.
    """
    state = card.state
    read = read_model(HubFolder(state.repo, state.commit, card.names), card.names, _name(card), state.commit)
    return entry_of(card, read, wanted, packaged, today)


def entry_of(
    card: HubCard, read: HubModel, wanted: Wanted, packaged: Sequence[HubCard], today: date
) -> UserEntry:
    """The entry of a card and of what was read of its files; raises `ConfigError` where they do not do."""
    arch = _architecture(read)
    rows = [(row.name, row.shape) for row in tensors(arch)]
    n_params, active = count_parameters(rows, arch)
    offers = _Offers(arch)
    artifacts = (*offers.checkpoint(card, read), *offers.ggufs(card))
    for other in packaged:
        artifacts = (*artifacts, *offers.ggufs(other))
    state, repo = card.state, card.state.repo
    released = wanted.released or card.created
    if released is None:
        raise ConfigError(
            _("the hub does not say when {repo} was published: give --released 2026-01-31").format(repo=repo)
        )
    if not artifacts:
        raise ConfigError(
            _("{repo} holds no weights in a quantization that has rules: nothing can be offered").format(
                repo=repo
            )
        )
    template, vision = card.chat_template or "", _tower(read, arch)
    model = Model(
        id=wanted.id or default_id(repo),
        name=re.sub(r"[-_.]GGUF$", "", repo.rpartition("/")[2], flags=re.I),
        family=arch.family,
        publisher=repo.partition("/")[0],
        released=released,
        license=_license(state),
        n_params=n_params,
        n_params_active=active if arch.moe else None,
        kind=wanted.kind or _kind(card, arch),
        modalities=_modalities(card, vision),
        languages=card.languages,
        reasoning=any(word in template for word in _THINKS),
        tools="tools" in template,
        aliases=(repo,),
        architecture=arch,
        architecture_source=(
            _("GGUF header of {source}") if read.gguf else _("config.json of {source}")
        ).format(source=_source(card, today)),
        vision=vision,
        artifacts=artifacts,
        note=offers.note(),
        sources=tuple(_source(each, today) for each in (card, *packaged)),
        checked=today,
    )
    return UserEntry(
        model=model,
        hub=tuple(each.state for each in (card, *packaged)),
        unknown=tuple(_unknown(card, wanted)),
    )


def _name(card: HubCard) -> HubName:
    """The GGUF whose header stands for all, or the repository where it has none."""
    models = model_files(card.names)
    usual = [file for file, label in models.items() if label == DEFAULT_QUANTIZATION]
    return HubName(card.state.repo, file=next(iter((*usual, *models)), None))


def _source(card: HubCard, today: date) -> str:
    return _("{repo} on the hub @{commit} (read {date})").format(
        repo=card.state.repo, commit=card.state.commit[:8], date=today.isoformat()
    )


def _architecture(read: HubModel) -> Architecture:
    if read.gguf:
        return architecture_of_header(read.gguf)
    return architecture_of(parse_config(f"{read.repo}/config.json", read.config or ""))


def _tower(read: HubModel, arch: Architecture) -> Tower | None:
    """The vision tower that the config describes; None where there are no rules for it."""
    if read.config is None:
        return None
    from advisor.projectors import tower_of

    try:
        return tower_of(parse_config(f"{read.repo}/config.json", read.config), arch.n_embd)
    except ConfigError:
        return None


def _kind(card: HubCard, arch: Architecture) -> ModelKind:
    if kind := _KINDS.get(card.pipeline or ""):
        return kind
    if arch.n_labels:
        return ModelKind.RERANK
    if card.pipeline is None or arch.is_encoder:
        return ModelKind.EMBEDDING if arch.is_encoder else ModelKind.CHAT
    raise ConfigError(
        _(
            "the hub lists {repo} for {pipeline}: say what it is for with --kind chat, embedding or rerank"
        ).format(repo=card.state.repo, pipeline=card.pipeline)
    )


def _modalities(card: HubCard, vision: Tower | None) -> tuple[str, ...]:
    projector = any("mmproj" in name.lower() for name in card.names)
    sees = vision is not None or projector or card.pipeline in _IMAGES
    return ("text", *(["image"] if sees else []), *(["audio"] if card.pipeline in _SOUND else []))


def _license(state: HubState) -> License:
    name = state.license or UNKNOWN_LICENSE
    commercial = True if name in PERMISSIVE_LICENSES else (False if name.startswith("cc-by-nc") else None)
    return License(id=name, commercial=commercial, gated=state.gated)


def _unknown(card: HubCard, wanted: Wanted) -> Iterable[str]:
    if card.state.license is None:
        yield "license"
    if not card.languages:
        yield "languages"
    if card.pipeline is None and wanted.kind is None:
        yield "kind"
    if card.chat_template is None:
        yield from ("reasoning", "tools")


class _Offers:
    """The artifacts of repositories, each GGUF quantization once; those without rules are left out."""

    def __init__(self, arch: Architecture) -> None:
        self._arch = arch
        self._offered: set[str] = set()
        self._left_out: set[str] = set()

    def checkpoint(self, card: HubCard, read: HubModel) -> tuple[Artifact, ...]:
        if read.tensors is None:
            return ()
        from advisor.safetensors import stored_format

        config = parse_config(f"{read.repo}/config.json", read.config or "")
        quantization = stored_format(read.tensors, config)
        return (
            Artifact(
                quantization=quantization,
                format="safetensors",
                repo=card.state.repo,
                bytes=read.tensors.file_bytes,
            ),
        )

    def ggufs(self, card: HubCard) -> tuple[Artifact, ...]:
        sizes = card.state.files
        found = []
        for first, label in model_files(sizes).items():
            if label is None or not self._is_new(label):
                continue
            files = parts_of(first, sizes)
            known = [size for name in files if (size := sizes[name]) is not None]
            found.append(
                Artifact(
                    quantization=label,
                    format="gguf",
                    repo=card.state.repo,
                    files=files,
                    bytes=sum(known) if len(known) == len(files) else None,
                )
            )
        return tuple(found)

    def note(self) -> str | None:
        """What was left out."""
        names = ", ".join(sorted(self._left_out))
        text = _("Not offered, since there are no rules for their sizes: {names}.")
        return text.format(names=names) if names else None

    def _is_new(self, label: str) -> bool:
        if label in self._offered:
            return False
        try:
            weights_by_rule(self._arch, label)
        except ConfigError:
            self._left_out.add(label)
            return False
        self._offered.add(label)
        return True


def refreshed(entry: UserEntry, fresh: UserEntry) -> UserEntry:
    """The fresh reading, with what only the user can have said kept."""
    kept = ("id", "name", "kind", "released", "superseded_by", "ollama_tag", "quality")
    update = {field: getattr(entry.model, field) for field in kept}
    aliases = dict.fromkeys((*entry.model.aliases, *fresh.model.aliases))
    model = fresh.model.model_copy(update={**update, "aliases": tuple(aliases)})
    return fresh.model_copy(update={"model": model})


def repos_of(model: Model) -> tuple[str, ...]:
    """Every repository that an entry takes files from, in order."""
    return tuple(dict.fromkeys(artifact.repo for artifact in model.artifacts))


def missing_id(name: str) -> UnknownModelError:
    """What is said of a name that is not in the user's catalog."""
    return UnknownModelError(
        _("{name} is not in your catalog: `advisor models list --own` shows what is").format(name=name)
    )
