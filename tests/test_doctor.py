"""`advisor doctor`: what it finds, what it writes, and that a dump is as good as the machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from advisor.cli.doctor import command
from advisor.doctor import checks, examination
from advisor.doctor.checks import Check
from advisor.doctor.dump import About, Dump, blocks
from advisor.doctor.identity import own_identity
from advisor.doctor.page import SCRUBBED_FIELDS, page_of
from advisor.doctor.scrub import Scrubber, vocabulary
from advisor.errors import HardwareError, OutputError
from advisor.hardware import Cpu, Disk, Gpu, GpuSpec, Host, HostMemory, Machine, Runtime
from advisor.hardware_catalog import load_hardware, resolve_hardware
from advisor.probes.recording import LibraryAnswer, Recorded, Recording, ToolAnswer, Transcript
from advisor.probes.source import Live, Source
from advisor.units import GB, GIB

NVIDIA: Final = Gpu(
    index=0, name="NVIDIA GeForce RTX 3070", vendor="nvidia", vram_bytes=8 * GIB, catalog_id="rtx-3070"
)
UNKNOWN: Final = NVIDIA.model_copy(update={"name": "NVIDIA Odd", "catalog_id": None})
RADEON: Final = NVIDIA.model_copy(update={"name": "AMD Radeon RX 7900 XTX", "vendor": "amd"})
LIBRARY: Final = {"version": "0.3.36", "gpu_offload": False, "devices": []}
CUDA: Final = {
    "name": "CUDA0",
    "description": "NVIDIA GeForce RTX 3070",
    "kind": "gpu",
    "free_bytes": 1,
    "total_bytes": 2,
}


def machine(
    *gpus: Gpu, free: int | None = 100 * GIB, folder: str | None = "/models", rate: int | None = 50 * GB
) -> Machine:
    memory = HostMemory(total_bytes=32 * GIB, bandwidth_bytes_per_s=rate)
    host = Host(os="Linux", cpu=Cpu(), memory=memory, disk=Disk(cache_dir=folder, free_bytes=free))
    return Machine(host=host, gpus=gpus, runtimes=(Runtime(name="docker"),))


def source(asked: dict[str, Any] | None = None, tools: dict[tuple[str, ...], str] | None = None) -> Recorded:
    return Recorded(
        Transcript(
            platform="linux",
            asked={name: LibraryAnswer(answer=answer) for name, answer in (asked or {}).items()},
            tools=tuple(ToolAnswer(argv=argv, output=output) for argv, output in (tools or {}).items()),
        )
    )


LOCAL: Final = {checks.DOCKER_ENDPOINT: "unix:///var/run/docker.sock\n"}


@pytest.mark.parametrize(
    ("check", "status", "detail"),
    [
        pytest.param(checks.catalogs(), "ok", "GPUs", id="catalogs"),
        pytest.param(checks.gpus(machine(), has_nvidia=False), "absent", "processor", id="no GPU"),
        pytest.param(checks.gpus(machine(), has_nvidia=True), "failed", "not read", id="no driver"),
        pytest.param(checks.gpus(machine(RADEON), has_nvidia=True), "failed", "not read", id="half"),
        pytest.param(checks.gpus(machine(NVIDIA), has_nvidia=True), "ok", "(rtx-3070)", id="GPU"),
        pytest.param(
            checks.gpus(machine(UNKNOWN), has_nvidia=True), "failed", "NVIDIA Odd", id="unknown GPU"
        ),
        pytest.param(checks.bandwidth(machine()), "ok", "50 GB/s", id="memory speed"),
        pytest.param(checks.bandwidth(machine(rate=None)), "failed", "not known", id="no memory speed"),
        pytest.param(checks.disk(machine()), "ok", "100.00 GiB", id="disk"),
        pytest.param(checks.disk(machine(free=GIB)), "failed", "only 1.00 GiB", id="full disk"),
        pytest.param(checks.disk(machine(free=None)), "failed", "could not be read", id="disk unread"),
        pytest.param(
            checks.model_folder(source({"model folder": {"refusal": None}}), machine()),
            "ok",
            "/models",
            id="folder",
        ),
        pytest.param(
            checks.model_folder(source({"model folder": {"refusal": "Read-only file system"}}), machine()),
            "failed",
            "/models cannot be written to (Read-only file system)",
            id="read-only folder",
        ),
        pytest.param(
            checks.model_folder(source(), machine(folder=None)), "failed", "no home", id="no folder"
        ),
        pytest.param(checks.model_folder(source(), machine()), "absent", "recorded", id="folder not asked"),
        pytest.param(checks.llama_cpp(source(), machine()), "absent", "recorded", id="llama not asked"),
        pytest.param(
            checks.llama_cpp(source({"llama-cpp-python": {}}), machine(NVIDIA)),
            "absent",
            "not installed",
            id="none",
        ),
        pytest.param(
            checks.llama_cpp(source({"llama-cpp-python": {"failure": "no libgomp"}}), machine()),
            "failed",
            "no libgomp",
            id="broken",
        ),
        pytest.param(
            checks.llama_cpp(source({"llama-cpp-python": LIBRARY}), machine()),
            "ok",
            "processor",
            id="CPU build",
        ),
        pytest.param(
            checks.llama_cpp(source({"llama-cpp-python": LIBRARY}), machine(NVIDIA)),
            "failed",
            "without GPU support",
            id="CPU build beside a GPU",
        ),
        pytest.param(
            checks.llama_cpp(source({"llama-cpp-python": LIBRARY | {"gpu_offload": True}}), machine(NVIDIA)),
            "failed",
            "finds none",
            id="GPU build without a device",
        ),
        pytest.param(
            checks.llama_cpp(
                source({"llama-cpp-python": LIBRARY | {"gpu_offload": True, "devices": [CUDA]}}),
                machine(NVIDIA),
            ),
            "ok",
            "CUDA0 NVIDIA GeForce RTX 3070",
            id="GPU build",
        ),
        pytest.param(
            checks.docker(source(), machine().model_copy(update={"runtimes": ()})),
            "absent",
            "not installed",
            id="no Docker",
        ),
        pytest.param(
            checks.docker(source(tools={checks.DOCKER_ENDPOINT: "ssh://user@host\n"}), machine()),
            "absent",
            "another machine",
            id="Docker elsewhere",
        ),
        pytest.param(
            checks.docker(source(tools=LOCAL), machine()), "failed", "does not answer", id="no daemon"
        ),
        pytest.param(
            checks.docker(source(tools=LOCAL | {checks.DOCKER_RUNTIMES: "runc \n"}), machine(RADEON)),
            "ok",
            "answers",
            id="Docker",
        ),
        pytest.param(
            checks.docker(source(tools=LOCAL | {checks.DOCKER_RUNTIMES: "runc \n"}), machine(NVIDIA)),
            "failed",
            "containers get no GPU",
            id="no toolkit",
        ),
        pytest.param(
            checks.docker(source(tools=LOCAL | {checks.DOCKER_RUNTIMES: "nvidia runc \n"}), machine(NVIDIA)),
            "ok",
            "NVIDIA's runtime",
            id="NVIDIA's runtime",
        ),
        pytest.param(
            checks.docker(
                source(
                    tools=LOCAL
                    | {
                        checks.DOCKER_RUNTIMES: "runc \n",
                        checks.NVIDIA_TOOLKIT: "NVIDIA Container Toolkit 1.17\n",
                    }
                ),
                machine(NVIDIA),
            ),
            "ok",
            "NVIDIA's runtime",
            id="toolkit without a runtime of its own",
        ),
    ],
)
def test_a_check(check: Check, status: str, detail: str) -> None:
    assert check.status == status
    assert detail in check.detail
    assert (check.remedy is not None) or status != "failed"


def test_a_folder_is_tried(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert checks.model_folder(Live(), machine(folder=str(tmp_path / "not" / "yet"))).status == "ok"
    check = checks.model_folder(Live(), machine(folder=str(tmp_path / "file")))
    assert (check.status, "Not a directory" in check.detail) == ("failed", True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(checks, "FOLDER_LIMIT_S", 0.05)
    monkeypatch.setattr(checks, "_writing", lambda _folder: released.wait())
    try:
        check = checks.model_folder(Live(), machine())
    finally:
        released.set()
    assert check.detail == "/models cannot be written to (it did not answer in time)"


def test_the_identity_is_that_of_people(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n"
        "zed:x:1000:1000:Zed Zeppelin,,,:/home/zed:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
        "broken\n"
    )
    environ = {"USER": "zed2", "COMPUTERNAME": "zbox.example", "HOME": "/home/zed", "TOKEN": "x"}
    identity = own_identity(environ, tmp_path)
    assert {"zbox.example", "zbox"} <= set(identity.hosts)
    assert identity.users == ("Zed Zeppelin", "zed", "zed2")
    assert identity.homes == ("/home/zed",)


# ---- the command


HEALTHY: Final = Transcript(
    platform="linux",
    environ={"HF_HOME": "/models"},
    tools=(
        ToolAnswer(argv=checks.DOCKER_ENDPOINT, output="unix:///var/run/docker.sock\n"),
        ToolAnswer(argv=checks.DOCKER_RUNTIMES, output="nvidia runc \n"),
        ToolAnswer(argv=("xpu-smi", "discovery", "-j"), output=None, out_of_time=True),
    ),
    asked={
        "llama-cpp-python": LibraryAnswer(answer=LIBRARY | {"gpu_offload": True, "devices": [CUDA]}),
        "machine": LibraryAnswer(answer=machine(NVIDIA).model_dump(mode="json", exclude_defaults=True)),
        "model folder": LibraryAnswer(answer={"refusal": None}),
        "odd": LibraryAnswer(failure="OSError: | no <b>"),
    },
)
ILL: Final = HEALTHY.model_copy(
    update={
        "tools": (),
        "asked": HEALTHY.asked
        | {
            "machine": LibraryAnswer(
                answer=machine(NVIDIA, free=GIB, rate=None).model_dump(mode="json", exclude_defaults=True)
            )
        },
    }
)


def recorded_machine(source: Source, specs: tuple[GpuSpec, ...]) -> Machine:
    """A machine that is one answer: these tests are not about detection."""
    return Machine.model_validate(source.ask("machine", dict))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command on a recorded machine."""

    def run_on(transcript: Transcript, *arguments: str | Path) -> Result:
        monkeypatch.setattr("advisor.probes.source.Live", lambda: Recorded(transcript))
        monkeypatch.setattr(examination, "read_machine", recorded_machine)
        return CliRunner().invoke(command, [str(argument) for argument in arguments])

    return run_on


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page tells of the day and of this installation."""
    monkeypatch.setattr(examination, "date", SimpleNamespace(today=lambda: date(2026, 11, 21)))
    monkeypatch.setattr(checks, "catalogs", lambda: Check(name="catalogs", status="ok", detail="all"))


@pytest.mark.usefixtures("fixed")
@pytest.mark.parametrize(
    ("transcript", "name", "status"),
    [pytest.param(HEALTHY, "healthy", 0, id="healthy"), pytest.param(ILL, "ill", 1, id="ill")],
)
def test_report_and_page(
    transcript: Transcript,
    name: str,
    status: int,
    run: Callable[..., Result],
    golden: Callable[[str, str], None],
    tmp_path: Path,
) -> None:
    result = run(transcript)
    assert result.exit_code == status
    golden(f"doctor/{name}.txt", "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines()))
    assert run(transcript, "--out", tmp_path / "d.md").exit_code == status
    golden(f"doctor/{name}.md", (tmp_path / "d.md").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("fixed")
def test_a_dump_reports_what_its_machine_reported(run: Callable[..., Result], tmp_path: Path) -> None:
    written = run(ILL, "--out", tmp_path / "d.md")
    again = run(HEALTHY, "--from", tmp_path / "d.md")
    assert (again.stdout, again.exit_code) == (written.stdout, 1)
    assert run(HEALTHY, "--from", tmp_path / "d.md", "--json").stdout == run(ILL, "--json").stdout


def test_json_is_alone_on_stdout(run: Callable[..., Result]) -> None:
    result = run(ILL, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert set(document) == {"schema_version", "advisor", "date", "machine", "checks"}
    assert [check["name"] for check in document["checks"] if check["status"] == "failed"] == [
        "memory speed",
        "disk",
        "Docker",
    ]


def test_a_file_is_replaced_only_when_forced(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "d.md"
    file.write_text("mine")
    assert isinstance(run(HEALTHY, "--out", file).exception, OutputError)
    assert file.read_text() == "mine"
    assert run(HEALTHY, "--out", file, "--force").exit_code == 0
    assert file.read_text().startswith("# What `advisor doctor` saw")
    assert [path.name for path in tmp_path.iterdir()] == ["d.md"]


@pytest.mark.parametrize("name", ["d.md", "issue.txt"])
def test_any_command_plans_for_a_dump(name: str, run: Callable[..., Result], tmp_path: Path) -> None:
    run(HEALTHY, "--out", tmp_path / name)
    assert resolve_hardware(str(tmp_path / name), load_hardware()) == machine(NVIDIA)


def test_a_machine_that_is_planned_for_is_checked(run: Callable[..., Result]) -> None:
    result = run(ILL, "--hardware", "RTX 3070, 32 GB RAM")
    assert result.exit_code == 0
    assert "rtx-3070" in result.stdout
    assert "Docker" not in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--from", "a.md", "--out", "b.md"), id="from and out"),
        pytest.param(("--from", "a.md", "--hardware", "M2 8 GB"), id="from and hardware"),
        pytest.param(("--out", "a.md", "--hardware", "M2 8 GB"), id="out and hardware"),
    ],
)
def test_one_thing_at_a_time(arguments: tuple[str, ...], run: Callable[..., Result]) -> None:
    assert run(HEALTHY, *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"", "lacks the block about", id="empty"),
        pytest.param(b"\x89PNG\xff", "not text", id="no text"),
        pytest.param(b"x" * (examination.MAX_DUMP_BYTES + 1), "too large", id="too large"),
        pytest.param(b'{"host": 1}', "lacks the block about", id="another document"),
    ],
)
def test_a_wrong_file_is_one_line(
    content: bytes | None, reason: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "d.md").write_bytes(content)
    result = run(HEALTHY, "--from", tmp_path / "d.md")
    assert isinstance(result.exception, HardwareError)
    assert reason in str(result.exception)
    assert "\n" not in str(result.exception)
    with pytest.raises(HardwareError, match=r"d\.md"):
        resolve_hardware(str(tmp_path / "d.md"), load_hardware())


def test_a_recording_that_makes_no_sense_is_one_line(run: Callable[..., Result], tmp_path: Path) -> None:
    odd = HEALTHY.model_copy(update={"asked": {"machine": LibraryAnswer(answer=[5])}})
    text = blocks(Dump(about=About(schema_version=1, advisor="0", date="", platform="linux"), transcript=odd))
    (tmp_path / "d.md").write_text(text)
    result = run(HEALTHY, "--from", tmp_path / "d.md")
    assert isinstance(result.exception, HardwareError)
    assert "\n" not in str(result.exception)


def test_a_dump_of_this_machine_is_this_machine(tmp_path: Path) -> None:
    specs, recording = load_hardware().gpus, Recording(Live())
    report = examination.examine(recording, specs, lambda _: None)
    page = page_of(report, recording.transcript, Scrubber(own_identity(), vocabulary(specs)), specs)
    assert page.differences == ()
    (tmp_path / "d.md").write_text(page.text, encoding="utf-8")
    replayed = examination.machine_of_dump(tmp_path / "d.md", specs)
    assert set(examination.differences(report.machine, replayed)) <= SCRUBBED_FIELDS
