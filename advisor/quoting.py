"""How a value is written into each kind of file that a deployment has."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from advisor.errors import OutputError
from advisor.i18n import _


def scalar(value: object) -> str:
    """A value for a compose file: JSON, which YAML reads, with `$` doubled, which compose would expand."""
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")


_PLAIN: Final = re.compile(r"[\w./:@%+,=\\-]*", re.ASCII)
_ODD_BACKSLASHES: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?='|$)")


def dotenv(value: str) -> str:
    """A value for compose's `.env`: bare where nothing in it is special, else in single quotes.

    Nothing is expanded in single quotes. Raises `OutputError` for what they cannot hold: control characters,
    and a backslash that would escape a quote.
    """
    if not value.isprintable():
        raise OutputError(
            _("{value!r} cannot be written to .env: remove the control characters").format(value=value)
        )
    if _PLAIN.fullmatch(value):
        return value
    if _ODD_BACKSLASHES.search(value):
        raise OutputError(
            _("{value!r} cannot be written to .env: remove the backslash before the quote or end").format(
                value=value
            )
        )
    quoted = value.replace("'", r"\'")
    return f"'{quoted}'"


def by_flag(args: Sequence[str]) -> list[list[str]]:
    """The arguments, each flag with its value, for a line each."""
    groups: list[list[str]] = []
    for arg in args:
        if arg.startswith("-") or not groups:
            groups.append([])
        groups[-1].append(arg)
    return groups


def line(value: str) -> str:
    """Text for a comment or a heading: one line, whatever a plan holds."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


def cell(text: str) -> str:
    """Text that may stand in a table of Markdown: on one line, no column marks, no markup of its own."""
    shown = line(text)
    for mark in "\\|<*`":
        shown = shown.replace(mark, f"\\{mark}")
    return shown
