"""The hardware catalog: GPUs, processors and preset machines, and what `--hardware SPEC` means.

People edit the YAML under `catalog/`; the program reads one compiled JSON, `catalog/hardware.json`, since
reading the YAML takes 0.2 s. `python -m advisor.hardware_catalog` compiles it; a test proves it fresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from advisor.errors import CatalogError, HardwareError
from advisor.hardware import CpuSpec, GpuSpec, Machine, Preset
from advisor.i18n import _
from advisor.resources import CATALOG_DIR
from advisor.value import Value, problem
from advisor.yaml_files import read_yaml

COMPILED: Final = "hardware.json"
MAX_SPEC_BYTES: Final = 4 << 20
"""A machine is a few kilobytes; a larger file is not one."""
DUMPS: Final = (".md", ".markdown")
"""Files of `advisor doctor`, by their endings …"""
DUMP_MARK: Final = "```json recording-"
"""… and whatever they are called, by what they hold."""

Row = TypeVar("Row", GpuSpec, CpuSpec, Preset)


class HardwareCatalog(Value):
    """Everything that hardware sentences and probes look up."""

    gpus: tuple[GpuSpec, ...]
    cpus: tuple[CpuSpec, ...]
    presets: tuple[Preset, ...]


def load_hardware(folder: Path = CATALOG_DIR) -> HardwareCatalog:
    """The compiled catalog. Raises `CatalogError` where it is missing or broken."""
    path = folder / COMPILED
    try:
        return HardwareCatalog.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CatalogError(
            _(
                "{path} cannot be read ({reason}): compile it with `python -m advisor.hardware_catalog`"
            ).format(path=path, reason=_reason(error))
        ) from error


def resolve_hardware(spec: str, catalog: HardwareCatalog) -> Machine:
    """The machine that `--hardware SPEC` means: an existing file, a preset, or a sentence.

    Raises `HardwareError`, one line, for a broken file and for a sentence that cannot be understood.
    """
    from advisor.sentences import parse_sentence  # this machine is read without its grammar

    if (path := _existing_file(spec)) is not None:
        return _read_machine(path, catalog)
    name = spec.strip().lower()
    preset = next((preset for preset in catalog.presets if preset.id == name), None)
    return parse_sentence(preset.spec if preset else spec, catalog.gpus, catalog.cpus)


def _existing_file(spec: str) -> Path | None:
    path = Path(spec)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a sentence too long, or with characters that no file name has
        return None
    if path.suffix.lower() in DUMPS:
        raise HardwareError(
            _("no file {spec}: write one with `advisor doctor --out {path}`").format(
                spec=spec, path=path.name
            )
        )
    if path.suffix.lower() in (".json", ".yaml", ".yml"):
        raise HardwareError(
            _("no file {spec}: write one with `advisor detect --output {path}`").format(
                spec=spec, path=path.name
            )
        )
    return None


def _replay(path: Path, catalog: HardwareCatalog) -> Machine:
    """The machine that a recording answers for."""
    from advisor.doctor.examination import machine_of_dump  # loads the probes, which no other SPEC needs

    return machine_of_dump(path, catalog.gpus)


def _read_machine(path: Path, catalog: HardwareCatalog) -> Machine:
    """A machine that `advisor detect` wrote, as JSON or YAML, or that `advisor doctor` recorded."""
    try:
        if path.stat().st_size > MAX_SPEC_BYTES:
            raise HardwareError(
                _("{path} is too large for a machine; write one with `advisor detect --output`").format(
                    path=path
                )
            )
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() in DUMPS or DUMP_MARK in text:
            return _replay(path, catalog)
        if text.lstrip().startswith("{"):
            return Machine.model_validate_json(text)
        return Machine.model_validate(read_yaml(path))
    except CatalogError as error:
        raise HardwareError(str(error)) from error
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise HardwareError(
            _("{path} is not a machine ({reason}): write one with `advisor detect --output`").format(
                path=path, reason=_reason(error)
            )
        ) from error


def compile_hardware(folder: Path = CATALOG_DIR) -> HardwareCatalog:
    """The catalog from the YAML files. Raises `CatalogError` naming file, field and the fix."""
    gpus = [row for path in sorted((folder / "gpus").glob("*.yaml")) for row in _rows(path, "gpus", GpuSpec)]
    presets = [
        _row(path, "", read_yaml(path), Preset) for path in sorted((folder / "machines").glob("*.yaml"))
    ]
    catalog = HardwareCatalog(
        gpus=tuple(gpus), cpus=tuple(_rows(folder / "cpus.yaml", "cpus", CpuSpec)), presets=tuple(presets)
    )
    _refuse_twins(folder, [*catalog.gpus, *catalog.cpus])
    _refuse_twins(folder, catalog.presets)
    return catalog


def compiled_text(catalog: HardwareCatalog) -> str:
    """What `catalog/hardware.json` holds: one row a line, so that changes can be reviewed."""
    document = catalog.model_dump(mode="json", exclude_defaults=True)
    lists = (
        f'"{name}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
        for name, rows in document.items()
    )
    return "{\n" + ",\n".join(lists) + "\n}\n"


def _rows(path: Path, key: str, kind: type[Row]) -> Iterator[Row]:
    document = read_yaml(path)
    if not isinstance(document, dict) or list(document) != [key] or not isinstance(document[key], list):
        raise CatalogError(f"{path}: put the rows in one list under '{key}:'")
    for number, data in enumerate(document[key], start=1):
        name = data.get("id", f"number {number}") if isinstance(data, dict) else f"number {number}"
        yield _row(path, f", {name}", data, kind)


def _row(path: Path, place: str, data: object, kind: type[Row]) -> Row:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise CatalogError(f"{path}{place}: {_reason(error)}; correct the field") from error


def _refuse_twins(folder: Path, rows: list[GpuSpec | CpuSpec] | tuple[Preset, ...]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise CatalogError(f"{folder}: the id {row.id} is used twice; rename one")
        seen.add(row.id)


def _reason(error: OSError | UnicodeDecodeError | ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or _("document")
        return " ".join(f"{field}: {problem(first)}".split())
    return " ".join(_(getattr(error, "strerror", None) or str(error)).split())


if __name__ == "__main__":
    (CATALOG_DIR / COMPILED).write_text(compiled_text(compile_hardware()), encoding="utf-8")
