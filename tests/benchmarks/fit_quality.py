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
from statistics import correlation, linear_regression
from typing import Final, NamedTuple

import numpy as np
from quality_tables import Table, read_tables

from advisor.catalog import load_catalog
from advisor.model import Model, ModelKind
from advisor.quality import DAYS_A_YEAR, Axis, Line, QualityData, Scale, SizeLaw, logit_of, quality_of
from advisor.resources import CATALOG_DIR
from advisor.usecase import UseCase
from advisor.yaml_files import read_yaml

FILE: Final = CATALOG_DIR / "quality.yaml"
SINCE: Final = date(2025, 1, 1)
MIN_ANCHORS: Final = 6
"""Fewer models in both tables do not hold a line."""

Logits = dict[str, float]


class Plan(NamedTuple):
    """An axis: its reference, and the tables fitted to it, in the order in which they may lean on each other."""

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
            "LMArena text 2025-12 overall",
            "LiveBench 2025-04-02 global average",
            "LiveBench 2024-11-25 global average",
            "MMLU-Pro by the maker",
            "GPQA Diamond by the maker",
            "Open LLM Leaderboard v2 mean of 4",
        ),
    ),
    Plan(
        "coding",
        "LiveBench 2026-01-08 coding",
        (
            "LiveBench 2025-05-30 coding",
            "LMArena text 2025-12 coding",
            "LiveBench 2025-04-02 coding",
            "LiveBench 2024-11-25 coding",
            "LiveCodeBench v6 by the maker",
            "SWE-bench Verified by the maker",
        ),
        from_general=True,
    ),
    Plan(
        "agentic",
        "LiveBench 2026-01-08 agentic coding",
        ("LiveBench 2025-05-30 agentic coding", "SWE-bench Verified by the maker"),
        from_general=True,
    ),
    Plan(
        "reasoning",
        "LiveBench 2026-01-08 reasoning",
        (
            "LiveBench 2025-05-30 reasoning",
            "LMArena text 2025-12 math",
            "LiveBench 2025-04-02 reasoning",
            "LiveBench 2024-11-25 reasoning",
            "GPQA Diamond by the maker",
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


def logits(metric: str, table: Table) -> Logits:
    return {name: logit_of(score, scale_of(metric)) for name, score in table.items()}


def fit_line(metric: str, table: Logits, known: Logits) -> Line | None:
    """The line from a table to the scale of `known`; None where too few models are in both."""
    anchors = sorted(set(table) & set(known))
    if len(anchors) < MIN_ANCHORS:
        return None
    x, y = [table[name] for name in anchors], [known[name] for name in anchors]
    slope, intercept = linear_regression(x, y)
    rest = [b - intercept - slope * a for a, b in zip(x, y, strict=True)]
    residual = math.sqrt(sum(r * r for r in rest) / (len(rest) - 2))
    print(
        f"  {metric:45} n {len(anchors):3}  logit = {intercept:+.2f} {slope:+.2f} x"
        f"  residual {residual:.2f}  correlation {correlation(x, y):.2f}"
    )
    return Line(
        metric=metric,
        scale=scale_of(metric),
        intercept=round(intercept, 4),
        slope=round(slope, 4),
        n=len(anchors),
        residual=round(residual, 4),
    )


def fit_axis(plan: Plan, tables: Mapping[str, Table], general: Logits) -> tuple[Axis, Logits]:
    """The axis, and every model's place on it that a table gives."""
    print(f"\n{plan.name}: {plan.reference}")
    known = logits(plan.reference, tables.get(plan.reference, {}))
    lines = []
    for metric in plan.tables:
        own = logits(metric, tables[metric])
        if line := fit_line(metric, own, known):
            lines.append(line)
            known = {name: line.intercept + line.slope * x for name, x in own.items()} | known
    from_general = fit_line("general score", general, known) if plan.from_general else None
    if from_general:
        from_general = from_general.model_copy(update={"scale": "percent"})
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
            rows.append([1.0, math.log10(model.n_params), math.log10(active), years])
            targets.append(logit_of(found.score, "percent"))
    matrix, wanted = np.array(rows), np.array(targets)
    solution, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    rest = wanted - matrix @ solution
    residual = math.sqrt(float(rest @ rest) / (len(rest) - matrix.shape[1]))
    print(f"\nsize law: n {len(rest)}  {np.round(solution, 3)}  residual {residual:.2f}")
    intercept, total, active, year = (round(float(value), 4) for value in solution)
    return SizeLaw(
        intercept=intercept,
        per_decade_total=total,
        per_decade_active=active,
        per_year=year,
        since=SINCE,
        n=len(rest),
        residual=round(residual, 4),
    )


def fit(truth: Path, old: QualityData) -> QualityData:
    tables = read_tables(truth)
    axes, general = [], Logits()
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
    lines = [head, "", "axes:"]
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
