"""The README shows what the program prints: its example is run, and the flags it names are checked."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from advisor.cli import COMMANDS, advisor

README = Path(__file__).parent.parent / "README.md"
EXAMPLE = re.compile(r"(```console\n\$ (advisor [^\n]+)\n)(.*?)(```)", re.DOTALL)


def test_the_example_is_printed_so(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = README.read_text(encoding="utf-8")
    example = EXAMPLE.search(text)
    assert example is not None, "the README has no example block"
    arguments = shlex.split(example[2])[1:]
    command = [sys.executable, "-m", "advisor", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    printed = "\n".join(line.rstrip() for line in run.stdout.rstrip().splitlines()) + "\n"
    if request.config.getoption("--update-golden"):
        README.write_text(text.replace(example[0], example[1] + printed + example[4]), encoding="utf-8")
    else:
        assert example[3] == printed


def commands_in_code() -> list[list[str]]:
    """Every `advisor …` line of the README's code blocks, split into words."""
    text = README.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:    |\$ )(?:pip install [^\n&]*&& )?(advisor [^\n#]+)", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("words", commands_in_code(), ids=" ".join)
def test_every_flag_in_the_readme_exists(words: list[str]) -> None:
    assert words[1] in COMMANDS
    command = advisor.get_command(click.Context(advisor), words[1])
    if isinstance(command, click.Group):
        command = command.commands[words[2]]
    assert command is not None
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_names_every_command() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"advisor {name}" not in text] == []
