"""What the hub says of a repository, in one question: licence, gating, tags, dates, files and their sizes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypeVar

from advisor.errors import DownloadError
from advisor.hub_errors import hub_errors, is_missing, retry_after_s
from advisor.i18n import N_, _
from advisor.user_entry import HubState
from advisor.value import Value

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

OTHERWISE: Final = N_("nothing was changed")
WEIGHT_FILES: Final = (".gguf", ".safetensors")
MAX_WAIT_S: Final = 300
"""The hub counts requests in windows of five minutes: who is asked to wait longer comes back later."""
MAX_SIMILAR: Final = 3
_LISTED: Final = 100
"""Repositories that are looked through for a similar name."""

Tell = Callable[[str], None]
"""Called with one line about what is going on."""
Answer = TypeVar("Answer")


class HubCard(Value):
    """A repository as the hub describes it; what it does not say is None or empty."""

    state: HubState
    names: frozenset[str]
    """Every file."""
    created: date | None
    """When the repository was made."""
    pipeline: str | None
    languages: tuple[str, ...]
    """ISO 639-1 codes."""
    base_models: tuple[str, ...]
    chat_template: str | None


def read_card(repo: str) -> HubCard:
    """What the hub says of the repository.

    Raises `DownloadError` where there is none, where the hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi, constants

    with hub_errors(repo, OTHERWISE):
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        return _card(HfApi().model_info(repo, timeout=timeout, files_metadata=True))


def patiently(ask: Callable[[], Answer], tell: Tell) -> Answer:
    """Ask the hub; where it says when to come back, wait for that once, and say so."""
    try:
        return ask()
    except DownloadError as error:
        wait = retry_after_s(error)
        if wait is None or wait > MAX_WAIT_S:
            raise
        tell(
            _(
                "the hub was asked too often (429): waiting {wait} s as it wishes, then asking once more"
            ).format(wait=wait)
        )
    time.sleep(wait)
    return ask()


def with_similar(error: DownloadError, repo: str, known: Iterable[str]) -> DownloadError:
    """The error, with the repositories of nearly that name where there is none of that name."""
    if not is_missing(error):
        return error
    from difflib import get_close_matches

    by_key = {name.lower(): name for name in (*known, *_on_hub(repo)) if "/" in name}
    close = get_close_matches(repo.lower(), by_key, n=MAX_SIMILAR)
    return (
        DownloadError(
            _("{problem}; nearest: {names}").format(
                problem=error, names=", ".join(by_key[key] for key in close)
            )
        )
        if close
        else error
    )


def _on_hub(repo: str) -> list[str]:
    """Repositories of that owner, or of that name; none where the hub does not say."""
    from huggingface_hub import HfApi

    owner, _slash, name = repo.partition("/")
    try:
        with hub_errors(repo, OTHERWISE):
            api = HfApi()
            of_owner = [info.id for info in api.list_models(author=owner, limit=_LISTED)]
            return of_owner + [info.id for info in api.list_models(search=name, limit=_LISTED)]
    except DownloadError:
        return []


def _card(info: ModelInfo) -> HubCard:
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings or ()}
    data: dict[str, Any] = vars(info.card_data) if info.card_data else {}
    tags = tuple(tag for tag in info.tags or () if isinstance(tag, str))
    return HubCard(
        state=HubState(
            repo=info.id,
            commit=info.sha or "unknown",
            gated=bool(info.gated),
            license=_license(data, tags),
            files={name: size for name, size in sorted(sizes.items()) if name.endswith(WEIGHT_FILES)},
        ),
        names=frozenset(sizes),
        created=info.created_at.date() if info.created_at else None,
        pipeline=info.pipeline_tag,
        languages=_languages(data, tags),
        base_models=_texts(data.get("base_model")),
        chat_template=_chat_template(info),
    )


def _license(data: Mapping[str, Any], tags: Iterable[str]) -> str | None:
    """The licence's id; of one that the hub has no id for, its own name."""
    named = _texts(data.get("license")) or _texts([t for t in tags if t.startswith("license:")])
    if not named:
        return None
    name = named[0].removeprefix("license:")
    if name == "other":
        name = next(iter(_texts(data.get("license_name"))), name)
    return re.sub(r"[^a-z0-9.+-]+", "-", name.lower()).strip("-.+") or None


def _languages(data: Mapping[str, Any], tags: Iterable[str]) -> tuple[str, ...]:
    named = _texts(data.get("language")) or _texts(list(tags))
    return tuple(dict.fromkeys(name for name in named if re.fullmatch(r"[a-z]{2}", name)))


def _texts(value: object) -> tuple[str, ...]:
    """Cards give one text or a list of them."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(text for text in values if isinstance(text, str) and text)


def _chat_template(info: ModelInfo) -> str | None:
    """The template as the hub read it from the tokenizer's config or the GGUF header."""
    config: Mapping[str, Any] = info.config or {}
    tokenizer = config.get("tokenizer_config")
    gguf: Mapping[str, Any] = info.gguf or {}
    found = (
        config.get("chat_template_jinja"),
        tokenizer.get("chat_template") if isinstance(tokenizer, Mapping) else None,
        gguf.get("chat_template"),
    )
    return next((text for text in found if isinstance(text, str)), None)
