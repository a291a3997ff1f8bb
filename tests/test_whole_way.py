"""The whole way once, on real parts: this machine, a 52 MB model, real llama.cpp, files that start it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from gguf_files import make_gguf

from advisor.advice import recommend_on
from advisor.api import detect
from advisor.catalog import load_catalog
from advisor.contest import Shelf
from advisor.gguf import architecture_of_header, quantization_name, read_header, tensor_sizes
from advisor.model import Artifact, License, Model
from advisor.usecase import Requirements
from advisor.weights import weights_of

pytestmark = pytest.mark.slow

TODAY = date(2026, 11, 21)


def shelf_of(path: Path) -> Shelf:
    """A catalog of one model: the file's, as its header tells it."""
    header = read_header(path)
    arch, quantization = architecture_of_header(header), quantization_name(header)
    sizes = tensor_sizes(header)
    model = Model(
        id="tiny-model",
        name="Tiny Model",
        family="tiny",
        publisher="tests",
        released=TODAY,
        license=License(id="apache-2.0"),
        n_params=sum(size for _, size in sizes),
        architecture=arch,
        architecture_source="the file's header",
        artifacts=(
            Artifact(quantization=quantization, format="gguf", repo="tests/tiny", files=(path.name,)),
        ),
        sources=("the test that made it",),
        checked=TODAY,
    )
    weights = {model.id: {quantization: weights_of(arch, sizes)}}
    return Shelf((model,), weights, load_catalog().quality, TODAY)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "advisor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("way")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return make_gguf(folder / "tiny.gguf")


@pytest.fixture(scope="module")
def plan(folder: Path, model: Path) -> Path:
    """Recommended for this machine without its GPUs, which the llama.cpp of the tests may not support."""
    machine = detect().model_copy(update={"gpus": ()})
    result = recommend_on(shelf_of(model), Requirements(n_ctx=2048), machine)
    assert result.choice is not None
    assert result.choice.memory.fits is True
    path = folder / "plan.json"
    path.write_text(result.model_dump_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def smoke(plan: Path, model: Path) -> dict[str, Any]:
    done = run("smoke-test", plan, "--model-file", model, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_model_is_of_the_size_asked_for(model: Path) -> None:
    assert 45_000_000 < model.stat().st_size < 60_000_000


def test_the_smoke_test_does_not_fail(smoke: dict[str, Any]) -> None:
    assert smoke["verdict"] in ("pass", "warn")
    assert smoke["measured"]["output_ok"] is True
    for figure in ("load_s", "ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s"):
        assert smoke["measured"][figure] > 0


@pytest.mark.parametrize("part", ["weights", "kv_cache", "recurrent", "compute", "output"])
def test_measured_buffers_are_those_estimated(smoke: dict[str, Any], plan: Path, part: str) -> None:
    estimated = json.loads(plan.read_text(encoding="utf-8"))["choice"]["memory"][f"{part}_bytes"]
    assert smoke["measured"]["memory"][f"{part}_bytes"] == estimated


def test_the_plan_becomes_files(plan: Path, folder: Path) -> None:
    done = run("deploy", plan, "--out", folder / "serve", "--json")
    assert done.returncode == 0, done.stderr
    compose = yaml.safe_load((folder / "serve" / "docker-compose.yml").read_text(encoding="utf-8"))
    command = compose["services"]["llm"]["command"]
    assert command[command.index("-c") + 1] == "2048"
    assert {file["path"] for file in json.loads(done.stdout)["files"]} >= {".env", "docker-compose.yml"}


def test_the_plan_has_a_cost(plan: Path, folder: Path) -> None:
    report = folder / "report.md"
    done = run("cost", plan, "--requests-per-day", 2000, "--power-watts", 60, "--json", "--out", report)
    assert done.returncode == 0, done.stderr
    kinds = {option["kind"] for option in json.loads(done.stdout)["options"]}
    assert "api" in kinds
    assert "owned" in kinds
    assert "break-even" in report.read_text(encoding="utf-8").lower()
