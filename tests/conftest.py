"""Fixtures of every test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from advisor.i18n import use_language

# A loaded machine must not fail a test: no example has a time limit.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# In English unless a test asks for more, whoever runs the tests.
os.environ["LANGUAGE"] = "en"
# By rule unless a test asks for more: the outputs compared here must not depend on what is installed.
os.environ["ADVISOR_METHOD"] = "rules"
# Nor on the catalog of who runs the tests: a folder that does not exist.
os.environ["ADVISOR_CATALOG"] = str(Path(__file__).parent / "no-catalog")

GOLDEN: Final = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write the golden files anew.")


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """Whatever language a test asked for is not that of the next."""
    yield
    os.environ["LANGUAGE"] = "en"
    use_language("en")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name under tests/golden; --update-golden writes it instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden file {name}: write it with pytest --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return check
