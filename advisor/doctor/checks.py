"""What a machine needs for its models, looked at one by one, each with what to do where it is not so.

A check asks the machine's source, so that it says the same of a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from advisor.errors import AdvisorError
from advisor.hardware import Machine
from advisor.measurements import Library
from advisor.probes.pci import display_vendors
from advisor.probes.source import Source
from advisor.smoke_verdict import install_advice
from advisor.units import GIB, format_bandwidth, format_bytes
from advisor.value import Value

ENOUGH_DISK_BYTES: Final = 10 * GIB
"""An 8B model at four to five bits is 5 GiB; the usual machine wants a second one to compare."""
DOCKER_LIMIT_S: Final = 4.0
"""Docker's daemon answers in a tenth of a second; one that is just starting takes some."""
DOCKER_ENDPOINT: Final = ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
DOCKER_RUNTIMES: Final = ("docker", "info", "--format", "{{range $name, $_ := .Runtimes}}{{$name}} {{end}}")
NVIDIA_TOOLKIT: Final = ("nvidia-ctk", "--version")
LOCAL_ENDPOINTS: Final = ("unix://", "npipe://", "tcp://127.", "tcp://localhost", "tcp://[::1]")
"""Docker may be set up to talk to another machine, which a doctor of this one does not."""
NOT_RECORDED: Final = "not looked at when this was recorded"

Status = Literal["ok", "failed", "absent"]
SIGNS: Final[Mapping[Status, str]] = {"ok": "✓", "failed": "✗", "absent": "–"}
Progress = Callable[[str], None]


class Check(Value):
    """One thing that was looked at."""

    name: str
    status: Status
    """absent: not there, and not needed by everybody."""
    detail: str
    remedy: str | None = None
    """What to do about it."""


def checks(source: Source, machine: Machine, on_progress: Progress) -> Iterator[Check]:
    """Everything about the machine; what is slow is announced."""
    yield catalogs()
    yield from planning_checks(machine, has_nvidia="nvidia" in display_vendors(source))
    yield model_folder(source, machine)
    on_progress("asking llama-cpp-python for its devices")
    yield llama_cpp(source, machine)
    on_progress("asking Docker")
    yield docker(source, machine)


def planning_checks(machine: Machine, *, has_nvidia: bool = False) -> Iterator[Check]:
    """What planning wants to know of a machine, be it this one or another; has_nvidia: a card was seen."""
    yield gpus(machine, has_nvidia=has_nvidia)
    yield bandwidth(machine)
    if machine.host.disk.cache_dir is not None or machine.host.disk.free_bytes is not None:
        yield disk(machine)


def catalogs() -> Check:
    """Whether this installation's own data can be read."""
    from advisor.catalog import load_catalog
    from advisor.hardware_catalog import load_hardware

    try:
        models, hardware = load_catalog(), load_hardware()
    except AdvisorError as error:
        return Check(name="catalogs", status="failed", detail=str(error), remedy="install advisor again")
    detail = (
        f"{len(models.models)} models ({models.date}), {len(hardware.gpus)} GPUs, {len(hardware.cpus)} CPUs"
    )
    return Check(name="catalogs", status="ok", detail=detail)


def gpus(machine: Machine, *, has_nvidia: bool) -> Check:
    """Whether every GPU was read and is known."""
    check = partial(Check, name="GPUs")
    if has_nvidia and not any(gpu.vendor == "nvidia" for gpu in machine.gpus):
        remedy = "see the notes, and nvidia-smi"
        return check(status="failed", detail="an NVIDIA card is there and was not read", remedy=remedy)
    if not machine.gpus:
        return check(status="absent", detail="none to plan on: models run on the processor")
    unknown = [gpu.name for gpu in machine.gpus if gpu.catalog_id is None]
    if unknown:
        remedy = "report it with the file that advisor doctor --out FILE.md writes"
        return check(status="failed", detail=f"not in the catalog: {', '.join(unknown)}", remedy=remedy)
    return check(status="ok", detail=", ".join(f"{gpu.name} ({gpu.catalog_id})" for gpu in machine.gpus))


def bandwidth(machine: Machine) -> Check:
    """Whether the speed of the memory is known, which decides that of decoding on the processor."""
    rate = machine.host.memory.bandwidth_bytes_per_s
    if rate is None:
        return Check(
            name="memory speed",
            status="failed",
            detail="not known, so no speed on the processor is estimated",
            remedy="free some memory and run advisor detect --measure",
        )
    return Check(name="memory speed", status="ok", detail=format_bandwidth(rate))


def disk(machine: Machine) -> Check:
    """Whether a model of the usual size can be downloaded."""
    free, folder = machine.host.disk.free_bytes, machine.host.disk.cache_dir
    check = partial(Check, name="disk")
    remedy = "free some space, or name a folder on another disk with HF_HOME"
    if free is None:
        return check(status="failed", detail=f"the free space for {folder} could not be read", remedy=remedy)
    detail = f"{format_bytes(free)} free for models"
    if free < ENOUGH_DISK_BYTES:
        return check(status="failed", detail=f"only {detail}", remedy=remedy)
    return check(status="ok", detail=detail)


def model_folder(source: Source, machine: Machine) -> Check:
    """Whether downloads can be written where the Hugging Face hub keeps them."""
    folder = machine.host.disk.cache_dir
    remedy = "make it yours (chown), or name another one with HF_HOME"
    check = partial(Check, name="model folder")
    if folder is None:
        return check(status="failed", detail="there is no home folder", remedy="name one with HF_HOME")
    told = source.ask("model folder", partial(_writing, Path(folder)))
    if not isinstance(told, Mapping):
        return check(status="absent", detail=NOT_RECORDED)
    if told.get("refusal"):
        detail = f"{folder} cannot be written to ({told['refusal']})"
        return check(status="failed", detail=detail, remedy=remedy)
    return check(status="ok", detail=f"{folder} can be written to")


def llama_cpp(source: Source, machine: Machine) -> Check:
    """Whether llama-cpp-python loads, and uses the GPUs that are there."""
    check = partial(Check, name="llama.cpp")
    told = source.ask("llama-cpp-python", _library)
    if not isinstance(told, Mapping):
        return check(status="absent", detail=NOT_RECORDED)
    if not told:
        detail = "llama-cpp-python is not installed: smoke-test and llama.cpp's own proof need it"
        return check(status="absent", detail=detail, remedy="pip install 'llm-advisor[smoke]'")
    if "failure" in told:
        return check(status="failed", detail=str(told["failure"]), remedy="install llama-cpp-python again")
    library = Library.model_validate(told)
    plain = f"llama-cpp-python {library.version}"
    if library.gpus:
        used = ", ".join(f"{device.name} {device.description}" for device in library.gpus)
        return check(status="ok", detail=f"{plain} on {used}")
    vendor = machine.gpus[0].vendor if machine.gpus else None
    if vendor is None:
        return check(status="ok", detail=f"{plain} on the processor")
    if library.gpu_offload:
        detail = f"{plain} was built for GPUs and finds none here"
        return check(status="failed", detail=detail, remedy="check the driver, and that it was built for it")
    detail = f"{plain} was built without GPU support: smoke-test would run on the processor"
    return check(status="failed", detail=detail, remedy="; or ".join(install_advice(vendor)))


def docker(source: Source, machine: Machine) -> Check:
    """Whether Docker answers, and hands GPUs to containers."""
    check = partial(Check, name="Docker")
    if not any(runtime.name == "docker" for runtime in machine.runtimes):
        remedy = "install it to start models with deploy's compose files; --target script does without"
        return check(status="absent", detail="not installed", remedy=remedy)
    endpoint = (source.run(*DOCKER_ENDPOINT) or "").strip()
    if endpoint and not endpoint.startswith(LOCAL_ENDPOINTS):
        return check(status="absent", detail="its daemon is on another machine, which was not asked")
    runtimes = (source.run(*DOCKER_RUNTIMES, limit_s=DOCKER_LIMIT_S) or "").split()
    if not runtimes:
        remedy = "start it, or let this account use it (the group docker)"
        return check(status="failed", detail="installed, but its daemon does not answer", remedy=remedy)
    makers = {gpu.vendor for gpu in machine.gpus}
    if "nvidia" not in makers:
        return check(status="ok", detail="its daemon answers")
    if "nvidia" in runtimes or source.run(*NVIDIA_TOOLKIT):
        return check(status="ok", detail="its daemon answers, with NVIDIA's runtime")
    return check(
        status="failed",
        detail="containers get no GPU: NVIDIA's container toolkit is missing",
        remedy="install nvidia-container-toolkit, then restart Docker",
    )


def _writing(folder: Path) -> dict[str, str | None]:
    """Why a file cannot be made in the folder, or in the nearest one that there is; None where it can."""
    from tempfile import TemporaryFile

    existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        with TemporaryFile(dir=existing):
            return {"refusal": None}
    except OSError as error:
        return {"refusal": error.strerror or type(error).__name__}


def _library() -> dict[str, Any]:
    """The installed llama-cpp-python, asked in a process of its own; empty without one."""
    from importlib.util import find_spec

    from advisor.smoke import read_library

    if find_spec("llama_cpp") is None:
        return {}
    try:
        return read_library().model_dump(mode="json")
    except AdvisorError as error:
        return {"failure": str(error)}
