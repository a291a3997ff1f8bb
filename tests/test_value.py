"""What a file that does not fit its type is told, in either language."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from advisor.i18n import use_language
from advisor.value import Value, problem


class Everything(Value):
    """A field of every sort that people write by hand."""

    n: int = Field(default=1, gt=0)
    rate: float = 1.0
    name: str = Field(default="a", pattern="^[a-z]+$")
    kind: Literal["chat", "embedding", "rerank"] = "chat"
    names: tuple[str, ...] = Field(default=("a",), min_length=1)
    day: date = date(2026, 11, 21)
    inner: dict[str, int] = Field(default_factory=dict)


WRONG = {
    "a number as words": {"n": "many"},
    "a number too small": {"n": 0},
    "a fraction": {"n": 1.5},
    "no number": {"rate": "fast"},
    "a text that does not match": {"name": "A"},
    "none of the choices": {"kind": "translate"},
    "no list": {"names": "a"},
    "too short a list": {"names": []},
    "no date": {"day": "yesterday"},
    "no mapping": {"inner": 1},
    "an unknown field": {"other": 1},
}


def _told(data: dict[str, object]) -> tuple[str, str]:
    """What pydantic says, and what we say."""
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(data)
    first = caught.value.errors()[0]
    return first["msg"], problem(first)


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_english_is_pydantics_own(data: dict[str, object]) -> None:
    own, said = _told(data)
    assert said == own


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_korean_is_said_of_every_usual_problem(data: dict[str, object]) -> None:
    use_language("ko")
    own, said = _told(data)
    assert said != own
    assert re.search("[가-힣]", said)


def test_choices_are_listed_in_korean() -> None:
    use_language("ko")
    assert " or " not in _told({"kind": "translate"})[1]
