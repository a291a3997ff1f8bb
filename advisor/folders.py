"""A folder of model files that are read piece by piece, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from advisor.errors import AdvisorError
from advisor.i18n import _

Read = Callable[[int, int], bytes]
"""(offset, n) → up to n bytes from there; fewer only where the file ends."""


class Opened(NamedTuple):
    """A file that can be read while its folder keeps it open."""

    read: Read
    size: int
    """Bytes."""


class Folder(Protocol):
    """What the readers of headers need of a folder; names may have `/` in them."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def label(self, name: str) -> str:
        """The file as a message names it."""

    def open(self, name: str) -> AbstractContextManager[Opened]:
        """A file that is there; raises `OSError` or an `AdvisorError` of its own where it cannot be read."""


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def label(self, name: str) -> str:
        return str(self.path / name)

    @contextmanager
    def open(self, name: str) -> Iterator[Opened]:
        path = self.path / name
        with path.open("rb") as file:

            def read(offset: int, n: int) -> bytes:
                file.seek(offset)
                return file.read(n)

            yield Opened(read, path.stat().st_size)


@contextmanager
def naming(label: str, kind: type[AdvisorError]) -> Iterator[None]:
    """Put the file's name before what is wrong with it; what the system refuses becomes that `kind` too."""
    try:
        yield
    except OSError as error:
        raise kind(
            _("{label}: cannot be read: {reason}").format(label=label, reason=_(error.strerror or str(error)))
        ) from error
    except kind as error:
        raise kind(f"{label}: {error}") from error
