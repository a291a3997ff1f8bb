"""The Python side: the public names are functions on typed values, whatever was imported before."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import advisor
from advisor.hardware import Machine
from advisor.settings import Settings

MODULES = sorted(m.name for m in pkgutil.walk_packages(advisor.__path__, "advisor."))
RUNS_WHEN_IMPORTED = {"advisor.__main__"}


@pytest.mark.parametrize("name", advisor.__all__)
def test_public_names_are_no_modules(name: str) -> None:
    for module in MODULES:
        if module not in RUNS_WHEN_IMPORTED:
            importlib.import_module(module)
    assert callable(getattr(advisor, name)) or name == "__version__"


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, advisor; print([m for m in ('pydantic', 'click', 'rich', 'psutil') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_estimate_and_recommend_take_values(simulated: Machine) -> None:
    result = advisor.estimate("qwen3-8b", machine=simulated, settings=Settings(n_ctx=4096))
    assert result.fits is True
    # 2 (K and V) × 8 heads × 128 × 2 bytes × 36 layers × 4096 tokens
    assert result.memory.kv_cache_bytes == 2 * 8 * 128 * 2 * 36 * 4096
    choice = advisor.recommend(machine=simulated).choice
    assert choice is not None
    assert choice.memory.fits is True


@pytest.fixture
def simulated() -> Machine:
    from advisor.api import machine_of

    return machine_of("RTX 3070 8 GB, 32 GB RAM")


def test_the_catalog_is_typed() -> None:
    catalog = advisor.load_catalog()
    assert catalog.get("llama3.1:8b").id == "llama-3.1-8b-instruct"
