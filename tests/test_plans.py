"""Plan files: sound ones are read back whole, others are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import recommendation

from advisor.errors import PlanError
from advisor.plans import chosen, read_plan


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(recommendation().model_dump_json())
    return loaded


def test_a_saved_plan_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(recommendation().model_dump_json(indent=2), encoding="utf-8")
    assert read_plan(path) == recommendation()


def _older(plan: dict[str, Any]) -> None:
    plan["schema_version"] = 0


def _unversioned(plan: dict[str, Any]) -> None:
    del plan["schema_version"]


def _device_total(plan: dict[str, Any]) -> None:
    plan["choice"]["memory"]["devices"][0]["total_bytes"] -= 1


def _total(plan: dict[str, Any]) -> None:
    plan["choice"]["memory"]["total_bytes"] -= 1


def _part(plan: dict[str, Any]) -> None:
    plan["choice"]["memory"]["weights_bytes"] += 1


def _without_machine(plan: dict[str, Any]) -> None:
    del plan["machine"]


def _unknown_field(plan: dict[str, Any]) -> None:
    plan["choice"]["colour"] = "blue"


def _nothing_chosen(plan: dict[str, Any]) -> None:
    plan["choice"] = None


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        pytest.param(_older, "plan of another version (schema_version 0, this program reads 1)", id="older"),
        pytest.param(_unversioned, "plan of another version (schema_version None", id="no-version"),
        pytest.param(_device_total, "total_bytes is not the sum of its parts", id="edited-device-total"),
        pytest.param(_total, "total_bytes is not the sum over the devices", id="edited-total"),
        pytest.param(_part, "weights_bytes is not the sum over the devices", id="edited-part"),
        pytest.param(_without_machine, "machine: Field required", id="field-missing"),
        pytest.param(_unknown_field, "choice.colour: Extra inputs are not permitted", id="field-unknown"),
        pytest.param(_nothing_chosen, "nothing was chosen in this plan", id="nothing-chosen"),
    ],
)
def test_a_changed_plan_is_refused(tmp_path: Path, edit: Callable[[dict[str, Any]], None], says: str) -> None:
    plan = document()
    edit(plan)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(PlanError) as error:
        read_plan(path)
    assert says in str(error.value)
    assert "recommend --save" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "broken JSON", id="empty"),
        pytest.param(b'{"schema_version": 1,', "broken JSON", id="truncated"),
        pytest.param(b"[" * 100_000, "broken JSON", id="nested-without-end"),
        pytest.param(b"[]", "no JSON object", id="a-list"),
        pytest.param(b"GGUF\x03\x00\xff\xfe", "not text", id="binary"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=says):
        read_plan(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"cannot read the plan .*No such file"):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(PlanError, match="cannot read the plan"):
        read_plan(tmp_path)


def test_chosen_gives_the_choice_or_says_that_there_is_none() -> None:
    assert chosen(recommendation()).model == "qwen2.5-7b-instruct"
    with pytest.raises(PlanError, match="nothing was chosen"):
        chosen(recommendation(choice=None))
