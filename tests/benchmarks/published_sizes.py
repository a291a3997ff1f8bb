"""GGUF files by rule against published file sizes, tokenizer and metadata included.

    python tests/benchmarks/published_sizes.py [--truth DIR]

Rows: every artifact of the catalog whose size was read, and with --truth those of a folder with
published_sizes.csv and configs.json. The last column names the older recipe that gives the size, where one
does; a packager's own mix of types has none.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from memory import QUANTIZATIONS, Configs

from advisor.architecture import Architecture
from advisor.catalog import load_catalog
from advisor.file_size import file_bytes, older_files
from advisor.quantization import WITH_IMATRIX

TOLERANCE = 0.0005


class Row(NamedTuple):
    name: str
    quantization: str
    published: int
    ruled: int
    recipe: str
    """By which the sizes agree; empty where none does."""


def row_of(name: str, arch: Architecture, quantization: str, published: int) -> Row:
    """The size by the rule, or by the older recipe that is within the tolerance."""
    now = file_bytes(arch, quantization)
    if abs(now - published) <= TOLERANCE * published:
        return Row(name, quantization, published, now, "as now")
    with_imatrix = file_bytes(arch, quantization, WITH_IMATRIX)
    if abs(with_imatrix - published) <= TOLERANCE * published:
        return Row(name, quantization, published, with_imatrix, "with an importance matrix")
    for old in older_files(arch, quantization):
        if abs(old.bytes - published) <= TOLERANCE * published:
            return Row(name, quantization, published, old.bytes, f"older: {old.recipe}")
    return Row(name, quantization, published, now, "")


def catalog_rows() -> Iterator[Row]:
    for model in load_catalog().models:
        for artifact in model.artifacts:
            if artifact.bytes and artifact.format == "gguf":
                yield row_of(model.id, model.architecture, artifact.quantization, artifact.bytes)


def truth_rows(folder: Path) -> Iterator[Row]:
    configs = Configs(folder / "configs.json")
    with (folder / "published_sizes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            quantization = QUANTIZATIONS.get(row["quant"], row["quant"])
            arch = configs.architecture(row["model"])
            yield row_of(row["model"], arch, quantization, int(row["published_file"]))


def print_table(title: str, rows: list[Row]) -> None:
    print(f"\n{title}: {sum(bool(row.recipe) for row in rows)} of {len(rows)} within {TOLERANCE:.2%}")
    for row in rows:
        off = row.ruled - row.published
        print(
            f"{row.name:32} {row.quantization:8} {row.published:>15,} {off:>+14,} "
            f"{off / row.published:>+9.4%}  {row.recipe or 'a mix of its own'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--truth", type=Path)
    folder = parser.parse_args().truth
    print_table("published artifacts of the catalog", list(catalog_rows()))
    if folder:
        print_table("published_sizes.csv", list(truth_rows(folder)))


if __name__ == "__main__":
    main()
