"""The published tables that `fit_quality.py` fits lines between: scores by metric and model.

Rows of one model have different names in different tables; `NAMES` says which are the same. Of a model's
thinking and non-thinking rows the better one counts, as in the catalog.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Final

Table = dict[str, float]
"""Score by model."""

LIVEBENCH: Final = ("2026-01-08", "2025-05-30", "2025-04-02", "2024-11-25")
LIVEBENCH_COLUMNS: Final = {
    "global average": "global_average",
    "agentic coding": "Agentic Coding",
    "reasoning": "Reasoning",
}
LMARENA_COLUMNS: Final = {"overall": "full", "math": "math", "Korean": "korean"}
"""With style control: without it, length and formatting count, and agreement with LiveBench is poorer."""
KOREAN_TASKS: Final = {
    "MTEB MIRACL hard negatives Korean": "MIRACL_HN_ko",
    "MTEB Ko-StrategyQA": "Ko-StrategyQA",
}
CARDS: Final = Path(__file__).with_name("quality_cards.csv")
"""Scores printed in makers' model cards, of their own models and of those they compare with. Each model
is given in the mode it runs in by default; agent benchmarks only by the model's own maker, since another's
scaffold can halve them (gpt-oss-20b on SWE-bench Verified: 34 in a competitor's card)."""

NAMES: Final = {
    # LMArena's and the cards' names, and LiveBench's of the same model and effort
    "gpt-5.2": "gpt-5.2-2025-12-11-high",
    "claude-opus-4.5": "claude-opus-4-5-20251101-thinking-64k-high-effort",
    "claude-opus-4-5-20251101-thinking-32k": "claude-opus-4-5-20251101-thinking-64k-high-effort",
    "gemini-3-pro": "gemini-3-pro-preview-11-2025-high",
    "kimi-k2.5": "kimi-k2.5-thinking",
    "claude-opus-4-1-20250805": "claude-4-1-opus-20250805-base",
    "claude-opus-4-1-20250805-thinking-16k": "claude-4-1-opus-20250805-thinking-32k",
    "claude-sonnet-4-20250514": "claude-4-sonnet-20250514-base",
    "claude-sonnet-4-20250514-thinking-32k": "claude-4-sonnet-20250514-thinking-64k",
    "claude-sonnet-4-5-20250929-thinking-32k": "claude-sonnet-4-5-20250929-thinking-64k",
    "gemini-2.5-pro": "gemini-2.5-pro-06-05-highthinking",
    "gemini-2.5-flash": "gemini-2.5-flash-06-05-highthinking",
    "gemini-2.5-flash-preview-09-2025": "gemini-2.5-flash-preview-09-2025-highthinking",
    "gpt-5.1-high": "gpt-5.1-2025-11-13-high",
    "kimi-k2-0711-preview": "kimi-k2-instruct",
    "kimi-k2-thinking-turbo": "kimi-k2-thinking",
    "claude-3-7-sonnet-20250219": "claude-3-7-sonnet",
    "claude-3-7-sonnet-20250219-thinking-32k": "claude-3-7-sonnet-thinking",
    "claude-3-7-sonnet-20250219-base": "claude-3-7-sonnet",
    "claude-3-7-sonnet-20250219-thinking-64k": "claude-3-7-sonnet-thinking",
    "gpt-4.5-preview-2025-02-27": "gpt-4.5-preview",
    "chatgpt-4o-latest-20250326": "chatgpt-4o-latest-2025-03-27",
    "gemini-2.0-flash-001": "gemini-2.0-flash",
    "llama-3.1-405b-instruct-bf16": "llama-3.1-405b-instruct",
    "meta-llama-3.1-405b-instruct": "llama-3.1-405b-instruct",
    "meta-llama-3.1-70b-instruct": "llama-3.1-70b-instruct",
    "meta-llama-3.1-8b-instruct": "llama-3.1-8b-instruct",
    "meta-llama-3-70b-instruct": "llama-3-70b-instruct",
    "meta-llama-3-8b-instruct": "llama-3-8b-instruct",
    "mistral-small-24b-instruct-2501": "mistral-small-2501",
    "mistral-small-3.1-24b-instruct-2503": "mistral-small-2503",
    "o1-2024-12-17": "o1-2024-12-17-high",
    "o1-mini": "o1-mini-2024-09-12",
    "o3-mini": "o3-mini-2025-01-31-medium",
    "o3-mini-high": "o3-mini-2025-01-31-high",
    "amazon-nova-lite-v1.0": "amazon.nova-lite-v1:0",
    "amazon-nova-micro-v1.0": "amazon.nova-micro-v1:0",
    "amazon-nova-pro-v1.0": "amazon.nova-pro-v1:0",
    # the catalog's ids
    "qwen3-32b-thinking": "qwen3-32b",
    "phi-3-mini-4k-instruct-june-2024": "phi-3-mini-4k-instruct",
    "mistral-small-2506": "mistral-small-3.2-24b-instruct",
}
_SUFFIX: Final = re.compile(r"-turbo$")


def name_of(raw: str) -> str:
    """The one name of a row's model."""
    name = _SUFFIX.sub("", raw.lower().split("/")[-1])
    return NAMES.get(name, NAMES.get(raw.lower(), name))


def read_tables(truth: Path) -> dict[str, Table]:
    """Every table by the metric's name in the catalog."""
    tables: dict[str, Table] = {}
    for metric, raw, score in _cells(truth / "quality"):
        name, table = name_of(raw), tables.setdefault(metric, {})
        table[name] = max(score, table.get(name, score))
    return tables


def _cells(folder: Path) -> Iterator[tuple[str, str, float]]:
    for edition in LIVEBENCH:
        yield from _livebench(folder, edition)
    for row in _rows(folder / "lmarena_arena-catalog_stylecontrol_2025-12.csv"):
        for metric, column in LMARENA_COLUMNS.items():
            if row.get(column):
                yield f"LMArena text 2025-12 {metric}", row["model"], float(row[column])
    for row in _rows(folder / "open_llm_leaderboard_v2_2025-05.csv"):
        if row.get("mean_of_listed"):
            yield "Open LLM Leaderboard v2 mean of 4", row["fullname"], float(row["mean_of_listed"])
    for row in _rows(CARDS):
        yield row["metric"], row["model"], float(row["score"])
    yield from _embedding_cells(folder)


def _livebench(folder: Path, edition: str) -> Iterator[tuple[str, str, float]]:
    for row in _rows(folder / f"livebench_{edition.replace('-', '_')}.csv"):
        for metric, column in LIVEBENCH_COLUMNS.items():
            if row.get(column):
                yield f"LiveBench {edition} {metric}", row["model"], float(row[column])


def _embedding_cells(folder: Path) -> Iterator[tuple[str, str, float]]:
    """MTEB: the Korean tasks, the whole English benchmark, and the part of it that BGE-M3 was run on."""
    for row in _rows(folder / "mteb_selected_summary.csv"):
        for metric, column in KOREAN_TASKS.items():
            if row.get(column):
                yield metric, row["model"], float(row[column])
    by_model: dict[str, Table] = {}
    for row in _rows(folder / "mteb_selected_long.csv"):
        if row["lang"].startswith("eng"):
            by_model.setdefault(row["model"], {})[row["task"]] = float(row["main_score"])
    every = set.union(*(set(scores) for scores in by_model.values()))
    part = set(by_model["BAAI/bge-m3"]) & every
    for model, scores in by_model.items():
        if set(scores) >= every:
            yield "MTEB eng v2 mean", model, fmean(scores.values())
            yield f"MTEB eng v2 mean over {len(part)} of {len(every)} tasks", model, _mean(scores, part)


def _mean(scores: Mapping[str, float], tasks: set[str]) -> float:
    return fmean(scores[task] for task in tasks)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
