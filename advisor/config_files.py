"""Reading a config.json, wherever it lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from advisor.errors import ConfigError
from advisor.folders import Folder, naming
from advisor.i18n import _

MAX_CONFIG_BYTES: Final = 16 << 20
"""Real configs reach 3 MB (per-tensor quantization lists); anything far larger is not one."""


def read_config(folder: Folder, name: str) -> str:
    """The text of a config.json; raises `ConfigError` for a file that is none or cannot be read."""
    with naming(folder.label(name), ConfigError), folder.open(name) as opened:
        if opened.size > MAX_CONFIG_BYTES:
            raise ConfigError(_("too large for a config.json; give the model's own"))
        return opened.read(0, opened.size).decode(errors="replace") if opened.size else ""


def parse_config(label: str, text: str) -> Mapping[str, Any]:
    """The object in a config.json's text; raises `ConfigError` with the file's label."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(_("{label} is not JSON: {problem}").format(label=label, problem=error)) from error
    if not isinstance(data, dict):
        raise ConfigError(
            _("{label} does not hold a configuration: its JSON is not an object").format(label=label)
        )
    return data
