"""The user's own catalog: one YAML file an entry, merged over the shipped catalog.

It lies in the user's data folder, or where ADVISOR_CATALOG points. What the program computes of an entry is
kept in the cache under the file's digest, so that an unchanged file is not read as YAML again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from advisor import catalog
from advisor.catalog import Catalog
from advisor.compiled import Compiled
from advisor.errors import AdvisorError, CatalogError
from advisor.i18n import N_, _
from advisor.model import Model
from advisor.resources import CATALOG_DIR
from advisor.user_entry import UserEntry
from advisor.value import Value
from advisor.weights import Weights

FOLDER_VARIABLE: Final = "ADVISOR_CATALOG"
MAX_ENTRIES: Final = 500
"""Files that are looked at: nobody has so many, and a folder pointed to by mistake is not read whole."""
MAX_ENTRY_BYTES: Final = 1 << 20
MAX_KEPT_BYTES: Final = 4 << 20
_HEADING: Final = N_(
    "# An entry of your own catalog for `advisor`, as `advisor models add` wrote it. It may be edited;\n"
    "# `advisor models sync` reads the hub again, and keeps id, name, kind, released, aliases, ollama_tag,\n"
    "# superseded_by and quality.\n"
)
_log = logging.getLogger("advisor")


class MergedCatalog(Catalog):
    """The shipped catalog with the user's entries over it."""

    own: frozenset[str]
    """Ids that are the user's."""


class Ready(Value):
    """An entry, with its size in every quantization and its usual compute buffers."""

    entry: UserEntry
    weights: Mapping[str, Weights]
    compute: Compiled


class UserCatalog(NamedTuple):
    """What the user's folder holds."""

    entries: tuple[Ready, ...]
    """Sorted by id."""
    problems: tuple[str, ...]
    """One line a file that is broken, with what to do."""


def user_folder() -> Path:
    """Where the user's entries are; it need not exist."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    import platformdirs

    return Path(platformdirs.user_data_dir("advisor", appauthor=False)) / "models"


def load_catalog(folder: Path = CATALOG_DIR) -> Catalog:
    """The shipped catalog with the user's entries over it; a broken one of those is logged and left out.

    Raises `CatalogError` where the shipped catalog is missing or broken.
    """
    shipped = catalog.load_catalog(folder)
    own = read_user_catalog(user_folder())
    for problem in own.problems:
        text = _("{problem} (left out; `advisor models check --offline` tells more)")
        _log.error("%s", text.format(problem=problem))
    return merged(shipped, own.entries) if own.entries else shipped


def own_ids(known: Catalog) -> frozenset[str]:
    """The ids that are the user's."""
    return known.own if isinstance(known, MergedCatalog) else frozenset()


def merged(shipped: Catalog, entries: Sequence[Ready]) -> MergedCatalog:
    """The user's entries over the shipped ones: of the same id or name, the user's is meant."""
    own = {ready.entry.model.id: ready for ready in entries}
    taken = {name.lower() for ready in own.values() for name in ready.entry.model.names}
    others = [_without(model, taken) for model in shipped.models if model.id not in own]
    models = [*others, *(ready.entry.model for ready in own.values())]
    return MergedCatalog.model_construct(
        date=shipped.date,
        models=tuple(sorted(models, key=lambda model: model.id)),
        weights={**shipped.weights, **{name: ready.weights for name, ready in own.items()}},
        checkpoints={name: sizes for name, sizes in shipped.checkpoints.items() if name not in own},
        compute={**shipped.compute, **{name: ready.compute for name, ready in own.items()}},
        quality=shipped.quality,
        own=frozenset(own),
    )


def _without(model: Model, taken: set[str]) -> Model:
    aliases = tuple(alias for alias in model.aliases if alias.lower() not in taken)
    return model if len(aliases) == len(model.aliases) else model.model_copy(update={"aliases": aliases})


def read_user_catalog(folder: Path) -> UserCatalog:
    """The entries of a folder; none where there is no such folder."""
    entries: dict[str, Ready] = {}
    problems = []
    for path in _files(folder):
        try:
            ready = _ready(path)
            name = ready.entry.model.id
            if name in entries:
                raise CatalogError(
                    _("{path}: id {name!r} is that of another file too: remove one of them").format(
                        path=path, name=name
                    )
                )
            entries[name] = ready
        except AdvisorError as error:
            problems.append(str(error))
    return UserCatalog(tuple(entries[name] for name in sorted(entries)), tuple(problems))


def write_entry(folder: Path, entry: UserEntry, *, force: bool) -> Path:
    """Write an entry to its file, whole or not at all.

    Raises `OutputError` where there is another one and no `force`, or the system refuses, and `CatalogError`
    for an entry that contradicts itself.
    """
    import yaml

    from advisor.errors import OutputError
    from advisor.output import write_whole

    path = folder / f"{entry.model.id}.yaml"
    catalog.check_model(path, entry.model)
    document = entry.model_dump(mode="json", exclude_defaults=True)
    text = _(_HEADING) + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            _("the folder {folder} cannot be made ({reason}): set {variable} to another").format(
                folder=folder, reason=_(error.strerror or str(error)), variable=FOLDER_VARIABLE
            )
        ) from error
    write_whole(path, text, force=force)
    return path


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as rows:
            names = [row.name for _nth, row in zip(range(MAX_ENTRIES), rows, strict=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(".yaml") and not name.startswith(".")]


def _ready(path: Path) -> Ready:
    """The entry of a file, from the cache where the file has not changed since."""
    from advisor import __version__, kept_files

    try:
        if path.stat().st_size > MAX_ENTRY_BYTES:
            raise CatalogError(
                _("{path}: too large for a catalog entry; move it out of the folder").format(path=path)
            )
        data = path.read_bytes()
    except OSError as error:
        raise CatalogError(
            _("{path}: cannot be read ({reason}); check the path").format(
                path=path, reason=_(error.strerror or str(error))
            )
        ) from error
    key = hashlib.sha256(__version__.encode() + data).hexdigest()
    folder = kept_files.cache_folder("catalog")
    if known := kept_files.kept(folder, key, Ready, MAX_KEPT_BYTES):
        return known
    ready = _compiled(path)
    kept_files.keep(folder, key, ready, max_files=MAX_ENTRIES, kept_files=MAX_ENTRIES // 2)
    return ready


def _compiled(path: Path) -> Ready:
    from pydantic import ValidationError

    from advisor.yaml_files import read_yaml

    try:
        entry = UserEntry.model_validate(read_yaml(path))
    except ValidationError as error:
        raise CatalogError(
            _("{path}: {problem}; correct the field").format(path=path, problem=catalog.first_problem(error))
        ) from error
    catalog.check_model(path, entry.model)
    weights = catalog.weights_of_model(entry.model)
    return Ready(
        entry=entry, weights=weights, compute=catalog.buffers_of_model(entry.model) if weights else {}
    )
