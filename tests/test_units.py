"""Units at the edges."""

from __future__ import annotations

import pytest

from advisor.units import (
    GIB,
    MIB,
    columns,
    format_bytes,
    format_count,
    gib_down,
    gib_up,
    ljust,
    pad,
    parse_bytes,
    rjust,
    shortened,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("8 GB", 8 * GIB, id="memory is sold in powers of two"),
        pytest.param("8GiB", 8 * GIB, id="GiB"),
        pytest.param("0.5 TB", 512 * GIB, id="a fraction"),
        pytest.param("512mib", 512 * MIB, id="lower case"),
        pytest.param("1024", 1024, id="plain bytes"),
    ],
)
def test_parse_bytes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1 GB", "8 GBs", "8,5 GB", "1e9"])
def test_parse_bytes_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (8 * GIB, "8.00 GiB"), (3 * GIB // 2, "1.50 GiB")],
)
def test_format_bytes(n: int, expected: str) -> None:
    assert format_bytes(n) == expected


@pytest.mark.parametrize(
    ("text", "width"),
    [("speed", 5), ("속도", 4), ("KV 캐시", 7), ("██░", 3), ("", 0)],
)
def test_wide_letters_take_two_columns(text: str, width: int) -> None:
    assert columns(text) == width
    assert (ljust(text, 8), rjust(text, 8)) == (text + " " * (8 - width), " " * (8 - width) + text)


def test_a_text_that_is_too_long_stays() -> None:
    assert ljust("속도와 메모리", 4) == rjust("속도와 메모리", 4) == "속도와 메모리"


def test_needs_round_up_and_capacity_down() -> None:
    just_over = 8 * GIB + 1
    assert gib_up(just_over) == 8.1
    assert gib_down(just_over) == 8.0
    assert gib_up(8 * GIB) == gib_down(8 * GIB) == 8.0


@pytest.mark.parametrize(("n", "expected"), [(494_032_768, "494M"), (7_615_616_512, "7.6B")])
def test_format_count(n: int, expected: str) -> None:
    assert format_count(n) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(("a",), "a", id="one"),
        pytest.param(("a", "b"), "a, b", id="as many as fit"),
        pytest.param(("a", "b", "c", "d"), "a, b and 2 more", id="more"),
    ],
)
def test_shortened(names: tuple[str, ...], expected: str) -> None:
    assert shortened(names, 2) == expected


@pytest.mark.parametrize(
    ("n", "to", "expected"), [(1, 256, 256), (256, 256, 256), (257, 256, 512), (0, 32, 0)]
)
def test_pad(n: int, to: int, expected: int) -> None:
    assert pad(n, to) == expected
