"""What is built holds what is needed: a missing data folder would build silently."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA_FOLDERS = ("catalog", "templates")


def shipped() -> set[str]:
    """Every file of the package and its data, as git or the folder has it."""
    files = {
        str(p.relative_to(ROOT)) for p in (ROOT / "advisor").rglob("*") if p.is_file() and p.suffix != ".pyc"
    }
    for folder in DATA_FOLDERS:
        files |= {f"advisor/{p.relative_to(ROOT)}" for p in (ROOT / folder).rglob("*") if p.is_file()}
    return files


@pytest.mark.slow
def test_wheel_and_sdist_hold_every_file(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == shipped()
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for folder in DATA_FOLDERS:
        assert {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.is_file()} <= names


def test_the_data_folders_are_found() -> None:
    from advisor.resources import CATALOG_DIR, TEMPLATES_DIR

    assert (CATALOG_DIR / "models").is_dir()
    assert (TEMPLATES_DIR / "compose").is_dir()
