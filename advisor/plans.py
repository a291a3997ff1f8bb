"""Plan files: what `recommend --save` wrote, read back and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from advisor.assessment import Candidate
from advisor.errors import PlanError
from advisor.i18n import N_, _
from advisor.plan import Recommendation
from advisor.value import SCHEMA_VERSION, problem

_AGAIN: Final = N_("write it again with: advisor recommend --save")


def read_plan(path: Path) -> Recommendation:
    """The recommendation in `path`, with a choice in it.

    Raises `PlanError`: the file is missing or not readable, is not JSON, was written by another version,
    was edited so that its figures no longer add up, or holds no choice.
    """
    document = _read_json(path)
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise PlanError(
            _(
                "{path} is a plan of another version (schema_version {version!r}, this program reads"
                " {known}); {hint}"
            ).format(path=path, version=version, known=SCHEMA_VERSION, hint=_(_AGAIN))
        )
    try:
        plan = Recommendation.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        text = _("{path} is not a sound plan: {field}: {reason}; {hint}")
        raise PlanError(text.format(path=path, field=field, reason=problem(first), hint=_(_AGAIN))) from error
    chosen(plan)
    return plan


def chosen(plan: Recommendation) -> Candidate:
    """The plan's choice; raises `PlanError` where nothing suited."""
    if plan.choice is None:
        raise PlanError(
            _(
                "nothing was chosen in this plan: no model met its requirements;"
                " relax them and run advisor recommend --save again"
            )
        )
    return plan.choice


def _read_json(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        text = _("cannot read the plan {path}: {reason}; {hint}")
        raise PlanError(text.format(path=path, reason=_(error.strerror or ""), hint=_(_AGAIN))) from error
    except UnicodeDecodeError as error:
        text = _("{path} is not a plan: it is not text; {hint}")
        raise PlanError(text.format(path=path, hint=_(_AGAIN))) from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        text = _("{path} is not a plan: broken JSON ({error}); {hint}")
        raise PlanError(text.format(path=path, error=error, hint=_(_AGAIN))) from error
    if not isinstance(document, dict):
        text = _("{path} is not a plan: it holds no JSON object; {hint}")
        raise PlanError(text.format(path=path, hint=_(_AGAIN)))
    return document
