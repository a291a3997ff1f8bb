"""The hardware catalog: its rows are sound, the compiled file is fresh, and SPEC is resolved in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from advisor.cli.hardware import command
from advisor.errors import CatalogError, HardwareError
from advisor.hardware import CpuSpec, GpuSpec, Preset
from advisor.hardware_catalog import (
    COMPILED,
    compile_hardware,
    compiled_text,
    load_hardware,
    resolve_hardware,
)
from advisor.resources import CATALOG_DIR
from advisor.sentences.grammar import name_key
from advisor.units import GIB

CATALOG = load_hardware()


@pytest.fixture(scope="module")
def compiled() -> str:
    return compiled_text(compile_hardware())


def test_compiled_file_is_fresh(compiled: str) -> None:
    """After editing the YAML: python -m advisor.hardware_catalog."""
    assert (CATALOG_DIR / COMPILED).read_text(encoding="utf-8") == compiled


@pytest.mark.parametrize("spec", CATALOG.cpus, ids=lambda spec: spec.id)
def test_processor_is_plausible(spec: CpuSpec) -> None:
    assert 1 <= spec.physical_cores <= 256
    assert spec.memory_bus_bits in {32, 64, 128, 192, 256, 384, 512, 768}
    assert spec.bandwidth_bytes_per_s == spec.memory_bus_bits * spec.memory_mt_per_s * 125_000
    assert 10e9 <= spec.bandwidth_bytes_per_s <= 700e9


def test_no_name_is_both_gpu_and_processor() -> None:
    def keys(specs: tuple[GpuSpec, ...] | tuple[CpuSpec, ...]) -> set[tuple[str, ...]]:
        return {name_key(name) for spec in specs for name in (spec.id, spec.name, *spec.match, *spec.aliases)}

    assert not keys(CATALOG.gpus) & keys(CATALOG.cpus)


def test_processors_do_not_share_names() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for spec in CATALOG.cpus:
        for name in (spec.id, spec.name, *spec.match, *spec.aliases):
            assert seen.setdefault(name_key(name), spec.id) == spec.id


@pytest.mark.parametrize("preset", CATALOG.presets, ids=lambda preset: preset.id)
def test_presets(preset: Preset) -> None:
    machine = resolve_hardware(preset.id, CATALOG)
    assert machine == resolve_hardware(preset.spec, CATALOG)
    # A preset says its RAM and its GPU's variant; only bandwidth, cores and system may be left open.
    assert not [note for note in machine.assumptions if note.startswith("RAM:") or "taken as" in note]


@pytest.mark.parametrize("suffix", ["json", "yaml", "txt"])
def test_detected_machine_is_replayed(tmp_path: Path, suffix: str) -> None:
    machine = resolve_hardware("RTX 3070 8 GB, 32 GB RAM", CATALOG)
    gpu = machine.gpus[0].model_copy(update={"free_bytes": 7 * GIB})
    memory = machine.host.memory.model_copy(update={"available_bytes": 20 * GIB, "limit_bytes": 24 * GIB})
    host = machine.host.model_copy(update={"memory": memory})
    machine = machine.model_copy(update={"gpus": (gpu,), "host": host, "notes": ("no NVML",)})
    path = tmp_path / f"machine.{suffix}"
    document = machine.model_dump(mode="json")
    path.write_text(yaml.safe_dump(document) if suffix == "yaml" else json.dumps(document), encoding="utf-8")
    assert resolve_hardware(str(path), CATALOG) == machine


def test_a_file_comes_before_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = resolve_hardware("RTX 3070", CATALOG)
    (tmp_path / "dgx-spark").write_text(machine.model_dump_json(), encoding="utf-8")
    assert resolve_hardware("DGX-Spark", CATALOG).gpus[0].catalog_id == "gb10"
    monkeypatch.chdir(tmp_path)
    assert resolve_hardware("dgx-spark", CATALOG) == machine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "is not a machine", id="truncated"),
        pytest.param('{"schema_version": 1}', "host: Field required", id="no-host"),
        pytest.param('{"schema_version": 2, "host": {}}', "schema_version", id="other-version"),
        pytest.param("[1, 2]", "is not a machine", id="a-list"),
        pytest.param("", "is not a machine", id="empty"),
        pytest.param("host: {os: a}\nhost: {os: b}\n", "line 2: duplicate key 'host'", id="duplicate-key"),
        pytest.param("host: [\n", "line 2", id="broken-yaml"),
        pytest.param("\xff".encode("latin-1"), "is not a machine", id="not-utf-8"),
    ],
)
def test_broken_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "machine.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(HardwareError, match=message) as caught:
        resolve_hardware(str(path), CATALOG)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["nowhere.json", "nowhere.yaml", "x" * 5000, "a\0b", "/etc"])
def test_what_is_no_file_is_an_error(spec: str) -> None:
    with pytest.raises(HardwareError):
        resolve_hardware(spec, CATALOG)


def edited(tmp_path: Path, **changes: object) -> Path:
    """A small catalog whose only GPU has those fields changed; `...` takes a field away."""
    row: dict[str, object] = {
        "id": "rtx-3070",
        "name": "GeForce RTX 3070",
        "vendor": "nvidia",
        "architecture": "Ampere",
        "vram_bytes": 8 * GIB,
        "bandwidth_bytes_per_s": 448 * 10**9,
        "source": "here",
        "checked": "2026-11-21",
    } | changes
    row = {key: value for key, value in row.items() if value is not ...}
    (tmp_path / "gpus").mkdir()
    (tmp_path / "machines").mkdir()
    (tmp_path / "gpus" / "nvidia.yaml").write_text(yaml.safe_dump({"gpus": [row]}), encoding="utf-8")
    (tmp_path / "cpus.yaml").write_text("cpus: []\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"vram": 1}, r"nvidia\.yaml, rtx-3070: vram: Extra inputs", id="unknown-field"),
        pytest.param(
            {"vram_bytes": "8 GB"}, "vram_bytes: Input should be a valid integer", id="not-a-number"
        ),
        pytest.param({"vram_bytes": None}, "give it for discrete memory", id="no-vram"),
        pytest.param({"source": ...}, "source: Field required", id="no-source"),
        pytest.param({"id": "RTX 3070"}, "id: String should match pattern", id="bad-id"),
        pytest.param({"id": ...}, "number 1: id: Field required", id="no-id"),
    ],
)
def test_catalog_errors_name_file_and_field(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(CatalogError, match=message) as caught:
        compile_hardware(edited(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_catalog_without_its_list(tmp_path: Path) -> None:
    (edited(tmp_path) / "cpus.yaml").write_text("processors: []\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"cpus\.yaml: put the rows in one list under 'cpus:'"):
        compile_hardware(tmp_path)


def test_an_id_is_used_once(tmp_path: Path) -> None:
    first = (edited(tmp_path) / "gpus" / "nvidia.yaml").read_text(encoding="utf-8")
    (tmp_path / "gpus" / "other.yaml").write_text(first, encoding="utf-8")
    with pytest.raises(CatalogError, match="the id rtx-3070 is used twice"):
        compile_hardware(tmp_path)


def test_missing_compiled_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"hardware\.json cannot be read .*advisor\.hardware_catalog"):
        load_hardware(tmp_path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_list() -> None:
    text = run("list")
    assert all(spec.id in text for spec in (*CATALOG.presets, *CATALOG.gpus, *CATALOG.cpus))
    assert "rtx-3070 " not in run("list", "4090")
    assert "Nothing in the catalog" in run("list", "no such thing")
    document = json.loads(run("list", "--json"))
    assert document["schema_version"] == 1
    assert len(document["gpus"]) == len(CATALOG.gpus)
    assert document["presets"][0]["spec"]


def test_show() -> None:
    text = run("show", "RTX", "3080,", "32", "GB", "RAM")
    assert "10.0 GiB" in text
    assert "760 GB/s" in text
    assert "assumed: 'RTX 3080' is taken as GeForce RTX 3080 10GB" in text
    assert "techpowerup.com" in text


@pytest.mark.parametrize(
    ("name", "preset", "gpus", "cpus"),
    [
        pytest.param("dgx-spark", "dgx-spark", ["gb10"], [], id="preset"),
        pytest.param("rtx-3080-12gb", None, ["rtx-3080-12gb"], [], id="gpu"),
        pytest.param("7950x", None, [], ["ryzen-9-7950x"], id="processor"),
        pytest.param("2x 3090, 7950X", None, ["rtx-3090"], ["ryzen-9-7950x"], id="sentence"),
    ],
)
def test_show_json(name: str, preset: str | None, gpus: list[str], cpus: list[str]) -> None:
    document = json.loads(run("show", "--json", name))
    assert document["schema_version"] == 1
    assert (document["preset"] or {}).get("id") == preset
    assert [row["id"] for row in document["gpus"]] == gpus
    assert [row["id"] for row in document["cpus"]] == cpus
    assert document["machine"]["host"]["memory"]["total_bytes"] > 0
