"""What is to be served, and how much of a machine that takes.

The busy share of a machine is never asked for: it follows from the demand and the plan's speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Final

from pydantic import Field, PlainSerializer

from advisor.assessment import SpeedEstimate
from advisor.model import ModelKind
from advisor.value import Value

Number = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""Exact inside, a plain number in JSON."""

MONTHS_PER_YEAR: Final = 12
DAYS_PER_MONTH: Final = Decimal(365) / MONTHS_PER_YEAR
SECONDS_PER_HOUR: Final = 3600
MTOK: Final = 10**6

PEAK_UTILIZATION: Final = Decimal("0.8")
"""Busiest a machine may be in the peak hour: beyond it requests spend most of their time waiting."""


class Demand(Value):
    """What is to be served."""

    requests_per_day: Number = Field(default=Decimal(1000), gt=0)
    input_tokens: int = Field(default=1000, ge=1)
    """Tokens of one request's prompt, the cached ones among them."""
    output_tokens: int = Field(default=300, ge=0)
    cached_share: Number = Field(default=Decimal(0), ge=0, le=1)
    """Share of the input that was sent before and is read from a prefix cache, on either side."""
    peak_factor: Number = Field(default=Decimal(3), ge=1)
    """Requests of the busiest hour over those of a mean hour of service."""
    active_hours: Number = Field(default=Decimal(24), gt=0, le=24)
    """Hours a day that the service runs: requests come, the machine is on, the rent is paid."""
    months: int = Field(default=12, ge=1)

    @property
    def cached_tokens(self) -> int:
        """Input tokens of a request that come from the cache."""
        return int(self.input_tokens * self.cached_share)

    @property
    def requests_per_month(self) -> Decimal:
        """A twelfth of a year's requests."""
        return self.requests_per_day * DAYS_PER_MONTH

    @property
    def hours_per_month(self) -> Decimal:
        """Hours of service in a month."""
        return self.active_hours * DAYS_PER_MONTH

    @property
    def requests_per_s(self) -> Decimal:
        """Mean arrival rate while the service runs."""
        return self.requests_per_day / (self.active_hours * SECONDS_PER_HOUR)

    @property
    def mtok_per_month(self) -> Decimal:
        """Millions of tokens a month, input and output."""
        return self.requests_per_month * (self.input_tokens + self.output_tokens) / MTOK


TEXT_ONLY_IN: Final = {"input_tokens": 500, "output_tokens": 0}
"""Defaults for embedders and rerankers: a passage goes in, no text comes out."""


def demand_for(kind: ModelKind, given: Mapping[str, object]) -> Demand:
    """A demand for that kind of model: what is given, else the defaults."""
    defaults = {} if kind is ModelKind.CHAT else TEXT_ONLY_IN
    return Demand.model_validate({**defaults, **given})


class Service(Value):
    """What one request asks of one machine."""

    in_flight_s: Number
    """From its start to its last token, with all sequences busy."""
    work_s: Number
    """The machine's own time for it, when the sequences share the work."""


def service(speed: SpeedEstimate, demand: Demand, scale: Decimal = Decimal(1)) -> Service:
    """How long one request keeps a machine whose speed is `scale` times the plan's."""
    throughput = _exact(speed.throughput_tokens_per_s) * scale
    # Prefill is never slower than decoding, so where it is not known the throughput is its lower bound.
    known = speed.prefill_tokens_per_s
    prefill = throughput if known is None else _exact(known) * scale
    # An engine computes the last prompt token even when all of them are cached: it needs its logits.
    fresh = max(1, demand.input_tokens - demand.cached_tokens)
    return Service(
        in_flight_s=fresh / prefill + demand.output_tokens / (_exact(speed.decode_tokens_per_s) * scale),
        work_s=fresh / prefill + demand.output_tokens / throughput,
    )


def capacity_per_day(one: Service, demand: Demand) -> Decimal:
    """Requests a day that one machine bears, its peak hour at `PEAK_UTILIZATION`."""
    seconds = demand.active_hours * SECONDS_PER_HOUR
    return PEAK_UTILIZATION / one.work_s * seconds / demand.peak_factor


def machines_needed(one: Service, demand: Demand) -> int:
    """Machines that the peak hour asks for."""
    share = demand.requests_per_day / capacity_per_day(one, demand)
    return max(1, int(share.to_integral_value(ROUND_CEILING)))


def busy_share(one: Service, demand: Demand, machines: int = 1) -> Decimal:
    """Share of its hours that a machine is at work.

    By Little's law arrival rate times time in flight is the mean number of requests in flight, which bounds
    the share of time with at least one of them: requests that overlap make it smaller, never larger.
    """
    return min(Decimal(1), demand.requests_per_s * one.in_flight_s / machines)


def _exact(rate: float) -> Decimal:
    return Decimal(str(rate))
