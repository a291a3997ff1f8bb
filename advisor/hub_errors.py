"""What the hub's library raises, as one line: what happened and what to do."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from advisor.errors import AdvisorError, DownloadError
from advisor.i18n import _

_TOO_MANY_REQUESTS: Final = 429
_REFUSALS: Final = (401, 403, 404)


@contextmanager
def hub_errors(repo: str, otherwise: str) -> Iterator[None]:
    """Turn what the hub's library raises into one line; its own log of retries is held back meanwhile.

    otherwise: what the user can do instead, "or …".
    """
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except AdvisorError:
        raise
    except Exception as error:  # versions of the library differ in the HTTP errors that they let through
        raise DownloadError(
            _("{problem}, {otherwise}").format(problem=_explain(error, repo), otherwise=_(otherwise))
        ) from error
    finally:
        logger.setLevel(level)


def _explain(error: Exception, repo: str) -> str:
    chain = list(_chain(error))
    names = " ".join(type(link).__name__ for link in chain)
    codes = [code for link in chain if (code := _status(link)) is not None]
    if codes:
        return _refusal(codes[0], names, repo)
    return _trouble(error, names, repo)


def _trouble(error: Exception, names: str, repo: str) -> str:
    """Explain what went wrong before the hub gave any answer; `names` as in `_refusal`."""
    numbers = {link.errno for link in _chain(error) if isinstance(link, OSError)}
    if errno.ENOSPC in numbers:
        return _("the disk became full during the download: free some space, or set HF_HOME to another disk")
    if numbers & {errno.EACCES, errno.EPERM, errno.EROFS}:
        text = _("the hub's cache cannot be written ({problem}): set HF_HOME to a folder of yours")
        return text.format(problem=error)
    if "OfflineMode" in names:
        return _("{repo} is not in the cache, and HF_HUB_OFFLINE is set: unset it").format(repo=repo)
    if "Timeout" in names or "Connect" in names or "ProxyError" in names:
        text = (
            _("{hub} cannot be reached (no answer in time): check network, proxy and HF_ENDPOINT")
            if "Timeout" in names
            else _("{hub} cannot be reached (no connection): check network, proxy and HF_ENDPOINT")
        )
        return text.format(hub=_endpoint())
    if "Protocol" in names or "ReadError" in names or "Consistency check" in str(error):
        return _("the download from {repo} broke off again and again: run it once more").format(repo=repo)
    what = (str(error).strip() or type(error).__name__).splitlines()[0]
    return _("{repo} could not be downloaded ({what}): try again").format(repo=repo, what=what)


def _refusal(code: int, names: str, repo: str) -> str:
    """Explain a status of the hub's; `names` are the classes of the library's errors."""
    page = f"{_endpoint()}/{repo}"
    if "GatedRepo" in names:
        text = _("{repo} is gated: accept its licence at {page}, and set HF_TOKEN to a token of that account")
        return text.format(repo=repo, page=page)
    if "EntryNotFound" in names:
        text = _("a file that was asked for is not in {repo}: it was renamed or removed")
        return text.format(repo=repo)
    if "RepositoryNotFound" in names or code == 404:
        text = _("there is no repository {repo}, or only some may see it: check it, set HF_TOKEN")
        return text.format(repo=repo)
    meanings = {
        401: _("the hub wants a valid token (401): set HF_TOKEN, or unset one that is no longer valid"),
        403: _("access to {repo} is forbidden (403): ask for it at {page}, and set HF_TOKEN"),
        429: _("the hub was asked too often (429): wait some minutes, or set HF_TOKEN for a higher limit"),
    }
    text = meanings.get(code, _("the hub answered with status {code}: try again later"))
    return text.format(repo=repo, page=page, code=code)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _status(error: BaseException) -> int | None:
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def is_missing(error: DownloadError) -> bool:
    """Whether the hub knows no repository of that name, or shows none to us."""
    names = " ".join(type(link).__name__ for link in _chain(error))
    return "RepositoryNotFound" in names and "GatedRepo" not in names


def is_gated(error: DownloadError) -> bool:
    """Whether an acceptance and a token would open the repository."""
    return any("GatedRepo" in type(link).__name__ for link in _chain(error))


def is_refusal(error: DownloadError) -> bool:
    """Whether the hub answered, and another repository may well be had."""
    return any(_status(link) in _REFUSALS for link in _chain(error))


def retry_after_s(error: DownloadError) -> int | None:
    """The seconds after which the hub wants to be asked again; None where it does not say."""
    for link in _chain(error):
        if _status(link) == _TOO_MANY_REQUESTS:
            headers = getattr(getattr(link, "response", None), "headers", {})
            seconds = str(headers.get("Retry-After", "")).strip()
            return int(seconds) if seconds.isdecimal() else None
    return None
