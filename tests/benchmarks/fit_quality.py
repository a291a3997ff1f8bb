"""Fit the lines and the size law of `catalog/quality.yaml` to the published tables, and print or write it.

    python tests/benchmarks/fit_quality.py --truth DIR [--write]

DIR/quality holds the tables. The reference table of an axis comes first; each further table is fitted through
the models that stand in it and in the tables before it, closed ones included, and then carries its own
models to the scale for the tables after it. The size law is fitted to the catalog's own chat models that a
table holds. Quantization losses and sources are kept as they stand in the file.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import correlation, fmean, linear_regression
from typing import Final, NamedTuple

import numpy as np
from quality_tables import Table, read_tables

from advisor.catalog import load_catalog
from advisor.model import Model, ModelKind
from advisor.quality import (
    DAYS_A_YEAR,
    SIZE_ZERO,
    Axis,
    Line,
    QualityData,
    Scale,
    SizeLaw,
    logit_of,
    quality_of,
)
from advisor.resources import CATALOG_DIR
from advisor.usecase import UseCase
from advisor.yaml_files import read_yaml

FILE: Final = CATALOG_DIR / "quality.yaml"
SINCE: Final = date(2025, 1, 1)
MIN_ANCHORS: Final = 3
"""Fewer models in both tables do not hold a line."""


class Place(NamedTuple):
    """Where a model stands on an axis, in logits, and how surely."""

    logit: float
    deviation: float = 0.0


Places = dict[str, Place]


class Plan(NamedTuple):
    """An axis: its reference, and the tables fitted to it, in the order in which they lean on each other."""

    name: str
    reference: str
    tables: tuple[str, ...]
    from_general: bool = False


PLANS: Final = (
    Plan(
        "general",
        "LiveBench 2026-01-08 global average",
        (
            "LiveBench 2025-05-30 global average",
            "LiveBench 2025-04-02 global average",
            "LiveBench 2024-11-25 global average",
            "LMArena text 2025-12 overall",
            "MMLU-Pro in makers' cards",
            "GPQA Diamond in makers' cards",
            "Open LLM Leaderboard v2 mean of 4",
        ),
    ),
    Plan(
        "coding",
        "LiveBench 2026-01-08 agentic coding",
        (
            "LiveBench 2025-05-30 agentic coding",
            "SWE-bench Verified in makers' cards",
        ),
        from_general=True,
    ),
    Plan(
        "reasoning",
        "LiveBench 2026-01-08 reasoning",
        (
            "LiveBench 2025-05-30 reasoning",
            "LiveBench 2025-04-02 reasoning",
            "LiveBench 2024-11-25 reasoning",
            "LMArena text 2025-12 math",
            "GPQA Diamond in makers' cards",
        ),
        from_general=True,
    ),
    Plan("korean", "LMArena text 2025-12 Korean", (), from_general=True),
    Plan("embedding_en", "MTEB eng v2 mean", ("MTEB eng v2 mean over 27 of 41 tasks",)),
    Plan("embedding_ko", "MTEB MIRACL hard negatives Korean", ("MTEB Ko-StrategyQA",)),
    Plan("rerank", "MMTEB-R reranking", ()),
)


def scale_of(metric: str) -> Scale:
    return "elo" if metric.startswith("LMArena") else "percent"


def places(metric: str, table: Table) -> Places:
    return {name: Place(logit_of(score, scale_of(metric))) for name, score in table.items()}


def fit_line(metric: str, table: Places, known: Places) -> Line | None:
    """The line from a table to the scale of `known`; None where too few models are in both.

    What it leaves counts on top of how surely its anchors stand.
    """
    anchors = sorted(set(table) & set(known))
    if len(anchors) < MIN_ANCHORS:
        return None
    x, y = [table[name].logit for name in anchors], [known[name].logit for name in anchors]
    slope, intercept = linear_regression(x, y)
    rest = [b - intercept - slope * a for a, b in zip(x, y, strict=True)]
    own = math.sqrt(sum(r * r for r in rest) / (len(rest) - 2))
    residual = math.hypot(own, fmean(known[name].deviation for name in anchors))
    print(
        f"  {metric:45} n {len(anchors):3}  logit = {intercept:+.2f} {slope:+.2f} x"
        f"  residual {residual:.2f} (own {own:.2f})  correlation {correlation(x, y):.2f}"
    )
    return Line(
        metric=metric,
        scale=scale_of(metric),
        intercept=round(intercept, 4),
        slope=round(slope, 4),
        n=len(anchors),
        residual=round(residual, 4),
    )


def fit_axis(plan: Plan, tables: Mapping[str, Table], general: Places) -> tuple[Axis, Places]:
    """The axis, and every model's place on it that a table gives."""
    print(f"\n{plan.name}: {plan.reference}")
    measured = places(plan.reference, tables.get(plan.reference, {}))
    known, lines = measured, []
    for metric in plan.tables:
        own = places(metric, tables[metric])
        if line := fit_line(metric, own, known):
            lines.append(line)
            carried = {n: Place(line.intercept + line.slope * x.logit, line.residual) for n, x in own.items()}
            known = carried | known
    from_general = fit_line("general score", general, measured) if plan.from_general else None
    axis = Axis(
        name=plan.name,
        reference=plan.reference,
        scale=scale_of(plan.reference),
        lines=tuple(sorted(lines, key=lambda line: line.residual)),
        from_general=from_general,
    )
    return axis, known


def fit_size_law(models: Sequence[Model], data: QualityData) -> SizeLaw:
    """Least squares over the catalog's chat models that a table holds."""
    rows, targets = [], []
    for model in models:
        found = quality_of(model, UseCase.CHAT, (), data)
        if model.kind is ModelKind.CHAT and found.evidence in ("measured", "inherited") and found.score:
            years = (model.released - SINCE).days / DAYS_A_YEAR
            active = model.n_params_active or model.n_params
            size = math.log10(model.n_params / SIZE_ZERO)
            rows.append([1.0, size, math.log10(active / SIZE_ZERO), years, size * years])
            targets.append(logit_of(found.score, "percent"))
    matrix, wanted = np.array(rows), np.array(targets)
    solution, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    rest = wanted - matrix @ solution
    residual = math.sqrt(float(rest @ rest) / (len(rest) - matrix.shape[1]))
    print(f"\nsize law: n {len(rest)}  {np.round(solution, 3)}  residual {residual:.2f}")
    intercept, total, active, year, spread = (round(float(value), 4) for value in solution)
    return SizeLaw(
        intercept=intercept,
        per_decade_total=total,
        per_decade_active=active,
        per_year=year,
        spread_per_year=spread,
        since=SINCE,
        n=len(rest),
        residual=round(residual, 4),
    )


def fit(truth: Path, old: QualityData) -> QualityData:
    tables = read_tables(truth)
    axes: list[Axis] = []
    general: Places = {}
    for plan in PLANS:
        axis, known = fit_axis(plan, tables, general)
        axes.append(axis)
        general = known if plan.name == "general" else general
    data = old.model_copy(update={"axes": tuple(axes)})
    return data.model_copy(update={"size_law": fit_size_law(load_catalog().models, data)})


def text_of(data: QualityData, old: str) -> str:
    """The file with the fitted part replaced; comments, losses and sources stay as people wrote them."""
    head, rest = old.split("\naxes:", 1)
    kept = rest.split("\n\n# What is kept", 1)[1]
    lines = [head.rstrip(), "", "axes:"]
    for axis in data.axes:
        lines += [f"  - name: {axis.name}", f"    reference: {axis.reference}"]
        lines += [f"    scale: {axis.scale}"] if axis.scale != "percent" else []
        lines += ["    lines:", *(f"      - {_flow(line)}" for line in axis.lines)] if axis.lines else []
        lines += [f"    from_general: {_flow(axis.from_general)}"] if axis.from_general else []
    lines += ["", f"size_law: {_flow(data.size_law)}", "", f"# What is kept{kept}"]
    return "\n".join(lines)


def _flow(value: Line | SizeLaw) -> str:
    fields = value.model_dump(mode="json", exclude_defaults=True)
    return "{" + ", ".join(f"{key}: {field}" for key, field in fields.items()) + "}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--truth", type=Path, required=True, help="folder that holds quality/*.csv")
    parser.add_argument("--write", action="store_true", help=f"write {FILE}")
    arguments = parser.parse_args()
    data = fit(arguments.truth, QualityData.model_validate(read_yaml(FILE)))
    if arguments.write:
        FILE.write_text(text_of(data, FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
