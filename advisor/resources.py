"""Where the data folders are: the only module that knows.

In an installed package they lie inside it; in a checkout (and an editable install) beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final


def _folder(name: str) -> Path:
    inside = Path(__file__).parent / name
    return inside if inside.is_dir() else Path(__file__).parent.parent / name


CATALOG_DIR: Final = _folder("catalog")
TEMPLATES_DIR: Final = _folder("templates")
LOCALE_DIR: Final = Path(__file__).parent / "locale"
"""Texts in other languages than English, as GNU gettext keeps them."""
