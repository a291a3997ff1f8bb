"""Commands that say their help in the language in use, and the --locale that every one of them takes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, Final

import click

from advisor.i18n import LANGUAGES, N_, _
from advisor.units import columns

_FILLER: Final = "\u115f"
"""A letter that no text has, so that words are still words: Hangul's own filler."""
FLAG: Final = "--locale"
TYPES: Final = (
    N_("COMMAND [ARGS]..."),
    N_("FLOAT RANGE"),
    N_("INTEGER RANGE"),
    N_("PATH"),
    N_("[OPTIONS]"),
)
"""What click calls values in its help. The names that commands give to theirs stay: help texts name them."""


def asked_language(words: Sequence[str]) -> str | None:
    """The language that the words of a command line ask for, before or after the command's name.

    Looked for before anything is parsed, since a refusal and a help page are said in it too. None: none is
    asked for, or one that there is not, which click refuses.
    """
    asked = None
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag, _equals, value = word.partition("=")
        if flag == FLAG:
            asked = value or following
    return asked if asked in LANGUAGES else None


class WideFormatter(click.HelpFormatter):
    """A formatter for letters of two columns: each is followed by a filler while click counts letters."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _filled(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_filled(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        filled = [(_filled(name), _filled(text)) for name, text in rows]
        super().write_dl(filled, col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_FILLER, "")


class _Context(click.Context):
    formatter_class = WideFormatter


class LocalizedCommand(click.Command):
    """A command with --locale, whose texts are written in English and translated as they are shown."""

    context_class = _Context

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        language = click.Choice(LANGUAGES)
        text = N_("Language of the output.  [default: the environment's]")
        self.params.append(click.Option([FLAG], type=language, expose_value=False, help=text))

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of a copy whose texts are translated: the command itself may be asked again."""
        said = copy(self)
        said.help = "\n\n".join(_(paragraph) for paragraph in paragraphs(self))
        said.options_metavar = _(self.options_metavar or "")
        said.params = [_said(param, ctx) for param in self.params]
        said._help_option = None  # click keeps it with the text of the language that was asked first
        if isinstance(said, click.Group):
            said.subcommand_metavar = _(said.subcommand_metavar)
        super(LocalizedCommand, said).format_help(ctx, formatter)

    def get_short_help_str(self, limit: int = 45) -> str:
        """What a group lists of the command: the first paragraph of its help, whole."""
        return _(paragraphs(self)[0])


class LocalizedGroup(LocalizedCommand, click.Group):
    """A group of such commands."""

    command_class = LocalizedCommand


def paragraphs(command: click.Command) -> list[str]:
    """The help as it is translated: the docstring's paragraphs, without the line breaks that click sets."""
    return [" ".join(text.split()) for text in inspect.cleandoc(command.help or "").split("\n\n")]


def _filled(text: str) -> str:
    return "".join(letter + _FILLER * (columns(letter) - 1) for letter in text)


def _said(param: click.Parameter, ctx: click.Context) -> click.Parameter:
    said = copy(param)
    said.metavar = _(param.make_metavar(ctx))
    if isinstance(said, click.Option):
        said.help = _(said.help or "")
    return said
