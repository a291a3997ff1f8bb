"""API prices and the cost catalog: no network, one request at a time, at one fixed moment."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import candidate, cost_catalog, gpu, machine, recommendation

from advisor.demand import Demand
from advisor.errors import CatalogError, PlanError, PriceError
from advisor.machine_cost import Given
from advisor.prices import api_prices, compare_costs, hosted_price, load_cost_catalog
from advisor.resources import CATALOG_DIR
from advisor.usecase import Requirements, UseCase


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def demand(input_tokens: int, output_tokens: int, **changes: Any) -> Demand:
    return Demand(input_tokens=input_tokens, output_tokens=output_tokens, **changes)


def usd(name: str, of: Demand) -> Decimal:
    return api_prices([name], of, cost_catalog())[0].usd_per_request


@pytest.mark.parametrize(
    ("name", "of", "expected"),
    [
        # USD per million tokens, times the tokens of one request
        pytest.param("openai/gpt-4o-mini", demand(1000, 500), "0.00045", id="0.15 in, 0.60 out"),
        pytest.param(
            "openai/gpt-4o-mini",
            demand(1_000_000, 0, cached_share=Decimal("0.5")),
            "0.1125",
            id="cached: half at 0.15, half at 0.075",
        ),
        pytest.param("anthropic/claude-sonnet-4-5", demand(1000, 500), "0.0105", id="3 in, 15 out"),
        pytest.param(
            "anthropic/claude-sonnet-4-5", demand(250_000, 500), "1.51125", id="long: 6 in, 22.50 out"
        ),
        pytest.param("openai/text-embedding-3-small", demand(500, 0), "0.00001", id="embedding: 0.02 in"),
    ],
)
def test_price_of_one_request(name: str, of: Demand, expected: str) -> None:
    assert usd(name, of) == Decimal(expected)


def test_a_month_is_not_priced_as_one_long_request() -> None:
    # 1000 requests of 1k / 500 tokens: 1000 x 0.0105. Summed first, they would be in the dear tier: 17.25.
    days = Decimal(365) / 12
    comparison = compare_costs(
        None,
        demand_given={"requests_per_day": 1000 / days, "input_tokens": 1000, "output_tokens": 500},
        apis=("anthropic/claude-sonnet-4-5",),
        region="us",
        given=Given(),
    )
    monthly = comparison.options[0].monthly_usd
    assert monthly is not None
    assert round(monthly, 6) == Decimal("10.50")


def test_the_hour_at_which_the_program_runs_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from genai_prices.types import ModelInfo

    asked: list[datetime | None] = []
    original = ModelInfo.calc_price

    def spy(self: ModelInfo, *args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs.get("genai_request_timestamp"))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ModelInfo, "calc_price", spy)
    price = api_prices(["deepseek/deepseek-chat"], demand(1_000_000, 1_000_000), cost_catalog())[0]
    assert asked == [datetime(2026, 11, 10, 12, tzinfo=UTC)]
    assert price.usd_per_request == Decimal("1.37")  # at night 0.685
    assert price.notes == ("its price changes with the hour: this is the one at 12:00 UTC",)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("gpt-4o-mini", "openai/gpt-4o-mini", id="model-alone: its maker"),
        pytest.param("text-embedding-3-small", "openai/text-embedding-3-small", id="embedding-alone"),
        pytest.param("openai/gpt-5.6", "openai/gpt-5.6-sol", id="alias is named in full"),
        pytest.param("groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-20b", id="slash-in-the-model"),
        pytest.param("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", id="not the reseller"),
    ],
)
def test_names(name: str, found: str) -> None:
    assert api_prices([name], demand(1000, 0), cost_catalog())[0].name == found


def test_a_name_given_twice_is_compared_once() -> None:
    assert len(api_prices(["gpt-4o-mini", "gpt-4o-mini"], demand(1000, 300), cost_catalog())) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("gpt-4o-minii", "near: openai/gpt-4o-mini", id="typing-error"),
        pytest.param("anthropic/claude-sonet-5", "near: anthropic/claude-sonnet-5", id="with-provider"),
        pytest.param("zzzzqq", "name one as provider/model", id="nothing-near"),
        pytest.param("google/gemma-3", "has no price for input", id="listed-without-a-price"),
        pytest.param("openai/text-embedding-3-small", "has no price for output", id="embedding-for-a-chat"),
    ],
)
def test_what_has_no_price_is_refused(name: str, says: str) -> None:
    with pytest.raises(PriceError) as error:
        api_prices([name], demand(1000, 300), cost_catalog())
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "hosted"),
    [
        pytest.param("qwen2.5-7b-instruct", "qwen-2.5-7b-instruct", id="spelt-otherwise"),
        pytest.param("gpt-oss-20b", "gpt-oss-20b", id="many-hosts"),
        pytest.param("phi-4-mini", "phi-4-mini-instruct", id="tuned-by-another-name"),
    ],
)
def test_the_same_model_hosted(model: str, hosted: str) -> None:
    price = hosted_price(model, demand(1500, 500), cost_catalog())
    assert price is not None
    assert price.same_model
    assert price.name.rpartition("/")[2] == hosted


def test_the_cheapest_host_is_shown_and_a_free_trial_is_not_one() -> None:
    price = hosted_price("llama-3.1-8b-instruct", demand(1_000_000, 0), cost_catalog())
    assert price is not None
    assert price.name == "novita/meta-llama/llama-3.1-8b-instruct"
    assert price.usd_per_request == Decimal("0.02")


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("my-own-model-7b", id="nobody"),
        pytest.param("llama-3.1-405b-chat", id="others-of-its-family"),
    ],
)
def test_a_model_that_nobody_hosts(model: str) -> None:
    assert hosted_price(model, demand(1500, 500), cost_catalog()) is None


def test_default_apis_are_of_three_price_classes() -> None:
    catalog = load_cost_catalog()
    for names, of in (
        (catalog.default_apis.chat, demand(1000, 300)),
        (catalog.default_apis.embedding, demand(500, 0)),
    ):
        small, middle, large = (price.usd_per_request for price in api_prices(names, of, catalog))
        assert small * 5 < middle
        assert middle * Decimal("1.5") < large


def test_an_embedding_plan_is_compared_with_embedding_apis() -> None:
    plan = recommendation(
        requirements=Requirements(use_case=UseCase.EMBEDDING),
        choice=candidate(model="nomic-embed-text-v1.5", name="nomic-embed-text v1.5"),
    )
    comparison = compare_costs(plan, demand_given={}, apis=(), region="us", given=Given())
    assert comparison.demand.output_tokens == 0
    apis = tuple(option.name for option in comparison.options if option.kind == "api")
    assert apis == load_cost_catalog().default_apis.embedding


def test_a_plan_is_compared_with_its_own_model_hosted() -> None:
    comparison = compare_costs(
        recommendation(), demand_given={}, apis=("gpt-4o",), region="us", given=Given()
    )
    kinds = [option.kind for option in comparison.options]
    assert kinds == ["api", "same-model-api", "owned", "purchased", "rented"]


def test_a_plan_without_a_choice_has_no_cost() -> None:
    with pytest.raises(PlanError, match="nothing was chosen"):
        compare_costs(recommendation(choice=None), demand_given={}, apis=(), region="us", given=Given())


def test_a_reranker_has_no_default_apis_but_a_local_side() -> None:
    plan = recommendation(requirements=Requirements(use_case=UseCase.RERANK))
    comparison = compare_costs(plan, demand_given={}, apis=(), region="us", given=Given())
    assert "api" not in {option.kind for option in comparison.options}
    assert {option.kind for option in comparison.options} >= {"owned", "purchased", "rented"}


def test_a_release_that_the_catalog_does_not_know_has_no_date(monkeypatch: pytest.MonkeyPatch) -> None:
    def sources() -> Any:
        return compare_costs(None, demand_given={}, apis=("gpt-4o",), region="us", given=Given()).sources

    monkeypatch.setattr("genai_prices.__version__", load_cost_catalog().genai_prices.version)
    assert sources().genai_prices_published == load_cost_catalog().genai_prices.published
    monkeypatch.setattr("genai_prices.__version__", "9.9.9")
    assert (sources().genai_prices, sources().genai_prices_published) == ("9.9.9", None)


def test_every_figure_of_the_catalog_has_its_source() -> None:
    catalog = load_cost_catalog()
    assert all(prices.source and prices.gpus for prices in (*catalog.rentals, *catalog.purchases))
    assert all(row.bandwidth_gb_per_s for prices in catalog.rentals for row in prices.gpus)
    assert all(prices.date <= catalog.checked for prices in (*catalog.rentals, *catalog.purchases))
    for figure in (
        catalog.electricity.us,
        catalog.psu_efficiency,
        catalog.host_idle_watts,
        catalog.life_years,
    ):
        assert figure.source
        assert figure.date is not None


def test_a_common_card_is_found_in_the_shipped_catalog() -> None:
    plan = recommendation(machine=machine(gpu(name="NVIDIA GeForce RTX 3070")))
    comparison = compare_costs(plan, demand_given={}, apis=("gpt-4o",), region="kr", given=Given())
    assert all(option.total_usd is not None for option in comparison.options)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        pytest.param("checked: 2026", "checked: never 2026", "checked: ", id="bad-date"),
        pytest.param(
            "usd: 0.14", "usd: 0", "rentals.0.gpus.0.usd: Input should be greater than 0", id="free"
        ),
        pytest.param("psu_efficiency:", "psu_eficiency:", "psu_efficiency: Field required", id="misspelt"),
        pytest.param("checked:", "checked: 2026-01-01\nchecked:", "duplicate key 'checked'", id="twice"),
    ],
)
def test_a_broken_catalog_is_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    text = (CATALOG_DIR / "cloud.yaml").read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "cloud.yaml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(CatalogError) as error:
        load_cost_catalog(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
