"""`advisor cost`: what the pick costs to run, beside APIs, a purchase and a rented GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any, Final

import click

from advisor.cli.localized import LocalizedCommand
from advisor.cost import CostComparison
from advisor.demand import Demand
from advisor.i18n import _
from advisor.machine_cost import Given, Region
from advisor.output import write_whole
from advisor.plans import read_plan
from advisor.prices import compare_costs
from advisor.report import cost_report

LARGE: Final = 10**9
"""Bound of every number asked for: far above any use, and not infinite."""

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def _exact(ctx: click.Context, param: click.Parameter, value: float | None) -> Decimal | None:
    if value is not None and not value <= LARGE:  # not a number is not in any range either
        text = _("{value} is not a number up to {limit}").format(value=value, limit=LARGE)
        raise click.BadParameter(text, ctx, param)
    return None if value is None else Decimal(str(value))


def _number(
    flag: str, name: str, text: str, *, low: float = 0, high: float | None = None, zero: bool = False
) -> Decorator:
    kind = click.FloatRange(low, high, min_open=not low and not zero)
    return click.option(flag, name, type=kind, callback=_exact, metavar="N", help=text)


def _count(flag: str, name: str, text: str, *, low: int = 1) -> Decorator:
    kind = click.IntRange(low, LARGE)
    return click.option(flag, name, type=kind, metavar="N", help=text)


# The names are the fields of `Demand` and `Given`.
_DEMAND: Final = (
    _number("--requests-per-day", "requests_per_day", "Requests a day.  [default: 1000]"),
    _count("--input-tokens", "input_tokens", "Prompt of one request.  [default: 1000; embedders 500]"),
    _count("--output-tokens", "output_tokens", "Answer to one request.  [default: 300; embedders 0]", low=0),
    _number(
        "--cached-share", "cached_share", "Share of the prompt that a prefix cache holds.", high=1, zero=True
    ),
    _number("--peak-factor", "peak_factor", "Busiest hour over a mean one.  [default: 3]", low=1),
    _number("--active-hours", "active_hours", "Hours a day that the service is on.  [default: 24]", high=24),
    _count("--months", "months", "Period compared.  [default: 12]"),
)
_GIVEN: Final = (
    _number("--kwh-price", "usd_per_kwh", "Electricity, USD per kWh."),
    _number("--power-watts", "load_watts", "Power at the wall while serving, W."),
    _number("--idle-watts", "idle_watts", "Power at the wall while idle, W."),
    _number("--purchase-price", "purchase_usd", "The machine new, USD."),
    _number("--life-years", "life_years", "Years that a purchase serves.  [default: 5]"),
    _number("--residual-share", "residual_share", "Share of the price it sells for then.", high=1, zero=True),
    _number("--rent-per-hour", "rent_usd_per_hour", "A rented machine of the plan's speed, USD per hour."),
    _number(
        "--labour-per-month", "labour_usd_per_month", "Work on own machines, USD.  [default: not counted]"
    ),
)


def _with(options: tuple[Decorator, ...]) -> Decorator:
    return lambda command: reduce(lambda inner, option: option(inner), reversed(options), command)


@click.command("cost", cls=LocalizedCommand)
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@_with(_DEMAND)
@click.option(
    "--api", "apis", metavar="NAME", multiple=True, help="API model, as provider/model; repeatable."
)
@click.option(
    "--region",
    type=click.Choice(["us", "eu", "kr"]),
    default="us",
    show_default=True,
    help="Whose households' electricity price.",
)
@_with(_GIVEN)
@click.option("--out", type=click.Path(path_type=Path), help="Write the report to this Markdown file.")
@click.option("--force", is_flag=True, help="Replace a file that differs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    plan: Path | None,
    apis: tuple[str, ...],
    region: Region,
    out: Path | None,
    force: bool,
    as_json: bool,
    **more: Any,
) -> None:
    """Compare the cost of running PLAN with APIs, a purchase and rent.

    Without PLAN the APIs alone are compared.
    """
    stated = {name: value for name, value in more.items() if value is not None}
    comparison = compare_costs(
        read_plan(plan) if plan else None,
        demand_given={name: stated[name] for name in stated if name in Demand.model_fields},
        apis=apis,
        region=region,
        given=Given(**{name: stated[name] for name in stated if name in Given.model_fields}),
    )
    _deliver(comparison, out, force=force, as_json=as_json)


def _deliver(comparison: CostComparison, out: Path | None, *, force: bool, as_json: bool) -> None:
    if out:
        write_whole(out, cost_report(comparison), force=force)
        click.echo(_("Wrote {files}").format(files=out), err=True)
    if as_json:
        click.echo(comparison.model_dump_json(indent=2))
    elif not out:
        _show(cost_report(comparison))


def _show(report: str) -> None:
    """The report set out for a terminal; as it is for a file or a pipe."""
    if not sys.stdout.isatty():
        click.echo(report, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(report))
