"""Detection on recorded machines: fake /proc and /sys trees, recorded answers of NVIDIA's driver."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from fake_nvml import FakeNvml
from recorded_trees import RECORDED, lay_out, linux, tree_source

from advisor import probes
from advisor.errors import ProbeError
from advisor.hardware import Disk, Gpu, GpuSpec, GpuUser, Host, HostMemory, Machine, Runtime
from advisor.probes import cgroups, host, identify, nvidia, pci, runtimes
from advisor.probes.nvml import gather
from advisor.probes.recording import LibraryAnswer, Recorded, Recording
from advisor.probes.source import Live
from advisor.units import GB, GIB, MIB

MEMORY = HostMemory(total_bytes=64 * GIB, available_bytes=50 * GIB)


# ---- memory and processor limits


@pytest.mark.parametrize(
    ("tree", "limit_gib", "available_gib"),
    [
        pytest.param("docker-v2-4gib", 4, 3.5, id="version-2"),
        pytest.param("docker-v1-4gib", 4, 3.5, id="version-1"),
        # 48 - (47 - 1) in the outermost group, 8 in the one between, memory.high 12 in the innermost
        pytest.param("kubernetes-v2-nested", 8, 2, id="smallest-of-nested-groups"),
        pytest.param("outside-namespace-v2", 4, 4, id="group-outside-the-namespace"),
        pytest.param("damaged-v2", 4, 4, id="damaged-files"),
    ],
)
def test_memory_limit(tree: str, limit_gib: float, available_gib: float, tmp_path: Path) -> None:
    limit = cgroups.memory_limit(tree_source(tree, tmp_path), 64 * GIB)
    assert limit is not None
    assert limit.limit_bytes == limit_gib * GIB
    assert limit.available_bytes == available_gib * GIB


@pytest.mark.parametrize("tree", ["host-v1-unlimited", "no-proc", "raspberry-pi-5"])
def test_no_memory_limit(tree: str, tmp_path: Path) -> None:
    assert cgroups.memory_limit(tree_source(tree, tmp_path), 64 * GIB) is None


def test_a_limit_above_the_machine_is_none(tmp_path: Path) -> None:
    assert cgroups.memory_limit(tree_source("docker-v2-4gib", tmp_path), 2 * GIB) is None


@pytest.mark.parametrize(
    ("tree", "free_gib", "expected_gib"),
    [
        pytest.param("docker-v2-4gib", 50, 3.5, id="the-limit-is-tighter"),
        pytest.param("docker-v2-4gib", 1, 1, id="the-machine-is-fuller"),
        pytest.param("host-v1-unlimited", 50, 50, id="no-limit"),
    ],
)
def test_available_memory(
    tree: str, free_gib: float, expected_gib: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ram = SimpleNamespace(total=64 * GIB, available=int(free_gib * GIB))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: ram)
    memory = host.read_memory(tree_source(tree, tmp_path))
    assert memory.total_bytes == 64 * GIB
    assert memory.available_bytes == expected_gib * GIB


def test_unreadable_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", refuse)
    with pytest.raises(ProbeError, match="--hardware"):
        host.read_memory(linux(tmp_path))


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        pytest.param("docker-v2-4gib", 1.5, id="version-2"),
        pytest.param("docker-v1-4gib", None, id="version-1-unlimited"),
        pytest.param("kubernetes-v2-nested", 2.5, id="smallest-of-nested-groups"),
        pytest.param("damaged-v2", None, id="damaged-files"),
        pytest.param("no-proc", None, id="not-linux"),
    ],
)
def test_cpu_quota(tree: str, expected: float | None, tmp_path: Path) -> None:
    assert cgroups.cpu_quota(tree_source(tree, tmp_path)) == expected


@pytest.mark.parametrize(
    ("quota", "allowed", "logical", "expected"),
    [
        pytest.param(None, 16, 16, None, id="all"),
        pytest.param(2.5, 16, 16, 2.5, id="quota"),
        pytest.param(None, 4, 16, 4, id="cpu-set"),
        pytest.param(2.5, 2, 16, 2, id="both"),
        pytest.param(32, 16, 16, None, id="quota-above-the-machine"),
        pytest.param(None, 4, None, 4, id="cores-unknown"),
    ],
)
def test_limit_cores(
    quota: float | None,
    allowed: int,
    logical: int | None,
    expected: float | None,
) -> None:
    assert host.limit_cores(quota, allowed, logical) == expected


# ---- processor, container, disk


@pytest.mark.parametrize(
    ("tree", "name", "features"),
    [
        pytest.param(
            "xeon-amx",
            "Intel(R) Xeon(R) Platinum 8480+",
            "sse4_2 avx f16c fma bmi2 avx2 avx_vnni avx512f avx512bw avx512_vbmi avx512_vnni avx512_bf16"
            " avx512_fp16 amx_tile amx_int8 amx_bf16",
            id="x86-amx",
        ),
        pytest.param("raspberry-pi-5", "Raspberry Pi 5 Model B Rev 1.0", "neon fp16 dotprod", id="arm-board"),
        pytest.param(
            "dgx-spark",
            "Cortex-A725 + Cortex-X925",
            "neon fp16 dotprod i8mm bf16 sve sve2",
            id="arm-two-kinds-of-cores",
        ),
        pytest.param("arm-unknown-part", "ARM core 0x61:0x123", "neon", id="arm-unknown-part"),
        pytest.param("no-proc", None, "", id="nothing-to-read"),
    ],
)
def test_linux_processor(tree: str, name: str | None, features: str, tmp_path: Path) -> None:
    source = tree_source(tree, tmp_path)
    processors = host.parse_cpuinfo(source.text("proc/cpuinfo") or "")
    assert host.linux_cpu_name(source, processors) == name
    assert host.linux_features(processors) == tuple(features.split())


def test_mac_processor(tmp_path: Path) -> None:
    facts = host.parse_sysctl((lay_out("macos-m3-max", tmp_path) / "sysctl").read_text())
    assert facts["machdep.cpu.brand_string"] == "Apple M3 Max"
    assert host.mac_features(facts) == ("neon", "fp16", "dotprod", "i8mm", "bf16")


@pytest.mark.parametrize(
    ("tree", "environ", "expected"),
    [
        pytest.param("docker-v2-4gib", {}, True, id="dockerenv"),
        pytest.param("docker-v1-4gib", {}, True, id="group-version-1"),
        pytest.param("kubernetes-v2-nested", {}, True, id="group-kubernetes"),
        pytest.param("host-v1-unlimited", {"container": "podman"}, True, id="variable"),
        pytest.param("host-v1-unlimited", {}, False, id="host"),
        pytest.param("no-proc", {"container": ""}, False, id="not-linux"),
    ],
)
def test_in_container(tree: str, environ: dict[str, str], expected: bool, tmp_path: Path) -> None:
    assert host.in_container(tree_source(tree, tmp_path, environ)) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, "/home/kim/.cache/huggingface/hub", id="default"),
        pytest.param({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub", id="xdg"),
        pytest.param({"HF_HOME": "/hf", "XDG_CACHE_HOME": "/c"}, "/hf/hub", id="hf-home"),
        pytest.param({"HF_HOME": "~/hf"}, "/home/kim/hf/hub", id="tilde"),
        pytest.param({"HF_HUB_CACHE": "/models", "HF_HOME": "/hf"}, "/models", id="hf-hub-cache"),
        pytest.param({"HUGGINGFACE_HUB_CACHE": "/models"}, "/models", id="older-name"),
        pytest.param({"HF_HOME": ""}, "/home/kim/.cache/huggingface/hub", id="empty"),
    ],
)
def test_cache_dir(environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    assert host.cache_dir(environ) == Path(expected)


def test_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "a" / "b" / "c", tmp_path / "file" / "below"):
        disk = Disk.model_validate(host.disk_of(folder))
        assert disk.cache_dir == str(folder)
        assert disk.free_bytes is not None
        assert disk.total_bytes is not None
        assert 0 <= disk.free_bytes <= disk.total_bytes
    assert host.disk_of(None) == {}


def test_a_folder_whose_name_is_not_text() -> None:
    disk = Disk.model_validate(host.disk_of(Path("/\udcff/models")))
    assert disk.model_dump_json().startswith('{"cache_dir":"/\ufffd/models"')


# ---- NVIDIA


def read(name: str, root: Path) -> nvidia.NvidiaReading:
    nvml = FakeNvml(name)
    reading = nvidia.read_nvidia(gather(nvml), linux(root), MEMORY)
    assert nvml.open == 0  # whatever happened, the library was closed
    return reading


def test_two_cards(tmp_path: Path) -> None:
    reading = read("2x-rtx-4090", tmp_path)
    assert [gpu.index for gpu in reading.gpus] == [0, 1]
    first, second = reading.gpus
    assert first.name == second.name == "NVIDIA GeForce RTX 4090"
    assert first.vram_bytes == 24564 * MIB
    assert (first.free_bytes, second.free_bytes) == (23987 * MIB, 24110 * MIB)
    assert first.compute_capability == "8.9"
    assert first.driver == "570.133.07"
    assert reading.interconnect == "pcie 4.0 x8"  # the slower slot of the two
    assert reading.notes == ()


def test_a_laptop(tmp_path: Path) -> None:
    (gpu,) = read("rtx-3060-laptop", tmp_path).gpus
    assert gpu.name == "NVIDIA GeForce RTX 3060 Laptop GPU"
    assert gpu.vram_bytes == 6 * GIB
    assert gpu.capacity_bytes == 5009 * MIB


def test_who_uses_the_memory(tmp_path: Path) -> None:
    """Programs by name alone: arguments may hold secrets, and Windows tells no sizes."""
    (gpu,) = read("rtx-3060-laptop", tmp_path).gpus
    assert gpu.users == (
        GpuUser(name="llama-server", bytes=809 * MIB),
        GpuUser(name="Xorg", bytes=229 * MIB),
    )


def test_a_jetson_without_nvml_is_known_by_its_board(tmp_path: Path) -> None:
    board = tmp_path / "proc" / "device-tree" / "model"
    board.parent.mkdir(parents=True)
    board.write_text("NVIDIA Jetson AGX Orin Developer Kit\0")
    (gpu,) = read("no-library", tmp_path).gpus
    assert (gpu.name, gpu.unified) == ("NVIDIA Jetson AGX Orin Developer Kit", True)
    assert (gpu.vram_bytes, gpu.free_bytes) == (MEMORY.total_bytes, MEMORY.available_bytes)


def test_wsl_without_a_driver_says_where_to_put_it(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "dxg").touch()
    (note,) = read("no-library", tmp_path).notes
    assert "in Windows" in note


def test_mig_slices_stand_for_their_card(tmp_path: Path) -> None:
    reading = read("h100-mig", tmp_path)
    assert [(gpu.index, gpu.name.partition("MIG ")[2], gpu.vram_bytes // MIB) for gpu in reading.gpus] == [
        (0, "1g.10gb", 9984),
        (1, "3g.40gb", 40448),
    ]
    assert all(gpu.mig and gpu.compute_capability == "9.0" for gpu in reading.gpus)
    assert reading.interconnect is None
    assert reading.notes == ("A CUDA program sees one MIG slice at a time: they do not add up.",)


def test_nvlink(tmp_path: Path) -> None:
    reading = read("8x-h100-nvlink", tmp_path)
    assert len(reading.gpus) == 8
    assert reading.interconnect == "nvlink"


def test_a_card_that_fails_leaves_the_others(tmp_path: Path) -> None:
    reading = read("one-card-lost", tmp_path)
    assert [(gpu.index, gpu.free_bytes) for gpu in reading.gpus] == [(0, 48500 * MIB), (1, 47000 * MIB)]
    assert reading.notes == ("GPU 1 (as nvidia-smi counts) could not be read and is left out: GPU is lost.",)


def test_a_gpu_without_memory_of_its_own_shares_the_hosts(tmp_path: Path) -> None:
    (gpu,) = read("gb10", tmp_path).gpus
    assert gpu.unified
    assert (gpu.vram_bytes, gpu.free_bytes) == (64 * GIB, 50 * GIB)


def test_what_an_old_driver_does_not_tell_is_none(tmp_path: Path) -> None:
    (gpu,) = read("old-card", tmp_path).gpus
    assert gpu.compute_capability is None


@pytest.mark.parametrize(
    ("recording", "tree", "note"),
    [
        pytest.param("no-library", "no-proc", None, id="no-card-no-library"),
        pytest.param("no-library", "radeon", None, id="another-makers-card"),
        pytest.param("no-library", "nvidia-audio-only", None, id="no-display-controller"),
        pytest.param("no-library", "nvidia-without-driver", "its driver is not", id="card-without-library"),
        pytest.param("not-loaded", "nvidia-without-driver", "its driver is not", id="module-not-loaded"),
        pytest.param("not-loaded", "no-proc", None, id="library-left-over"),
        pytest.param("mismatch", "no-proc", "restart the machine", id="library-of-another-version"),
        pytest.param("no-permission", "no-proc", "does not answer", id="not-allowed"),
        pytest.param("count-fails", "no-proc", "does not list its GPUs", id="broken-driver"),
        pytest.param("mig-empty", "no-proc", "MIG mode without a slice", id="mig-without-slices"),
    ],
)
def test_no_gpu_and_why(recording: str, tree: str, note: str | None, tmp_path: Path) -> None:
    reading = read(recording, lay_out(tree, tmp_path))
    assert reading.gpus == ()
    if note is None:
        assert reading.notes == ()
    else:
        (written,) = reading.notes
        assert note in written
        assert "\n" not in written


def test_a_device_file_shows_a_card(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    assert not nvidia.has_card(linux(tmp_path))
    (tmp_path / "dev" / "nvidia0").touch()
    assert nvidia.has_card(linux(tmp_path))


@pytest.mark.parametrize(
    ("tree", "vendors"),
    [
        pytest.param("nvidia-without-driver", {"nvidia", "intel"}, id="hybrid-laptop"),
        pytest.param("radeon", {"amd"}, id="usb-controllers-do-not-count"),
        pytest.param("no-proc", set(), id="no-bus"),
    ],
)
def test_display_vendors(tree: str, vendors: set[str], tmp_path: Path) -> None:
    assert pci.display_vendors(tree_source(tree, tmp_path)) == vendors


# ---- the hardware catalog's figures


def spec(row: str, match: str, gib: float | None, gb_s: int | None, **changes: Any) -> GpuSpec:
    values: dict[str, Any] = {
        "id": row,
        "name": row,
        "vendor": "nvidia",
        "architecture": "Ampere",
        "vram_bytes": None if gib is None else int(gib * GIB),
        "bandwidth_bytes_per_s": None if gb_s is None else gb_s * GB,
        "match": (match,),
        "source": "maker",
        "checked": "2026-11-20",
    }
    return GpuSpec(**{**values, **changes})


SPECS = (
    spec(
        "rtx-3060-laptop", "NVIDIA GeForce RTX 3060 Laptop GPU", 6, 336, tdp_watts=80, fp16_flops=42 * 10**12
    ),
    spec("rtx-3060", "NVIDIA GeForce RTX 3060", 12, 360),
    spec("rtx-3080-10gb", "NVIDIA GeForce RTX 3080", 10, 760),
    spec("rtx-3080-12gb", "NVIDIA GeForce RTX 3080", 12, 912),
    spec("a10", "NVIDIA A10", 24, 600),
    spec("h100-sxm", "NVIDIA H100 80GB HBM3", 79.65, 3352, fp16_flops=989 * 10**12, tdp_watts=700),
    spec("gb10", "NVIDIA GB10", None, 273, memory="unified"),
    spec("impostor", "NVIDIA GeForce RTX 3060", 12, 1, vendor="amd"),
)


def gpu(name: str, mib: int, **changes: Any) -> Gpu:
    return Gpu(**{"index": 0, "name": name, "vendor": "nvidia", "vram_bytes": mib * MIB, **changes})


@pytest.mark.parametrize(
    ("found", "row"),
    [
        pytest.param(gpu("NVIDIA GeForce RTX 3060 Laptop GPU", 6144), "rtx-3060-laptop", id="laptop"),
        pytest.param(gpu("NVIDIA GeForce RTX 3060", 12288), "rtx-3060", id="desktop"),
        pytest.param(gpu("NVIDIA GeForce RTX 3060", 8192), None, id="variant-that-is-not-listed"),
        pytest.param(gpu("NVIDIA GeForce RTX 3080", 10240), "rtx-3080-10gb", id="variant-10"),
        pytest.param(gpu("NVIDIA GeForce RTX 3080", 12288), "rtx-3080-12gb", id="variant-12"),
        pytest.param(gpu("NVIDIA A10", 23028), "a10", id="error-correction-takes-a-sixteenth"),
        pytest.param(gpu("NVIDIA A100", 24576), None, id="a-part-of-the-name-is-no-match"),
        pytest.param(gpu("NVIDIA GB10", 122000, memory="unified"), "gb10", id="unified"),
        pytest.param(gpu("NVIDIA GeForce RTX 3080", 5000, mig=True), None, id="slice-of-either-variant"),
    ],
)
def test_find_spec(found: Gpu, row: str | None) -> None:
    assert identify.complete(found, SPECS).catalog_id == row
    assert identify.complete(found, SPECS[::-1]).catalog_id == row


def test_the_row_completes_what_the_driver_told() -> None:
    found = gpu("NVIDIA GeForce RTX 3060 Laptop GPU", 6144, free_bytes=5 * GIB, compute_capability="8.6")
    done = identify.complete(found, SPECS)
    assert (done.bandwidth_bytes_per_s, done.fp16_flops, done.tdp_watts) == (336 * GB, 42 * 10**12, 80)
    assert (done.vram_bytes, done.free_bytes, done.compute_capability) == (6 * GIB, 5 * GIB, "8.6")
    assert identify.complete(found, ()) == found


@pytest.mark.parametrize(
    ("profile", "mib", "eighths"),
    [
        pytest.param("1g.10gb", 9984, 1, id="1g"),
        pytest.param("1g.20gb", 20096, 2, id="1g-double-memory"),
        pytest.param("3g.40gb", 40448, 4, id="3g"),
        pytest.param("7g.80gb", 81000, 8, id="7g"),
    ],
)
def test_a_slice_has_its_share_of_the_bandwidth(profile: str, mib: int, eighths: int) -> None:
    done = identify.complete(gpu(f"NVIDIA H100 80GB HBM3 MIG {profile}", mib, mig=True), SPECS)
    assert done.catalog_id == "h100-sxm"
    assert done.bandwidth_bytes_per_s == eighths * 419 * GB
    assert (done.fp16_flops, done.tdp_watts) == (None, None)  # not stated for slices


@pytest.mark.parametrize(
    ("gpus", "tree", "environ", "notes"),
    [
        pytest.param((), "no-proc", {}, [], id="nothing"),
        pytest.param((), "radeon", {}, ["An AMD GPU is there and was not read"], id="amd"),
        pytest.param((gpu("NVIDIA X", 8192),), "radeon", {}, ["NVIDIA X (8.00 GiB) is not in"], id="unknown"),
        pytest.param(
            (gpu("NVIDIA A10", 23028, catalog_id="a10"),),
            "no-proc",
            {"CUDA_VISIBLE_DEVICES": "1"},
            ["CUDA_VISIBLE_DEVICES=1 is set"],
            id="hidden",
        ),
        pytest.param(
            (gpu("AMD X", 8192, vendor="amd", catalog_id="x"),),
            "no-proc",
            {"HIP_VISIBLE_DEVICES": "0", "ROCR_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "1"},
            [
                "ROCR_VISIBLE_DEVICES=1 is set",
                "HIP_VISIBLE_DEVICES=0 is set",
                "CUDA_VISIBLE_DEVICES=1 is set",
            ],
            id="hidden-amd",
        ),
        pytest.param(
            (gpu("Intel X", 8192, vendor="intel", catalog_id="x"),),
            "no-proc",
            {"ZE_AFFINITY_MASK": "0", "CUDA_VISIBLE_DEVICES": "1"},
            ["ZE_AFFINITY_MASK=0 is set"],
            id="hidden-intel",
        ),
        pytest.param((), "no-proc", {"CUDA_VISIBLE_DEVICES": ""}, [], id="nothing-to-hide"),
    ],
)
def test_gpu_notes(
    gpus: tuple[Gpu, ...],
    tree: str,
    environ: dict[str, str],
    notes: list[str],
    tmp_path: Path,
) -> None:
    written = list(probes.gpu_notes(gpus, tree_source(tree, tmp_path, environ)))
    assert len(written) == len(notes)
    assert all(line.startswith(start) for line, start in zip(written, notes, strict=True))


# ---- runtimes


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


# ---- this machine


def test_this_machine_replays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machine = probes.detect(measure_bandwidth=False)
    assert Machine.model_validate_json(machine.model_dump_json()) == machine
    assert machine.host.memory.total_bytes > 0
    assert 0 < machine.host_capacity_bytes <= machine.host.memory.total_bytes
    assert machine.host.memory.bandwidth_bytes_per_s is None
    assert list(tmp_path.iterdir()) == []


def test_a_recording_of_this_machine_replays() -> None:
    recording = Recording(Live())
    here = probes.detect(measure_bandwidth=False, source=recording)
    there = probes.detect(measure_bandwidth=False, source=Recorded(recording.transcript))
    assert there == here


def test_nothing_of_this_machine_is_in_another() -> None:
    transcript = Recording(Live()).transcript.model_copy(
        update={"asked": {"memory": LibraryAnswer(answer={"total": 8 * GIB, "available": 7 * GIB})}}
    )
    machine = probes.detect(source=Recorded(transcript))
    assert machine == Machine(
        host=Host(os="unknown", memory=HostMemory(total_bytes=8 * GIB, available_bytes=7 * GIB))
    )


class Hanging(Live):
    """The machine of the tests, with a question that is never answered."""

    def __init__(self, name: str, released: threading.Event) -> None:
        super().__init__()
        self._name, self._released = name, released

    def ask(self, name: str, call: Callable[[], Any]) -> Any:
        if name == self._name:
            self._released.wait()
        return super().ask(name, call)

    def glob(self, pattern: str) -> tuple[str, ...]:
        if self._name in pattern:
            self._released.wait()
        return super().glob(pattern)


@pytest.mark.parametrize(
    ("name", "limit", "note"),
    [
        pytest.param("nvml", "NVML_LIMIT_S", "The NVIDIA driver did not answer", id="nvml"),
        pytest.param("sys/class/drm", "OTHERS_LIMIT_S", "did not answer", id="sysfs"),
    ],
)
def test_what_hangs_is_left_out(name: str, limit: str, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(probes, limit, 0.05)
    try:
        machine = probes.detect(measure_bandwidth=False, source=Hanging(name, released))
    finally:
        released.set()
    assert any(note in written for written in machine.notes)


def test_a_disk_that_hangs_has_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(host, "DISK_LIMIT_S", 0.05)
    try:
        assert host.read_disk(Hanging("disk", released)) == Disk()
    finally:
        released.set()


def test_a_program_does_not_wait_for_what_hangs() -> None:
    code = (
        "import threading\n"
        "from advisor.probes.deadline import Started\n"
        "try:\n    Started(threading.Event().wait, 0.05).result()\n"
        "except TimeoutError:\n    print('on time')\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "on time\n"


def test_every_recording_is_used() -> None:
    text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    names = [
        file.stem for folder in RECORDED.parent.iterdir() if folder.is_dir() for file in folder.iterdir()
    ]
    assert [name for name in names if f'"{name}"' not in text] == []
