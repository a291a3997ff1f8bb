"""The cost comparison as a Markdown report."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from advisor.cost import CostComparison
from advisor.i18n import N_, _
from advisor.local_cost import SPREAD, BreakEven, LocalKind, Span
from advisor.quoting import cell
from advisor.resources import TEMPLATES_DIR

UNKNOWN: Final = N_("unknown")
_CENT: Final = Decimal("0.01")
_SIGNIFICANT_DIGITS: Final = 4


def cost_report(comparison: CostComparison) -> str:
    """A Markdown document with the options, the break-even points, and everything they rest on."""
    # Imported here: 30 ms that --json need not pay.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR / "cost"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown, not HTML: `cell` escapes what would break a table
    )
    environment.globals["_"] = _
    environment.filters |= {
        "cell": cell,
        "figure": _figure,
        "kind": _kind,
        "payback": _payback,
        "percent": _percent,
        "span": _span,
        "start": _start,
        "usd": _usd,
        "verdict": _verdict,
    }
    return environment.get_template("report.md.j2").render(
        comparison=comparison,
        demand=comparison.demand,
        sources=comparison.sources,
        spread=SPREAD,
    )


def _usd(amount: Decimal | None) -> str:
    """Dollars and cents; what costs less than a cent is not shown as nothing."""
    if amount is None:
        return _(UNKNOWN)
    return f"${amount:,.2f}" if amount >= _CENT or not amount else "< $0.01"


def _start(amount: Decimal | None) -> str:
    return "–" if amount is not None and not amount else _usd(amount)


def _figure(value: Decimal | int | None) -> str:
    """A number with at most four significant digits, never in exponent form."""
    if value is None:
        return _(UNKNOWN)
    number = Decimal(value)
    if not number:
        return "0"
    digits = _SIGNIFICANT_DIGITS - 1 - number.adjusted()
    text = f"{round(number, max(0, digits)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _kind(option: LocalKind) -> str:
    return {"owned": _("owned"), "purchased": _("purchased"), "rented": _("rented")}[option]


def _percent(share: Decimal) -> str:
    return f"{share:.0%}"


def _span(span: Span) -> str:
    """The expected figure, with its range in brackets where it has one."""
    low, expected = f"{span.low:,.0f}", f"{span.expected:,.0f}"
    high = _("never") if span.high is None else f"{span.high:,.0f}"
    return expected if low == high else _ranged(expected, low, high)


def _ranged(expected: str, low: str, high: str) -> str:
    return _("{expected} ({low} to {high})").format(expected=expected, low=low, high=high)


def _payback(row: BreakEven) -> str:
    if row.option != "purchased":
        return "–"
    if row.months is None:
        return _("never in its life")
    months = row.months
    high = _("never") if months.high is None else f"{months.high:.1f}"
    return _ranged(f"{months.expected:.1f}", f"{months.low:.1f}", high)


def _verdict(can_serve: bool | None) -> str:
    return {True: _("yes"), False: _("no"), None: _(UNKNOWN)}[can_serve]
