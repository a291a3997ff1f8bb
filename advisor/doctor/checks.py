"""What a machine needs for its models, looked at one by one, each with what to do where it is not so.

A check asks the machine's source, so that it says the same of a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any, Final, Literal

from advisor.errors import AdvisorError
from advisor.hardware import Machine
from advisor.i18n import N_, _
from advisor.measurements import Library
from advisor.probes.deadline import Started
from advisor.probes.pci import display_vendors
from advisor.probes.source import Source
from advisor.smoke_verdict import install_advice
from advisor.units import GIB, format_bandwidth, format_bytes
from advisor.value import Value

ENOUGH_DISK_BYTES: Final = 10 * GIB
"""An 8B model at four to five bits is 5 GiB; the usual machine wants a second one to compare."""
DOCKER_LIMIT_S: Final = 4.0
"""Docker's daemon answers in a tenth of a second; one that is just starting takes some."""
BUS_LIMIT_S: Final = 1.0
"""Of what the kernel shows of the bus: it answers in milliseconds or not at all."""
FOLDER_LIMIT_S: Final = 3.0
"""A network disk that sleeps takes some time to answer; one that hangs never does."""
DOCKER_ENDPOINT: Final = ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
DOCKER_RUNTIMES: Final = ("docker", "info", "--format", "{{range $name, $_ := .Runtimes}}{{$name}} {{end}}")
NVIDIA_TOOLKIT: Final = ("nvidia-ctk", "--version")
LOCAL_ENDPOINTS: Final = ("unix://", "npipe://", "tcp://127.", "tcp://localhost", "tcp://[::1]")
"""Docker may be set up to talk to another machine, which a doctor of this one does not."""
NOT_RECORDED: Final = N_("not looked at when this was recorded")

Status = Literal["ok", "failed", "absent"]
SIGNS: Final[Mapping[Status, str]] = {"ok": "✓", "failed": "✗", "absent": "–"}
Progress = Callable[[str], None]


class Check(Value):
    """One thing that was looked at."""

    name: str
    """In English, by which programs know it; people are told it in their language."""
    status: Status
    """absent: not there, and not needed by everybody."""
    detail: str
    remedy: str | None = None
    """What to do about it."""


def checks(source: Source, machine: Machine, on_progress: Progress) -> Iterator[Check]:
    """Everything about the machine; what is slow is announced."""
    yield catalogs()
    on_bus = Started(partial(display_vendors, source), BUS_LIMIT_S).result_or(frozenset())
    yield from planning_checks(machine, has_nvidia="nvidia" in on_bus)
    yield model_folder(source, machine)
    on_progress(_("asking llama-cpp-python for its devices"))
    yield llama_cpp(source, machine)
    on_progress(_("asking Docker"))
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
        remedy = _("install advisor again")
        return Check(name=N_("catalogs"), status="failed", detail=str(error), remedy=remedy)
    detail = _("{n_models} models ({date}), {n_gpus} GPUs, {n_cpus} CPUs").format(
        n_models=len(models.models),
        date=models.date,
        n_gpus=len(hardware.gpus),
        n_cpus=len(hardware.cpus),
    )
    return Check(name=N_("catalogs"), status="ok", detail=detail)


def gpus(machine: Machine, *, has_nvidia: bool) -> Check:
    """Whether every GPU was read and is known."""
    check = partial(Check, name=N_("GPUs"))
    if has_nvidia and not any(gpu.vendor == "nvidia" for gpu in machine.gpus):
        remedy = _("see the notes, and nvidia-smi")
        return check(status="failed", detail=_("an NVIDIA card is there and was not read"), remedy=remedy)
    if not machine.gpus:
        return check(status="absent", detail=_("none to plan on: models run on the processor"))
    unknown = ", ".join(gpu.name for gpu in machine.gpus if gpu.catalog_id is None)
    if unknown:
        remedy = _("report it with the file that advisor doctor --out FILE.md writes")
        detail = _("not in the catalog: {gpus}").format(gpus=unknown)
        return check(status="failed", detail=detail, remedy=remedy)
    return check(status="ok", detail=", ".join(f"{gpu.name} ({gpu.catalog_id})" for gpu in machine.gpus))


def bandwidth(machine: Machine) -> Check:
    """Whether the speed of the memory is known, which decides that of decoding on the processor."""
    check = partial(Check, name=N_("memory speed"))
    rate = machine.host.memory.bandwidth_bytes_per_s
    if rate is None:
        return check(
            status="failed",
            detail=_("not known, so no speed on the processor is estimated"),
            remedy=_("free some memory and run advisor detect --measure"),
        )
    return check(status="ok", detail=format_bandwidth(rate))


def disk(machine: Machine) -> Check:
    """Whether a model of the usual size can be downloaded."""
    free, folder = machine.host.disk.free_bytes, machine.host.disk.cache_dir
    check = partial(Check, name=N_("disk"))
    remedy = _("free some space, or name a folder on another disk with HF_HOME")
    if free is None:
        unread = _("the free space for {folder} could not be read").format(folder=folder)
        return check(status="failed", detail=unread, remedy=remedy)
    if free < ENOUGH_DISK_BYTES:
        little = _("only {size} free for models").format(size=format_bytes(free))
        return check(status="failed", detail=little, remedy=remedy)
    return check(status="ok", detail=_("{size} free for models").format(size=format_bytes(free)))


def model_folder(source: Source, machine: Machine) -> Check:
    """Whether downloads can be written where the Hugging Face hub keeps them."""
    folder = machine.host.disk.cache_dir
    check = partial(Check, name=N_("model folder"))
    if folder is None:
        remedy = _("name one with HF_HOME")
        return check(status="failed", detail=_("there is no home folder"), remedy=remedy)
    remedy = _("make it yours (chown), or name another one with HF_HOME")
    asked = Started(lambda: source.ask("model folder", partial(_writing, Path(folder))), FOLDER_LIMIT_S)
    told = asked.result_or({"refusal": N_("it did not answer in time")})
    if not isinstance(told, Mapping):
        return check(status="absent", detail=_(NOT_RECORDED))
    if told.get("refusal"):
        detail = _("{folder} cannot be written to ({reason})")
        reason = _(str(told["refusal"]))
        return check(status="failed", detail=detail.format(folder=folder, reason=reason), remedy=remedy)
    return check(status="ok", detail=_("{folder} can be written to").format(folder=folder))


def llama_cpp(source: Source, machine: Machine) -> Check:
    """Whether llama-cpp-python loads, and uses the GPUs that are there."""
    check = partial(Check, name="llama.cpp")
    told = source.ask("llama-cpp-python", _library)
    if not isinstance(told, Mapping):
        return check(status="absent", detail=_(NOT_RECORDED))
    if not told:
        detail = _("llama-cpp-python is not installed: smoke-test and llama.cpp's own proof need it")
        return check(status="absent", detail=detail, remedy="pip install 'llm-advisor[smoke]'")
    if "failure" in told:
        remedy = _("install llama-cpp-python again")
        return check(status="failed", detail=str(told["failure"]), remedy=remedy)
    library = Library.model_validate(told)
    if library.gpus:
        used = ", ".join(f"{device.name} {device.description}" for device in library.gpus)
        detail = _("llama-cpp-python {version} on {devices}")
        return check(status="ok", detail=detail.format(version=library.version, devices=used))
    vendor = machine.gpus[0].vendor if machine.gpus else None
    if vendor is None:
        detail = _("llama-cpp-python {version} on the processor")
        return check(status="ok", detail=detail.format(version=library.version))
    if library.gpu_offload:
        detail = _("llama-cpp-python {version} was built for GPUs and finds none here")
        remedy = _("check the driver, and that it was built for it")
    else:
        detail = _(
            "llama-cpp-python {version} was built without GPU support: smoke-test would run on the processor"
        )
        remedy = reduce(
            lambda one, other: _("{one}; or {other}").format(one=one, other=other), install_advice(vendor)
        )
    return check(status="failed", detail=detail.format(version=library.version), remedy=remedy)


def docker(source: Source, machine: Machine) -> Check:
    """Whether Docker answers, and hands GPUs to containers."""
    check = partial(Check, name="Docker")
    if not any(runtime.name == "docker" for runtime in machine.runtimes):
        remedy = _("install it to start models with deploy's compose files; --target script does without")
        return check(status="absent", detail=_("not installed"), remedy=remedy)
    endpoint = (source.run(*DOCKER_ENDPOINT) or "").strip()
    if endpoint and not endpoint.startswith(LOCAL_ENDPOINTS):
        return check(status="absent", detail=_("its daemon is on another machine, which was not asked"))
    runtimes = (source.run(*DOCKER_RUNTIMES, limit_s=DOCKER_LIMIT_S) or "").split()
    if not runtimes:
        remedy = _("start it, or let this account use it (the group docker)")
        return check(status="failed", detail=_("installed, but its daemon does not answer"), remedy=remedy)
    makers = {gpu.vendor for gpu in machine.gpus}
    if "nvidia" not in makers:
        return check(status="ok", detail=_("its daemon answers"))
    if "nvidia" in runtimes or source.run(*NVIDIA_TOOLKIT):
        return check(status="ok", detail=_("its daemon answers, with NVIDIA's runtime"))
    return check(
        status="failed",
        detail=_("containers get no GPU: NVIDIA's container toolkit is missing"),
        remedy=_("install nvidia-container-toolkit, then restart Docker"),
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
