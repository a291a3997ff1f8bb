"""Imports point down, and the core does no I/O: read from the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "advisor"

BASE = {"errors", "i18n", "units", "resources", "value", "tensor_types", "quoting"}
VALUES = {
    "architecture",
    "model",
    "hardware",
    "usecase",
    "assessment",
    "settings",
    "plan",
    "measurements",
    "tower",
    "user_entry",
}
CORE = {
    "needs",
    "offers",
    "explanation",
    "contest",
    "proposal",
    "advice",
    "alternatives",
    "backends",
    "batching",
    "caches",
    "candidates",
    "companions",
    "compiled",
    "attachments",
    "adapters",
    "projectors",
    "cost",
    "demand",
    "deployment",
    "downloaded",
    "engine_steps",
    "device_names",
    "describing",
    "estimation",
    "file_size",
    "filling",
    "graphs",
    "hf_config",
    "hf_quantization",
    "limits",
    "knowledge",
    "llama_log",
    "loads",
    "local_cost",
    "machine_cost",
    "memory",
    "memory_use",
    "placement",
    "proof",
    "quality",
    "quantization",
    "ranking",
    "reasons",
    "sensitivity",
    "sentences",
    "serving",
    "smoke_failure",
    "smoke_verdict",
    "speed",
    "stack",
    "tensors",
    "trials",
    "vector_stores",
    "weights",
}
EDGE = {"cli", "__init__", "__main__", "api", "beside", "comparison"}
FORBIDDEN_BELOW_THE_SHELL = {
    "click",
    "datetime",
    "huggingface_hub",
    "jinja2",
    "llama_cpp",
    "os",
    "pathlib",
    "psutil",
    "pynvml",
    "random",
    "subprocess",
    "time",
    "yaml",
}
ALLOWED_NAMES = {("datetime", "date"), ("datetime", "datetime")}
"""As types of fields; a test below makes sure that nobody asks them for the present."""


def layer(module: str) -> int:
    for number, names in enumerate((BASE, VALUES, CORE)):
        if module in names:
            return number
    return 4 if module in EDGE else 3


def files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "templates" not in p.parts)


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, name) of every import, those inside functions included; type-checking ones left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = layer(module_of(path))
    for module, name in imports(path):
        if module == "advisor" and own < 4:
            module = f"advisor.{name}"
        parts = module.split(".")
        if parts[0] == "advisor" and len(parts) > 1 and parts[1] != module_of(path):
            assert layer(parts[1]) <= own, f"{path.name} (layer {own}) imports {module}"


@pytest.mark.parametrize(
    "path", [p for p in files() if layer(module_of(p)) in (1, 2)], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_values_and_core_do_no_io(path: Path) -> None:
    for module, name in imports(path):
        if module.split(".")[0] in FORBIDDEN_BELOW_THE_SHELL:
            assert (module, name) in ALLOWED_NAMES, f"{path.name} imports {module}"


@pytest.mark.parametrize(
    "path", [p for p in files() if layer(module_of(p)) in (1, 2)], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_core_never_asks_for_the_time(path: Path) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not {c for c in calls if c in ("date.today", "datetime.now", "datetime.utcnow", "open")}


def test_every_module_has_a_layer_of_its_own() -> None:
    modules = {module_of(path) for path in files()}
    assert modules >= (BASE | VALUES | CORE | EDGE), "the table above names a module that is gone"
