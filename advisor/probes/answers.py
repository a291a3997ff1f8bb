"""Reading what tools print and files hold: anything may come, and nothing of it may stop detection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from advisor.units import GIB, KIB, MIB

LARGEST: Final = 1 << 60
"""An exbibyte: no size that is larger is one."""
MOST_DIGITS: Final = 19
"""Of a number up to `LARGEST`; longer texts are not even converted."""
LONGEST: Final = 200
"""Characters of a name, an identifier or a table's line; no tool writes longer ones."""
UNITS: Final = {"B": 1, "KB": KIB, "KIB": KIB, "MB": MIB, "MIB": MIB, "GB": GIB, "GIB": GIB}
"""What the makers' tools call sizes: "MB" is 2**20 bytes in all of them."""
SIZE: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([KMG]?i?B)?", re.IGNORECASE)
JSON_START: Final = re.compile(r"^[\[{]", re.MULTILINE)


def json_answer(text: str | None) -> Any:
    """The JSON in what a tool printed, past the warnings that some print before it; None without one."""
    start = JSON_START.search(text or "")
    if text is None or start is None:
        return None
    try:
        return json.JSONDecoder().raw_decode(text, start.start())[0]
    except (ValueError, RecursionError):
        return None


def rows(answer: Any) -> tuple[dict[str, Any], ...]:
    """The objects of a list, or of the one list that an object wraps, or the object itself."""
    if isinstance(answer, dict):
        lists = [value for value in answer.values() if isinstance(value, list)]
        wrapped = [row for row in lists[0] if isinstance(row, dict)] if len(lists) == 1 else []
        return tuple(wrapped or [answer])
    return tuple(row for row in answer if isinstance(row, dict)) if isinstance(answer, list) else ()


def objects(answer: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, however deep, in its order."""
    waiting = [answer]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            waiting.extend(reversed(value))


def inner(row: dict[str, Any], *path: str) -> Any:
    """The value at the end of a path of keys; None where it breaks off."""
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def words(value: Any) -> str:
    """A short text without its margins; "" for anything else, and for the tools' "N/A"."""
    text = value.strip() if isinstance(value, str) and len(value) <= LONGEST else ""
    return "" if text == "N/A" else text


def whole(value: Any) -> int | None:
    """A number of bytes, at least 0; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if len(text) <= MOST_DIGITS and text.isdecimal() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= LARGEST else None


def size(value: Any, unit: str = "MB") -> int | None:
    """Bytes of a size: 24560, "24560 MB" or {"value": 24560, "unit": "MB"}; unit: of a bare number."""
    if isinstance(value, dict):
        unit = words(value.get("unit")) or unit
        value = value.get("value")
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else words(value)
    found = SIZE.fullmatch(text)
    factor = UNITS.get((found[2] or unit).upper()) if found else None
    return whole(int(float(found[1]) * factor)) if found and factor else None
