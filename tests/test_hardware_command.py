"""`advisor hardware`: the catalog in sections, and all that is known of a row."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from advisor.cli.hardware import command
from advisor.cli.show_hardware import KINDS
from advisor.hardware import GpuSpec
from advisor.hardware_catalog import load_hardware

CATALOG = load_hardware()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def facts(text: str) -> dict[str, str]:
    """The lines of a row: what, and how much of it."""
    cells = (line.split("  ", maxsplit=1) for line in text.splitlines() if "  " in line)
    return {what: rest.strip() for what, rest in cells}


def test_presets_stand_under_their_kinds() -> None:
    lines = run("list", "--only", "presets").splitlines()
    headings = [lines.index(heading) for heading in KINDS.values()]
    assert headings == sorted(headings)
    for preset in CATALOG.presets:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{preset.id} "))
        assert lines[max(i for i in headings if i < at)] == KINDS[preset.kind]
        assert preset.spec in lines[at]


def test_the_whole_list_stays_readable() -> None:
    """Every id once, without figures: GPUs by generation, processors by family."""
    text = run("list")
    assert len(text.splitlines()) < 300
    assert "NVIDIA Ampere" in text
    assert "TFLOPS" not in text
    ids = text.replace(",", " ").split()
    assert not {row.id for row in (*CATALOG.gpus, *CATALOG.cpus, *CATALOG.presets)} - set(ids)


@pytest.mark.parametrize(
    ("section", "there", "missing"),
    [
        pytest.param("presets", "aws-p5", "rtx-3060-12gb", id="presets"),
        pytest.param("gpus", "rtx-3060-12gb", "ryzen-9-7950x", id="gpus"),
        pytest.param("cpus", "ryzen-9-7950x", "rtx-3060-12gb", id="cpus"),
    ],
)
def test_a_section_alone(section: str, there: str, missing: str) -> None:
    text = run("list", "--only", section)
    assert there in text
    assert missing not in text
    filled = {key for key, rows in json.loads(run("list", "--only", section, "--json")).items() if rows}
    assert filled == {"schema_version", section}


def test_text_and_section_together() -> None:
    text = run("list", "3090", "--only", "gpus")
    assert "936 GB/s" in text
    assert "dual-3090-workstation" not in text


def test_a_processor_in_full() -> None:
    rows = facts(run("show", "ryzen-9-7950x"))
    assert rows["cores"] == "16"
    assert rows["memory"] == "128 bit at 5200 MT/s"
    assert rows["bandwidth"] == "83 GB/s"
    assert rows["SIMD"] == "avx2, avx512f, avx512_vnni, avx512_bf16"
    assert rows["systems' names"] == "AMD Ryzen 9 7950X 16-Core Processor"


@pytest.mark.parametrize("name", ["rtx-4090", "h100-sxm", "radeon-780m", "m3-max-40-core", "p40"])
def test_a_gpu_in_full(name: str) -> None:
    """Every column, also those that nothing is known of."""
    spec: GpuSpec = next(row for row in CATALOG.gpus if row.id == name)
    rows = facts(run("show", name))
    for column, value in {
        "FP16": spec.fp16_flops,
        "BF16": spec.bf16_flops,
        "INT8": spec.int8_ops,
        "FP8": spec.fp8_flops,
    }.items():
        assert rows[column].startswith("unknown" if value is None else f"{value / 10**12:.1f} T")
    assert rows["PCIe"] == (spec.pcie or "unknown")
    assert rows["link"] == (spec.link or "unknown")
    assert rows["idle"] == (f"{spec.idle_watts} W" if spec.idle_watts else "unknown")
    assert rows["source"].startswith(spec.source[:40])


def test_a_preset_names_its_source() -> None:
    text = run("show", "aws-g5-xlarge")
    assert "AWS g5.xlarge (4 vCPU)" in text
    assert "https://aws.amazon.com/ec2/instance-types/g5/ (checked 2026-11-21)" in text
    assert "2 cores" in text
