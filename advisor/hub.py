"""Downloads from the Hugging Face hub, into its own cache: what is there already needs no network.

`huggingface-hub` reads HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from advisor.assessment import ArtifactChoice
from advisor.errors import DownloadError
from advisor.hub_errors import hub_errors
from advisor.i18n import N_, _
from advisor.units import MIB, format_bytes

DISK_RESERVE_BYTES: Final = 512 * MIB
"""Left free by a download: a file system that is full to the last byte breaks other programs."""
ELSEWHERE: Final = N_("or give a file you have with --model-file")

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""


def download(artifact: ArtifactChoice, *, progress: Progress | None = None) -> tuple[Path, ...]:
    """The artifact's files in the hub's cache, downloaded where they are not there; in its order.

    Raises `DownloadError`: the hub refuses or is unreachable, a file does not exist or came incomplete, or
    the disk is too small. Nothing half-written stays outside of the hub's own cache, Ctrl-C included.
    """
    if not artifact.files:
        raise DownloadError(
            _("the plan names no files of {repo}: give one with --model-file").format(repo=artifact.repo)
        )
    present = cached(artifact)
    if None not in present:
        return tuple(path for path in present if path)
    with hub_errors(artifact.repo, ELSEWHERE):
        return _fetch(artifact, present, progress)


def cached(artifact: ArtifactChoice) -> tuple[Path | None, ...]:
    """Where each file lies in the cache; None for what is not there. Touches no network."""
    from huggingface_hub import try_to_load_from_cache

    with hub_errors(artifact.repo, ELSEWHERE):
        found = [try_to_load_from_cache(artifact.repo, name) for name in artifact.files]
    return tuple(Path(path) if isinstance(path, str) else None for path in found)


def _fetch(
    artifact: ArtifactChoice, present: Sequence[Path | None], progress: Progress | None
) -> tuple[Path, ...]:
    from huggingface_hub import constants, hf_hub_download

    missing = [name for name, path in zip(artifact.files, present, strict=True) if path is None]
    if constants.HF_HUB_OFFLINE:
        raise DownloadError(
            _(
                "{file} of {repo} is not in the cache, and HF_HUB_OFFLINE is set: unset it, {elsewhere}"
            ).format(file=missing[0], repo=artifact.repo, elsewhere=_(ELSEWHERE))
        )
    size = _size(artifact.repo, missing)
    _check_disk(Path(constants.HF_HUB_CACHE), size)
    bar = _bar(size, progress)
    # All of them: a model in several files must be of one revision. What is up to date costs a question.
    paths = [hf_hub_download(artifact.repo, name, tqdm_class=bar) for name in artifact.files]
    return tuple(Path(path) for path in paths)


def _size(repo: str, names: Sequence[str]) -> int:
    """Bytes of the files together."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    listed = HfApi().get_paths_info(repo, list(names))
    sizes = {entry.path: entry.size for entry in listed if isinstance(entry, RepoFile)}
    absent = [name for name in names if name not in sizes]
    if absent:
        raise DownloadError(
            _("{repo} has no file {file}: it was renamed or removed; {elsewhere}").format(
                repo=repo, file=absent[0], elsewhere=_(ELSEWHERE)
            )
        )
    return sum(sizes.values())


def _check_disk(cache: Path, size: int) -> None:
    folder = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < size + DISK_RESERVE_BYTES:
        raise DownloadError(
            _(
                "the disk is too small: the download takes {size}, and {folder} has {free} free: "
                "free some, or set HF_HOME to a folder on another disk"
            ).format(size=format_bytes(size), folder=folder, free=format_bytes(free))
        )


def _bar(size: int, progress: Progress | None) -> type[Any]:
    """A stand-in for tqdm that reports to `progress`, over all files."""
    done = 0

    class Bar:
        def __init__(self, *rest: object, initial: int = 0, **named: object) -> None:
            self.n, self.total = initial, size

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *rest: object) -> None:
            return None

        def update(self, n: int = 1) -> None:
            nonlocal done
            done = min(size, max(0, done + n))
            if progress:
                progress(done, size)

        def ignore(self, *rest: object, **named: object) -> None:
            """What tqdm shows beside the bar; bytes on the wire are not those on disk."""

        update_transfer = set_transfer_postfix_str = set_postfix_str = refresh = close = ignore

    return Bar
