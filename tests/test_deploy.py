from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from deployments import ON_3070, RTX_3070, plan, read_dotenv

from advisor.cli.deploy import command
from advisor.errors import AdvisorError, OutputError, PlanError


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(plan(ON_3070, RTX_3070).model_dump_json(), encoding="utf-8")
    return path


def deploy(*args: object) -> Any:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def test_command_writes_the_files_and_says_what_is_next(plan_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "serve"
    result = deploy(plan_file, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema_version"] == 1
    assert [file["path"] for file in document["files"]] == [".env", "docker-compose.yml", "README.md"]
    for file in document["files"]:
        assert (out / file["path"]).stat().st_size == file["bytes"]
    assert document["next"][:2] == [shlex.join(["cd", str(out)]), "docker compose up -d"]


def test_command_in_words(plan_file: Path, tmp_path: Path) -> None:
    result = deploy(plan_file, "--out", tmp_path / "serve")
    assert result.exit_code == 0
    assert "docker compose up -d" in result.stdout


def test_options_reach_the_files(plan_file: Path, tmp_path: Path) -> None:
    result = deploy(plan_file, "--out", tmp_path, "--backend", "ollama", "--port", 9000, "--bind", "0.0.0.0")
    assert result.exit_code == 0, result.output
    values = read_dotenv((tmp_path / ".env").read_text())
    assert (values["LLM_PORT"], values["BIND_ADDRESS"]) == ("9000", "0.0.0.0")
    assert values["LLM_IMAGE"].startswith("ollama/")
    assert "warning" in result.stderr


def test_a_relative_model_dir_is_made_absolute(plan_file: Path, tmp_path: Path) -> None:
    assert deploy(plan_file, "--out", tmp_path, "--model-dir", "models").exit_code == 0
    assert read_dotenv((tmp_path / ".env").read_text())["MODEL_DIR"] == str(Path("models").absolute())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        pytest.param(["--bind", "localhost"], "not an IP address", id="bind"),
        pytest.param(["--port", "0"], "not in the range", id="port"),
        pytest.param(["--backend", "sglang"], "not one of", id="backend"),
    ],
)
def test_wrong_usage(plan_file: Path, tmp_path: Path, args: list[str], told: str) -> None:
    result = deploy(plan_file, "--out", tmp_path / "serve", *args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "serve").exists()


def test_kubernetes_is_planned(plan_file: Path, tmp_path: Path) -> None:
    result = deploy(plan_file, "--out", tmp_path / "serve", "--target", "kubernetes")
    assert isinstance(result.exception, OutputError)
    assert "planned" in str(result.exception)


def test_no_such_plan(tmp_path: Path) -> None:
    assert isinstance(deploy(tmp_path / "none.json", "--out", tmp_path).exception, PlanError)


def test_files_that_differ_are_kept(plan_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "serve"
    assert deploy(plan_file, "--out", out).exit_code == 0
    assert deploy(plan_file, "--out", out).exit_code == 0, "the same again is fine"
    (out / ".env").write_text("HF_TOKEN=mine\n")
    (out / "README.md").unlink()
    refused = deploy(plan_file, "--out", out)
    assert isinstance(refused.exception, OutputError)
    assert ".env" in str(refused.exception)
    assert not (out / "README.md").exists(), "all or none"
    assert deploy(plan_file, "--out", out, "--force").exit_code == 0
    assert (out / "README.md").exists()
    assert read_dotenv((out / ".env").read_text())["HF_TOKEN"] == "mine", "what was filled in stays"
    assert deploy(plan_file, "--out", out).exit_code == 0, "and is no difference"


def test_nothing_is_left_of_a_failed_write(plan_file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    real, calls = os.fsync, []

    def full_disk(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_disk)
    result = deploy(plan_file, "--out", tmp_path / "new" / "serve")
    assert isinstance(result.exception, AdvisorError)
    assert "No space left" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_file_in_place_of_the_folder(plan_file: Path, tmp_path: Path) -> None:
    assert isinstance(deploy(plan_file, "--out", plan_file).exception, OutputError)
    (tmp_path / "serve" / ".env").mkdir(parents=True)
    assert isinstance(deploy(plan_file, "--out", tmp_path / "serve", "--force").exception, OutputError)
