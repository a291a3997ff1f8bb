"""The texts that the program says, collected from code, templates and commands, and their translations.

    python tests/texts.py       # after an edit: adds what is new, drops what is gone, compiles

The source of truth is `advisor/locale/LANGUAGE/LC_MESSAGES/advisor.po`; what it compiles into, beside it,
is what the program reads. Needs Babel, which only the tests need.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import click
import jinja2
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import extract_from_ast

from advisor import __version__
from advisor.catalog import load_catalog
from advisor.cli import COMMANDS, advisor
from advisor.cli.localized import paragraphs
from advisor.cli.models.wording import sentences
from advisor.hardware_catalog import load_hardware
from advisor.i18n import DOMAIN, LANGUAGES, SOURCE_LANGUAGE
from advisor.machine_cost import Figure
from advisor.prices import load_cost_catalog
from advisor.resources import LOCALE_DIR, TEMPLATES_DIR

PACKAGE: Final = Path(__file__).parent.parent / "advisor"
TRANSLATED: Final = tuple(language for language in LANGUAGES if language != SOURCE_LANGUAGE)
MARKS: Final = ("_", "N_", "ngettext")
DESCRIBED: Final = re.compile(r" with(out)? ")
"""In a preset's title: the others are names that machines are sold under."""

Id = str | tuple[str, str]
"""A text, or its forms for one and for many."""

CLICK: Final[tuple[Id, ...]] = (
    "Commands",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    "Error: invalid input",
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    "Invalid value for {param_hint}: {message}",
    "Invalid value: {message}",
    "Missing argument",
    "Missing command.",
    "Missing option",
    "No such command {name!r}.",
    "No such option {name!r}.",
    "Option {name!r} does not take a value.",
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    "Options",
    "Show the version and exit.",
    "Show this message and exit.",
    "Usage:",
    "default: {default}",
    "required",
    ("{value!r} does not match the format {format}.", "{value!r} does not match the formats {formats}."),
    "{value!r} is not a valid {number_type}.",
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    "{value} is not in the range {range}.",
)
"""What of click's own texts our commands can say."""


class Text(NamedTuple):
    """A text to be translated, and the first place it stands at."""

    id: Id
    place: str


def texts() -> list[Text]:
    """Every text of the program, the first place it stands at."""
    found = [*_of_code(), *_of_templates(), *_of_commands(), *_of_catalog(), *_of_click()]
    return [*{text.id: text for text in reversed(found) if text.id}.values()]


def _of_code() -> Iterator[Text]:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = str(path.relative_to(PACKAGE.parent))
        for call in marked(path):
            words = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
            if words and isinstance(words[0], str):
                yield Text((words[0], words[1]) if len(words) == 2 else words[0], place)


def marked(path: Path) -> list[ast.Call]:
    """The calls that mark a text, or say one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in MARKS]


def _of_templates() -> Iterator[Text]:
    environment = jinja2.Environment()
    for path in sorted(TEMPLATES_DIR.rglob("*.j2")):
        tree = environment.parse(path.read_text(encoding="utf-8"))
        for _line, _mark, text in extract_from_ast(tree, ("_",)):
            if isinstance(text, str):
                yield Text(text, f"templates/{path.name}")


def commands(group: click.Group = advisor) -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it, the groups among them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for inner, one in commands(command):
                yield f"{name} {inner}", one


def _of_commands() -> Iterator[Text]:
    for name, command in (("", advisor), *commands()):
        helps = [p.help for p in command.params if isinstance(p, click.Option) and p.help]
        for text in (*paragraphs(command), *helps):
            yield Text(text, f"advisor {name}".strip())
    for text in COMMANDS.values():
        yield Text(text, "advisor")


def _of_catalog() -> Iterator[Text]:
    """Notes on models, machines that are described, and how cost figures came about; names are no texts."""
    for model in load_catalog().models:
        for sentence in sentences(model.note or ""):
            yield Text(sentence, "catalog/models")
        yield Text(model.template_note or "", "catalog/models")
    for preset in load_hardware().presets:
        if DESCRIBED.search(preset.title):
            yield Text(preset.title, "catalog/machines")
    costs = load_cost_catalog()
    figures = [value for _name, value in costs if isinstance(value, Figure)]
    for figure in (*figures, *(value for _name, value in costs.electricity)):
        yield Text(figure.unit, "catalog/cloud.yaml")
        yield Text(figure.source, "catalog/cloud.yaml")
    for prices in costs.purchases:
        yield Text(prices.seller, "catalog/cloud.yaml")


def _of_click() -> Iterator[Text]:
    for text in CLICK:
        yield Text(text, "click")


def po_file(language: str) -> Path:
    """The translations into a language, as people edit them."""
    return LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    """The translations that there are; none where there is no file yet."""
    path = po_file(language)
    if not path.exists():
        return Catalog(locale=language, domain=DOMAIN)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def updated(language: str) -> Catalog:
    """The texts of today with the translations that there are: new ones empty, those that went left out."""
    known = read(language)
    catalog = Catalog(
        locale=language,
        domain=DOMAIN,
        project="llm-advisor",
        version=__version__,
        msgid_bugs_address="the issues of the repository",
        last_translator="The advisor maintainers",
        language_team="The advisor maintainers",
        fuzzy=False,
        header_comment="# What `advisor` says. Edit the translations, then run: python tests/texts.py",
        creation_date=datetime(2026, 11, 21, tzinfo=UTC),
        revision_date=datetime(2026, 11, 21, tzinfo=UTC),
    )
    for text in sorted(texts(), key=lambda text: (text.place, str(text.id))):
        message = known.get(text.id)
        said = (
            message.string if message and isinstance(message.string, str) is isinstance(text.id, str) else ""
        )
        catalog.add(text.id, said, locations=[(text.place.replace(" ", "-"), 0)])
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """The file that people edit; texts in the order of the places they stand at, without line numbers."""
    file = io.BytesIO()
    write_po(file, catalog, width=110, include_lineno=False)
    return file.getvalue()


def compiled(catalog: Catalog) -> bytes:
    """The file that the program reads."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> None:
    """Update and compile every language, and tell what is still to be translated."""
    for language in TRANSLATED:
        catalog = updated(language)
        path = po_file(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_po(catalog))
        path.with_suffix(".mo").write_bytes(compiled(catalog))
        missing = [message.id for message in catalog if message.id and not any(message.string)]
        sys.stderr.write(f"{language}: {len(catalog)} texts, {len(missing)} to be translated\n")
        sys.stderr.writelines(f"  {text!r}\n" for text in missing)


if __name__ == "__main__":
    main()
