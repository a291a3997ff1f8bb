"""What must not leave a machine is replaced before anything is written: names, serial numbers, addresses.

Names of this host and its users are known, and are replaced wherever they stand as words. All else is known
by its form (a UUID, a token) or by what stands before it ("Serial: …"). An original always gets the same
stand-in, of its own form, so that what was read still fits together and parses. Words that recordings of any
machine have ("max", "root") are nobody's secret and stay, even where someone is called so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from pydantic import JsonValue

from advisor.hardware import GpuSpec
from advisor.probes.recording import LibraryAnswer, ToolAnswer, Transcript

MIN_NAME: Final = 3
"""A shorter name is replaced in paths alone: any two letters stand somewhere in every text."""
COMMON_NAMES: Final = """
admin administrator arch archlinux centos cloud core cpu debian deck default docker fedora gpu guest home host
jetson kali linux localdomain localhost mac macbook max memory name nobody nvidia opc owner public raspberrypi
rocky root runner secret serial server shared steamdeck system test total ubuntu unknown user users vagrant
vscode windows
"""
"""Accounts and hosts that images come with, words of every recording, and the stand-ins below."""


class Identity(NamedTuple):
    """What names this machine and the people on it."""

    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """Accounts, and their owners' names."""
    homes: tuple[str, ...] = ()
    """Home folders."""


class Scrubber:
    """Replaces what identifies; equal originals get equal stand-ins."""

    def __init__(self, identity: Identity, vocabulary: Iterable[str] = ()) -> None:
        """vocabulary: words, in lower case, that stay even where they are names: those of hardware."""
        common = frozenset(vocabulary).union(COMMON_NAMES.split())
        self._words = (
            *((_word(name), "host") for name in _telling(identity.hosts, common)),
            *((_word(name), "user") for name in _telling(identity.users, common)),
        )
        self._homes = [re.escape(home.rstrip("/\\")) for home in identity.homes if _is_personal(home)]
        self._stand_ins: dict[tuple[str, str], str] = {}

    def text(self, text: str) -> str:
        """The text without what identifies."""
        for home in self._homes:
            text = re.sub(rf"{home}(?![\w.-])", "/home/user", text)
        for kind, pattern in _RULES:
            text = pattern.sub(partial(self._replaced, kind), text)
        for word, stand_in in self._words:
            text = word.sub(stand_in, text)
        return text

    def json(self, value: JsonValue) -> JsonValue:
        """Plain data without what identifies, in its strings and in its keys."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.named(key, item) for key, item in value.items()}
        return value

    def named(self, name: str, value: JsonValue) -> JsonValue:
        """The value of a field or a file, whose name may say that it identifies."""
        kind = next((kind for kind, pattern in _FIELDS if pattern.search(name)), None)
        if kind is None or isinstance(value, bool) or not isinstance(value, str | int):
            return self.json(value)
        original = str(value).strip()
        if not self._identifies(kind, original):
            return self.json(value)
        clean = self.text(original)
        stand_in = clean if self._has_id(clean) else self._stand_in(kind, original)
        return value.replace(original, stand_in) if isinstance(value, str) else len(self._stand_ins)

    def _replaced(self, kind: str, found: re.Match[str]) -> str:
        """What was found with its group "value", or all of it, replaced."""
        group = "value" if "value" in found.re.groupindex else 0
        original = found[group].rstrip()
        if not self._identifies(kind, original):
            return found[0]
        start = found.start(group) - found.start()
        return found[0][:start] + self._stand_in(kind, original) + found[0][start + len(original) :]

    def _identifies(self, kind: str, original: str) -> bool:
        if kind in ("ipv4", "ipv6"):
            return _is_somebodys(original)
        if kind == "name" and original.isdecimal():  # processor time of "user", an account's number
            return False
        return _EMPTY.fullmatch(original) is None and not self._has_id(original)

    def _has_id(self, text: str) -> bool:
        return any(kind == "id" and made in text for (kind, _), made in self._stand_ins.items())

    def _stand_in(self, kind: str, original: str) -> str:
        """What stands for the original: the next of its kind, or the same as before."""
        key = kind, original.lower()
        if key not in self._stand_ins:
            number = 1 + sum(known == kind for known, _ in self._stand_ins)
            self._stand_ins[key] = _FORMS[kind](number, original)
        return self._stand_ins[key]


def vocabulary(specs: Iterable[GpuSpec]) -> frozenset[str]:
    """The words that GPUs are called by, in lower case."""
    names = (name for spec in specs for name in (spec.name, spec.architecture, *spec.match))
    return frozenset(word.lower() for name in names for word in re.findall(r"[^\W_]+", name))


def scrubbed(transcript: Transcript, scrubber: Scrubber) -> Transcript:
    """The transcript as anybody may see it."""
    return Transcript(
        platform=transcript.platform,
        environ={name: str(scrubber.named(name, value)) for name, value in transcript.environ.items()},
        files={scrubber.text(path): _file(path, text, scrubber) for path, text in transcript.files.items()},
        globs={
            scrubber.text(pattern): tuple(map(scrubber.text, paths))
            for pattern, paths in transcript.globs.items()
        },
        tools=tuple(_tool(tool, scrubber) for tool in transcript.tools),
        asked={
            scrubber.text(name): _library(name, told, scrubber) for name, told in transcript.asked.items()
        },
    )


def _file(path: str, text: str | None, scrubber: Scrubber) -> str | None:
    if text is None:
        return None
    return str(scrubber.named(path.rpartition("/")[2], text))


def _tool(tool: ToolAnswer, scrubber: Scrubber) -> ToolAnswer:
    output = None if tool.output is None else scrubber.text(tool.output)
    return ToolAnswer(argv=tuple(map(scrubber.text, tool.argv)), output=output, out_of_time=tool.out_of_time)


def _library(name: str, told: LibraryAnswer, scrubber: Scrubber) -> LibraryAnswer:
    failure = None if told.failure is None else scrubber.text(told.failure)
    return LibraryAnswer(answer=scrubber.named(name, told.answer), failure=failure)


def _telling(names: Iterable[str], common: frozenset[str]) -> list[str]:
    """Names that tell something; the longest first, since one may be a part of another."""
    known = {name.strip() for name in names}
    telling = [name for name in known if len(name) >= MIN_NAME and name.lower() not in common]
    return sorted(telling, key=lambda name: (-len(name), name))


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)


def _is_personal(home: str) -> bool:
    """Whether the folder is one person's own: not "/", not "/root"."""
    return len([part for part in re.split(r"[/\\]", home) if part]) >= 2


def _is_somebodys(address: str) -> bool:
    """Whether it is an address at all, and not this machine's own loopback."""
    try:
        known = ip_address(address)
    except ValueError:  # a version, a time of day, a place on a bus
        return False
    return not (known.is_loopback or known.is_unspecified or address.startswith(("192.0.2.", "2001:db8::")))


# ---- stand-ins look like what they stand for


def _hexadecimal(number: int, original: str) -> str:
    """As many hexadecimal digits in the same groups."""
    digits = iter(f"{number:0{sum(c.isalnum() for c in original)}x}")
    return "".join(next(digits) if c.isalnum() else c for c in original)


def _serial(number: int, original: str) -> str:
    return str(number) if original.isdecimal() else f"serial-{number}"


_FORMS: Final[Mapping[str, Callable[[int, str], str]]] = {
    "id": _hexadecimal,
    "serial": _serial,
    "ipv4": lambda number, _: str(IPv4Address("192.0.2.0") + number),  # for documentation (RFC 5737)
    "ipv6": lambda number, _: str(IPv6Address("2001:db8::") + number),  # for documentation (RFC 3849)
    "secret": lambda number, _: f"secret-{number}",
    "name": lambda number, _: f"name-{number}",
    "user": lambda number, _: "user",
}

_EMPTY: Final = re.compile(
    r"[\W_0]*|none|null|n/a|\[?(?:n/a|not (?:supported|available|specified|found))\]?|unknown|true|false"
    r"|(?:serial|name|secret)-\d+|user|host",
    re.IGNORECASE,
)
"""Values that tell nothing, stand-ins among them."""

# ---- how it is recognized: by the name of a field, or by its form

_SERIAL: Final = (
    r"serial(?:[ _-]?(?:numbers?|num|no))?|uuid|udid|guid"
    r"|(?:unique|hive|machine|boot|asset|service)[ _-]?(?:id|tag)"
)
_NAME: Final = (
    r"(?:host|computer|node|user|real|full|system|cs|network|volume)[ _-]?name|e?ssid|owner|login|user"
    r"|registered[ _-]?(?:user|to)"
)
_SECRET: Final = (
    r"(?:api|access|private|auth)[ _-]?keys?|tokens?|secrets?|passw(?:or)?d|passphrase|credentials?"
    r"|authorization"
)
_FIELDS: Final = tuple(
    (kind, re.compile(rf"(?:^|[^a-z]|(?<=[a-z])(?=[A-Z]))(?i:{names})(?i:[ _-]?\d?|s?)$"))
    for kind, names in (("serial", _SERIAL), ("name", _NAME), ("secret", _SECRET))
)
"""Fields and files whose value identifies, whatever it looks like."""


def _after(names: str, value: str = r'[^",;}\]\n]+') -> re.Pattern[str]:
    """A value after its name, as JSON, `key: value` and `key=value` have it."""
    return re.compile(
        rf'(?:{names})[ _-]?\d?(?:[ \t]*\([^)\n]*\))?["\']?[ \t]*[:=][ \t]*"?(?P<value>{value})',
        re.IGNORECASE,
    )


_HEX: Final = r"[0-9A-Fa-f]"
_START, _END = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"

_RULES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("secret", re.compile(r"://(?P<value>[^/\s:@]+:[^/\s@]+)(?=@)")),
    (
        "secret",
        re.compile(
            rf"{_START}(?:hf_|sk-|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|AIza|eyJ)(?:-?[\w.]){{8,}}{_END}"
        ),
    ),
    (
        "secret",
        re.compile(rf"(?i:(?:{_SECRET})[\"']?(?:[ \t]*[:=]|[ \t])[ \t]*[\"']?)(?P<value>[^\s\"',;}}\]]+)"),
    ),
    (
        "user",
        re.compile(
            r"(?i:(?<![\w.-])(?:home|users|run/media)[/\\]+)"
            r"(?P<value>[^/\\\n\"':;,]*[^/\\\s\"':;,](?=[/\\])|[^/\\\s\"':;,]+)"  # names with spaces: Windows
        ),
    ),
    (
        "name",
        re.compile(r"(?<=/)(?:lxc(?:\.\w+)?[./]|machine-)(?P<value>[^/\n]+?)(?=\.scope|/|$)", re.MULTILINE),
    ),
    ("name", re.compile(r"(?P<value>[\w.+-]+@(?=[\w-]*[G-Zg-z])(?!\w+\.(?:service|slice|scope))[\w.-]+)")),
    ("id", re.compile(rf"(?:{_START}|(?<=pod)){_HEX}{{8}}(?:[-_]{_HEX}{{4}}){{3}}[-_]{_HEX}{{12}}{_END}")),
    ("id", re.compile(rf"{_START}{_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5,19}}{_END}")),  # MAC, InfiniBand
    ("id", re.compile(rf"{_START}{_HEX}{{4}}(?::{_HEX}{{4}}){{3}}(?!:?[0-9A-Za-z])")),
    ("id", re.compile(rf"{_START}(?:0x)?(?P<value>{_HEX}{{32,}}){_END}")),
    (
        "ipv4",
        re.compile(r"(?<![0-9A-Za-z.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z]|\.\d|-[A-Za-z])"),
    ),  # no kernel's version
    ("ipv6", re.compile(rf"{_START}(?:{_HEX}{{1,4}}|:(?=:))(?:::?{_HEX}{{1,4}}){{0,7}}(?:::)?{_END}")),
    ("serial", _after(_SERIAL)),
    (
        "serial",
        re.compile(
            rf"^[\w-]*(?:{_SERIAL})[ \t]+(?P<value>(?=\S*\d)\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE
        ),
    ),
    ("serial", re.compile(r"<\w*(?i:serial|uuid)\w*>(?P<value>[^<\n]+)<")),
    ("name", _after(rf"(?<![a-z])(?:{_NAME})")),
    ("secret", re.compile(r"(?<!\w)(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)\w{24,}(?!\w)", re.ASCII)),
)
"""(kind, pattern), in the order they are looked for; the group "value" is replaced, or all of it."""
