"""Plan files: what `recommend --save` wrote, read back and checked."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from advisor.assessment import Candidate
from advisor.errors import PlanError
from advisor.plan import Recommendation
from advisor.value import SCHEMA_VERSION

_AGAIN = "write it again with: advisor recommend --save"


def read_plan(path: Path) -> Recommendation:
    """The recommendation in `path`, with a choice in it.

    Raises `PlanError`: the file is missing or not readable, is not JSON, was written by another version,
    was edited so that its figures no longer add up, or holds no choice.
    """
    document = _read_json(path)
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise PlanError(
            f"{path} is a plan of another version (schema_version {version!r}, this program reads"
            f" {SCHEMA_VERSION}); {_AGAIN}"
        )
    try:
        plan = Recommendation.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"{path} is not a sound plan: {field}: {first['msg']}; {_AGAIN}") from error
    chosen(plan)
    return plan


def chosen(plan: Recommendation) -> Candidate:
    """The plan's choice; raises `PlanError` where nothing suited."""
    if plan.choice is None:
        raise PlanError(
            "nothing was chosen in this plan: no model met its requirements;"
            " relax them and run advisor recommend --save again"
        )
    return plan.choice


def _read_json(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"cannot read the plan {path}: {error.strerror}; {_AGAIN}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not a plan: it is not text; {_AGAIN}") from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not a plan: broken JSON ({error}); {_AGAIN}") from error
    if not isinstance(document, dict):
        raise PlanError(f"{path} is not a plan: it holds no JSON object; {_AGAIN}")
    return document
