"""What serving a demand costs by each way of doing it: APIs, the machine one has, one bought, GPUs rented.

The sums are Decimal USD. One request is priced and multiplied, since API prices depend on a request's size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from pydantic import Field

from advisor.assessment import SpeedEstimate
from advisor.demand import PEAK_UTILIZATION, Demand, Number, busy_share, machines_needed, service
from advisor.i18n import N_, _
from advisor.local_cost import (
    LOCAL_KINDS,
    SPREAD,
    BreakEven,
    LocalKind,
    LocalSide,
    Span,
    break_even,
    can_serve,
    capacity,
    electricity_kwh,
    monthly_usd,
)
from advisor.machine_cost import Assumption
from advisor.usecase import Requirements
from advisor.value import SCHEMA_VERSION, Value

_TITLES: Final[dict[LocalKind, str]] = {
    "owned": N_("this machine, owned"),
    "purchased": N_("machine like it, bought"),
    "rented": N_("rented GPU"),
}

OptionKind = Literal["api", "same-model-api", LocalKind]


class ApiPrice(Value):
    """What one request of the demand costs at an API."""

    name: str
    """Provider and model: "openai/gpt-6-luna"."""
    usd_per_request: Number = Field(gt=0)
    context_window: int | None = None
    same_model: bool = False
    """The plan's own model, hosted: a comparison at equal quality."""
    notes: tuple[str, ...] = ()


class CostOption(Value):
    """One way to serve the demand."""

    name: str
    kind: OptionKind
    initial_usd: Number | None
    """Paid at the start."""
    monthly_usd: Number | None
    """Running costs, and for a purchase its loss of value; None where a figure is unknown."""
    total_usd: Number | None
    """Over the months of the demand."""
    per_mtok_usd: Number | None
    """Per million tokens, input and output."""
    can_serve: bool | None
    """Whether the option meets the demand as priced; None where that is not known."""
    machines: int | None = None
    notes: tuple[str, ...] = ()


class Sources(Value):
    """Which price lists were read."""

    genai_prices: str
    """Version of the package whose API prices were used."""
    genai_prices_published: date | None
    """None where that version is not the one the catalog knows."""
    catalog: date
    """When the cost catalog was last checked."""


class CostComparison(Value):
    """The document of `advisor cost`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    demand: Demand
    model: str | None
    machine: str | None
    options: tuple[CostOption, ...]
    capacity_requests_per_day: Span | None
    """What one machine bears, the peak hour at `PEAK_UTILIZATION`."""
    break_even: tuple[BreakEven, ...]
    assumptions: tuple[Assumption, ...]
    not_counted: tuple[str, ...]
    sources: Sources


def api_option(price: ApiPrice, demand: Demand) -> CostOption:
    """What the demand costs at an API: the price of one request, times their number."""
    monthly = price.usd_per_request * demand.requests_per_month
    window = price.context_window
    fits = None if window is None else demand.input_tokens + demand.output_tokens <= window
    context: tuple[str, ...] = ()
    if fits is None:
        context = (_("its context length is not known"),)
    elif not fits:
        context = (_("a request is longer than its context of {n} tokens").format(n=window),)
    return CostOption(
        name=price.name,
        kind="same-model-api" if price.same_model else "api",
        initial_usd=Decimal(0),
        monthly_usd=monthly,
        total_usd=monthly * demand.months,
        per_mtok_usd=monthly / demand.mtok_per_month,
        can_serve=fits,
        notes=(*context, *price.notes),
    )


def held_against(comparison: CostComparison, needs: Requirements) -> CostComparison:
    """The comparison, with a note at every option that the plan's budget or privacy rules out."""
    return comparison.model_copy(
        update={
            "options": tuple(
                option.model_copy(update={"notes": (*option.notes, *_ruled_out(option, needs))})
                for option in comparison.options
            )
        }
    )


def _ruled_out(option: CostOption, needs: Requirements) -> Iterator[str]:
    if needs.privacy == "local-only" and option.kind in ("api", "same-model-api"):
        yield _("sends requests off the machine, which the plan rules out")
    if needs.budget_usd is not None and (option.monthly_usd or 0) > needs.budget_usd:
        yield _("above the plan's budget of ${usd:g} a month").format(usd=needs.budget_usd)


def local_option(kind: LocalKind, local: LocalSide, demand: Demand) -> CostOption:
    """What the demand costs on the plan's machine, on bought ones like it, or on rented GPUs."""
    one = service(local.speed, demand)
    needed = machines_needed(one, demand)
    machines = 1 if kind == "owned" else needed
    busy = busy_share(one, demand, machines)
    monthly = monthly_usd(kind, local.terms, demand, busy, machines)
    price = local.terms.purchase_usd.value if kind == "purchased" else Decimal(0)
    return CostOption(
        name=_(_TITLES[kind]),
        kind=kind,
        initial_usd=None if price is None else price * machines,
        monthly_usd=monthly,
        total_usd=None if monthly is None else monthly * demand.months,
        per_mtok_usd=None if monthly is None else monthly / demand.mtok_per_month,
        can_serve=can_serve(local, demand, enough=needed <= machines),
        machines=machines,
        notes=_local_notes(kind, local, demand, needed, busy),
    )


def _local_notes(
    kind: LocalKind, local: LocalSide, demand: Demand, needed: int, busy: Decimal
) -> tuple[str, ...]:
    terms = local.terms
    power = (terms.load_watts, terms.usd_per_kwh)
    asked: dict[LocalKind, tuple[Assumption, ...]] = {
        "owned": power,
        "purchased": (terms.purchase_usd, *power),
        "rented": (terms.rent_usd_per_hour,),
    }
    notes = [
        _("{figure} unknown: {hint}").format(figure=item.name, hint=item.source)
        for item in asked[kind]
        if item.value is None
    ]
    price = asked[kind][0]
    if kind != "owned" and price.value is not None:
        notes.append(f"{price.name}: {price.value} {price.unit}")
    kwh = None if kind == "rented" else electricity_kwh(terms, demand, busy)
    notes.append(_use(kwh, each=needed > 1).format(busy=busy, kwh=kwh))
    notes += [_("what was paid for it is not counted")] if kind == "owned" else []
    if demand.input_tokens + demand.output_tokens > local.n_ctx:
        notes.append(_("a request is longer than the plan's context of {n} tokens").format(n=local.n_ctx))
    if needed > 1:
        notes.append(_("the peak hour needs {n} machines").format(n=needed))
    return tuple(notes)


def _use(kwh: Decimal | None, *, each: bool) -> str:
    if kwh is None:
        return _("busy {busy:.1%} of its hours")
    if each:
        return _("busy {busy:.1%} of its hours, {kwh:.0f} kWh a month each")
    return _("busy {busy:.1%} of its hours, {kwh:.0f} kWh a month")


def compare(
    demand: Demand,
    apis: tuple[ApiPrice, ...],
    local: LocalSide | None,
    *,
    stated: Collection[str],
    sources: Sources,
) -> CostComparison:
    """All options side by side; `stated` names the fields of the demand that are not defaults."""
    here = () if local is None else tuple(local_option(kind, local, demand) for kind in LOCAL_KINDS)
    crossings = () if local is None else _crossings(local, demand, apis)
    rows = () if local is None else (*_serving(local.speed), *local.terms.assumptions)
    return CostComparison(
        demand=demand,
        model=local.model if local else None,
        machine=local.machine if local else None,
        options=(*(api_option(price, demand) for price in apis), *here),
        capacity_requests_per_day=capacity(local, demand) if local else None,
        break_even=crossings,
        assumptions=(*_defaults(demand, stated), *_api_rows(apis, sources), *rows),
        not_counted=_not_counted(local),
        sources=sources,
    )


def _crossings(local: LocalSide, demand: Demand, apis: tuple[ApiPrice, ...]) -> tuple[BreakEven, ...]:
    found = (
        break_even(kind, local, demand, api.name, api.usd_per_request) for api in apis for kind in LOCAL_KINDS
    )
    return tuple(crossing for crossing in found if crossing is not None)


_DEMAND_FLAGS: Final = {
    "requests_per_day": (N_("requests"), N_("requests/day"), "--requests-per-day"),
    "input_tokens": (N_("prompt"), N_("tokens/request"), "--input-tokens"),
    "output_tokens": (N_("answer"), N_("tokens/request"), "--output-tokens"),
    "cached_share": (N_("prompt read from a cache"), N_("share"), "--cached-share"),
    "peak_factor": (N_("busiest hour over a mean one"), N_("times"), "--peak-factor"),
    "active_hours": (N_("hours of service"), N_("hours/day"), "--active-hours"),
    "months": (N_("period"), N_("months"), "--months"),
}


def _defaults(demand: Demand, stated: Collection[str]) -> tuple[Assumption, ...]:
    """The parts of the demand that nobody stated."""
    return tuple(
        Assumption(
            name=_(name),
            value=Decimal(getattr(demand, field)),
            unit=_(unit),
            source=_("default (change with {flag})").format(flag=flag),
            date=None,
        )
        for field, (name, unit, flag) in _DEMAND_FLAGS.items()
        if field not in stated
    )


def _api_rows(apis: tuple[ApiPrice, ...], sources: Sources) -> tuple[Assumption, ...]:
    source = _("genai-prices {version}, as of 12:00 UTC").format(version=sources.genai_prices)
    return tuple(
        Assumption(
            name=_("{api}, one request").format(api=api.name),
            value=api.usd_per_request,
            unit="USD",
            source=source,
            date=sources.genai_prices_published,
        )
        for api in apis
    )


def _serving(speed: SpeedEstimate) -> tuple[Assumption, ...]:
    """How fast the machine is taken to be, and how hard it may be driven."""

    def rate(name: str, tokens_per_s: float | None) -> Assumption:
        if tokens_per_s is None:
            why = _("not known: reckoned with the speed of all requests together, its lower bound")
            return Assumption.unknown(name, _("tokens/s"), why)
        value, source = Decimal(str(tokens_per_s)), _("the plan: {basis}").format(basis=speed.basis)
        return Assumption(name=name, value=value, unit=_("tokens/s"), source=source, date=None)

    return (
        rate(_("answer speed of one request"), speed.decode_tokens_per_s),
        rate(_("answer speed of all requests together"), speed.throughput_tokens_per_s),
        rate(_("prompt speed"), speed.prefill_tokens_per_s),
        _own(
            _("busiest a machine may be in the peak hour"),
            PEAK_UTILIZATION,
            _("beyond it requests mostly wait"),
        ),
        _own(_("range shown as low and high"), SPREAD, _("speed and demand off by this much")),
    )


def _own(name: str, share: Decimal, why: str) -> Assumption:
    source = _("this program's choice: {reason}").format(reason=why)
    return Assumption(name=name, value=share, unit=_("share"), source=source, date=None)


def _not_counted(local: LocalSide | None) -> tuple[str, ...]:
    api = (
        _("taxes on API use, hardware and rent"),
        _("free tiers, batch discounts and fees for writing a cache"),
    )
    if local is None:
        return api
    labour = () if local.terms.labour_usd_per_month else (_("labour (give it with --labour-per-month)"),)
    return (
        *labour,
        *api,
        _("interest, repairs, a spare machine, cooling, rent of the room, network and storage"),
        _("differences in quality between the models"),
    )
