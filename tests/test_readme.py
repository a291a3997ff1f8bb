"""The READMEs show what the program prints: their example is run, and the flags they name are checked."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from advisor.cli import COMMANDS, advisor

ROOT = Path(__file__).parent.parent
READMES = {"en": ROOT / "README.md", "ko": ROOT / "README.ko.md"}
EXAMPLE = re.compile(r"(```console\n\$ (advisor [^\n]+)\n)(.*?)(```)", re.DOTALL)


@pytest.mark.parametrize("language", READMES)
def test_the_example_is_printed_so(language: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = READMES[language]
    text = path.read_text(encoding="utf-8")
    example = EXAMPLE.search(text)
    assert example is not None, "the README has no example block"
    arguments = shlex.split(example[2])[1:]
    command = [sys.executable, "-m", "advisor", *arguments]
    environment = {**os.environ, "LANGUAGE": language}
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment, encoding="utf-8"
    )
    printed = "\n".join(line.rstrip() for line in run.stdout.rstrip().splitlines()) + "\n"
    if request.config.getoption("--update-golden"):
        path.write_text(text.replace(example[0], example[1] + printed + example[4]), encoding="utf-8")
    else:
        assert example[3] == printed


def commands_in_code(path: Path) -> list[list[str]]:
    """Every `advisor …` line of a README's code blocks, split into words."""
    text = path.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:    |\$ )(?:pip install [^\n&]*&& )?(advisor [^\n#]+)", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("words", commands_in_code(READMES["en"]), ids=" ".join)
def test_every_flag_in_the_readme_exists(words: list[str]) -> None:
    assert words[1] in COMMANDS
    command = advisor.get_command(click.Context(advisor), words[1])
    if isinstance(command, click.Group):
        command = command.commands[words[2]]
    assert command is not None
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("path", READMES.values(), ids=READMES)
def test_the_readme_names_every_command(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"advisor {name}" not in text] == []


def code_in(path: Path) -> list[str]:
    """Every line of code without its comment, and what stands in backticks, in the order of the alphabet."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^    ([^\n#]+)", EXAMPLE.sub("", text), re.MULTILINE)
    python = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return sorted((*(line.strip() for line in blocks), *python, *set(re.findall(r"`([^`\n]+)`", text))))


def test_both_readmes_show_the_same_code() -> None:
    english, korean = (code_in(path) for path in READMES.values())
    assert [line for line in english if line not in korean] == []
    assert commands_in_code(READMES["ko"]) == commands_in_code(READMES["en"])


@pytest.mark.parametrize(("language", "other"), [("en", "ko"), ("ko", "en")])
def test_each_readme_leads_to_the_other(language: str, other: str) -> None:
    head = READMES[language].read_text(encoding="utf-8").splitlines()[:4]
    assert any(f"]({READMES[other].name})" in line for line in head)
