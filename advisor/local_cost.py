"""What own, bought and rented machines cost a month, and from when that is less than an API."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from advisor.assessment import SpeedEstimate
from advisor.demand import (
    DAYS_PER_MONTH,
    MONTHS_PER_YEAR,
    Demand,
    Number,
    busy_share,
    capacity_per_day,
    machines_needed,
    service,
)
from advisor.machine_cost import MachineTerms
from advisor.value import Value

WATTS_PER_KILOWATT: Final = 1000

SPREAD: Final = Decimal("0.3")
"""Half width of the ranges: how far speed and demand may be off."""

LocalKind = Literal["owned", "purchased", "rented"]
LOCAL_KINDS: Final[tuple[LocalKind, ...]] = ("owned", "purchased", "rented")


class LocalSide(Value):
    """The plan's machine and how it serves the model."""

    machine: str
    model: str
    n_ctx: int
    speed: SpeedEstimate
    terms: MachineTerms


class Span(Value):
    """A figure with what it would be if speed and demand were off by `SPREAD`."""

    low: Number
    expected: Number
    high: Number | None
    """None: not within a machine's life."""


class BreakEven(Value):
    """When an own or rented machine becomes cheaper than an API."""

    api: str
    option: LocalKind
    requests_per_day: Span
    """Volume from which one machine costs less."""
    can_serve: bool | None
    """Whether one machine bears that volume."""
    months: Span | None = None
    """Until a purchase has paid for itself at this demand; None: not within its life, or not bought."""


def electricity_kwh(terms: MachineTerms, demand: Demand, busy: Decimal) -> Decimal | None:
    """A month's electricity for one machine, at the wall; None where its power is not known."""
    load, idle = terms.load_watts.value, terms.idle_watts.value
    if load is None or idle is None:
        return None
    return (idle * (1 - busy) + load * busy) / WATTS_PER_KILOWATT * demand.hours_per_month


def running_usd(kind: LocalKind, terms: MachineTerms, demand: Demand, busy: Decimal) -> Decimal | None:
    """A month of one machine without what it cost to buy: electricity or rent."""
    if kind == "rented":
        rent = terms.rent_usd_per_hour.value
        return None if rent is None else rent * demand.hours_per_month
    kwh, price = electricity_kwh(terms, demand, busy), terms.usd_per_kwh.value
    return None if kwh is None or price is None else kwh * price


def wear_usd(kind: LocalKind, terms: MachineTerms) -> Decimal | None:
    """A month's loss of value of one purchased machine, in a straight line over its life."""
    if kind != "purchased":
        return Decimal(0)
    price, life, residual = terms.purchase_usd.value, terms.life_years.value, terms.residual_share.value
    if price is None or life is None or residual is None:
        return None
    return price * (1 - residual) / (life * MONTHS_PER_YEAR)


def monthly_usd(
    kind: LocalKind, terms: MachineTerms, demand: Demand, busy: Decimal, machines: int = 1
) -> Decimal | None:
    """Everything that `machines` of them cost in a month, each busy for that share."""
    running, wear = running_usd(kind, terms, demand, busy), wear_usd(kind, terms)
    if running is None or wear is None:
        return None
    return machines * (running + wear) + terms.labour_per_month


def can_serve(local: LocalSide, demand: Demand, *, enough: bool) -> bool | None:
    """Whether the plan meets the demand, given that its machines are `enough` for the peak hour.

    Where prefill speed is not known, a machine that may be too slow is neither yes nor no.
    """
    if demand.input_tokens + demand.output_tokens > local.n_ctx:
        return False
    if enough or local.speed.prefill_tokens_per_s is not None:
        return enough
    return None


def break_even_volume(
    kind: LocalKind, local: LocalSide, demand: Demand, usd_per_request: Decimal, scale: Decimal = Decimal(1)
) -> Decimal | None:
    """Requests a day from which one machine costs less than an API; None where its cost is not known.

    The machine's month costs `still` when nothing comes and rises with its busy share up to `full`; the
    API's month rises with every request.
    """
    still = monthly_usd(kind, local.terms, demand, Decimal(0))
    full = monthly_usd(kind, local.terms, demand, Decimal(1))
    if still is None or full is None:
        return None
    one_a_day = demand.model_copy(update={"requests_per_day": Decimal(1)})
    busy_each = busy_share(service(local.speed, demand, scale), one_a_day)
    api_each = usd_per_request * DAYS_PER_MONTH
    gain_each = api_each - (full - still) * busy_each
    if gain_each > 0 and still / gain_each * busy_each <= 1:
        return still / gain_each
    return full / api_each


def break_even_months(
    local: LocalSide, demand: Demand, usd_per_request: Decimal, scale: Decimal = Decimal(1)
) -> Decimal | None:
    """Months until bought machines have paid for themselves; None: not within their life, or not known."""
    one = service(local.speed, demand, scale)
    machines = machines_needed(one, demand)
    price = local.terms.purchase_usd.value
    running = running_usd("purchased", local.terms, demand, busy_share(one, demand, machines))
    life = local.terms.life_years.value
    if price is None or running is None or life is None:
        return None
    saved = usd_per_request * demand.requests_per_month - machines * running - local.terms.labour_per_month
    months = price * machines / saved if saved > 0 else None
    return months if months is not None and months <= life * MONTHS_PER_YEAR else None


def break_even(
    kind: LocalKind, local: LocalSide, demand: Demand, api: str, price: Decimal
) -> BreakEven | None:
    """When that option becomes cheaper than an API at `price` a request; None where its cost is not known."""
    expected = break_even_volume(kind, local, demand, price)
    low = break_even_volume(kind, local, demand, price, 1 + SPREAD)
    if expected is None or low is None:
        return None
    bearable = capacity_per_day(service(local.speed, demand), demand)
    return BreakEven(
        api=api,
        option=kind,
        requests_per_day=Span(
            low=low, expected=expected, high=break_even_volume(kind, local, demand, price, 1 - SPREAD)
        ),
        can_serve=can_serve(local, demand, enough=expected <= bearable),
        months=_months(local, demand, price) if kind == "purchased" else None,
    )


def _months(local: LocalSide, demand: Demand, usd_per_request: Decimal) -> Span | None:
    def at(scale: Decimal) -> Decimal | None:
        scaled = demand.model_copy(update={"requests_per_day": demand.requests_per_day * scale})
        return break_even_months(local, scaled, usd_per_request, scale)

    low, expected = at(1 + SPREAD), at(Decimal(1))
    if low is None or expected is None:
        return None
    return Span(low=low, expected=expected, high=at(1 - SPREAD))


def capacity(local: LocalSide, demand: Demand) -> Span:
    """Requests a day that one machine bears."""
    low, expected, high = (
        capacity_per_day(service(local.speed, demand, scale), demand)
        for scale in (1 - SPREAD, Decimal(1), 1 + SPREAD)
    )
    return Span(low=low, expected=expected, high=high)
