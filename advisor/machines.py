"""The machine that is planned for: this one, or the one that `--hardware` describes."""

from __future__ import annotations

import logging

from advisor.hardware import Machine
from advisor.hardware_catalog import load_hardware, resolve_hardware

_log = logging.getLogger("advisor")


def detect() -> Machine:
    """Read the machine: GPUs, memory, processor; its memory bandwidth is measured once and kept.

    What cannot be read becomes a note; nothing is made up.
    """
    from advisor import probes

    return probes.detect(gpus=load_hardware().gpus)


def detect_with_versions() -> Machine:
    """As `detect`, with the runtimes' versions and endpoints: starts each, which takes up to two seconds."""
    from advisor import probes
    from advisor.probes.runtimes import read_runtimes

    return probes.detect(gpus=load_hardware().gpus, runtimes=read_runtimes)


def machine_of(spec: str | None) -> Machine:
    """The machine of a `--hardware` SPEC; None is this one.

    Raises `HardwareError` for a spec that cannot be understood.
    """
    machine = detect() if spec is None else resolve_hardware(spec, load_hardware())
    _log.info("machine: %s", machine.model_dump_json())
    return machine
