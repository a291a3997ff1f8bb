"""What a user reads of a cost comparison, and how the command hands it over."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import candidate, cost_catalog, gpu, machine, recommendation, speed

from advisor.cli.cost import command
from advisor.cost import ApiPrice, CostComparison, Sources, compare
from advisor.demand import Demand
from advisor.errors import OutputError
from advisor.hardware import Machine
from advisor.local_cost import LocalSide
from advisor.machine_cost import Given, machine_terms
from advisor.report import cost_report

APIS = (
    ApiPrice(name="maker/large", usd_per_request=Decimal("0.016"), context_window=400_000),
    ApiPrice(name="maker/small", usd_per_request=Decimal("0.0000004"), context_window=1000),
    ApiPrice(
        name="host/qwen2.5-7b-instruct",
        usd_per_request=Decimal("0.0002"),
        same_model=True,
        notes=("the plan's model, hosted",),
    ),
)


def comparison(on: Machine | None, *, model: str = "Qwen2.5 7B Instruct") -> CostComparison:
    local = None
    if on is not None:
        terms = machine_terms(on, candidate(), cost_catalog(), "us", Given())
        local = LocalSide(machine=on.title, model=model, n_ctx=8192, speed=speed(), terms=terms)
    sources = Sources(
        genai_prices="0.2.3",
        genai_prices_published=date(2026, 11, 10) if on else None,
        catalog=date(2026, 11, 21),
    )
    demand = Demand(requests_per_day=Decimal("328.77"), input_tokens=1500, output_tokens=500)
    stated = ("requests_per_day", "input_tokens", "output_tokens")
    return compare(demand, APIS, local, stated=stated, sources=sources)


@pytest.mark.parametrize(
    ("name", "on"),
    [
        pytest.param("cost/plan.md", machine(gpu()), id="plan"),
        pytest.param(
            "cost/unknown.md",
            machine(gpu(name="Card X", catalog_id=None, tdp_watts=None, bandwidth_bytes_per_s=None)),
            id="unknown-figures",
        ),
        pytest.param("cost/apis.md", None, id="apis-alone"),
    ],
)
def test_report(golden: Callable[[str, str], None], name: str, on: Machine | None) -> None:
    golden(name, cost_report(comparison(on)))


def test_a_local_run_is_never_shown_as_free() -> None:
    rows = [
        line
        for line in cost_report(comparison(machine(gpu()))).splitlines()
        if line.startswith("| this machine")
    ]
    assert len(rows) == 1
    assert "$0.00" not in rows[0]


def test_a_name_cannot_break_the_table() -> None:
    report = cost_report(comparison(machine(gpu()), model="evil | name\n# heading <b>"))
    assert "evil \\| name # heading \\<b>" in report


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.json"
    path.write_text(recommendation().model_dump_json(), encoding="utf-8")
    return str(path)


def test_json_is_alone_on_stdout_and_the_report_goes_to_the_file(plan: str, tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    result = CliRunner().invoke(command, [plan, "--json", "--out", str(out), "--requests-per-day", "2000"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["demand"]["requests_per_day"] == 2000
    assert result.stderr == f"Wrote {out}\n"
    assert out.read_text(encoding="utf-8").startswith("# What serving this costs\n")


def test_without_out_the_report_is_printed(plan: str) -> None:
    result = CliRunner().invoke(command, [plan, "--api", "gpt-4o", "--kwh-price", "0.5", "--months", "3"])
    assert result.exit_code == 0, result.output
    assert "| openai/gpt-4o |" in result.stdout
    assert "| electricity, US | 0.5 | USD/kWh | given with --kwh-price | – |" in result.stdout


def test_an_existing_report_is_replaced_only_with_force(plan: str, tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    out.write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(command, [plan, "--out", str(out)])
    assert isinstance(result.exception, OutputError)
    assert out.read_text(encoding="utf-8") == "mine"
    assert CliRunner().invoke(command, [plan, "--out", str(out), "--force"]).exit_code == 0
    assert out.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--requests-per-day", "0"], id="no-requests"),
        pytest.param(["--requests-per-day", "nan"], id="not-a-number"),
        pytest.param(["--requests-per-day", "inf"], id="endless"),
        pytest.param(["--cached-share", "1.5"], id="more-than-all"),
        pytest.param(["--kwh-price", "0"], id="free-electricity"),
        pytest.param(["--active-hours", "25"], id="long-day"),
        pytest.param(["--months", "0"], id="no-months"),
        pytest.param(["--region", "mars"], id="region"),
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
