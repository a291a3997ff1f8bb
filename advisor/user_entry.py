"""An entry of the user's own catalog: a model, and the state of the hub that it was read from."""

from __future__ import annotations

from collections.abc import Mapping

from advisor.model import Model
from advisor.value import Value


class HubState(Value):
    """What is compared to see whether a repository changed."""

    repo: str
    """`owner/name` as the hub calls it now."""
    commit: str
    gated: bool
    license: str | None
    """The hub's id of the licence, in lower case; None where the card gives none."""
    files: Mapping[str, int | None]
    """Files with weights, and their bytes."""


class UserEntry(Value):
    """A model of the user's own catalog: one file."""

    model: Model
    hub: tuple[HubState, ...] = ()
    """The repositories as they were when they were read, the model's own first; empty: written by hand."""
    unknown: tuple[str, ...] = ()
    """Fields that the hub says nothing about: what stands there is a default."""
