"""Models on this disk: the Hugging Face cache, llama.cpp's, LM Studio's folder and Ollama's store.

Folders are listed, small manifests read; no model file is opened, nothing is walked beyond each store's own
layout, and the whole look ends after so many entries and so much time. huggingface-hub's own scan does the
same for its cache, but sizes every blob and takes a fifth of a second to import.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from advisor.downloaded import Download, Store
from advisor.model_files import model_files, parts_of, quantization_in

MAX_ROWS: Final = 20_000
"""Directory entries that are looked at in all: a large collection has some thousands."""
MAX_SECONDS: Final = 1.0
"""A network file system may be slow: what was found by then has to do."""
MAX_MANIFEST_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 4
"""Folders inside a repository or a publisher's folder."""
_MODEL_LAYER: Final = "application/vnd.ollama.image.model"
_SHARD: Final = re.compile(r"model-[0-9]+-of-([0-9]+)\.safetensors")
_DEFAULT_HOST: Final = "registry.ollama.ai"
_DEFAULT_NAMESPACE: Final = "library"
_HUB_HOSTS: Final = ("hf.co", "huggingface.co")


class _Look:
    """A look at folders that ends after so many entries and so much time."""

    def __init__(self, max_rows: int, max_seconds: float) -> None:
        self._rows = max_rows
        self._end = time.monotonic() + max_seconds

    def list(self, folder: Path) -> list[Path]:
        """What the folder holds, by name; nothing of one that is not there, or when the look is over."""
        found = []
        try:
            with os.scandir(folder) as rows:
                for row in rows:
                    if self._rows <= 0 or time.monotonic() > self._end:
                        break
                    self._rows -= 1
                    found.append(folder / row.name)
        except OSError:
            return []
        return sorted(found)

    def files(self, folder: Path, depth: int = MAX_DEPTH) -> dict[str, int]:
        """Files at and below a folder by their names from there, with their bytes; links are followed."""
        found: dict[str, int] = {}
        for path in self.list(folder):
            try:
                if path.is_file():
                    found[path.name] = path.stat().st_size
                elif depth > 1 and path.is_dir():
                    inner = self.files(path, depth - 1)
                    found |= {f"{path.name}/{name}": size for name, size in inner.items()}
            except OSError:  # a link to nothing: a download that was broken off
                continue
        return found


def find_downloads(
    environ: Mapping[str, str],
    home: Path,
    *,
    platform: str = sys.platform,
    max_rows: int = MAX_ROWS,
    max_seconds: float = MAX_SECONDS,
) -> tuple[Download, ...]:
    """Every whole model in the stores of a user, in the order of the stores.

    environ, home: of the user; platform: as `sys.platform` says it.
    """
    look = _Look(max_rows, max_seconds)
    found: dict[str, Download] = {}
    for folder in _hub_folders(environ, home):
        found |= {one.path: one for one in _in_hub_cache(look, folder)}
    for one in _in_llama_cache(look, _llama_folder(environ, home, platform)):
        found.setdefault(one.path, one)
    for folder in _lm_studio_folders(look, home):
        found |= {one.path: one for one in _in_lm_studio(look, folder)}
    for folder in _ollama_folders(environ, home):
        found |= {one.path: one for one in _in_ollama(look, folder)}
    return tuple(found.values())


# --- Hugging Face ---


def _hub_folders(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The folders that huggingface-hub's environment variables name, by its own precedence, and llama.cpp's.

    llama.cpp's downloads lie there too, in the same layout, under LLAMA_CACHE where that is set
    (common/hf-cache.cpp of llama-cpp-python 0.3.36, 2026-10-01).
    """
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    hub = Path(environ.get("HF_HOME") or cache / "huggingface") / "hub"
    named = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    folders = [Path(named) if named else hub]
    if own := environ.get("LLAMA_CACHE"):
        folders.append(Path(own))
    return folders


def _in_hub_cache(look: _Look, folder: Path) -> Iterator[Download]:
    for path in look.list(folder):
        kind, _, name = path.name.partition("--")
        if kind == "models" and name:
            snapshot = _snapshot(look, path)
            if snapshot is not None:
                yield from _of_repository(look, "Hugging Face", snapshot, name.replace("--", "/", 1))


def _snapshot(look: _Look, repository: Path) -> Path | None:
    """The revision that `main` is, else the only one there is."""
    main = _text(repository / "refs" / "main")
    if main and re.fullmatch(r"[0-9a-f]{40}", main.strip()):
        return repository / "snapshots" / main.strip()
    others = look.list(repository / "snapshots")
    return others[0] if len(others) == 1 else None


def _of_repository(look: _Look, store: Store, folder: Path, repo: str) -> Iterator[Download]:
    sizes = look.files(folder)
    yield from _ggufs(store, folder, repo, sizes)
    shards = [name for name in sizes if _SHARD.fullmatch(name)]
    expected = {int(match[1]) for name in shards if (match := _SHARD.fullmatch(name))}
    weights = shards if expected == {len(shards)} else [n for n in sizes if n == "model.safetensors"]
    if weights and "config.json" in sizes:
        yield Download(store=store, path=str(folder), bytes=sum(sizes[name] for name in weights), repo=repo)


def _ggufs(store: Store, folder: Path, repo: str | None, sizes: Mapping[str, int]) -> Iterator[Download]:
    """The GGUF models among files, split ones where they are whole."""
    for first in model_files(sizes):
        parts = parts_of(first, sizes)
        split = re.search(r"-of-([0-9]{5})\.gguf$", first)
        if first in sizes and (split is None or int(split[1]) == len(parts)):
            yield Download(
                store=store,
                path=str(folder / first),
                bytes=sum(sizes[name] for name in parts),
                repo=repo,
                file=first,
                quantization=quantization_in(first),
            )


# --- llama.cpp ---


def _llama_folder(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    """Where llama.cpp keeps what it downloads (`fs_get_cache_directory`, common/common.cpp, same version)."""
    if own := environ.get("LLAMA_CACHE"):
        return Path(own)
    if platform == "win32":
        cache = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return cache / "llama.cpp"


def _in_llama_cache(look: _Look, folder: Path) -> Iterator[Download]:
    yield from _ggufs("llama.cpp", folder, None, look.files(folder, depth=1))


# --- LM Studio ---


def _lm_studio_folders(look: _Look, home: Path) -> list[Path]:
    """Its models: by its settings, in its home, which a pointer names, or where they were before 2025."""
    pointer = (_text(home / ".lmstudio-home-pointer") or "").strip()
    own = Path(pointer) if pointer else home / ".lmstudio"
    chosen = _object(own / "settings.json").get("downloadsFolder")
    folders = [own / "models", home / ".cache" / "lm-studio" / "models"]
    if isinstance(chosen, str) and chosen:
        folders.insert(0, Path(chosen))
    return list(dict.fromkeys(folders))


def _in_lm_studio(look: _Look, folder: Path) -> Iterator[Download]:
    for publisher in look.list(folder):
        for repository in look.list(publisher):
            repo = f"{publisher.name}/{repository.name}"
            yield from _of_repository(look, "LM Studio", repository, repo)


# --- Ollama ---


def _ollama_folders(environ: Mapping[str, str], home: Path) -> list[Path]:
    """OLLAMA_MODELS, else the user's and the Linux service's."""
    if own := environ.get("OLLAMA_MODELS"):
        return [Path(own)]
    return [home / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]


def _in_ollama(look: _Look, folder: Path) -> Iterator[Download]:
    """One download a blob, with all names that lead to it."""
    found: dict[str, Download] = {}
    for name in look.files(folder / "manifests"):
        host, *middle, tag = name.split("/")
        blob = _model_blob(folder, _object(folder / "manifests" / name))
        if blob is None or len(middle) != 2:
            continue
        path, config = blob
        label = _tag(host, middle[0], middle[1], tag)
        tags = (*found[str(path)].tags, label) if str(path) in found else (label,)
        found[str(path)] = Download(
            store="Ollama",
            path=str(path),
            bytes=path.stat().st_size,
            repo="/".join(middle) if host in _HUB_HOSTS else None,
            tags=tags,
            parameters=_string(config.get("model_type")),
            quantization=_quantization(host, tag, config),
        )
    yield from found.values()


def _quantization(host: str, tag: str, config: Mapping[str, Any]) -> str | None:
    """As Ollama read it of the file; of a file of the hub, the tag is its quantization."""
    if host in _HUB_HOSTS:
        return quantization_in(f"-{tag}.gguf")
    named = _string(config.get("file_type"))
    return None if named in (None, "", "unknown") else named


def _tag(host: str, namespace: str, model: str, tag: str) -> str:
    """The name that people type: "qwen3:8b", "someone/model:8b", "hf.co/owner/name:Q4_K_M"."""
    if host != _DEFAULT_HOST:
        return f"{host}/{namespace}/{model}:{tag}"
    return f"{model}:{tag}" if namespace == _DEFAULT_NAMESPACE else f"{namespace}/{model}:{tag}"


def _model_blob(folder: Path, manifest: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]] | None:
    """The file with the weights and what Ollama knows of it; None where it is not there whole."""
    layers = manifest.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict) and layer.get("mediaType") == _MODEL_LAYER:
            path = _blob(folder, layer)
            if path and path.is_file() and path.stat().st_size == layer.get("size"):
                config = _blob(folder, manifest.get("config"))
                return path, _object(config) if config else {}
    return None


def _blob(folder: Path, layer: object) -> Path | None:
    digest = layer.get("digest") if isinstance(layer, dict) else None
    if not isinstance(digest, str) or not re.fullmatch(r"sha256[:-][0-9a-f]{64}", digest):
        return None
    return folder / "blobs" / digest.replace(":", "-")


# --- small files ---


def _object(path: Path) -> Mapping[str, Any]:
    """The JSON object in a small file; empty for one that is missing or broken."""
    try:
        data = json.loads(_text(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES).decode(errors="replace")
    except OSError:
        return None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
