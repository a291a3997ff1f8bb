"""Programs on this machine that can serve a model, or contain one that does."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from advisor.hardware import Runtime
from advisor.probes.deadline import Started
from advisor.probes.source import Source

VERSION_LIMIT_S: Final = 2.0
"""Longest wait for a program to print its version: with all else, detection stays under three seconds."""
RUNTIMES_LIMIT_S: Final = 2.2
"""Longest wait for all of them together, which run side by side."""
ENDPOINT_LIMIT_S: Final = 0.2
"""Longest wait for a server on this machine: it answers in a millisecond or is not there."""
GOOD_ANSWER: Final = re.compile(rb"HTTP/1\.[01] [23]\d\d ")
STATUS_BYTES: Final = 16
"""Of an answer, enough for the line that says whether it is a good one."""


class Program(NamedTuple):
    """How to find a runtime and what it tells of itself."""

    name: str
    version_pattern: str = r"\d+\.\d+[\w.+-]*"
    """What to look for in the output of `--version`."""
    distribution: str | None = None
    """The Python package whose installed metadata tells the version, where starting takes long."""
    endpoint: str | None = None
    """Where it listens on this machine unless told otherwise."""
    probe_path: str = "/"


PROGRAMS: Final = (
    Program(name="ollama", endpoint="http://127.0.0.1:11434", probe_path="/api/version"),
    Program(name="llama-server", version_pattern=r"(?<=version: )\d+"),
    Program(name="vllm", distribution="vllm"),  # imports PyTorch before it prints anything
    Program(name="docker"),
)


def find_runtimes(source: Source) -> tuple[Runtime, ...]:
    """The runtimes on the search path, by name alone: nothing is started."""
    return tuple(Runtime(name=name) for name in source.ask("programs", _on_path) or ())


def _on_path() -> list[str]:
    return [program.name for program in PROGRAMS if shutil.which(program.name)]


def read_runtimes(source: Source) -> tuple[Runtime, ...]:
    """The runtimes with version and endpoint: starts each for its version, asks this machine's ports."""
    return tuple(Runtime.model_validate(told) for told in source.ask("runtimes", _read_all) or ())


def _read_all() -> list[dict[str, str | None]]:
    started = [Started(partial(read_runtime, program), RUNTIMES_LIMIT_S) for program in PROGRAMS]
    return [runtime.model_dump() for call in started if (runtime := call.result_or(None))]


def read_runtime(program: Program) -> Runtime | None:
    """One runtime: installed, or answering at its endpoint (as from a container); None when neither."""
    path = shutil.which(program.name)
    endpoint = (
        program.endpoint if program.endpoint and answers(program.endpoint, program.probe_path) else None
    )
    if path is None and endpoint is None:
        return None
    return Runtime(name=program.name, version=_version(program, path) if path else None, endpoint=endpoint)


def parse_version(program: Program, text: str) -> str | None:
    """The version in what the program prints; None where it prints none."""
    found = re.search(program.version_pattern, text)
    return found.group().rstrip(".,") if found else None


def distribution_version(path: Path, name: str) -> str | None:
    """The version of the Python package that a command belongs to, from its environment's metadata."""
    for info in path.resolve().parent.parent.glob(f"lib/python3*/*-packages/{name}-*.dist-info"):
        return info.name.removeprefix(f"{name}-").removesuffix(".dist-info")
    return None


def answers(endpoint: str, path: str) -> bool:
    """Whether an HTTP server on this machine answers there within the limit.

    HTTP is spoken by hand: a library for it takes longer to load than the server to answer.
    """
    host, _, port = endpoint.removeprefix("http://").partition(":")
    request = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n"
    try:
        with socket.socket() as connection:
            connection.settimeout(ENDPOINT_LIMIT_S)
            connection.connect((host, int(port)))
            connection.sendall(request.encode())
            return GOOD_ANSWER.match(connection.recv(STATUS_BYTES)) is not None
    except OSError:
        return False


def _version(program: Program, path: str) -> str | None:
    if program.distribution:
        return distribution_version(Path(path), program.distribution)
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # llama-server writes it there
            timeout=VERSION_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(program, done.stdout.decode(errors="replace"))
