"""The base of everything that flows through the program."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION: Final = 1
"""Version of every JSON document that the program writes and reads."""


class Value(BaseModel):
    """A frozen record: checked when it is made, equal by content, refusing unknown fields.

    `defer_build` builds a class's validator on first use: a command pays for the values it touches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
