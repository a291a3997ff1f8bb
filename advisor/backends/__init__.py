"""The engines: how this program's vocabulary is said in each one's own flags.

One module an engine, all with the same functions (`Backend`), and one explicit table of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from advisor.assessment import Candidate, Runnable
from advisor.backends import llama_cpp, mlx, ollama, vllm
from advisor.hardware import Accelerator, Machine
from advisor.usecase import Backend as BackendName


class Backend(Protocol):
    """What a backend's module offers."""

    @property
    def PROGRAM(self) -> tuple[str, ...]:  # noqa: N802 - modules hold it as a constant
        """The command that `server_args` follow; the engine's image runs it as its entry point."""

    @property
    def PORT(self) -> int:  # noqa: N802 - modules hold it as a constant
        """Where the engine listens unless told otherwise."""

    def image(self, accelerator: Accelerator) -> str | None:
        """The pinned container image; None where the engine has none for that accelerator."""

    def refusal(self, candidate: Runnable, machine: Machine) -> str | None:
        """Why the engine cannot serve this candidate there, as a clause; None when it can."""

    def api_name(self, candidate: Candidate) -> str:
        """What requests call the model."""

    def server_args(
        self, candidate: Candidate, machine: Machine, *, port: int, host: str, model_dir: str | None = None
    ) -> tuple[str, ...]:
        """The flags of the engine's server.

        `model_dir` is a folder with the model's files, as the server sees it; None: the engine downloads.
        """

    def environment(self, candidate: Candidate, machine: Machine) -> tuple[tuple[str, str], ...]:
        """Settings that the engine takes from environment variables."""

    def host_limit_bytes(self, candidate: Candidate, machine: Machine) -> int:
        """RAM that a container of the server may take: the candidate's need and the engine's caches."""

    def command(self, candidate: Candidate, port: int | None = None) -> str:
        """The engine's own line for a shell, without what depends on the rest of the machine.

        port: None is the engine's own.
        """


BACKENDS: Final[Mapping[BackendName, Backend]] = MappingProxyType(
    {"llama.cpp": llama_cpp, "ollama": ollama, "vllm": vllm, "mlx": mlx}
)
