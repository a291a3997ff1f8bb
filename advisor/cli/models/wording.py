"""What the commands say of one model in the same words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from advisor.i18n import _
from advisor.model import Model, ModelKind
from advisor.quality import quality_of
from advisor.units import format_count
from advisor.usecase import UseCase
from advisor.user_catalog import own_ids

if TYPE_CHECKING:
    from advisor.assessment import Quality
    from advisor.catalog import Catalog

_SENTENCE_END: Final = re.compile(r"(?<=[.;])\s+(?=[A-Z\"0-9])")
_SCORED_BY: Final = {ModelKind.EMBEDDING: UseCase.EMBEDDING, ModelKind.RERANK: UseCase.RERANK}


def document(model: Model, catalog: Catalog) -> dict[str, object]:
    """The model as JSON, and whose entry it is."""
    origin = "user" if model.id in own_ids(catalog) else "shipped"
    return {**model.model_dump(mode="json"), "origin": origin}


def quality(model: Model, catalog: Catalog) -> Quality:
    """What it scores for the use that its kind is for."""
    return quality_of(model, _SCORED_BY.get(model.kind, UseCase.CHAT), (), catalog.quality)


def sentences(note: str) -> list[str]:
    """The sentences of a catalog's note, each a text to be translated: many notes share them."""
    return _SENTENCE_END.split(note)


def size(model: Model) -> str:
    total = format_count(model.n_params)
    return total if model.n_params_active is None else with_active(total, model.n_params_active)


def with_active(total: str, n_params_active: int) -> str:
    """The parameters of a mixture of experts."""
    return _("{total}, {active} active").format(total=total, active=format_count(n_params_active))
