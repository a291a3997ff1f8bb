"""Processors by their names: in sentences, and as operating systems report them."""

from __future__ import annotations

import pytest

from advisor.hardware import CpuSpec
from advisor.hardware_catalog import load_hardware
from advisor.sentences import find_processor, parse_sentence

CATALOG = load_hardware()


@pytest.mark.parametrize("spec", CATALOG.cpus, ids=lambda spec: spec.id)
def test_every_processor_can_be_named(spec: CpuSpec) -> None:
    assert parse_sentence(spec.id, CATALOG.gpus, CATALOG.cpus).host.cpu.name == spec.name
    assert parse_sentence(spec.name, CATALOG.gpus, CATALOG.cpus).host.cpu.name == spec.name


@pytest.mark.parametrize("spec", CATALOG.cpus, ids=lambda spec: spec.id)
def test_every_processor_is_recognized(spec: CpuSpec) -> None:
    assert {find_processor(name, CATALOG.cpus) for name in (spec.name, *spec.match)} == {spec}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        pytest.param("Intel(R) Core(TM) i9-14900KF", "core-i9-14900k", id="no-graphics"),
        pytest.param("Intel(R) Core(TM) i7-9700F CPU @ 3.00GHz", "core-i7-9700", id="clock"),
        pytest.param("AMD Ryzen 9 7940HS w/ Radeon 780M Graphics     ", "ryzen-9-7940hs", id="padded"),
        pytest.param("AMD Ryzen 7 7840U with Radeon 780M Graphics", "ryzen-7-7840u", id="graphics"),
        pytest.param("AMD EPYC 7763 64-Core Processor", "epyc-7763", id="cores"),
        pytest.param("INTEL(R) XEON(R) GOLD 6530", "xeon-gold-6530", id="capitals"),
        pytest.param("Intel(R) Xeon(R) CPU @ 2.20GHz", None, id="hidden-by-a-cloud"),
        pytest.param("Intel Xeon Processor (Skylake, IBRS)", None, id="hidden-by-qemu"),
        pytest.param("QEMU Virtual CPU version 2.5+", None, id="virtual"),
        pytest.param("AMD EPYC-Rome Processor", None, id="generation-alone"),
        pytest.param("AMD Eng Sample: 100-000000053-04_32/20_N", None, id="engineering-sample"),
        pytest.param("Cortex-A76", None, id="core-of-many"),
        pytest.param("Apple M1 Max", None, id="apple"),
        pytest.param("0 GB", None, id="nonsense"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_processors_as_systems_name_them(name: str, row: str | None) -> None:
    found = find_processor(name, CATALOG.cpus)
    assert (found and found.id) == row
