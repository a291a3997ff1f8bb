"""The few questions that `recommend` asks in a terminal: plain words, and Enter is always an answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import click

from advisor.advice import MANY_GPUS
from advisor.hardware import Machine
from advisor.i18n import N_, SOURCE_LANGUAGE, _, language
from advisor.ranking import LARGE_CARD_BYTES
from advisor.units import GIB
from advisor.usecase import DEFAULT_N_CTX, LONG_N_CTX, PROFILES, UseCase

Answers = dict[str, Any]
"""Under the names of `Requirements`."""


class Question(NamedTuple):
    """One question, and which of its choices comes first, where Enter takes it."""

    field: str
    text: str
    choices: tuple[tuple[Any, str], ...]
    """Values and what is shown for them."""
    usual: Callable[[Machine, Answers], Any]
    """The choice that the machine and the answers so far suggest."""
    fits: Callable[[Answers], bool] = lambda answers: True
    """Whether to ask it after those answers."""


def _same(value: Any) -> Callable[[Machine, Answers], Any]:
    return lambda machine, answers: value


def should_ask(flags: Mapping[str, Any], *, yes: bool) -> bool:
    """Whether to ask: in a terminal, with nothing answered yet, unless told never to."""
    return not yes and not flags and sys.stdin.isatty() and sys.stdout.isatty()


def ask(machine: Machine) -> Answers:
    """What was answered, without what is the default anyway.

    Raises `KeyboardInterrupt` on Ctrl-C.
    """
    hint = _("Planning for: {machine}  (Enter takes the first choice; --yes never asks)")
    click.echo(hint.format(machine=machine.title) + "\n")
    answers: Answers = {}
    for question in QUESTIONS:
        if not question.fits(answers):
            continue
        chosen = _select(question, question.usual(machine, answers))
        if chosen == SKIP:
            break
        answers[question.field] = chosen
    return _stated(answers)


def as_flags(answers: Mapping[str, Any]) -> list[str]:
    """The answers as the flags that would have given them; without any, the one that asks for none."""
    if not answers:
        return ["--yes"]
    names = {"languages": "language", "n_ctx": "ctx"}
    flags: list[str] = []
    for field, value in answers.items():
        for one in value if isinstance(value, tuple) else (value,):
            flags += [f"--{names.get(field, field).replace('_', '-')}", str(one)]
    return flags


def _stated(answers: Answers) -> Answers:
    """The answers that ask for something; documents of one's own turn a chat into retrieval by themselves."""
    stated = {field: value for field, value in answers.items() if value not in _NOTHING.get(field, ())}
    if stated.get("use_case") == "chat" and stated.get("knowledge") in _OF_DOCUMENTS:
        del stated["use_case"]
    return stated


def _language(machine: Machine, answers: Answers) -> tuple[str, ...]:
    """What the program itself speaks."""
    return (language(),) if language() != SOURCE_LANGUAGE else ()


def _users(machine: Machine, answers: Answers) -> int:
    """A server is bought for a team."""
    large = any(gpu.capacity_bytes >= LARGE_CARD_BYTES and not gpu.unified for gpu in machine.gpus)
    return TEAM if large or len(machine.gpus) >= MANY_GPUS else 1


def _n_ctx(machine: Machine, answers: Answers) -> int:
    """What the use case fills, where the cache for it is a small part of the memory."""
    wanted = PROFILES[UseCase(answers.get("use_case", "chat"))].n_ctx
    room = sum(gpu.capacity_bytes for gpu in machine.gpus)
    return LONG_N_CTX if wanted > DEFAULT_N_CTX and room >= LONG_CONTEXT_BYTES else DEFAULT_N_CTX


def _answers_from_documents(answers: Answers) -> bool:
    return answers.get("use_case") == "rag" or (
        answers.get("use_case") == "chat" and answers.get("knowledge") in _OF_DOCUMENTS
    )


def _learns(answers: Answers) -> bool:
    return answers.get("use_case") not in ("rag", "embedding", "fast")


def _has_context(answers: Answers) -> bool:
    return answers.get("use_case") != "embedding"


SKIP: Final = "skip"
_OF_DOCUMENTS: Final = ("documents", "both")
TEAM: Final = 16
LONG_CONTEXT_BYTES: Final = 20 * GIB
"""A card of 24 GB: 32,768 tokens of cache are a tenth of it for most models."""
_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "languages": ((),),
    "knowledge": ("none",),
    "license": ("any",),
    "n_ctx": (DEFAULT_N_CTX,),
}
"""Answers that are the defaults of their flags, by field."""

QUESTIONS: Final = (
    Question(
        "use_case",
        N_("What is the model for?"),
        (
            ("chat", N_("General chat and writing")),
            ("coding", N_("Writing and explaining code")),
            ("reasoning", N_("Mathematics and hard problems")),
            ("rag", N_("Answering from my documents")),
            ("agent", N_("Calling tools by itself")),
            ("vision", N_("Understanding images")),
            ("summarize", N_("Summarizing")),
            ("translate", N_("Translating")),
            ("fast", N_("Answering as fast as possible")),
            ("embedding", N_("Embeddings for search")),
        ),
        _same("chat"),
    ),
    Question(
        "languages",
        N_("Which language must it speak?"),
        (
            ((), N_("English is enough")),
            (("ko",), N_("Korean")),
            (("ja",), N_("Japanese")),
            (("zh",), N_("Chinese")),
            (("de",), N_("German")),
            (("fr",), N_("French")),
            (("es",), N_("Spanish")),
        ),
        _language,
    ),
    Question(
        "knowledge",
        N_("What should it know that it does not?"),
        (
            ("none", N_("Nothing special")),
            ("documents", N_("Our documents")),
            ("style", N_("A style or a format of ours")),
            ("both", N_("Our documents, and a style or a format")),
        ),
        _same("none"),
        _learns,
    ),
    Question(
        "documents",
        N_("How many documents are there?"),
        (
            (100, N_("About 100: a folder")),
            (1_000, N_("About 1,000: a team's")),
            (10_000, N_("About 10,000: a department's")),
            (1_000_000, N_("About 1,000,000: an archive")),
        ),
        _same(1_000),
        _answers_from_documents,
    ),
    Question(
        "n_ctx",
        N_("How long is what it reads and writes at once?"),
        (
            (DEFAULT_N_CTX, N_("A few pages (8,192 tokens)")),
            (LONG_N_CTX, N_("A long report, several files (32,768 tokens)")),
            (131_072, N_("A book (131,072 tokens)")),
        ),
        _n_ctx,
        _has_context,
    ),
    Question(
        "users",
        N_("How many people use it at the same moment?"),
        ((1, N_("One")), (4, N_("A few (4)")), (TEAM, N_("A team (16)"))),
        _users,
    ),
    Question(
        "quality",
        N_("What matters more?"),
        (
            ("balanced", N_("Balance quality and speed")),
            ("best", N_("The best answers, even if slow")),
            ("fast", N_("Fast answers")),
        ),
        _same("balanced"),
    ),
    Question(
        "license",
        N_("Will it be used commercially?"),
        (
            ("any", N_("No, or not known yet: any licence")),
            ("commercial", N_("Yes: only licences that allow it")),
            ("permissive", N_("Only Apache, MIT and the like")),
        ),
        _same("any"),
    ),
)


def _select(question: Question, usual: Any) -> Any:
    import questionary

    choices = [questionary.Choice(_(title), value=value) for value, title in _first(question.choices, usual)]
    choices.append(questionary.Choice(_("(no more questions: the usual for the rest)"), value=SKIP))
    return questionary.select(_(question.text), choices=choices, instruction=" ").unsafe_ask()


def _first(choices: Sequence[tuple[Any, str]], usual: Any) -> list[tuple[Any, str]]:
    """The choices, the usual one before the others."""
    return sorted(choices, key=lambda choice: choice[0] != usual)
