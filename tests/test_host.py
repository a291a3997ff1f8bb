"""The host on recorded machines: memory and processor within their limits, container, disk."""

from __future__ import annotations

import errno
from pathlib import Path

import psutil
import pytest
from recorded_source import source_of
from recorded_trees import lay_out, tree_source

from advisor.errors import ProbeError
from advisor.hardware import Disk
from advisor.probes import cgroups, host, processor
from advisor.probes.host import Ram
from advisor.probes.source import Live
from advisor.units import GIB, KIB


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
def test_available_memory(tree: str, free_gib: float, expected_gib: float, tmp_path: Path) -> None:
    limit = cgroups.memory_limit(tree_source(tree, tmp_path), 64 * GIB)
    memory = host.limited(Ram(64 * GIB, int(free_gib * GIB)), limit)
    assert memory.total_bytes == 64 * GIB
    assert memory.available_bytes == expected_gib * GIB


def test_this_machines_memory_is_what_psutil_tells() -> None:
    told = psutil.virtual_memory()
    ram = host.read_ram(Live())
    assert ram.total == told.total
    assert abs(ram.available - told.available) < told.total // 4  # others use memory meanwhile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "MemTotal:       16316412 kB\nMemFree:  88 kB\nMemAvailable:   12045332 kB\nHugePages_Total: 0\n",
            {"total": 16316412 * KIB, "available": 12045332 * KIB},
            id="linux",
        ),
        pytest.param("MemTotal: 16316412 kB\nMemFree: 88 kB\n", None, id="before-3.14"),
        pytest.param("", None, id="empty"),
    ],
)
def test_meminfo(text: str, expected: dict[str, int] | None, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(text)
    assert host.meminfo(tmp_path / "meminfo") == expected


def test_unreadable_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/proc/meminfo")

    monkeypatch.setattr(host, "_memory", refuse)
    with pytest.raises(ProbeError, match="--hardware") as caught:
        host.read_ram(Live())
    assert "\n" not in str(caught.value)


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
    assert processor.limit_cores(quota, allowed, logical) == expected


@pytest.mark.parametrize(
    ("siblings", "processors", "expected"),
    [
        pytest.param({"core_cpus_list": ["0,2", "1,3", "0,2", "1,3"]}, [], 2, id="two-threads-each"),
        pytest.param({"thread_siblings_list": ["0", "1"]}, [], 2, id="before-5.3"),
        pytest.param(
            {},
            [{"physical id": "0", "core id": "0"}, {"physical id": "1", "core id": "0"}],
            2,
            id="two-sockets-without-sysfs",
        ),
        pytest.param({}, [{"processor": "0"}], None, id="not-told"),
    ],
)
def test_physical_cores(
    siblings: dict[str, list[str]], processors: list[dict[str, str]], expected: int | None, tmp_path: Path
) -> None:
    for name, lists in siblings.items():
        for number, text in enumerate(lists):
            folder = tmp_path / f"cpu{number}" / "topology"
            folder.mkdir(parents=True)
            (folder / name).write_text(text)
    assert processor.physical_cores(tmp_path, processors) == expected


def test_this_machines_cores_are_what_psutil_tells() -> None:
    told = processor.read_cores(Live())
    assert (told["logical"], told["physical"]) == (psutil.cpu_count(), psutil.cpu_count(logical=False))


# ---- system


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        pytest.param("Linux", "6.8.0-87-generic", "Linux 6.8.0-87-generic x86_64", id="linux"),
        pytest.param(
            "Linux",
            "5.15.153.1-microsoft-standard-WSL2",
            "Linux 5.15.153.1-microsoft-standard-WSL2 x86_64 (WSL2)",
            id="wsl2",
        ),
        pytest.param(
            "Linux",
            "4.19.104-microsoft-standard",
            "Linux 4.19.104-microsoft-standard x86_64 (WSL2)",
            id="first-wsl2",
        ),
        pytest.param(
            "Linux", "4.4.0-19041-Microsoft", "Linux 4.4.0-19041-Microsoft x86_64 (WSL1)", id="wsl1"
        ),
        pytest.param("Darwin", "25.1.0", "macOS 25.1.0 x86_64", id="macos"),
    ],
)
def test_system(name: str, release: str, expected: str) -> None:
    told = {"name": name, "release": release, "machine": "x86_64"}
    assert host.read_system(source_of({"platform": "linux", "asked": {"system": told}})) == expected


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
    processors = processor.parse_cpuinfo(source.text("proc/cpuinfo") or "")
    assert processor.linux_cpu_name(source, processors) == name
    assert processor.linux_features(processors) == tuple(features.split())


def test_mac_processor(tmp_path: Path) -> None:
    facts = processor.parse_sysctl((lay_out("macos-m3-max", tmp_path) / "sysctl").read_text())
    assert facts["machdep.cpu.brand_string"] == "Apple M3 Max"
    assert processor.mac_features(facts) == ("neon", "fp16", "dotprod", "i8mm", "bf16")


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
