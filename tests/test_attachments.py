"""What stands beside a model: adapters, projectors, drafts and other models, counted and placed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gguf_files import make_gguf
from load_adapter import loaded_mib, write_adapter
from projector_usage import write_projector
from test_projectors import TOWERS

from advisor.adapters import lora_rows, with_adapter
from advisor.api import machine_of, workload_of
from advisor.attachments import Attachment, beside, on_one_device, with_attachments
from advisor.catalog import load_catalog
from advisor.estimation import estimate_on
from advisor.gguf import architecture_of_header, read_header
from advisor.gguf.projector import projector_of_header
from advisor.gguf.writer import TensorRow, data_bytes, header_bytes
from advisor.memory import Buffers
from advisor.projectors import projector_bytes
from advisor.resolve import resolve_model
from advisor.settings import Settings
from advisor.units import GIB, MIB
from advisor.weights import weights_by_rule

RTX_4090 = "RTX 4090, 64 GB RAM"
MACHINES = (RTX_4090, "2x RTX 4090, 64 GB RAM", "M3 Max 40-core 64 GB", "CPU only, 64 GB RAM, 8 cores")


def test_an_adapter_by_rank_is_two_thin_matrices_beside_each() -> None:
    arch = load_catalog().get("llama-3.1-8b-instruct").architecture
    # Q, K, V and output of 4096, 1024, 1024 and 4096 from 4096; gate, up and down between 4096 and 14336
    widths = (2 * 4096, 4096 + 1024, 4096 + 1024, 2 * 4096, *[4096 + 14_336] * 3)
    assert sum(size for _, size in lora_rows(arch, 16)) == 32 * sum(widths) * 16 * 4
    alone = weights_by_rule(arch, "Q4_K_M")
    together = with_adapter(alone, arch, lora_rows(arch, 16))
    assert together.total_bytes - alone.total_bytes == 32 * sum(widths) * 16 * 4
    assert together.layers[0] - alone.layers[0] == sum(widths) * 16 * 4


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["qwen2", "llama", "qwen3moe"])
def test_llama_cpp_loads_an_adapter_of_that_size(arch: str, tmp_path: Path) -> None:
    model = make_gguf(tmp_path / "model.gguf", arch=arch, n_layers=4, n_experts=4 * (arch == "qwen3moe"))
    shape = architecture_of_header(read_header(model))
    adapter = write_adapter(tmp_path / "adapter.gguf", shape, 8)
    size = sum(size for _, size in lora_rows(shape, 8))
    assert loaded_mib(model, adapter) == pytest.approx(size / MIB, abs=0.005)


@pytest.mark.parametrize("hardware", MACHINES)
def test_together_is_the_sum_and_the_capacity_stays(hardware: str) -> None:
    machine = machine_of(hardware)
    workload = workload_of(resolve_model("qwen3-8b", load_catalog), Settings())
    attached = on_one_device("something", Buffers(weights_bytes=GIB), machine)
    alone = estimate_on(workload, machine).memory
    rest = estimate_on(workload, beside(machine, [attached])).memory
    both = with_attachments(rest, [attached])
    assert both.total_bytes == rest.total_bytes + GIB
    assert both.fits
    *gpus, host = (row.capacity_bytes for row in both.devices)
    *gpus_alone, host_alone = (row.capacity_bytes for row in alone.devices)
    assert gpus == gpus_alone
    assert host_alone
    shared = GIB if machine.unified else 0  # what the GPU holds of one pool is gone for the host
    assert host == host_alone - shared


def test_what_no_gpu_has_room_for_goes_to_the_host() -> None:
    machine = machine_of("RTX 3060 12GB, 64 GB RAM")
    assert on_one_device("large", Buffers(weights_bytes=20 * GIB), machine).places == ("CPU",)
    assert on_one_device("small", Buffers(weights_bytes=2 * GIB), machine).places == (machine.gpus[0].name,)


@pytest.mark.parametrize("name", TOWERS)
def test_a_projector_file_is_read_back(name: str, tmp_path: Path) -> None:
    path = write_projector(tmp_path / "mmproj.gguf", TOWERS[name], "F16")
    found = projector_of_header(read_header(path))
    assert found.tower == TOWERS[name]
    assert found.weights_bytes == projector_bytes(TOWERS[name], "F16")


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "advisor", "estimate", *args, "--method", "rules"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def document(*args: str) -> dict[str, Any]:
    result = run(*args, "--json")
    assert result.returncode == 0, result.stderr
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def test_everything_beside_is_named_and_counted() -> None:
    args = ("qwen3-14b", "--hardware", RTX_4090)
    alone = document(*args)
    data = document(*args, "--draft", "qwen3-0.6b:Q8_0", "--with", "bge-m3@512", "--lora", "8")
    draft, other = (Attachment.model_validate(entry) for entry in data["attachments"])
    assert (draft.name, other.name) == ("draft qwen3-0.6b Q8_0", "bge-m3 Q8_0")
    note = next(note for note in data["assumptions"] if note.startswith("adapter (rank 8"))
    adapter = int(note.split(": ")[1].split()[0].replace(",", ""))
    attached = draft.total_bytes + other.total_bytes
    assert data["memory"]["total_bytes"] == alone["memory"]["total_bytes"] + attached + adapter
    assert not any(row.overhead_bytes for row in draft.devices)
    assert any(row.overhead_bytes for row in other.devices)
    assert "beside   draft qwen3-0.6b Q8_0: " in run(*args, "--draft", "qwen3-0.6b:Q8_0").stdout


def test_a_projector_of_the_catalog_and_of_a_file(tmp_path: Path) -> None:
    args = ("qwen3.5-27b", "--hardware", RTX_4090, "--mmproj")
    path = write_projector(tmp_path / "mmproj.gguf", TOWERS["qwen3.5-27b"], "F16")
    by_rule, by_file = document(*args, "F16"), document(*args, str(path))
    assert by_rule["memory"] == by_file["memory"]
    small = document(*args, "F16", "--image-tokens", "256")
    assert small["memory"]["compute_bytes"] < by_rule["memory"]["compute_bytes"]


def adapter_file(path: Path, family: str, kind: str = "adapter") -> Path:
    rows = [TensorRow("blk.0.attn_q.weight.lora_a", (5120, 8), "F32")]
    header = header_bytes({"general.architecture": family, "general.type": kind}, rows)
    path.write_bytes(header + bytes(data_bytes(rows)))
    return path


def test_an_adapter_file_counts_by_its_header(tmp_path: Path) -> None:
    args = ("qwen3-14b", "--hardware", RTX_4090)
    data = document(*args, "--lora", str(adapter_file(tmp_path / "a.gguf", "qwen3")))
    grown = data["memory"]["weights_bytes"] - document(*args)["memory"]["weights_bytes"]
    assert grown == 5120 * 8 * 4


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(("--draft", "llama-3.2-1b-instruct"), "its vocabulary has 128,256 tokens", id="draft"),
        pytest.param(("--draft", "nothing"), "no model 'nothing'", id="unknown"),
        pytest.param(("--lora", "0"), "a rank between 1 and 4,096", id="rank"),
        pytest.param(("--lora", "absent.gguf"), "no such file", id="file"),
        pytest.param(("--mmproj", "F16"), "give its mmproj file", id="no tower"),
        pytest.param(("--with", "bge-m3@many"), "a number of tokens behind the @", id="context"),
        pytest.param(("--image-tokens", "9"), "give the projector too", id="image"),
        pytest.param(("--backend", "vllm", "--lora", "8"), "not estimated for vllm yet", id="vllm"),
    ],
)
def test_refusals(args: tuple[str, ...], says: str) -> None:
    result = run("qwen3-14b", "--hardware", RTX_4090, *args)
    assert result.returncode in (1, 2)
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    ("family", "kind", "says"),
    [("llama", "adapter", "adapts a model of llama"), ("qwen3", "model", "is not an adapter")],
)
def test_foreign_adapters(family: str, kind: str, says: str, tmp_path: Path) -> None:
    path = adapter_file(tmp_path / "a.gguf", family, kind)
    result = run("qwen3-14b", "--hardware", RTX_4090, "--lora", str(path))
    assert result.returncode == 1
    assert says in result.stderr


def test_a_model_is_no_projector(tmp_path: Path) -> None:
    path = adapter_file(tmp_path / "a.gguf", "qwen3")
    result = run("qwen3-14b", "--hardware", RTX_4090, "--mmproj", str(path))
    assert result.returncode == 1
    assert "not a projector" in result.stderr
