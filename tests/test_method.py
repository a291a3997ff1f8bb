"""`--method` on the command line: who proved a figure, and what is said where nobody could."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from gguf_files import make_gguf

from advisor import oracle
from advisor.cli import advisor

RAM = "CPU only, 256 GB RAM, 8 cores"
GPU = "RTX 3070, 32 GB RAM"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


HIDE = "import sys\nsys.modules['llama_cpp'] = None\n"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "advisor", *arguments]
    env = {**os.environ, "ADVISOR_METHOD": "auto", **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.slow
def test_estimate_says_who_proved_it() -> None:
    human = run("estimate", "qwen3-8b", "--hardware", RAM)
    assert human.returncode == 0
    assert "\nmemory   proven by llama.cpp (llama-cpp-python " in human.stdout
    document = json.loads(run("estimate", "qwen3-8b", "--hardware", RAM, "--json").stdout)
    assert document["memory"]["source"] == "probe"
    ruled = json.loads(run("estimate", "qwen3-8b", "--hardware", RAM, "--json", "--method", "rules").stdout)
    assert ruled["memory"]["source"] == "config-rules"
    assert ruled["memory"]["proven_by"] is None
    refused = run("estimate", "qwen3-8b", "--hardware", GPU, "--method", "probe")
    assert refused.returncode == 1
    assert refused.stderr.startswith("advisor: llama.cpp (llama-cpp-python ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_file_is_proven_by_its_header(tmp_path: Path) -> None:
    file = make_gguf(tmp_path / "model.gguf", n_layers=2, n_embd=256, n_heads=4, n_ff=512)
    document = json.loads(run("estimate", str(file), "--hardware", RAM, "--method", "probe", "--json").stdout)
    assert document["memory"]["source"] == "probe"
    by_rule = json.loads(run("estimate", str(file), "--hardware", RAM, "--method", "rules", "--json").stdout)
    assert document["memory"]["weights_bytes"] == by_rule["memory"]["weights_bytes"]


@pytest.mark.slow
def test_recommend_says_who_proved_the_pick() -> None:
    result = json.loads(run("recommend", "--yes", "--json", "--hardware", RAM).stdout)
    assert result["choice"]["memory"]["source"] == "probe"
    assert result["notes"][0].startswith("memory proven by llama.cpp (llama-cpp-python ")
    assert {row["memory"]["source"] for row in result["alternatives"]} == {"config-rules"}
    ruled = json.loads(run("recommend", "--yes", "--json", "--hardware", RAM, "--method", "rules").stdout)
    assert ruled["choice"]["memory"]["source"] == "config-rules"
    assert ruled["notes"][0] == "memory by rule"
    assert ruled["choice"]["model"] == result["choice"]["model"]


@pytest.mark.slow
def test_recommend_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "NOTICED_S", 0.0)
    arguments = ["recommend", "--yes", "--json", "--hardware", RAM, "--method", "auto"]
    first, second = (CliRunner().invoke(advisor, arguments) for _ in range(2))
    assert first.stderr == (
        "asking llama.cpp for its own plan of the pick; the answer is kept for the next time\n"
    )
    assert second.stderr == ""
    assert first.stdout == second.stdout


def test_without_the_library_only_probe_complains(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    hidden = {"PYTHONPATH": str(tmp_path)}
    assert "\nweights  by rule\n" in run("estimate", "qwen3-8b", "--hardware", RAM, **hidden).stdout
    refused = run("estimate", "qwen3-8b", "--hardware", RAM, "--method", "probe", **hidden)
    assert refused.returncode == 1
    assert refused.stderr == (
        "advisor: --method probe needs llama-cpp-python: pip install 'llama-cpp-python>=0.3.36', "
        "or use --method rules\n"
    )
