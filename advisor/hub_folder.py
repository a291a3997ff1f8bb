"""A repository on the Hugging Face hub as a folder: pieces of files, not downloads.

`huggingface-hub` reads HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE and HF_HUB_OFFLINE and the proxies by itself; a
file that lies in its cache is read there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from advisor.errors import DownloadError
from advisor.folders import LocalFolder, Opened, Read
from advisor.hub_errors import hub_errors
from advisor.i18n import N_, _

OTHERWISE: Final = N_("or give the path of files that you have")
_PARTIAL_CONTENT: Final = 206


class HubFolder:
    """One commit of a repository; `bytes_fetched` counts what came over the network."""

    def __init__(self, repo: str, commit: str, names: Collection[str]) -> None:
        self.repo, self.commit, self.names = repo, commit, frozenset(names)
        self.bytes_fetched = 0

    def has(self, name: str) -> bool:
        return name in self.names

    def label(self, name: str) -> str:
        return f"{self.repo}/{name}"

    @contextmanager
    def open(self, name: str) -> Iterator[Opened]:
        """Raises `DownloadError`, then and at every read, where the hub refuses or cannot be reached."""
        from huggingface_hub import try_to_load_from_cache

        with hub_errors(self.repo, OTHERWISE):
            local = try_to_load_from_cache(self.repo, name, revision=self.commit)
        if isinstance(local, str):
            with LocalFolder(Path(local).parent).open(Path(local).name) as opened:
                yield opened
        else:
            yield self._remote(name)

    def _remote(self, name: str) -> Opened:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        with hub_errors(self.repo, OTHERWISE):
            url = hf_hub_url(self.repo, name, revision=self.commit)
            about = get_hf_file_metadata(url)
        if about.size is None:
            raise DownloadError(
                _("the hub does not tell how large {file} is: download it instead").format(
                    file=self.label(name)
                )
            )
        return Opened(self._reader(name, url, about.location), about.size)

    def _reader(self, name: str, url: str, location: str) -> Read:
        """Reads ranges from where the hub keeps the file; its token is for the hub alone."""
        is_hub = urlsplit(location).netloc == urlsplit(url).netloc

        def read(offset: int, n: int) -> bytes:
            with hub_errors(self.repo, OTHERWISE):
                body = self._range(name, location, offset, n, with_token=is_hub)
            self.bytes_fetched += len(body)
            return body

        return read

    def _range(self, name: str, location: str, offset: int, n: int, *, with_token: bool) -> bytes:
        from huggingface_hub import constants, get_session

        # Both are documented; that the package does not mark them as exported is an oversight of its own.
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            hf_raise_for_status,
        )

        headers = build_hf_headers(
            token=None if with_token else False,
            # Compressed, a range would not be the file's own bytes.
            headers={"Range": f"bytes={offset}-{offset + n - 1}", "Accept-Encoding": "identity"},
        )
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", location, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            start = response.headers.get("Content-Range", "").partition("-")[0]
            if response.status_code != _PARTIAL_CONTENT or start != f"bytes {offset}":
                raise DownloadError(
                    _(
                        "the server does not send parts of {file}, only all of it: download it, and give its "
                        "path"
                    ).format(file=self.label(name))
                )
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) >= n:  # a server may send more than it was asked for
                    break
            return bytes(body[:n])


def repository(repo: str) -> HubFolder:
    """The repository as it stands now; one question to the hub.

    Raises `DownloadError` where there is none, where it is gated or where the hub cannot be reached.
    """
    from huggingface_hub import HfApi, constants

    with hub_errors(repo, OTHERWISE):
        info = HfApi().model_info(repo, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    names = [sibling.rfilename for sibling in info.siblings or ()]
    return HubFolder(repo, info.sha or constants.DEFAULT_REVISION, names)


def downloaded(repo: str) -> LocalFolder | None:
    """The repository as far as it lies in the hub's cache; None where it does not. Touches no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return LocalFolder(Path(snapshot_download(repo, local_files_only=True)))
    except (LocalEntryNotFoundError, ValueError):
        return None
