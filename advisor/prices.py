"""Prices from outside: the cost catalog, and API prices through genai-prices (imported where it is used)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from advisor.cost import ApiPrice, CostComparison, Sources, compare, held_against
from advisor.demand import Demand, demand_for
from advisor.errors import CatalogError, PriceError
from advisor.i18n import _
from advisor.local_cost import LocalSide
from advisor.machine_cost import CostCatalog, Given, Region, machine_terms
from advisor.model import ModelKind
from advisor.plan import Recommendation
from advisor.plans import chosen
from advisor.resources import CATALOG_DIR
from advisor.value import problem
from advisor.yaml_files import read_yaml

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

MAKERS: Final = ("openai", "anthropic", "google", "mistral", "deepseek", "cohere", "voyageai", "x-ai")
"""Where a model named without its provider is looked for first: other providers resell these models."""
HOSTS: Final = (
    "openrouter",
    "together",
    "groq",
    "deepinfra",
    "fireworks",
    "novita",
    "cerebras",
    "cloudflare",
)
"""Providers that serve open models of other makers; so do all those behind `HUB_HOSTS`."""
HUB_HOSTS: Final = "huggingface_"
PRICED_AT: Final = time(12, tzinfo=UTC)
"""Some providers charge by the time of day: a fixed one makes a report repeatable."""
_TUNED: Final = re.compile(r"(instruct|it|chat)$")
"""What hosts append to the name of a model that its maker gives without."""


def load_cost_catalog(path: Path = CATALOG_DIR / "cloud.yaml") -> CostCatalog:
    """The cost catalog; raises `CatalogError` naming the field that is wrong."""
    try:
        return CostCatalog.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        text = _("{path}: {field}: {reason}; correct the file")
        raise CatalogError(text.format(path=path, field=field, reason=problem(first))) from error


def compare_costs(
    plan: Recommendation | None,
    *,
    demand_given: Mapping[str, object],
    apis: tuple[str, ...],
    region: Region,
    given: Given,
) -> CostComparison:
    """The comparison for a plan, or of APIs alone where there is none.

    `demand_given` holds the fields of `Demand` that the user stated. Raises `PriceError` for an API model
    without a price, and `PlanError` for a plan without a choice.
    """
    catalog = load_cost_catalog()
    kind = plan.kind if plan else ModelKind.CHAT
    demand = demand_for(kind, demand_given)
    defaults = {
        ModelKind.CHAT: catalog.default_apis.chat,
        ModelKind.EMBEDDING: catalog.default_apis.embedding,
    }
    prices = api_prices(apis or defaults.get(kind, ()), demand, catalog)
    local = None
    if plan is not None:
        local = _local_side(plan, catalog, region, given)
        hosted = hosted_price(chosen(plan).model, demand, catalog)
        prices = (*prices, hosted) if hosted else prices
    comparison = compare(demand, prices, local, stated=demand_given.keys(), sources=_sources(catalog))
    return held_against(comparison, plan.requirements) if plan else comparison


def _local_side(plan: Recommendation, catalog: CostCatalog, region: Region, given: Given) -> LocalSide:
    choice = chosen(plan)
    return LocalSide(
        machine=plan.machine.title,
        model=f"{choice.name} {choice.quantization}",
        n_ctx=choice.n_ctx,
        speed=choice.speed,
        terms=machine_terms(plan.machine, choice, catalog, region, given),
    )


def api_prices(names: Iterable[str], demand: Demand, catalog: CostCatalog) -> tuple[ApiPrice, ...]:
    """What one request costs at each of these APIs, as of noon UTC on the price list's day.

    A name is "provider/model", or a model alone. Raises `PriceError` for one that is not known, with the
    nearest names, and for one without a price for what is asked of it.
    """
    return tuple(_price(*_find(name), demand, catalog) for name in dict.fromkeys(names))


def hosted_price(model: str, demand: Demand, catalog: CostCatalog) -> ApiPrice | None:
    """The cheapest API that hosts this very model, for a comparison at equal quality; None: nobody does."""
    hosted = [
        (provider, info)
        for provider in _providers()
        if provider.id in HOSTS or provider.id.startswith(HUB_HOSTS)
        for info in provider.models
        if ":" not in info.id and not info.deprecated
    ]
    same = [pair for pair in hosted if _key(pair[1].id) == _key(model)]
    tuned = [pair for pair in hosted if _TUNED.sub("", _key(pair[1].id)) == _key(model)]
    prices = []
    for provider, info in same or tuned:
        try:
            prices.append(_price(provider, info, demand, catalog))
        except PriceError:  # listed without a price for this kind of request: not an offer
            continue
    # The hub passes on what a host charges: at the same price the host itself is named.
    cheapest = min(
        prices, key=lambda price: (price.usd_per_request, price.name.startswith(HUB_HOSTS)), default=None
    )
    if cheapest is None:
        return None
    note = _("the plan's model, hosted at the provider's own precision")
    return cheapest.model_copy(update={"same_model": True, "notes": (note, *cheapest.notes)})


def _price(provider: Provider, info: ModelInfo, demand: Demand, catalog: CostCatalog) -> ApiPrice:
    from genai_prices import Usage

    name = f"{provider.id}/{info.id}"
    usage = Usage(
        input_tokens=demand.input_tokens,
        output_tokens=demand.output_tokens,
        cache_read_tokens=demand.cached_tokens,
    )
    at = datetime.combine(catalog.genai_prices.published, PRICED_AT)
    # Priced through the entry itself: looking some ids up again finds another model, or none.
    result = info.calc_price(usage, provider, genai_request_timestamp=at)
    if result.model_price.input_mtok is None or result.total_price <= 0:
        text = _("{api} has no price for input tokens in the price list; choose another API model")
        raise PriceError(text.format(api=name))
    if demand.output_tokens and result.model_price.output_mtok is None:
        text = _(
            "{api} has no price for output, and {n} output tokens are asked for: for an embedding model give"
            " --output-tokens 0, else choose another API model"
        )
        raise PriceError(text.format(api=name, n=demand.output_tokens))
    return ApiPrice(
        name=name,
        usd_per_request=result.total_price,
        context_window=result.model.context_window,
        notes=_notes(info),
    )


def _notes(info: ModelInfo) -> tuple[str, ...]:
    from genai_prices.types import TimeOfDateConstraint

    conditional = info.prices if isinstance(info.prices, list) else []
    by_hour = any(isinstance(price.constraint, TimeOfDateConstraint) for price in conditional)
    notes = {
        _("its price changes with the hour: this is the one at 12:00 UTC"): by_hour,
        _("deprecated by its provider"): bool(info.deprecated),
    }
    return tuple(note for note, holds in notes.items() if holds)


def _find(name: str) -> tuple[Provider, ModelInfo]:
    """The price list's entry for "provider/model" or for a model alone."""
    providers = {provider.id: provider for provider in _providers()}
    first, _slash, rest = name.partition("/")
    if rest and first in providers:
        places, wanted = [providers[first]], rest
    else:
        makers = [providers[maker] for maker in MAKERS if maker in providers]
        places, wanted = [*makers, *(p for p in providers.values() if p.id not in MAKERS)], name
    for provider in places:
        info = next((info for info in provider.models if info.id == wanted), provider.find_model(wanted))
        if info is not None:
            return provider, info
    text = _("no API model {name!r} in the price list; {hint}")
    raise PriceError(text.format(name=name, hint=_nearest(name, providers.values())))


def _nearest(name: str, providers: Iterable[Provider]) -> str:
    known = {f"{provider.id}/{info.id}": info.id for provider in providers for info in provider.models}
    by_model = {model: full for full, model in known.items()}
    near = difflib.get_close_matches(name, known, n=3) or [
        by_model[model] for model in difflib.get_close_matches(name.rpartition("/")[2], by_model, n=3)
    ]
    if near:
        return _("near: {names}").format(names=", ".join(near))
    return _("name one as provider/model, such as openai/gpt-6-luna")


def _providers() -> list[Provider]:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


def _sources(catalog: CostCatalog) -> Sources:
    import genai_prices

    known = genai_prices.__version__ == catalog.genai_prices.version
    return Sources(
        genai_prices=genai_prices.__version__,
        genai_prices_published=catalog.genai_prices.published if known else None,
        catalog=catalog.checked,
    )


def _key(model: str) -> str:
    """A model's name without its owner, spaces and dashes."""
    return re.sub(r"[^a-z0-9]", "", model.rpartition("/")[2].lower())
