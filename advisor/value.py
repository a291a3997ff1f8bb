"""The base of everything that flows through the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict

from advisor.i18n import N_, _

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SCHEMA_VERSION: Final = 1
"""Version of every JSON document that the program writes and reads."""


class Value(BaseModel):
    """A frozen record: checked when it is made, equal by content, refusing unknown fields.

    `defer_build` builds a class's validator on first use: a command pays for the values it touches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


_PROBLEMS: Final = {
    "bool_parsing": N_("Input should be a valid boolean, unable to interpret input"),
    "bool_type": N_("Input should be a valid boolean"),
    "date_from_datetime_parsing": N_("Input should be a valid date or datetime, {error}"),
    "date_type": N_("Input should be a valid date"),
    "decimal_parsing": N_("Input should be a valid decimal"),
    "decimal_type": N_("Decimal input should be an integer, float, string or Decimal object"),
    "dict_type": N_("Input should be a valid dictionary"),
    "enum": N_("Input should be {expected}"),
    "extra_forbidden": N_("Extra inputs are not permitted"),
    "finite_number": N_("Input should be a finite number"),
    "float_parsing": N_("Input should be a valid number, unable to parse string as a number"),
    "float_type": N_("Input should be a valid number"),
    "greater_than": N_("Input should be greater than {gt}"),
    "greater_than_equal": N_("Input should be greater than or equal to {ge}"),
    "int_from_float": N_("Input should be a valid integer, got a number with a fractional part"),
    "int_parsing": N_("Input should be a valid integer, unable to parse string as an integer"),
    "int_type": N_("Input should be a valid integer"),
    "json_invalid": N_("Invalid JSON: {error}"),
    "less_than": N_("Input should be less than {lt}"),
    "less_than_equal": N_("Input should be less than or equal to {le}"),
    "list_type": N_("Input should be a valid list"),
    "literal_error": N_("Input should be {expected}"),
    "mapping_type": N_("Input should be a valid mapping, error: {error}"),
    "missing": N_("Field required"),
    "model_type": N_("Input should be a valid dictionary or instance of {class_name}"),
    "string_pattern_mismatch": N_("String should match pattern '{pattern}'"),
    "string_type": N_("Input should be a valid string"),
    "too_long": N_(
        "{field_type} should have at most {max_length} items after validation, not {actual_length}"
    ),
    "too_short": N_(
        "{field_type} should have at least {min_length} items after validation, not {actual_length}"
    ),
    "tuple_type": N_("Input should be a valid tuple"),
    "value_error": N_("Value error, {error}"),
}
"""What pydantic says by kind of problem: it knows no language but English."""


def problem(found: ErrorDetails) -> str:
    """What pydantic found wrong, in the language in use; in its own words where the kind is a rare one."""
    text = _PROBLEMS.get(found["type"], "")
    said = _(text)
    if said == text:
        return found["msg"]
    places = dict(found.get("ctx", {}))
    *most, last = str(places.get("expected", "")).rsplit(" or ", 1)
    if most:
        places["expected"] = _("{most} or {last}").format(most=most[0], last=last)
    return said.format(**places)
