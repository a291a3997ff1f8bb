"""Runtimes on this machine: found by name, asked for their versions, and whether they answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from advisor.hardware import Runtime
from advisor.probes import runtimes
from advisor.probes.source import Live


@pytest.mark.parametrize(
    ("name", "printed", "version"),
    [
        pytest.param("ollama", "ollama version is 0.12.3\n", "0.12.3", id="ollama"),
        pytest.param(
            "ollama",
            "Warning: could not connect to a running Ollama instance\nWarning: client version is 0.12.3\n",
            "0.12.3",
            id="ollama-not-running",
        ),
        pytest.param(
            "llama-server",
            "ggml_cuda_init: found 1 CUDA devices (8.6)\nversion: 6792 (1a2b3c)\nbuilt with cc 13.3.0\n",
            "6792",
            id="llama-server",
        ),
        pytest.param("docker", "Docker version 28.2.2, build e6534b4\n", "28.2.2", id="docker"),
        pytest.param("docker", "command not supported\n", None, id="no-version"),
    ],
)
def test_version_from_what_is_printed(name: str, printed: str, version: str | None) -> None:
    (program,) = (program for program in runtimes.PROGRAMS if program.name == name)
    assert runtimes.parse_version(program, printed) == version


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search path with a single folder that holds what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_finding_starts_nothing(path: Path, tmp_path: Path) -> None:
    install(path, "docker", f"echo started > {tmp_path / 'started'}")
    install(path, "llama-server", f"echo started > {tmp_path / 'started'}")
    assert runtimes.find_runtimes(Live()) == (Runtime(name="llama-server"), Runtime(name="docker"))
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("script", "version"),
    [
        pytest.param("echo 'Docker version 28.2.2, build e6534b4'", "28.2.2", id="stdout"),
        pytest.param("echo 'Docker version 28.2.2' >&2; exit 1", "28.2.2", id="stderr-and-failure"),
        pytest.param("printf '\\377\\376'", None, id="prints-no-text"),
    ],
)
def test_versions_are_asked_for(script: str, version: str | None, path: Path) -> None:
    install(path, "docker", script)
    assert runtimes.read_runtime(runtimes.Program(name="docker")) == Runtime(name="docker", version=version)


def test_a_program_that_hangs_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "VERSION_LIMIT_S", 0.1)
    install(path, "docker", "exec /bin/sleep 600")
    assert runtimes.read_runtime(runtimes.Program(name="docker")) == Runtime(name="docker")


def test_a_program_that_cannot_start_has_no_version(path: Path) -> None:
    (path / "docker").write_bytes(b"\x7fELF of another machine")
    (path / "docker").chmod(0o755)
    assert runtimes.read_runtime(runtimes.Program(name="docker")) == Runtime(name="docker")


def test_a_python_package_tells_its_version_without_being_started(path: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "lib/python3.12/site-packages/vllm-0.33.0.dist-info").mkdir(parents=True)
    install(environment / "bin", "vllm", f"echo started > {tmp_path / 'started'}")
    (path / "vllm").symlink_to(environment / "bin" / "vllm")
    (program,) = (program for program in runtimes.PROGRAMS if program.name == "vllm")
    assert runtimes.read_runtime(program) == Runtime(name="vllm", version="0.33.0")
    assert not (tmp_path / "started").exists()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/version" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.usefixtures("path")
def test_a_server_that_answers_is_found_without_its_program(server: str) -> None:
    program = runtimes.Program(name="ollama", endpoint=server, probe_path="/api/version")
    assert runtimes.read_runtime(program) == Runtime(name="ollama", endpoint=server)


@pytest.mark.usefixtures("path")
def test_another_server_on_the_port_is_not_it(server: str) -> None:
    assert runtimes.read_runtime(runtimes.Program(name="ollama", endpoint=server, probe_path="/v1")) is None


def test_a_silent_or_absent_server_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert not runtimes.answers(endpoint, "/")
    assert not runtimes.answers(endpoint, "/")
