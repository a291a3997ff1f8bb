"""The dump: Markdown for people, and in it, block by block, the recording that a program reads back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from advisor.errors import HardwareError
from advisor.i18n import _
from advisor.probes.recording import Transcript
from advisor.value import SCHEMA_VERSION, Value

BLOCKS: Final = ("about", "environ", "files", "globs", "tools", "asked")
"""Parts of a recording, each a block of its own."""
OPENING: Final = re.compile(r"```json recording-(\w+)")
CLOSING: Final = "```"
"""No line within a block is this, since every line of JSON has a bracket, a quote or a figure."""
MANY_LINES: Final = 2
"""Texts of more lines are written as lists of lines, which people can read."""


class About(Value):
    """Who recorded, and when; names and addresses are not in it."""

    schema_version: int
    advisor: str
    date: str
    platform: str


class Dump(Value):
    """What a dump holds for a program."""

    about: About
    transcript: Transcript


def blocks(dump: Dump) -> str:
    """The recording as fenced JSON."""
    parts = {"about": dump.about.model_dump(mode="json"), **_parts(dump.transcript)}
    return "\n\n".join(
        f"```json recording-{name}\n{json.dumps(parts[name], indent=1)}\n{CLOSING}" for name in BLOCKS
    )


def parse(text: str) -> Dump:
    """The recording in a dump, also from a page where other text is around it.

    Raises `HardwareError` naming the block that is missing, doubled or damaged.
    """
    found: dict[str, Any] = {}
    for name, body in _fenced(text):
        if name in found:
            raise HardwareError(_("it holds the block {name} twice: keep one recording").format(name=name))
        found[name] = _json(name, body)
    missing = [name for name in BLOCKS if name not in found]
    if missing:
        raise HardwareError(_("it lacks the block {name}, or the marks around it").format(name=missing[0]))
    try:
        about = About.model_validate(found["about"])
        if about.schema_version != SCHEMA_VERSION:
            newer = _("it is of version {version}: install a newer advisor")
            raise HardwareError(newer.format(version=about.schema_version))
        return Dump(about=about, transcript=_transcript(about.platform, found))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][:2])
        raise HardwareError(" ".join(f"{place}: {first['msg']}".split())) from error


def _fenced(text: str) -> Iterator[tuple[str, str]]:
    """The blocks by name; line ends may be any system's, and lines may be indented."""
    name, lines = "", list[str]()
    for line in map(str.strip, text.split("\n")):
        if name and line == CLOSING:
            yield name, "\n".join(lines)
            name, lines = "", []
        elif name:
            lines.append(line)
        elif opening := OPENING.fullmatch(line):
            name = opening[1]
    if name:
        raise HardwareError(_("the block {name} has no end: the file is cut off").format(name=name))


def _parts(transcript: Transcript) -> dict[str, Any]:
    tools = [{**tool.model_dump(mode="json"), "output": _folded(tool.output)} for tool in transcript.tools]
    return {
        "environ": dict(transcript.environ),
        "files": {path: _folded(text) for path, text in transcript.files.items()},
        "globs": {pattern: list(paths) for pattern, paths in transcript.globs.items()},
        "tools": tools,
        "asked": {name: told.model_dump(mode="json") for name, told in transcript.asked.items()},
    }


def _transcript(platform: str, found: Mapping[str, Any]) -> Transcript:
    files, tools = found["files"], found["tools"]
    if isinstance(files, dict):
        files = {path: _unfolded(text) for path, text in files.items()}
    if isinstance(tools, list):
        tools = [
            {**tool, "output": _unfolded(tool.get("output"))} if isinstance(tool, dict) else tool
            for tool in tools
        ]
    rest = {name: found[name] for name in ("environ", "globs", "asked")}
    return Transcript.model_validate({"platform": platform, "files": files, "tools": tools, **rest})


def _folded(text: str | None) -> str | list[str] | None:
    """A text of many lines as a list of them."""
    return text if text is None or text.count("\n") < MANY_LINES else text.split("\n")


def _unfolded(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return value


def _json(name: str, body: str) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition(":")[0]
        damaged = _("the block {name} is damaged ({reason})").format(name=name, reason=reason)
        raise HardwareError(damaged) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
