"""YAML reading: what PyYAML would accept in silence is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.errors import CatalogError
from advisor.yaml_files import read_yaml


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "some.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_reads_plain_values(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "a: 448_000_000_000  # 448 GB/s\nb: [x, {c: null}]\n")) == {
        "a": 448_000_000_000,
        "b": ["x", {"c": None}],
    }


def test_merge_keys_may_be_overridden(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "some.yaml, line 3: duplicate key 'a'", id="duplicate"),
        pytest.param("rows:\n  - {x: 1, x: 2}\n", "line 2: duplicate key 'x'", id="nested-duplicate"),
        pytest.param("a: [1, 2\nb: 3\n", "some.yaml, line 2", id="unclosed"),
        pytest.param("a: !!python/name:os.system x\n", "line 1: could not determine a constructor", id="tag"),
        pytest.param("{[1]: 2}\n", "line 1: found unhashable key", id="list-as-key"),
        pytest.param(b"a: \xff\xfe\n", "not valid YAML in UTF-8", id="not-utf-8"),
        pytest.param("a: 2026-13-99\n", "not valid YAML", id="impossible-date"),
        pytest.param("[" * 5000, "not valid YAML", id="nested-too-deep"),
        pytest.param("a: \x07\n", "not valid YAML in UTF-8", id="control-character"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(CatalogError, match=message) as caught:
        read_yaml(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.yaml: cannot be read"):
        read_yaml(tmp_path / "nowhere.yaml")
