"""The few questions that `recommend` asks in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from advisor.hardware import Machine

_USE_CASES: Final = (
    ("chat", "General chat and writing"),
    ("coding", "Writing and explaining code"),
    ("reasoning", "Mathematics and hard problems"),
    ("rag", "Answering from my documents"),
    ("agent", "Calling tools by itself"),
    ("vision", "Understanding images"),
    ("summarize", "Summarizing"),
    ("translate", "Translating"),
    ("fast", "Answering as fast as possible"),
    ("embedding", "Embeddings for search"),
)
_LANGUAGES: Final = (
    ("", "English is enough"),
    ("ko", "Korean"),
    ("ja", "Japanese"),
    ("zh", "Chinese"),
    ("de", "German"),
)
_QUALITY: Final = (
    ("balanced", "Balance quality and speed"),
    ("best", "The best answers, even if slow"),
    ("fast", "Fast answers"),
)


def should_ask(flags: Mapping[str, Any], *, yes: bool) -> bool:
    """Whether to ask: in a terminal, with nothing answered yet, unless told never to."""
    return not yes and not flags and sys.stdin.isatty() and sys.stdout.isatty()


def ask(machine: Machine) -> dict[str, Any]:
    """Answers under the names of `Requirements`; Enter takes the first choice of each.

    Raises `click.Abort` on Ctrl-C.
    """
    click.echo(f"Planning for: {machine.title}  (Enter takes the first choice; --yes never asks)\n")
    language = _select("Which language must it speak?", _LANGUAGES)
    answers: dict[str, Any] = {
        "use_case": _select("What is the model for?", _USE_CASES),
        "quality": _select("What matters more?", _QUALITY),
        "users": int(_select("How many people use it at the same moment?", _USERS)),
    }
    return answers | ({"languages": (language,)} if language else {})


def as_flags(answers: Mapping[str, Any]) -> list[str]:
    """The answers as the flags that would have given them."""
    names = {"languages": "language"}
    flags: list[str] = []
    for field, value in answers.items():
        for one in value if isinstance(value, tuple) else (value,):
            flags += [f"--{names.get(field, field).replace('_', '-')}", str(one)]
    return flags


_USERS: Final = (("1", "One"), ("4", "A few (4)"), ("16", "A team (16)"))


def _select(question: str, choices: tuple[tuple[str, str], ...]) -> str:
    import questionary

    answer = questionary.select(
        question, choices=[questionary.Choice(title, value=value) for value, title in choices]
    ).ask()
    if answer is None:
        raise click.Abort
    return str(answer)
