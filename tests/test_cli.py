"""The program as it is called: exit status, one line for an error, nothing but JSON on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from advisor.cli import COMMANDS, advisor

HARDWARE = ("--hardware", "RTX 3070 8 GB, 32 GB RAM")
A_MAC = ("--hardware", "M4 Max 64 GB")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "advisor", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_the_group_is_that_of_the_command(name: str) -> None:
    command = advisor.get_command(click.Context(advisor), name)
    assert command is not None
    assert command.get_short_help_str(limit=200).rstrip(".") == COMMANDS[name].rstrip(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page(name: str) -> None:
    result = run(name, "--help")
    assert result.returncode == 0
    assert "Usage: advisor" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(
            ("estimate", "qwen3-8bb", *HARDWARE), 1, "qwen3-8b", id="unknown model: the nearest names"
        ),
        pytest.param(("estimate", "gone.gguf", *HARDWARE), 1, "no file gone.gguf", id="no such file"),
        pytest.param(("estimate", "qwen3-8b", "--hardware", "RTX 9999"), 1, "RTX 9999", id="unknown GPU"),
        pytest.param(
            ("estimate", "qwen3-8b", "--quant", "Q9", *HARDWARE),
            1,
            "no rule for the quantization",
            id="quantization",
        ),
        pytest.param(
            ("estimate", "qwen3-8b", "--method", "probe", "--backend", "ollama", *HARDWARE),
            1,
            "--method probe asks llama.cpp, not ollama",
            id="a probe of another backend",
        ),
        pytest.param(
            ("recommend", "--answers", "gone.yaml", *HARDWARE), 1, "gone.yaml", id="no answers file"
        ),
        pytest.param(("recommend", "--use-case", "poetry"), 2, "poetry", id="wrong usage"),
        pytest.param(
            ("recommend", "--backend", "onnx", *HARDWARE), 2, "can be estimated", id="backend not planned"
        ),
        pytest.param(
            ("recommend", "--backend", "mlx", *HARDWARE), 1, "Apple silicon only", id="MLX without a Mac"
        ),
        pytest.param(
            ("recommend", "--backend", "mlx", "--use-case", "vision", *A_MAC), 1, "text only", id="MLX sees"
        ),
        pytest.param(
            ("recommend", "--backend", "mlx", "--kv-type", "q8_0", *A_MAC),
            2,
            "f16 is its own",
            id="MLX cache",
        ),
        pytest.param(("recommend", "--language", "ko", "--ctx", "0"), 2, "--ctx", id="no context"),
        pytest.param(("deploy", "gone.json", "--out", "x"), 1, "gone.json", id="no plan"),
        pytest.param(("nonsense",), 2, "No such command", id="no command"),
        pytest.param(
            ("estimate", "qwen3-8b", "--accelerator", "rocm", *HARDWARE),
            1,
            "rocm does not drive",
            id="accelerator",
        ),
    ],
)
def test_an_error_is_a_line_or_two(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path
) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


def test_recommend_prints_the_document_of_the_contract() -> None:
    result = run("recommend", "--yes", "--json", *HARDWARE)
    assert result.returncode == 0
    document = json.loads(result.stdout)
    assert {"schema_version", "machine", "requirements", "choice", "alternatives", "rejected"} <= set(
        document
    )
    assert {"companions", "notes", "catalog_date"} <= set(document)
    choice = document["choice"]
    for key in [
        "model",
        "name",
        "family",
        "publisher",
        "released",
        "license",
        "n_params",
        "n_params_active",
        "modalities",
        "languages",
        "quantization",
        "backend",
        "n_ctx",
        "n_seqs",
        "kv_type",
        "placement",
        "memory",
        "speed",
        "quality",
        "score",
        "artifact",
        "command",
        "reasons",
    ]:
        assert key in choice, key
    assert {"n_gpu_layers", "n_cpu_moe", "tensor_parallel", "pipeline_parallel", "devices"} <= set(
        choice["placement"]
    )
    assert choice["memory"]["devices"][-1]["kind"] == "cpu"
    assert set(choice["quality"]) >= {"score", "metric", "source", "date", "evidence"}
    assert set(choice["artifact"]) >= {"repo", "files", "bytes"}
    assert len(choice["reasons"]) >= 2
    assert {"sampling", "n_ctx_effective"} <= set(choice)


def test_a_mac_is_recommended_mlx_files_with_the_servers_line() -> None:
    document = json.loads(run("recommend", "--yes", "--json", "--backend", "mlx", *A_MAC).stdout)
    for candidate in (document["choice"], *document["alternatives"]):
        assert candidate["artifact"]["format"] == "mlx"
        assert candidate["command"].startswith(f"mlx_lm.server --model {candidate['artifact']['repo']} ")
    assert document["choice"]["placement"]["devices"] == ["Apple M4 Max (40-core GPU)"]


def test_estimate_prints_the_document_of_the_contract() -> None:
    result = run("estimate", "qwen3-8b", "--json", *HARDWARE)
    assert result.returncode == 0
    document = json.loads(result.stdout)
    keys = "schema_version model quantization backend n_ctx n_seqs kv_type memory speed fits assumptions"
    assert set(keys.split()) <= set(document)
    assert document["memory"]["total_bytes"] == sum(d["total_bytes"] for d in document["memory"]["devices"])
    speed = "decode_tokens_per_s low high throughput_tokens_per_s prefill_tokens_per_s ttft_s depth basis"
    assert {*speed.split(), "prompt_tokens"} <= set(document["speed"])


@pytest.mark.parametrize("spelled", ["q8_0", "Q8_0"])
def test_quantizations_are_known_in_any_case(spelled: str) -> None:
    estimated = json.loads(run("estimate", "qwen3-8b", "--quant", spelled, "--json", *HARDWARE).stdout)
    assert estimated["quantization"] == "Q8_0"
    picked = json.loads(run("recommend", "--quant", spelled, "--json", *HARDWARE).stdout)
    assert picked["choice"]["quantization"] == "Q8_0"


def test_what_does_not_fit_says_so_with_status_1() -> None:
    result = run("estimate", "llama-3.1-70b-instruct", "--json", *HARDWARE)
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert document["fits"] is False
    assert document["speed"] is None


def test_nothing_suits_still_prints_the_document() -> None:
    result = run("recommend", "--yes", "--json", "--min-tok-s", "100000", *HARDWARE)
    assert result.returncode == 1
    assert json.loads(result.stdout)["choice"] is None


def test_a_plan_is_saved_once(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert run("recommend", "--yes", "--save", str(plan), *HARDWARE).returncode == 0
    before = plan.read_bytes()
    again = run("recommend", "--yes", "--save", str(plan), *HARDWARE)
    assert again.returncode == 0, "a file that would not change is fine"
    other = run("recommend", "--yes", "--use-case", "embedding", "--save", str(plan), *HARDWARE)
    assert other.returncode == 1
    assert "--force" in other.stderr
    assert plan.read_bytes() == before


def test_answers_come_from_a_file_and_flags_win(tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("use_case: coding\nlanguage: en\nctx: 4096\n", encoding="utf-8")
    result = run("recommend", "--json", "--answers", str(answers), "--ctx", "2048", *HARDWARE)
    requirements = json.loads(result.stdout)["requirements"]
    assert requirements["use_case"] == "coding"
    assert requirements["languages"] == ["en"]
    assert requirements["n_ctx"] == 2048


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour: red\n", "unknown answer 'colour'"),
        ("users: many\n", "--users"),
        ("users: 2\nusers: 3\n", "users"),
        ("- coding\n", "one answer a line"),
    ],
    ids=["unknown key", "not a number", "duplicate key", "not a mapping"],
)
def test_broken_answers_name_the_file(text: str, message: str, tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text(text, encoding="utf-8")
    result = run("recommend", "--answers", str(answers), *HARDWARE)
    assert result.returncode == 1
    assert "answers.yaml" in result.stderr
    assert message in result.stderr


def test_a_detected_machine_replays(tmp_path: Path) -> None:
    recorded = tmp_path / "machine.json"
    assert run("detect", "--json", "--output", str(recorded)).returncode == 0
    first = run("estimate", "qwen2.5-0.5b-instruct", "--json", "--hardware", str(recorded))
    assert first.returncode == 0
    host = json.loads(first.stdout)["memory"]["devices"][-1]
    memory = json.loads(recorded.read_text(encoding="utf-8"))["host"]["memory"]
    assert host["capacity_bytes"] <= memory["total_bytes"]


def test_verbose_says_what_was_read_and_decided() -> None:
    quiet = run("estimate", "qwen3-8b", *HARDWARE)
    told = run("-v", "estimate", "qwen3-8b", *HARDWARE)
    assert quiet.stderr == ""
    assert told.stdout == quiet.stdout
    assert "machine: " in told.stderr
    assert "family='qwen3'" in told.stderr


def test_no_command_needs_the_network(tmp_path: Path) -> None:
    """A process whose sockets are refused answers all the same."""
    block = tmp_path / "sitecustomize.py"
    block.write_text(
        "import socket\n"
        "def refuse(*a, **k): raise OSError('network is off')\n"
        "socket.socket.connect = refuse\nsocket.create_connection = refuse\n",
        encoding="utf-8",
    )
    code = subprocess.run(
        [sys.executable, "-m", "advisor", "recommend", "--yes", "--json", *HARDWARE],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert code.returncode == 0, code.stderr
