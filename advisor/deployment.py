"""From a plan to the services that run it: one for the choice and one for each companion."""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

from pydantic import Field

from advisor.assessment import Candidate
from advisor.backends import BACKENDS
from advisor.backends.devices import accelerators, threads, without
from advisor.errors import OutputError
from advisor.hardware import Accelerator, Machine
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.plan import Companions
from advisor.units import MIB
from advisor.usecase import Backend
from advisor.value import Value

Target = Literal["compose", "script"]

CONTAINER_MODEL_DIR: Final = "/models"
"""Where a container sees the folder of local model files."""
SLOW_DOWNLOAD_BYTES_PER_S: Final = 10 * 10**6
"""A slow home connection (80 Mbit/s): how long a first start may take before it counts as unhealthy."""
MIN_START_S: Final = 600
"""Nothing is called unhealthy sooner: large files take minutes to load from a hard disk."""


class Options(Value):
    """How a plan is deployed."""

    target: Target = "compose"
    backend: Backend | None = None
    """The engine of the choice; None: the plan's."""
    accelerator: Accelerator | None = None
    """What drives the GPUs; None: their vendor's own."""
    port: int | None = Field(default=None, ge=1, le=65533)
    """Where the choice listens; None: its engine's own. Companions take the next ports."""
    bind: str = "127.0.0.1"
    """IP address to listen on."""
    model_dir: str | None = None
    """Folder of this machine that holds the model files already; None: the engine downloads them."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the services."""
        return ipaddress.ip_address(self.bind).is_loopback


class Service(Value):
    """One engine with one model."""

    name: str
    """llm, embedding or rerank."""
    candidate: Candidate
    backend: Backend
    """The engine: the candidate's own unless another was asked for."""
    accelerator: Accelerator
    image: str | None
    """None where the service runs without a container."""
    program: tuple[str, ...]
    args: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    api_name: str
    """What requests call the model."""
    port: int
    """Where the host listens."""
    engine_port: int
    """Where the engine listens: in a container its own port, else the host's."""
    cpus: int | None
    """None where the number of cores is not known."""
    memory_mib: int
    """Limit of the container."""
    start_s: int
    """How long the first start may take, the download included."""

    @property
    def variable(self) -> str:
        """Prefix of the service's variables."""
        return self.name.upper()


def services(
    choice: Candidate, companions: Companions, machine: Machine, options: Options
) -> tuple[Service, ...]:
    """The services of a plan, the choice first; each may use what the others leave of the machine.

    Raises `OutputError` where an engine cannot serve its model, or has no container for the machine's GPU.
    """
    if options.backend is not None:
        choice = choice.model_copy(update={"backend": options.backend})
    candidates = [c for c in (choice, companions.embedding, companions.rerank) if c is not None]
    first_port = options.port or BACKENDS[choice.backend].PORT
    return tuple(
        _service(
            candidate,
            without(machine, candidates[:n] + candidates[n + 1 :]),
            options,
            port=first_port + n,
        )
        for n, candidate in enumerate(candidates)
    )


def _service(candidate: Candidate, machine: Machine, options: Options, *, port: int) -> Service:
    backend = BACKENDS[candidate.backend]
    _check(candidate, machine, options)
    accelerator = _accelerator(candidate, machine, options)
    in_container = options.target == "compose"
    image = backend.image(accelerator) if in_container else None
    if in_container and image is None:
        raise OutputError(
            _("{backend} has no container image for {accelerator}: deploy with --target script").format(
                backend=candidate.backend, accelerator=accelerator
            )
        )
    engine_port = backend.PORT if in_container else port
    model_dir = options.model_dir and (CONTAINER_MODEL_DIR if in_container else options.model_dir)
    return Service(
        name="llm" if candidate.kind is ModelKind.CHAT else candidate.kind.value,
        candidate=candidate,
        backend=candidate.backend,
        accelerator=accelerator,
        image=image,
        program=backend.PROGRAM,
        args=backend.server_args(
            candidate,
            machine,
            port=engine_port,
            host="0.0.0.0" if in_container else options.bind,
            model_dir=model_dir,
        ),
        environment=backend.environment(candidate, machine),
        api_name=backend.api_name(candidate),
        port=port,
        engine_port=engine_port,
        cpus=threads(machine),
        memory_mib=-(-backend.host_limit_bytes(candidate, machine) // MIB),
        start_s=max(MIN_START_S, (candidate.artifact.bytes or 0) // SLOW_DOWNLOAD_BYTES_PER_S),
    )


def _check(candidate: Candidate, machine: Machine, options: Options) -> None:
    """Raise `OutputError` where the engine cannot serve the candidate."""
    if reason := BACKENDS[candidate.backend].refusal(candidate, machine):
        able = [
            name
            for name, backend in BACKENDS.items()
            if name != candidate.backend and backend.refusal(candidate, machine) is None
        ]
        if able:
            hint = _("use --backend {backend}").format(backend=able[0])
        else:
            hint = _("recommend again with another --backend")
        raise OutputError(f"{candidate.name} {candidate.quantization}: {reason}; {hint}")
    if options.model_dir is not None and candidate.backend == "ollama":
        raise OutputError(
            _("Ollama keeps models in a store of its own: leave --model-dir out, or use --backend llama.cpp")
        )
    if options.model_dir is not None and candidate.artifact.is_gguf and not candidate.artifact.files:
        raise OutputError(
            _("the plan does not name the files of {model}: leave --model-dir out").format(
                model=candidate.name
            )
        )


def _accelerator(candidate: Candidate, machine: Machine, options: Options) -> Accelerator:
    possible = accelerators(candidate, machine)
    if options.accelerator is None or possible == ("cpu",):  # a service without a GPU needs no driver
        return possible[0]
    if options.accelerator not in possible:
        raise OutputError(
            _("the plan needs {possible} for {machine}, not {accelerator}").format(
                possible=_(" or ").join(possible), machine=machine.title, accelerator=options.accelerator
            )
        )
    return options.accelerator
