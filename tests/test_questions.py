"""The questionnaire, answered with keys: in a pipe for its turns, once in a terminal for the whole way."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from simulated import machine

from advisor.cli.questions import QUESTIONS, SKIP, as_flags, ask
from advisor.cli.recommend import command
from advisor.hardware import Machine
from advisor.i18n import use_language

ENTER: Final = "\r"
DOWN: Final = "\x1b[B"
HARDWARE: Final = ("--hardware", "RTX 3070 8 GB, 32 GB RAM", "--method", "rules")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LANGUAGE", "en")  # what `use_language` sets is set back
    use_language("en")
    yield
    use_language("en")


def answered(keys: str, asked: Machine) -> dict[str, Any]:
    """What `ask` makes of those keys."""
    with create_pipe_input() as pipe:
        pipe.send_text(keys)
        with create_app_session(input=pipe, output=DummyOutput()):
            return ask(asked)


@pytest.mark.parametrize(
    ("keys", "flags"),
    [
        pytest.param(ENTER * 8, "--use-case chat --users 1 --quality balanced", id="Enter all the way"),
        pytest.param(
            DOWN + ENTER * 8,
            "--use-case coding --ctx 32768 --users 1 --quality balanced",
            id="a longer context",
        ),
        pytest.param(
            DOWN * 3 + ENTER * 8,
            "--use-case rag --documents 1000 --users 1 --quality balanced",
            id="RAG asks for documents, and not what it should know",
        ),
        pytest.param(
            ENTER * 2 + DOWN + ENTER * 2 + ENTER * 4,
            "--knowledge documents --documents 1000 --users 1 --quality balanced",
            id="a chat about documents becomes RAG",
        ),
        pytest.param(
            ENTER + DOWN + ENTER * 5 + DOWN + ENTER,
            "--use-case chat --language ko --users 1 --quality balanced --license commercial",
            id="Korean, commercial",
        ),
        pytest.param(ENTER + DOWN * 7 + ENTER, "--use-case chat", id="no more questions"),
        pytest.param(DOWN * 10 + ENTER, "--yes", id="no questions at all"),
    ],
)
def test_the_answers_are_the_flags_that_would_have_given_them(keys: str, flags: str) -> None:
    assert " ".join(as_flags(answered(keys, machine(24)))) == flags


@pytest.mark.parametrize(
    ("gpus", "users"),
    [
        pytest.param((), 1, id="no GPU"),
        pytest.param((24,), 1, id="a card"),
        pytest.param((80,), 16, id="a server's card"),
        pytest.param((24, 24, 24, 24), 16, id="four cards"),
    ],
)
def test_the_usual_number_of_users_is_the_machine_s(gpus: tuple[float, ...], users: int) -> None:
    assert answered(ENTER * 8, machine(*gpus))["users"] == users


def test_a_small_card_is_not_asked_to_hold_a_long_context() -> None:
    assert "n_ctx" not in answered(DOWN + ENTER * 8, machine(8))


def test_korean_is_the_first_choice_where_korean_is_spoken() -> None:
    assert "languages" not in answered(ENTER * 8, machine(24))
    use_language("ko")
    assert answered(ENTER * 8, machine(24))["languages"] == ("ko",)


def test_ctrl_c_ends_the_questions() -> None:
    with pytest.raises(KeyboardInterrupt):
        answered("\x03", machine(24))


def test_every_answer_is_a_flag_and_a_key() -> None:
    known = {param.name for param in command.params}
    for question in QUESTIONS:
        flag = as_flags({question.field: "x"})[0].removeprefix("--").replace("-", "_")
        assert known & {flag, question.field}
    assert SKIP not in [value for question in QUESTIONS for value, _title in question.choices]


def test_answers_of_a_file_lead_to_the_stack(tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("knowledge: both\ndocuments: 300\nlicense: commercial\n", encoding="utf-8")
    result = CliRunner().invoke(command, ["--answers", str(answers), *HARDWARE])
    assert result.exit_code == 0
    assert result.output.startswith("For rag on ")
    assert "cut documents into passages" in result.output
    assert "approach: retrieval (RAG) for the facts" in result.output


@pytest.mark.parametrize("text", ["knowledge: poems\n", "documents: 0\n", "chunks: some\n"])
def test_a_wrong_answer_names_its_flag(text: str, tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(command, ["--answers", str(answers), *HARDWARE])
    assert result.exit_code == 1
    assert f"--{text.split(':')[0]}" in str(result.exception)


def in_terminal(*arguments: str, keys: str) -> str:
    """What the program shows in a terminal of its own, told `keys` one by one once it asks."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "advisor", "recommend", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        close_fds=True,
    )
    os.close(terminal)
    shown, waiting, end = "", list(keys), time.monotonic() + TERMINAL_S
    while time.monotonic() < end:
        ready, _, _ = select.select([controller], [], [], QUIET_S)
        if not ready and waiting and "?" in shown:
            os.write(controller, waiting.pop(0).encode())
        if ready:
            try:
                shown += os.read(controller, 65536).decode(errors="replace")
            except OSError:  # the program closed its side
                break
    os.close(controller)
    assert process.wait(timeout=TERMINAL_S) == 0
    return shown


TERMINAL_S: Final = 60.0
"""Enough for a loaded machine; nothing waits for it."""
QUIET_S: Final = 0.2
"""A terminal that is quiet for so long waits for a key."""


def test_a_terminal_is_asked_and_told_the_equal_command() -> None:
    shown = in_terminal(*HARDWARE, keys=ENTER * 7)
    assert "What is the model for?" in shown
    assert "Will it be used commercially?" in shown
    assert "--use-case chat --users 1 --quality balanced --save plan.json" in " ".join(shown.split())


def test_a_terminal_with_an_answer_given_is_not_asked() -> None:
    assert "What is the model for?" not in in_terminal(*HARDWARE, "--use-case", "chat", keys="")
