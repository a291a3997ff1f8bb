"""Programs on this machine that can serve a model, or contain one that does."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Final

from advisor.hardware import Runtime
from advisor.value import Value

VERSION_LIMIT_S: Final = 3.0
"""Longest wait for a version: vLLM imports PyTorch first, and is not waited for longer."""
ENDPOINT_LIMIT_S: Final = 0.2
"""Longest wait for a server on this machine: it answers in a millisecond or is not there."""


class Program(Value):
    """How to find a runtime and what it tells of itself."""

    name: str
    version_flag: str = "--version"
    version_pattern: str = r"\d+\.\d+[\w.+-]*"
    endpoint: str | None = None
    """Where it listens on this machine unless told otherwise."""
    probe_path: str = "/"


PROGRAMS: Final = (
    Program(name="ollama", endpoint="http://127.0.0.1:11434", probe_path="/api/version"),
    Program(name="llama-server", version_pattern=r"(?<=version: )\d+"),
    Program(name="vllm"),
    Program(name="docker"),
)


def find_runtimes() -> tuple[Runtime, ...]:
    """The runtimes on the search path, by name alone: nothing is started."""
    return tuple(Runtime(name=program.name) for program in PROGRAMS if shutil.which(program.name))


def read_runtimes() -> tuple[Runtime, ...]:
    """The runtimes with version and endpoint: starts each for its version, asks this machine's ports."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        found = list(pool.map(read_runtime, PROGRAMS))
    return tuple(runtime for runtime in found if runtime is not None)


def read_runtime(program: Program) -> Runtime | None:
    """One runtime: installed, or answering at its endpoint (as from a container); None when neither."""
    path = shutil.which(program.name)
    endpoint = program.endpoint if program.endpoint and answers(program.endpoint, program.probe_path) else None
    if path is None and endpoint is None:
        return None
    version = parse_version(program, _ask_version(path, program.version_flag)) if path else None
    return Runtime(name=program.name, version=version, endpoint=endpoint)


def parse_version(program: Program, text: str) -> str | None:
    """The version in what the program prints; None where it prints none."""
    found = re.search(program.version_pattern, text)
    return found.group().rstrip(".,") if found else None


def answers(endpoint: str, path: str) -> bool:
    """Whether an HTTP server on this machine answers there within the limit."""
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    connection = HTTPConnection(urlsplit(endpoint).netloc, timeout=ENDPOINT_LIMIT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _ask_version(path: str, flag: str) -> str:
    try:
        done = subprocess.run(
            [path, flag],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # llama-server writes it there
            timeout=VERSION_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
