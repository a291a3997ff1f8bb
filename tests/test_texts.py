"""Every text is translated, the files are up to date, and every command says everything in one language."""

from __future__ import annotations

import ast
import gettext
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
import texts
from entry import run

from advisor.cli.localized import LocalizedCommand
from advisor.i18n import language_of
from advisor.value import Value, problem

KOREAN = "사용법:"
LANGUAGES = pytest.mark.parametrize("language", texts.TRANSLATED)


def messages(language: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The forms of every text, and of its translation."""
    for message in texts.read(language):
        if message.id:
            yield (
                message.id if isinstance(message.id, tuple) else (message.id,),
                tuple(message.string) if isinstance(message.string, (tuple, list)) else (message.string,),
            )


@LANGUAGES
def test_every_text_is_translated(language: str) -> None:
    """Run `python tests/texts.py` after an edit, and fill in what it names."""
    catalog = texts.read(language)
    known = {message.id for message in catalog if message.id}
    wanted = {text.id for text in texts.texts()}
    assert sorted(map(str, wanted - known)) == [], "texts that are not in the file"
    assert sorted(map(str, known - wanted)) == [], "texts that nobody says"
    assert [said for forms, said in messages(language) if not all(said)] == []
    assert [message.id for message in catalog if message.id and message.fuzzy] == []
    assert list(catalog.obsolete) == []


def places(text: str) -> set[str]:
    """The names of the places for values."""
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name is not None}


@LANGUAGES
def test_translations_have_the_same_places(language: str) -> None:
    """One of click's may leave out what click gives in English: "integer range"."""
    wrong = []
    for forms, said in messages(language):
        allowed = [places(form) for form in forms if "{" in form]
        if forms[0] in texts.CLICK:
            allowed.append(places(forms[0]) - {"number_type"})
        if allowed and any(places(one) not in allowed for one in said):
            wrong.append(forms)
    assert wrong == []


@LANGUAGES
def test_the_compiled_file_is_up_to_date(language: str) -> None:
    with texts.po_file(language).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for forms, said in messages(language):
        got = compiled.ngettext(*forms, 1) if len(forms) == 2 else compiled.gettext(forms[0])
        assert got == said[0], "run python tests/texts.py"


def modules() -> list[Path]:
    return sorted(texts.PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(texts.PACKAGE)))
def test_texts_are_written_out_where_they_are_marked(path: Path) -> None:
    """Nothing that is put together can be found in the file of translations."""
    for call in texts.marked(path):
        put_together = (ast.JoinedStr, ast.BinOp)
        assert not isinstance(call.args[0], put_together), f"{path}:{call.lineno}: {ast.unparse(call)}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(texts.PACKAGE)))
def test_nothing_hides_the_function_of_that_name(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "advisor.i18n"
        and any(alias.name == "_" for alias in node.names)
        for node in ast.walk(tree)
    )
    if imported and path.name != "i18n.py":
        names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "_")
        assert [n.lineno for n in names if isinstance(n.ctx, ast.Store)] == []
        assert [n.lineno for n in ast.walk(tree) if isinstance(n, ast.arg) and n.arg == "_"] == []


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What is not inside a function."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from run_at_import(child)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(texts.PACKAGE)))
def test_nothing_is_said_before_the_language_is_known(path: Path) -> None:
    calls = [n for n in run_at_import(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    early = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id in ("_", "ngettext")]
    assert early == [], "mark a text of module level with N_, and say it where it is used"


@pytest.mark.parametrize("command", [one for _name, one in texts.commands()], ids=lambda c: str(c.name))
def test_every_command_takes_the_language(command: click.Command) -> None:
    assert isinstance(command, LocalizedCommand)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("--locale", "ko", "cost", "--help"), id="before"),
        pytest.param(("cost", "--locale", "ko", "--help"), id="after"),
        pytest.param(("cost", "--help", "--locale=ko"), id="behind --help"),
        pytest.param(("models", "--locale", "ko", "list", "--help"), id="in the middle"),
        pytest.param(("--locale", "en", "cost", "--help", "--locale", "ko"), id="the last holds"),
    ],
)
def test_the_language_is_asked_for_anywhere(words: tuple[str, ...]) -> None:
    assert run(*words).stdout.startswith(KOREAN)


def test_a_refusal_is_in_that_language_too() -> None:
    refused = run("cost", "--no-such-flag", "--locale", "ko")
    assert refused.exit_code == 2
    assert "'--no-such-flag' 옵션이 없습니다." in refused.stderr


def test_the_language_of_the_last_run_is_not_that_of_the_next() -> None:
    assert run("--locale", "ko", "--help").stdout.startswith(KOREAN)
    assert run("--locale", "en", "--help").stdout.startswith("Usage:")
    assert run("--help", env={"LANGUAGE": "en"}).stdout.startswith("Usage:")


def test_the_environment_is_asked() -> None:
    assert run("--help", env={"LANGUAGE": "", "LC_ALL": "ko_KR.UTF-8"}).stdout.startswith(KOREAN)


@pytest.mark.parametrize(
    "words", [("--locale", "fr", "cost"), ("cost", "--locale", "fr"), ("cost", "--locale")]
)
def test_another_language_is_refused(words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert refused.exit_code == 2
    assert "--locale" in refused.stderr


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        pytest.param({}, "en", id="nothing"),
        pytest.param({"LANG": "ko_KR.UTF-8"}, "ko", id="LANG"),
        pytest.param({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en", id="C"),
        pytest.param({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko"}, "ko", id="messages"),
        pytest.param({"LANGUAGE": "de:ko:en", "LANG": "de_DE"}, "ko", id="first that there is"),
        pytest.param({"LANGUAGE": "", "LANG": "ko_KR"}, "ko", id="empty"),
        pytest.param({"LANG": "fr_FR.UTF-8"}, "en", id="none that there is"),
    ],
)
def test_the_environment_names_a_language(environment: Mapping[str, str], language: str) -> None:
    assert language_of(environment) == language


class Sample(Value):
    """One field of each kind."""

    n: int = 0
    share: float = 0
    name: str = ""
    ok: bool = False


@pytest.mark.parametrize(
    "document",
    [
        {"n": "x"},
        {"n": 1.5},
        {"n": None},
        {"share": "x"},
        {"share": None},
        {"name": 1},
        {"ok": 7},
        {"more": 1},
    ],
    ids=str,
)
def test_problems_are_told_as_pydantic_tells_them(document: dict[str, object]) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as refused:
        Sample.model_validate(document)
    first = refused.value.errors(include_url=False)[0]
    assert problem(first) == first["msg"]
