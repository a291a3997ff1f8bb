from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments import (
    CASES,
    CPU_CHAT,
    CPU_ONLY,
    EMBEDDER,
    MAC,
    ON_3070,
    ON_MAC,
    ON_MLX,
    RTX_3070,
    TWO_4090,
    VLLM_32B,
    plan,
    read_dotenv,
)
from hypothesis import example, given
from hypothesis import strategies as st

from advisor.assessment import ArtifactChoice
from advisor.deployment import Options
from advisor.errors import OutputError, PlanError
from advisor.plan import Companions
from advisor.quoting import by_flag, dotenv, line, scalar
from advisor.rendering import Rendering, render, write_all
from advisor.units import MIB

case = pytest.mark.parametrize("name", CASES)


def texts(rendering: Rendering) -> dict[str, str]:
    return {file.path: file.text for file in rendering.files}


def compose(rendering: Rendering) -> dict[str, Any]:
    """The compose file as Compose sees it: variables filled in from .env, `$$` unescaped."""
    files = texts(rendering)
    values = read_dotenv(files[".env"])

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(item) for item in node]
        if isinstance(node, str):
            return re.sub(r"\$\$|\$\{(\w+):\?[^}]*\}", lambda m: "$" if m[0] == "$$" else values[m[1]], node)
        return node

    document: dict[str, Any] = fill(yaml.safe_load(files["docker-compose.yml"]))
    return document


@case
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    for path, text in texts(render(*CASES[name])).items():
        golden(f"deploy/{name}/{path.lstrip('.')}", text)


@case
def test_compose_file_is_valid(name: str) -> None:
    from check_jsonschema.builtin_schemas import get_builtin_schema
    from jsonschema import Draft7Validator

    schema = get_builtin_schema("vendor.compose-spec")
    document = yaml.safe_load(texts(render(*CASES[name]))["docker-compose.yml"])
    errors = [error.message for error in Draft7Validator(schema).iter_errors(document)]
    assert errors == []


COMPOSE = (
    shutil.which("docker")
    and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
)


@pytest.mark.skipif(not COMPOSE, reason="docker compose is not installed")
@case
def test_docker_compose_reads_it(name: str, tmp_path: Path) -> None:
    write_all(render(*CASES[name]).files, tmp_path, force=False)
    groups = {"VIDEO_GID": "44", "RENDER_GID": "992"}
    done = subprocess.run(
        ["docker", "compose", "config", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, **groups},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@case
def test_services_are_sound(name: str) -> None:
    rendering = render(*CASES[name])
    document = compose(rendering)
    found = document["services"]
    named = set(document.get("volumes") or {})
    for service in found.values():
        assert re.search(r":v?\w*[-\w]*\d[\w.-]*$", service["image"]), "not pinned"
        for dependency, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in found[dependency]
        for volume in service.get("volumes", []):
            assert volume["type"] == "bind" or volume["source"] in named
    for service in rendering.services:
        limits = found[service.name]["deploy"]["resources"]["limits"]
        need = sum(row.total_bytes for row in service.candidate.memory.devices if row.kind == "cpu")
        assert int(limits["memory"].removesuffix("m")) * MIB >= need
        port = found[service.name]["ports"]
        assert port == [
            {
                "host_ip": CASES[name][1].bind,
                "published": str(service.port),
                "target": service.engine_port,
            }
        ]


@case
def test_the_command_reaches_the_engine_unchanged(name: str) -> None:
    rendering = render(*CASES[name])
    found = compose(rendering)["services"]
    for service in rendering.services:
        if service.backend != "ollama":
            assert found[service.name]["command"] == list(service.args)


def test_this_machine_alone_by_default() -> None:
    rendering = render(plan(CPU_CHAT, CPU_ONLY), Options())
    assert read_dotenv(texts(rendering)[".env"])["BIND_ADDRESS"] == "127.0.0.1"
    assert rendering.warnings == ()


@pytest.mark.parametrize(
    ("backend", "told"), [("llama.cpp", "set an API key"), ("ollama", "use a proxy")], ids=["key", "no-key"]
)
def test_opening_it_is_warned_about(backend: Any, told: str) -> None:
    (warning,) = render(plan(ON_3070, RTX_3070), Options(bind="0.0.0.0", backend=backend)).warnings
    assert told in warning


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-cpp-cpu", {"devices": None, "reservations": None}),
        ("llama-cpp-partial", {"devices": None, "reservations": ["nvidia"]}),
        ("llama-cpp-rocm", {"devices": ["/dev/kfd", "/dev/dri"], "reservations": None}),
        ("llama-cpp-sycl", {"devices": ["/dev/dri"], "reservations": None}),
        ("ollama-rocm", {"devices": ["/dev/kfd", "/dev/dri"], "reservations": None}),
        ("vllm-two-gpus", {"devices": None, "reservations": ["nvidia"]}),
    ],
)
def test_gpu_access(name: str, expected: dict[str, Any]) -> None:
    service = yaml.safe_load(texts(render(*CASES[name]))["docker-compose.yml"])["services"]["llm"]
    reserved = service["deploy"]["resources"].get("reservations")
    drivers = reserved and [device["driver"] for device in reserved["devices"]]
    assert {"devices": service.get("devices"), "reservations": drivers} == expected


def test_companions_have_ports_of_their_own_and_leave_their_memory() -> None:
    rendering = render(*CASES["rag"])
    assert [(s.name, s.port) for s in rendering.services] == [
        ("llm", 8080),
        ("embedding", 8081),
        ("rerank", 8082),
    ]
    alone = render(plan(ON_3070, RTX_3070), Options()).services[0]
    assert rendering.services[0].memory_mib <= alone.memory_mib


def test_a_large_download_has_time() -> None:
    (service,) = render(plan(VLLM_32B, TWO_4090), Options()).services
    assert service.start_s == 1930  # 19.3 GB at 10 MB/s


@pytest.mark.parametrize(
    ("choice", "on", "options", "told"),
    [
        pytest.param(ON_3070, RTX_3070, {"backend": "vllm"}, "use --backend llama.cpp", id="vllm-gguf"),
        pytest.param(VLLM_32B, TWO_4090, {"backend": "ollama"}, "use --backend vllm", id="ollama-awq"),
        pytest.param(ON_MAC, MAC, {}, "--target script", id="docker-on-a-mac"),
        pytest.param(ON_3070, RTX_3070, {"accelerator": "rocm"}, "needs cuda", id="rocm-on-nvidia"),
        pytest.param(
            ON_3070, RTX_3070, {"backend": "ollama", "model_dir": "/m"}, "leave --model-dir out", id="store"
        ),
        pytest.param(
            ON_3070.model_copy(update={"artifact": ArtifactChoice(repo="a/b", files=(), bytes=1)}),
            RTX_3070,
            {"model_dir": "/m"},
            "does not name the files",
            id="unnamed-files",
        ),
    ],
)
def test_refused(choice: Any, on: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(OutputError, match=re.escape(told)):
        render(plan(choice, on), Options(**options))


def test_a_plan_without_a_choice() -> None:
    with pytest.raises(PlanError):
        render(plan(CPU_CHAT, CPU_ONLY).model_copy(update={"choice": None}), Options())


SCRIPTS = {
    "llama.cpp": (plan(ON_3070, RTX_3070), Options(target="script")),
    "ollama": (plan(ON_3070, RTX_3070), Options(target="script", backend="ollama")),
    "vllm": (plan(VLLM_32B, TWO_4090), Options(target="script", bind="::")),
    "mac": (plan(ON_MAC, MAC), Options(target="script")),
    "mlx": (plan(ON_MLX, MAC), Options(target="script")),
    "companion": (
        plan(ON_3070, RTX_3070, companions=Companions(embedding=EMBEDDER)),
        Options(target="script", model_dir="/srv/it's $models"),
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, golden: Callable[[str, str], None], tmp_path: Path) -> None:
    rendering = render(*SCRIPTS[name])
    write_all(rendering.files, tmp_path, force=False)
    for path, text in texts(rendering).items():
        golden(f"deploy/script-{name}/{path}", text)
        if path.endswith(".sh"):
            subprocess.run(["sh", "-n", path], cwd=tmp_path, check=True)


def stand_in(folder: Path, name: str, body: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("name", ["llama.cpp", "vllm", "mlx", "companion"])
def test_script_hands_the_engine_its_arguments(name: str, tmp_path: Path) -> None:
    rendering = render(*SCRIPTS[name])
    write_all(rendering.files, tmp_path, force=False)
    service = rendering.services[0]
    stand_in(tmp_path, service.program[0], 'printf "%s\\n" "$@"')
    done = subprocess.run(
        ["sh", "start.sh", "--more"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [*service.program[1:], *service.args, "--more"]


OLLAMA = """
[ "$1" = list ] || echo "$1 $2 $OLLAMA_HOST $OLLAMA_CONTEXT_LENGTH" >>log
case $1 in
    list) test -f serving ;;
    serve) echo $$ >serving; exec sleep 60 ;;
    pull) kill "$(cat serving)" ;;
esac
"""
"""Serves until it is asked to pull, and goes on claiming to."""


def test_ollama_script_serves_pulls_and_ends(tmp_path: Path) -> None:
    write_all(render(*SCRIPTS["ollama"]).files, tmp_path, force=False)
    stand_in(tmp_path, "ollama", OLLAMA)
    run = ["sh", "start.sh"]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(run, cwd=tmp_path, env=path, check=False, timeout=60)
    assert (tmp_path / "log").read_text().splitlines() == [
        "serve  127.0.0.1:11434 8192",
        "pull hf.co/Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M 127.0.0.1:11434 8192",
    ]
    again = subprocess.run(run, cwd=tmp_path, env=path, check=False, capture_output=True, text=True)
    assert again.returncode == 1, "another server is at the address"
    assert "stop it first" in again.stderr


def test_script_without_the_engine_says_where_to_get_it(tmp_path: Path) -> None:
    write_all(render(*SCRIPTS["vllm"]).files, tmp_path, force=False)
    sh = shutil.which("sh") or "/bin/sh"
    done = subprocess.run(
        [sh, "start.sh"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 127
    assert "vllm is not installed" in done.stderr


@example("ab$cd")
@example("it's")
@example("a #b")
@example(" padded ")
@example("C:\\models\\")
@given(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=30))
def test_dotenv_round_trip(value: str) -> None:
    try:
        written = dotenv(value)
    except OutputError:
        assert re.search(r"\\('|$)", value), "only a backslash before a quote or the end is refused"
        return
    assert read_dotenv(f"NAME={written}\n") == {"NAME": value}


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a b\\", "\\'"], ids=repr)
def test_dotenv_refuses(value: str) -> None:
    with pytest.raises(OutputError):
        dotenv(value)


@given(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=30))
def test_scalar_round_trip(value: str) -> None:
    assert yaml.safe_load(f"- {scalar(value)}") == [value.replace("$", "$$")]


def test_line_keeps_a_comment_a_comment() -> None:
    assert line("Model\nrm -rf /\x1b[0m \t x") == "Model rm -rf / [0m x"


def test_a_hostile_name_stays_in_its_comment() -> None:
    evil = CPU_CHAT.model_copy(update={"name": "M\ntouch pwned\n"})
    for options in (Options(), Options(target="script")):
        for text in texts(render(plan(evil, CPU_ONLY), options)).values():
            assert not re.search(r"^\s*touch", text, re.MULTILINE)


def test_by_flag() -> None:
    assert by_flag(["m", "-c", "1", "--on", "-x", "a", "b"]) == [
        ["m"],
        ["-c", "1"],
        ["--on"],
        ["-x", "a", "b"],
    ]
