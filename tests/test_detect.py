"""`advisor detect`: the table, the JSON, the file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from advisor import bandwidth
from advisor.cli.detect import command
from advisor.errors import OutputError
from advisor.hardware import Cpu, Disk, Gpu, GpuUser, Host, HostMemory, Machine, Runtime
from advisor.units import GB, GIB, MIB

BARE = Machine(host=Host(os="Windows 11 AMD64", memory=HostMemory(total_bytes=16 * GIB)))
CONTAINER = Machine(
    host=Host(
        os="Linux 6.8.0 x86_64",
        cpu=Cpu(
            name="AMD Ryzen 9 7950X",
            physical_cores=16,
            logical_cores=32,
            limit_cores=2.5,
            features=("avx2", "avx512f"),
        ),
        memory=HostMemory(
            total_bytes=64 * GIB,
            available_bytes=3 * GIB,
            limit_bytes=4 * GIB,
            bandwidth_bytes_per_s=61 * GB,
        ),
        disk=Disk(cache_dir="/models", free_bytes=100 * GIB, total_bytes=400 * GIB),
        container=True,
    ),
    gpus=(
        Gpu(
            index=0,
            name="NVIDIA GeForce RTX 4090",
            vendor="nvidia",
            vram_bytes=24564 * MIB,
            free_bytes=23987 * MIB,
            bandwidth_bytes_per_s=1008 * GB,
            driver="570.133.07",
            compute_capability="8.9",
            catalog_id="rtx-4090",
            users=(GpuUser(name="Xorg", bytes=512 * MIB), GpuUser(name=None, bytes=65 * MIB)),
        ),
        Gpu(index=1, name="NVIDIA [new]", vendor="nvidia", vram_bytes=64 * GIB, memory="unified"),
    ),
    interconnect="pcie 4.0 x8",
    runtimes=(
        Runtime(name="ollama", version="0.12.3", endpoint="http://127.0.0.1:11434"),
        Runtime(name="vllm"),
    ),
    notes=("NVIDIA [new] (64.00 GiB) is not in the hardware catalog.",),
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command on a given machine."""

    def run_on(machine: Machine, *arguments: str) -> Result:
        machines = SimpleNamespace(detect_with_versions=lambda: machine)
        monkeypatch.setitem(sys.modules, "advisor.machines", machines)
        return CliRunner().invoke(command, arguments)

    return run_on


@pytest.mark.parametrize(
    ("machine", "name"),
    [pytest.param(BARE, "bare", id="bare"), pytest.param(CONTAINER, "container", id="container")],
)
def test_table(
    machine: Machine, name: str, run: Callable[..., Result], golden: Callable[[str, str], None]
) -> None:
    result = run(machine)
    assert result.exit_code == 0
    golden(f"detect/{name}.txt", "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines()))


def test_json_is_alone_and_replays(run: Callable[..., Result]) -> None:
    result = run(CONTAINER, "--json")
    assert json.loads(result.stdout)["schema_version"] == 1
    assert Machine.model_validate_json(result.stdout) == CONTAINER


def test_the_file_holds_the_json(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    result = run(CONTAINER, "--json", "--output", str(file))
    assert file.read_text() == result.stdout
    assert str(file) in result.stderr


def test_a_file_is_replaced_only_when_forced(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    file.write_text("mine")
    assert isinstance(run(BARE, "--output", str(file)).exception, OutputError)
    assert file.read_text() == "mine"
    assert run(BARE, "--output", str(file), "--force").exit_code == 0
    assert Machine.model_validate_json(file.read_text()) == BARE


def test_measuring_again_forgets(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bandwidth.json"
    monkeypatch.setattr(bandwidth, "cache_file", lambda: file)
    bandwidth.keep_bandwidth(BARE.host, 50 * GB, file)
    run(BARE)
    assert file.exists()
    run(BARE, "--measure")
    assert not file.exists()
