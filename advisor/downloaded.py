"""Which catalog models lie on this disk already, and how that breaks a tie."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeVar

from advisor.i18n import _
from advisor.model import Model
from advisor.units import format_bytes, format_count
from advisor.value import Value

Store = Literal["Hugging Face", "llama.cpp", "LM Studio", "Ollama"]

EQUAL_SHARE: Final = 0.01
"""Scores within so much of the best are equal: far below what two runs of one benchmark differ by."""

Row = TypeVar("Row")


class Download(Value):
    """One model in a program's store, whole."""

    store: Store
    path: str
    """The file that is loaded (of a split one the first part), or the folder."""
    bytes: int
    repo: str | None = None
    """`owner/name` on the hub, where the store tells."""
    file: str | None = None
    """Its name in the repository; None for a checkpoint of several files."""
    tags: tuple[str, ...] = ()
    """Ollama's names of it: several may mean the same blob."""
    parameters: str | None = None
    """What Ollama says of its size: "8.2B"."""
    quantization: str | None = None


class Held(NamedTuple):
    """A catalog model that is on the disk."""

    model: str
    quantization: str | None
    """None where neither the store nor the name tells."""
    download: Download


def held(models: Iterable[Model], downloads: Iterable[Download]) -> tuple[Held, ...]:
    """The downloads that are of models given, in their order: by tag, by repository and file, by name."""
    index = _Index(models)
    found = []
    for download in downloads:
        if match := index.find(download):
            model, quantization = match
            found.append(Held(model, quantization or download.quantization, download))
    return tuple(found)


def by_choice(rows: Iterable[Held]) -> Mapping[tuple[str, str], Download]:
    """The first download of every model and quantization."""
    found: dict[tuple[str, str], Download] = {}
    for row in rows:
        if row.quantization is not None:
            found.setdefault((row.model, row.quantization), row.download)
    return found


def downloaded_first(
    rows: Iterable[Row],
    score: Callable[[Row], float],
    group: Callable[[Row], object],
    is_here: Callable[[Row], bool],
) -> Iterator[Row]:
    """Rows, best first, with those that are on the disk ahead of their equals at the top.

    Equal are those that follow the first without a gap, are of its group (what comes before the score in the
    order) and score within `EQUAL_SHARE` of it; the order is otherwise kept, and no more rows are asked for.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    equals, rest = [first], []
    for row in rows:
        if not is_equal(score(row), score(first)) or group(row) != group(first):
            rest = [row]
            break
        equals.append(row)
    yield from sorted(equals, key=lambda row: not is_here(row))
    yield from rest
    yield from rows


def is_equal(score: float, best: float) -> bool:
    """Whether a score is as good as the best."""
    return score >= best * (1 - EQUAL_SHARE)


def downloaded_reason(download: Download) -> str:
    """What is said of a pick that need not be fetched."""
    text = _("already downloaded: {size} in {store}'s store")
    return text.format(size=format_bytes(download.bytes), store=download.store)


class _Index:
    """Ways from what a store tells to (model id, quantization)."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._tags: dict[str, str] = {}
        self._files: dict[tuple[str, str], tuple[str, str]] = {}
        self._flat: dict[str, tuple[str, str]] = {}
        self._checkpoints: dict[str, tuple[str, str | None]] = {}
        self._names: dict[str, str] = {}
        self._sizes: dict[tuple[str, str], set[str]] = defaultdict(set)
        for model in models:
            self._add(model)

    def find(self, download: Download) -> tuple[str, str | None] | None:
        """The model and quantization of a download; the quantization None where the index has none."""
        if download.tags:
            return self._by_tag(download)
        repo = (download.repo or "").lower()
        if download.file is None:
            return self._checkpoints.get(repo)
        file = download.file.rpartition("/")[2].lower()
        if exact := self._files.get((repo, file)) or self._flat.get(file):
            return exact
        named = self._names.get(name_key(file)) or self._names.get(name_key(file.partition("_")[2]))
        return (named, None) if named and download.quantization else None

    def _by_tag(self, download: Download) -> tuple[str, str | None] | None:
        for tag in download.tags:
            if model := self._tags.get(tag.lower()):
                return model, None
        # "qwen3:latest" is one of the sizes of qwen3: the one of as many parameters, where it is alone.
        family = download.tags[0].partition(":")[0].lower()
        alike = self._sizes.get((family, download.parameters or ""), set())
        if len(alike) == 1:
            return next(iter(alike)), None
        if download.repo is not None:
            named = self._names.get(name_key(download.repo.rpartition("/")[2]))
            return (named, None) if named else None
        return None

    def _add(self, model: Model) -> None:
        for alias in (model.id, *model.aliases):
            if "/" in alias:
                self._checkpoints.setdefault(alias.lower(), (model.id, None))
            if ":" not in alias:
                self._names.setdefault(name_key(alias.rpartition("/")[2]), model.id)
        if model.ollama_tag:
            self._tags[model.ollama_tag.lower()] = model.id
            family = model.ollama_tag.partition(":")[0].lower()
            self._sizes[family, format_count(model.n_params)].add(model.id)
        for artifact in model.artifacts:
            repo, label = artifact.repo.lower(), artifact.quantization
            if not artifact.files:
                self._checkpoints[repo] = (model.id, label)
            for file in _basenames(artifact.files):
                self._files[repo, file] = (model.id, label)
                # llama.cpp's own cache, until 2026, joined owner, repository and file.
                self._flat[f"{repo.replace('/', '_')}_{file}"] = (model.id, label)


def name_key(name: str) -> str:
    """A model's or file's name without its quantization, parts, ending and punctuation."""
    stem = re.sub(r"(-00001-of-[0-9]{5})?\.gguf$|[-_.]gguf$", "", name.lower())
    stem = re.sub(r"[-_.](ud-)?((i?q|tq)[1-8]_\w+|bf16|f16|f32|fp16|mxfp4\w*)$", "", stem)
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")


def _basenames(files: Iterable[str]) -> Iterator[str]:
    for file in files:
        yield file.rpartition("/")[2].lower()
