"""The safetensors headers of a model in a folder, local or remote, sharded ones included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from advisor.errors import SafetensorsError
from advisor.folders import Folder, naming
from advisor.i18n import _
from advisor.safetensors.header import MAX_TENSORS, SafeTensor, SafetensorsHeader, parse_safetensors

SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
"""The names that transformers looks for."""
MAX_INDEX_BYTES: Final = 16 << 20
"""DeepSeek V3's has 9 MB."""
MAX_SHARDS: Final = 1024
"""The largest real models have 200."""


def has_safetensors(folder: Folder) -> bool:
    """Whether the folder holds a model in this format."""
    return folder.has(SINGLE) or folder.has(INDEX)


def weight_files(folder: Folder) -> Mapping[str, frozenset[str]]:
    """The files of the model and the tensors that each must hold; empty where that is not told.

    Raises `SafetensorsError` for a folder without such a model, and for an index that is broken.
    """
    if not folder.has(INDEX):
        if folder.has(SINGLE):
            return {SINGLE: frozenset()}
        raise SafetensorsError(
            _("{file}: no such file, and no {index} either").format(file=folder.label(SINGLE), index=INDEX)
        )
    with naming(folder.label(INDEX), SafetensorsError):
        names: dict[str, set[str]] = defaultdict(set)
        for tensor, file in _weight_map(folder).items():
            if not isinstance(file, str) or not file.endswith(".safetensors") or set(file) & set("/\\\0"):
                raise SafetensorsError(_("names {file!r} as a file of weights").format(file=str(file)[:80]))
            names[file].add(tensor)
        if not 0 < len(names) <= MAX_SHARDS:
            raise SafetensorsError(
                _("names {n:,} files; between 1 and {most:,} are possible").format(
                    n=len(names), most=MAX_SHARDS
                )
            )
    return {file: frozenset(names[file]) for file in sorted(names)}


def _weight_map(folder: Folder) -> Mapping[str, Any]:
    with folder.open(INDEX) as opened:
        if opened.size > MAX_INDEX_BYTES:
            raise SafetensorsError(_("too large for an index of weights"))
        raw = opened.read(0, opened.size) if opened.size else b""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(_("is not JSON; download it again")) from error
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict):
        raise SafetensorsError(_("has no weight_map; it is not an index of weights"))
    return weight_map


def read_safetensors(folder: Folder) -> SafetensorsHeader:
    """The tensors of the folder's model, those of all shards together.

    Raises `SafetensorsError`, with the file's name, for a file that is missing, broken or hostile, and for
    an index that names a tensor that its file does not hold.
    """
    tensors: dict[str, SafeTensor] = {}
    size = 0
    for file, expected in weight_files(folder).items():
        part = _read_one(folder, file, expected)
        if twice := tensors.keys() & part.tensors.keys():
            raise SafetensorsError(
                _("{file}: the tensor {name!r} is in an earlier file").format(
                    file=folder.label(file), name=min(twice)
                )
            )
        tensors.update(part.tensors)
        size += part.file_bytes
        if len(tensors) > MAX_TENSORS:
            raise SafetensorsError(
                _("{file}: more than {most:,} tensors in all").format(
                    file=folder.label(file), most=MAX_TENSORS
                )
            )
    return SafetensorsHeader(tensors=tensors, file_bytes=size)


def _read_one(folder: Folder, file: str, expected: frozenset[str]) -> SafetensorsHeader:
    with naming(folder.label(file), SafetensorsError):
        if not folder.has(file):
            raise SafetensorsError(_("missing, though the model's index names it; download it too"))
        with folder.open(file) as opened:
            header = parse_safetensors(opened.read, opened.size)
        if lacking := expected - header.tensors.keys():
            raise SafetensorsError(
                _("lacks {n:,} tensors that the index names: download it again").format(n=len(lacking))
            )
        return header
