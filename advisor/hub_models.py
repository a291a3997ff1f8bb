"""A model on the hub: which of its files is meant, what is read of it, and what is kept of that.

Read once, a model is estimated without network afterwards; `--fetch` looks whether the hub has a newer one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

from advisor import kept_files
from advisor.config_files import read_config
from advisor.errors import AdvisorError, DownloadError, UnknownModelError
from advisor.folders import Folder
from advisor.gguf import GgufHeader, read_header_in
from advisor.gguf.files import first_part
from advisor.i18n import _
from advisor.model_files import model_files
from advisor.quantization import DEFAULT_QUANTIZATION
from advisor.safetensors import SafetensorsHeader, has_safetensors, read_safetensors
from advisor.units import shortened
from advisor.value import SCHEMA_VERSION, Value

CONFIG: Final = "config.json"
MAX_FILES: Final = 128
KEPT_FILES: Final = 96
"""What remains after a clean-up."""
MAX_BYTES: Final = 64 << 20
"""Of a kept file: some 100 KB for most models, 20 MB for experts stored one by one."""
MAX_LISTED: Final = 12
"""Files that a message names."""

_NAME: Final = re.compile(r"([\w.-]+/[\w.-]+?)(?::([\w.-]+)|/([^\0]+\.gguf))?", re.ASCII)


class HubName(NamedTuple):
    """`owner/name`, with the quantization or the file of it that is asked for."""

    repo: str
    quantization: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        if self.file:
            return f"{self.repo}/{self.file}"
        return f"{self.repo}:{self.quantization}" if self.quantization else self.repo


class HubModel(Value):
    """What was read of a model on the hub: a GGUF header, or a config and safetensors headers."""

    schema_version: int = SCHEMA_VERSION
    repo: str
    commit: str
    file: str | None = None
    """The .gguf, of a split one its first part."""
    gguf: GgufHeader | None = None
    config: str | None = None
    """The config.json's text."""
    tensors: SafetensorsHeader | None = None


def hub_name(text: str, quantization: str | None = None) -> HubName | None:
    """The name of a model on the hub; None for a text that cannot be one.

    quantization: the one that is asked for beside the name.
    """
    match = _NAME.fullmatch(text)
    if not match or ".." in text or text.startswith(".") or match[1].endswith((".gguf", ".json")):
        return None
    return HubName(match[1], match[2] or (None if match[3] else quantization), match[3])


def fetch(name: HubName) -> HubModel:
    """Read the model's headers from the hub, unless what is kept is of the same commit.

    Without the hub, what is kept serves. Raises `DownloadError`, or the error of the file that was read.
    """
    from advisor.hub_folder import repository

    try:
        folder = repository(name.repo)
    except DownloadError:
        if known := recall(name):
            return known
        raise
    known = _kept(name)
    if known and known.commit == folder.commit:
        return known
    model = read_model(folder, folder.names, name, folder.commit)
    kept_files.keep(_folder(), _key(name), model, max_files=MAX_FILES, kept_files=KEPT_FILES)
    return model


def recall(name: HubName) -> HubModel | None:
    """What is known of the model without the network: what was read before, or lies in the hub's cache."""
    from advisor.hub_folder import downloaded

    if model := _kept(name):
        return model
    local = downloaded(name.repo)
    if local is None:
        return None
    names = [path.relative_to(local.path).as_posix() for path in local.path.rglob("*") if path.is_file()]
    try:
        return read_model(local, names, name, local.path.name)
    except AdvisorError:  # not all of its files were downloaded
        return None


def read_model(folder: Folder, names: Collection[str], name: HubName, commit: str) -> HubModel:
    """Read the one of a folder's models that is asked for.

    Raises `UnknownModelError` where it is not there or several are, and the error of a file that is broken.
    """
    file = _chosen(model_files(names), name)
    if file:
        return HubModel(repo=name.repo, commit=commit, file=file, gguf=read_header_in(folder, file))
    if not folder.has(CONFIG):
        raise UnknownModelError(
            _("{repo} holds neither a .gguf nor a {config}: nothing to estimate").format(
                repo=name.repo, config=CONFIG
            )
        )
    tensors = read_safetensors(folder) if has_safetensors(folder) else None
    return HubModel(repo=name.repo, commit=commit, config=read_config(folder, CONFIG), tensors=tensors)


def _chosen(models: dict[str, str | None], name: HubName) -> str | None:
    """The file that is meant; None where the repository has no .gguf at all."""
    if name.file:
        if first_part(name.file) not in models:
            raise UnknownModelError(
                _("{repo} has no file {file}; {models}").format(
                    repo=name.repo, file=name.file, models=_listed(models, name.repo)
                )
            )
        return first_part(name.file)
    if not models:
        return None
    wanted = (name.quantization or DEFAULT_QUANTIZATION).upper()
    fitting = [file for file, label in models.items() if label == wanted]
    if not fitting and name.quantization is None and len(models) == 1:
        return next(iter(models))
    if len(fitting) == 1:
        return fitting[0]
    text = (
        _("{repo} has several files of {wanted}; {models}")
        if fitting
        else _("{repo} has no file of {wanted}; {models}")
    )
    raise UnknownModelError(text.format(repo=name.repo, wanted=wanted, models=_listed(models, name.repo)))


def _listed(models: dict[str, str | None], repo: str) -> str:
    if not models:
        return _("it has no .gguf at all")
    labels = list(models.values())
    plain = None not in labels and len(set(labels)) == len(labels)
    shown = [f"{repo}:{label}" if plain else f"{repo}/{file}" for file, label in models.items()]
    return _("give one of: {names}").format(names=shortened(shown, MAX_LISTED))


def _kept(name: HubName) -> HubModel | None:
    return kept_files.kept(_folder(), _key(name), HubModel, MAX_BYTES)


def _folder() -> Path:
    return kept_files.cache_folder("hub")


def _key(name: HubName) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()
