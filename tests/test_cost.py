"""What serving costs: the arithmetic is written out beside every expected figure."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from factories import candidate, cost_catalog, gpu, machine, memory, speed

from advisor.assessment import Candidate, DeviceMemory, SpeedEstimate
from advisor.cost import ApiPrice, CostComparison, Sources, api_option, compare, held_against, local_option
from advisor.demand import Demand, busy_share, capacity_per_day, demand_for, machines_needed, service
from advisor.hardware import Machine
from advisor.local_cost import (
    LOCAL_KINDS,
    LocalKind,
    LocalSide,
    Span,
    break_even,
    break_even_months,
    break_even_volume,
)
from advisor.machine_cost import Given, machine_terms
from advisor.model import ModelKind
from advisor.units import GIB
from advisor.usecase import Requirements

D = Decimal  # the tables below are full of them

SOURCES = Sources(genai_prices="0.2.3", genai_prices_published=date(2026, 11, 10), catalog=date(2026, 1, 1))


def demand(**changes: Any) -> Demand:
    """864 requests a day, so 0.01 a second; with `speed()` each takes 1000 / 2000 + 300 / 50 = 6.5 s."""
    return Demand(**{"requests_per_day": D(864), **changes})


def local(
    on: Machine | None = None, choice: Candidate | None = None, given: Given | None = None, **rates: Any
) -> LocalSide:
    on = on or machine(gpu())
    choice = choice or candidate()
    return LocalSide(
        machine=on.title,
        model=choice.name,
        n_ctx=choice.n_ctx,
        speed=speed(**rates),
        terms=machine_terms(on, choice, cost_catalog(), "us", given or Given()),
    )


def cents(amount: D | None) -> D | None:
    return None if amount is None else round(amount, 2)


@pytest.mark.parametrize(
    ("rates", "of", "in_flight_s", "work_s"),
    [
        pytest.param(speed(), demand(), "6.5", "6.5", id="one-sequence: 1000/2000 + 300/50"),
        pytest.param(
            speed(decode_tokens_per_s=20.0, throughput_tokens_per_s=160.0),
            demand(),
            "15.5",  # 1000 / 2000 + 300 / 20
            "2.375",  # 1000 / 2000 + 300 / 160
            id="eight-sequences",
        ),
        pytest.param(speed(), demand(cached_share=D("0.8")), "6.1", "6.1", id="cached: 200/2000 + 6"),
        pytest.param(
            speed(), demand(cached_share=D(1), output_tokens=0), "0.0005", "0.0005", id="all-cached: 1/2000"
        ),
        pytest.param(
            speed(prefill_tokens_per_s=None, ttft_s=None), demand(), "26", "26", id="no-prefill: 1300/50"
        ),
        pytest.param(speed(), demand(input_tokens=500, output_tokens=0), "0.25", "0.25", id="embedding"),
    ],
)
def test_service_time(rates: SpeedEstimate, of: Demand, in_flight_s: str, work_s: str) -> None:
    one = service(rates, of)
    assert (one.in_flight_s, one.work_s) == (D(in_flight_s), D(work_s))


@pytest.mark.parametrize(
    ("of", "machines", "share"),
    [
        pytest.param(demand(), 1, "0.065", id="0.01/s x 6.5 s"),
        pytest.param(demand(active_hours=D(12)), 1, "0.13", id="same requests in half the hours"),
        pytest.param(demand(requests_per_day=D(86400)), 1, "1", id="never more than all the time"),
        pytest.param(demand(requests_per_day=D(17280)), 2, "0.65", id="0.2/s x 6.5 s over 2 machines"),
    ],
)
def test_busy_share_follows_from_the_demand(of: Demand, machines: int, share: str) -> None:
    assert busy_share(service(speed(), of), of, machines) == D(share)


@pytest.mark.parametrize(
    ("requests", "peak_factor", "machines"),
    [
        # One machine bears 0.8 / 6.5 s x 86400 s = 10633.8 requests a day, over the peak factor.
        pytest.param(864, 1, 1, id="few"),
        pytest.param(10633, 1, 1, id="just"),
        pytest.param(10634, 1, 2, id="one-too-many"),
        pytest.param(10633, 3, 3, id="peak-hour"),
    ],
)
def test_machines_needed_in_the_peak_hour(requests: int, peak_factor: int, machines: int) -> None:
    of = demand(requests_per_day=D(requests), peak_factor=D(peak_factor))
    one = service(speed(), of)
    assert machines_needed(one, of) == machines
    assert round(capacity_per_day(one, of) * peak_factor, 1) == D("10633.8")


ON_HOST = candidate(memory=memory(DeviceMemory(name="host", kind="cpu", weights_bytes=4 * GIB)))
HALF_AND_HALF = candidate(
    memory=memory(
        DeviceMemory(name="GeForce RTX 3070", kind="gpu", weights_bytes=2 * GIB),
        DeviceMemory(name="host", kind="cpu", weights_bytes=2 * GIB),
    )
)
SHARED = gpu(memory="unified", tdp_watts=90)


@pytest.mark.parametrize(
    ("on", "choice", "busy", "idle"),
    [
        # Host 40 W idle and 120 W busy at the wall; a card 18 W idle and 0.9 x TDP busy, both / 0.9.
        pytest.param(machine(gpu()), candidate(), 260, 60, id="gpu: 40 + 220"),
        pytest.param(machine(gpu()), HALF_AND_HALF, 340, 60, id="offload: 120 + 220"),
        pytest.param(machine(), ON_HOST, 120, 40, id="cpu"),
        pytest.param(machine(gpu()), ON_HOST, 140, 60, id="cpu, beside a resting card"),
        pytest.param(machine(gpu(), gpu(1)), candidate(), 280, 80, id="second card rests: 40 + 220 + 20"),
        pytest.param(machine(gpu(idle_watts=9)), candidate(), 260, 50, id="known idle power: 40 + 9 / 0.9"),
        pytest.param(machine(gpu(tdp_watts=None)), candidate(), None, 60, id="unknown card"),
        pytest.param(machine(SHARED), candidate(), 90, 90, id="shared memory: idle bounded by busy"),
    ],
)
def test_power_at_the_wall(on: Machine, choice: Candidate, busy: int | None, idle: int) -> None:
    terms = machine_terms(on, choice, cost_catalog(), "us", Given())
    assert (terms.load_watts.value, terms.idle_watts.value) == (busy, idle)


def test_given_power_outranks_the_catalog() -> None:
    terms = local(machine(gpu(tdp_watts=None)), given=Given(load_watts=D(300))).terms
    assert (terms.load_watts.value, terms.load_watts.source) == (300, "given with --power-watts")
    terms = local(given=Given(load_watts=D(50))).terms  # less than the idle figure of the catalog
    assert terms.idle_watts.value == 50
    terms = local(given=Given(load_watts=D(300), idle_watts=D(30))).terms
    assert (terms.load_watts.value, terms.idle_watts.value) == (300, 30)


@pytest.mark.parametrize(
    ("kind", "initial", "monthly", "total"),
    [
        # (60 + 0.065 x 200) W x 730 h = 53.29 kWh at $0.20
        pytest.param("owned", "0", "10.66", "127.90", id="owned"),
        # and 600 x 0.9 / 60 months = $9
        pytest.param("purchased", "600", "19.66", "235.90", id="purchased"),
        # 730 h x $0.20, an RTX 3090: the cheapest with 5.25 GiB at 448 GB/s
        pytest.param("rented", "0", "146.00", "1752.00", id="rented"),
    ],
)
def test_a_month_of_each_option(kind: LocalKind, initial: str, monthly: str, total: str) -> None:
    option = local_option(kind, local(), demand())
    assert option.initial_usd == D(initial)
    assert (cents(option.monthly_usd), cents(option.total_usd)) == (D(monthly), D(total))
    # 864 x 365 / 12 requests of 1300 tokens: 34.164 million
    assert option.per_mtok_usd is not None
    assert round(option.per_mtok_usd * D("34.164"), 2) == D(monthly)
    assert option.can_serve is True


def test_more_machines_are_bought_and_rented_but_not_owned() -> None:
    busy = demand(requests_per_day=D(8640))  # 0.1/s x 6.5 s = 0.65 busy; peak 0.3/s needs 2.4 machines
    owned, purchased, rented = (local_option(kind, local(), busy) for kind in LOCAL_KINDS)
    assert (owned.machines, owned.can_serve) == (1, False)
    assert (purchased.machines, purchased.can_serve, purchased.initial_usd) == (3, True, 1800)
    assert (rented.machines, cents(rented.monthly_usd)) == (3, D("438.00"))
    # Each of three is busy 0.65 / 3: 3 x 60 + 0.65 x 200 = 310 W, 226.3 kWh, $45.26; and 3 x $9
    assert cents(purchased.monthly_usd) == D("72.26")
    assert "the peak hour needs 3 machines" in owned.notes


def test_labour_counts_where_it_is_given() -> None:
    worked = local(given=Given(labour_usd_per_month=D(100)))
    for kind in LOCAL_KINDS:
        without, with_it = local_option(kind, local(), demand()), local_option(kind, worked, demand())
        assert without.monthly_usd is not None
        assert with_it.monthly_usd == without.monthly_usd + 100


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        pytest.param("owned", "power while busy unknown", id="owned"),
        pytest.param("purchased", "give --purchase-price", id="purchased"),
        pytest.param("rented", "give --rent-per-hour", id="rented"),
    ],
)
def test_what_is_not_known_is_not_made_up(kind: LocalKind, note: str) -> None:
    odd = gpu(name="Card X", catalog_id=None, tdp_watts=None, bandwidth_bytes_per_s=None)
    option = local_option(kind, local(machine(odd)), demand())
    assert (option.monthly_usd, option.total_usd, option.per_mtok_usd) == (None, None, None)
    assert note in " ".join(option.notes)
    assert break_even(kind, local(machine(odd)), demand(), "an api", D("0.01")) is None


@pytest.mark.parametrize(
    ("cards", "bought", "rented"),
    [
        pytest.param((gpu(),), 600, "0.20", id="no 3070 for rent: RTX 3090 stands in"),
        pytest.param((gpu(), gpu(1)), 1200, "0.20", id="two cards, one used"),
        pytest.param(
            (gpu(name="NVIDIA GeForce RTX 3090", catalog_id=None, vram_bytes=24 * GIB),),
            1500,
            "0.20",
            id="driver's name",
        ),
        pytest.param((gpu(name="RTX 4090", vram_bytes=24 * GIB),), None, "0.40", id="only for rent"),
        pytest.param((gpu(vram_bytes=16 * GIB),), None, "0.20", id="same name, other size"),
        pytest.param((gpu(bandwidth_bytes_per_s=10**12),), 600, "0.40", id="needs 1000 GB/s"),
        pytest.param((gpu(bandwidth_bytes_per_s=2 * 10**12),), 600, None, id="nothing is fast enough"),
        pytest.param((), None, "0.10", id="CPU at 45 GB/s"),
    ],
)
def test_prices_of_the_machine(cards: tuple[Any, ...], bought: int | None, rented: str | None) -> None:
    on = machine(*(card.model_copy(update={"catalog_id": None}) for card in cards))
    terms = machine_terms(on, candidate() if cards else ON_HOST, cost_catalog(), "us", Given())
    assert terms.purchase_usd.value == bought
    assert terms.rent_usd_per_hour.value == (None if rented is None else D(rented))


def test_a_stand_in_must_hold_the_model() -> None:
    large = candidate(
        memory=memory(DeviceMemory(name="GeForce RTX 3070", kind="gpu", weights_bytes=24 * GIB))
    )
    assert machine_terms(machine(gpu()), large, cost_catalog(), "us", Given()).rent_usd_per_hour.value is None


def test_region_and_given_prices() -> None:
    terms = machine_terms(machine(gpu()), candidate(), cost_catalog(), "kr", Given())
    assert (terms.usd_per_kwh.name, terms.usd_per_kwh.value) == ("electricity, KR", D("0.15"))
    given = Given(usd_per_kwh=D("0.5"), purchase_usd=D(800), rent_usd_per_hour=D("0.07"), life_years=D(4))
    terms = machine_terms(machine(gpu()), candidate(), cost_catalog(), "kr", given)
    assert [
        terms.usd_per_kwh.value,
        terms.purchase_usd.value,
        terms.rent_usd_per_hour.value,
        terms.life_years.value,
    ] == [D("0.5"), 800, D("0.07"), 4]
    assert (terms.rent_usd_per_hour.name, terms.rent_usd_per_hour.source) == (
        "rent",
        "given with --rent-per-hour",
    )


def test_api_is_one_request_times_their_number() -> None:
    option = api_option(
        ApiPrice(name="x/y", usd_per_request=D("0.001"), context_window=1300), demand(months=6)
    )
    assert option.monthly_usd == D("26.28")  # 864 x 365 / 12 x 0.001
    assert option.total_usd == D("157.68")
    assert option.can_serve is True
    short = api_option(ApiPrice(name="x/y", usd_per_request=D("0.001"), context_window=1299), demand())
    assert short.can_serve is False
    unknown = api_option(ApiPrice(name="x/y", usd_per_request=D("0.001")), demand())
    assert unknown.can_serve is None


@pytest.mark.parametrize(
    ("of", "rates", "expected"),
    [
        pytest.param(demand(), {}, True, id="yes"),
        pytest.param(demand(requests_per_day=D(8640)), {}, False, id="too-many"),
        pytest.param(demand(input_tokens=7893, output_tokens=300), {}, False, id="longer-than-the-context"),
        pytest.param(demand(), {"prefill_tokens_per_s": None}, True, id="yes, even at the lower bound"),
        pytest.param(
            demand(requests_per_day=D(2000)), {"prefill_tokens_per_s": None}, None, id="prefill-not-known"
        ),
    ],
)
def test_whether_the_machine_can_serve_it(of: Demand, rates: dict[str, Any], expected: bool | None) -> None:
    assert local_option("owned", local(**rates), of).can_serve is expected


@pytest.mark.parametrize(
    ("kind", "usd_per_request", "volume"),
    [
        # A month at rest: 60 W x 730 h = 43.8 kWh, $8.76. A request: 200 W x 6.5 s, $0.0000722.
        # 8.76 / (365 / 12 x (0.001 - 0.0000722))
        pytest.param("owned", "0.001", "310.42", id="owned"),
        # (8.76 + 9) / (365 / 12 x (0.001 - 0.0000722))
        pytest.param("purchased", "0.001", "629.34", id="purchased"),
        # 146 / (365 / 12 x 0.001)
        pytest.param("rented", "0.001", "4800.00", id="rented"),
        # Dearer by itself than the API's request: from the volume where the machine never rests,
        # 260 W x 730 h x $0.20 = 37.96 / (365 / 12 x 0.00007)
        pytest.param("owned", "0.00007", "17828.57", id="busy-all-the-time"),
    ],
)
def test_break_even_volume(kind: LocalKind, usd_per_request: str, volume: str) -> None:
    assert cents(break_even_volume(kind, local(), demand(), D(usd_per_request))) == D(volume)


def test_at_the_break_even_volume_both_cost_the_same() -> None:
    for kind in LOCAL_KINDS:
        volume = break_even_volume(kind, local(), demand(), D("0.002"))
        assert volume is not None
        option = local_option(kind, local(), demand(requests_per_day=volume))
        api = api_option(ApiPrice(name="x/y", usd_per_request=D("0.002")), demand(requests_per_day=volume))
        assert cents(option.monthly_usd) == cents(api.monthly_usd)


def test_break_even_months_with_their_range() -> None:
    # API 26280 requests x $0.002 = 52.56, less electricity 10.658: 600 / 41.902 = 14.32 months
    row = break_even("purchased", local(), demand(), "x/y", D("0.002"))
    assert row is not None
    assert row.months is not None
    assert cents(row.months.expected) == D("14.32")
    # 1.3 times the requests at 1.3 times the speed: busy as before, 600 / (68.328 - 10.658)
    assert cents(row.months.low) == D("10.40")
    # 0.7 times: 600 / (36.792 - 10.658)
    assert cents(row.months.high) == D("22.96")
    assert row.can_serve is True
    assert row.requests_per_day.low < row.requests_per_day.expected


@pytest.mark.parametrize(
    "usd_per_request",
    [
        pytest.param("0.0004", id="the API costs less than the electricity"),
        pytest.param("0.0007", id="after 77 months, the machine lives 60"),
    ],
)
def test_a_purchase_that_never_pays_back(usd_per_request: str) -> None:
    assert break_even_months(local(), demand(), D(usd_per_request)) is None


def test_a_volume_that_one_machine_does_not_bear_is_said() -> None:
    row = break_even("rented", local(), demand(), "x/y", D("0.001"))  # from 4800; one bears 3544.6
    assert row is not None
    assert row.can_serve is False
    assert row.months is None


def test_defaults_by_kind_of_model() -> None:
    assert (demand_for(ModelKind.CHAT, {}).input_tokens, demand_for(ModelKind.CHAT, {}).output_tokens) == (
        1000,
        300,
    )
    embedding = demand_for(ModelKind.EMBEDDING, {"input_tokens": 200})
    assert (embedding.input_tokens, embedding.output_tokens) == (200, 0)


def comparison(side: LocalSide | None = None) -> CostComparison:
    apis = (ApiPrice(name="x/y", usd_per_request=D("0.002"), context_window=128_000),)
    return compare(demand(), apis, side, stated=("requests_per_day",), sources=SOURCES)


def test_the_document_holds_numbers_and_every_assumption_its_source() -> None:
    document = json.loads(comparison(local()).model_dump_json())
    assert document["schema_version"] == 1
    assert document["demand"]["requests_per_day"] == 864.0
    kinds = [option["kind"] for option in document["options"]]
    assert kinds == ["api", "owned", "purchased", "rented"]
    keys = {"name", "kind", "monthly_usd", "total_usd", "per_mtok_usd", "can_serve", "notes"}
    for option in document["options"]:
        assert keys <= option.keys()
        assert option["monthly_usd"] > 0  # running at home is not free
    assert [row["option"] for row in document["break_even"]] == ["owned", "purchased", "rented"]
    for row in document["assumptions"]:
        assert row.keys() == {"name", "value", "unit", "source", "date"}
        assert isinstance(row["value"], float)
        assert row["source"]
    names = {row["name"] for row in document["assumptions"]}
    assert {"prompt", "x/y, one request", "electricity, US", "power while busy", "prompt speed"} <= names
    assert "requests" not in names  # stated, so no assumption


def test_without_a_plan_only_the_apis_are_compared() -> None:
    alone = comparison()
    assert [option.kind for option in alone.options] == ["api"]
    assert (alone.break_even, alone.capacity_requests_per_day, alone.machine) == ((), None, None)


def test_capacity_has_a_range() -> None:
    capacity = comparison(local()).capacity_requests_per_day
    # 0.8 / 6.5 s x 86400 s / 3, and 0.7 and 1.3 times that
    assert isinstance(capacity, Span)
    assert capacity.high is not None
    assert [round(x, 1) for x in (capacity.low, capacity.expected, capacity.high)] == [
        D("2481.2"),
        D("3544.6"),
        D("4608.0"),
    ]


@pytest.mark.parametrize(
    ("needs", "name", "note"),
    [
        pytest.param({"privacy": "local-only"}, "api", "rules out", id="privacy"),
        pytest.param({"budget_usd": 0.01}, "api", "above the plan's budget of $0.01", id="budget"),
    ],
)
def test_what_the_plan_rules_out_is_marked(needs: dict[str, Any], name: str, note: str) -> None:
    marked = held_against(comparison(), Requirements(**needs))
    (option,) = [option for option in marked.options if option.kind == name]
    assert any(note in text for text in option.notes)
    assert held_against(comparison(), Requirements()) == comparison()
