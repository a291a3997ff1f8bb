"""GGUF files that are broken, truncated or mean harm: one line each, in bounded memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import gguf
import pytest
from gguf_files import make_gguf
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gguf import DENSE, SHAPES, SSM, WINDOW, write

from advisor.errors import GgufError
from advisor.gguf import (
    ArrayLength,
    GgufHeader,
    architecture_of_header,
    model_name,
    parse_header,
    quantization_name,
    read_header,
    tensor_sizes,
)
from advisor.gguf.header import BLOCK_BYTES, MAX_HEADER_BYTES, MetadataValue
from advisor.units import MIB
from advisor.weights import weights_of


def number(form: str, *values: float) -> bytes:
    return struct.pack(f"<{form}", *values)


def text(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return number("Q", len(raw)) + raw


def head(n_tensors: int = 0, n_keys: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + number("IQQ", version, n_tensors, n_keys)


def tensor(name: str = "a", shape: tuple[int, ...] = (32,), type_number: int = 0, offset: int = 0) -> bytes:
    return (
        text(name)
        + number("I", len(shape))
        + number(f"{len(shape)}Q", *shape)
        + number("IQ", type_number, offset)
    )


U8, STRING, ARRAY, U32 = 0, 8, 9, 4
ONE_KEY = head(n_keys=1)
FLAG = text("a") + number("IB", U8, 1)


def parse(data: bytes) -> GgufHeader:
    return parse_header(lambda offset, n: data[offset : offset + n], len(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "ends inside its header", id="empty"),
        pytest.param(b"GG", "ends inside its header", id="half a magic"),
        pytest.param(b"version https://git-lfs", "not a GGUF file: it starts with b'vers'", id="LFS pointer"),
        pytest.param(head(version=1), "version 1", id="version 1"),
        pytest.param(head(version=4), "version 4", id="a version to come"),
        pytest.param(head(version=3 << 24), "big-endian", id="big endian"),
        pytest.param(head(n_keys=1 << 62), "claims 0 tensors and 4,611,", id="too many keys"),
        pytest.param(head(n_tensors=1 << 62), "claims 4,611,", id="too many tensors"),
        pytest.param(ONE_KEY + text(""), "a key of 0 bytes", id="nameless key"),
        pytest.param(ONE_KEY + number("Q", 1 << 63), "a key of 9,223,", id="endless key"),
        pytest.param(ONE_KEY + text(b"\xff\xfe"), "not text", id="key that is not text"),
        pytest.param(head(n_keys=2) + FLAG + FLAG, "'a' stands there twice", id="duplicate key"),
        pytest.param(ONE_KEY + text("a") + number("I", 13), "unknown type 13", id="unknown type"),
        pytest.param(
            ONE_KEY + text("a\n") + number("IIQ", ARRAY, ARRAY, 1),
            r"'a\\n' holds an array of arrays",
            id="nested array",
        ),
        pytest.param(
            ONE_KEY + text("a") + number("IIQ", ARRAY, U8, 1 << 63), "ends inside", id="endless array"
        ),
        pytest.param(
            ONE_KEY + text("a") + number("IIQ", ARRAY, STRING, 1 << 60), "ends inside", id="endless texts"
        ),
        pytest.param(
            ONE_KEY + text("a") + number("IIQQ", ARRAY, STRING, 1, (1 << 64) - 1),
            "ends inside",
            id="endless text in an array",
        ),
        pytest.param(
            ONE_KEY + text("a") + number("IQ", STRING, 1 << 40), "ends inside its header", id="endless text"
        ),
        pytest.param(
            ONE_KEY + text("general.alignment") + number("II", U32, 48), "power of two", id="odd alignment"
        ),
        pytest.param(
            ONE_KEY + text("general.alignment") + number("I", STRING) + text("x"),
            "power of two",
            id="alignment that is text",
        ),
        pytest.param(head(1) + tensor("n" * 65) + bytes(999), "a tensor's name of 65", id="long name"),
        pytest.param(head(1) + tensor("blk.x.y"), "no layer number", id="no layer number"),
        pytest.param(head(1) + text("a") + number("I", 5), "5 dimensions", id="dimensions"),
        pytest.param(head(1) + tensor(shape=(1 << 40, 1 << 40)), "absurd shape", id="absurd shape"),
        pytest.param(head(1) + tensor(type_number=4), "unknown type 4", id="withdrawn type"),
        pytest.param(head(1) + tensor(type_number=12), "rows of 32 values; Q4_K", id="half a block"),
        pytest.param(head(1) + tensor(offset=32) + bytes(999), "starts at 32", id="a gap"),
        pytest.param(
            head(2) + tensor() + tensor(offset=128) + bytes(999),
            "'a' stands there twice",
            id="duplicate tensor",
        ),
        pytest.param(
            head(2) + tensor() + tensor("b") + bytes(999), "'b' starts at 0 instead of 128", id="overlap"
        ),
        pytest.param(head(1) + tensor(shape=(1 << 50,)), "truncated: 4,503,599,", id="larger than any disk"),
    ],
)
def test_bad_files_are_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(GgufError, match=message) as error:
        parse(data)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_big_endian_files_of_the_gguf_package_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", "llama", {}, endianess=gguf.GGUFEndian.BIG)
    with pytest.raises(GgufError, match="big-endian"):
        read_header(path)


def test_a_truncated_download_names_the_missing_bytes(tmp_path: Path) -> None:
    small = make_gguf(tmp_path / "small.gguf", n_layers=2, n_embd=64, n_ff=64)
    size = small.stat().st_size
    os.truncate(small, size - 1000)
    with pytest.raises(GgufError, match=rf"truncated: 1,000 of {size:,} bytes .*download it again"):
        read_header(small)


def test_no_start_of_a_file_is_a_whole_one(tmp_path: Path) -> None:
    data = write(tmp_path / "x.gguf", "llama", {}).read_bytes()
    for n in range(parse(data).data_offset + 1):
        with pytest.raises(GgufError, match=r"ends inside its header|truncated"):
            parse(data[:n])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(number("IIQ", ARRAY, U8, 1 << 33), id="array of bytes"),
        pytest.param(number("IIQ", ARRAY, STRING, 1 << 29), id="array of empty texts"),
        pytest.param(number("IQ", STRING, 1 << 33), id="text"),
    ],
)
def test_a_bomb_in_a_file_that_is_large_enough_costs_nothing(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.gguf"
    path.write_bytes(ONE_KEY + text("a") + body)
    os.truncate(path, 1 << 34)
    tracemalloc.start()
    with pytest.raises(GgufError, match=r"exceeds 64\.00 MiB"):
        read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_the_longest_walk_is_bounded() -> None:
    """Empty texts up to the limit: every byte of the header is looked at once, in blocks."""
    start = ONE_KEY + text("a") + number("IIQ", ARRAY, STRING, (MAX_HEADER_BYTES - 64) // 8)
    asked = 0

    def read(offset: int, n: int) -> bytes:
        nonlocal asked
        asked += n
        return start + bytes(n) if offset == 0 else bytes(n)

    parse_header(read, 1 << 40)
    assert asked <= MAX_HEADER_BYTES + BLOCK_BYTES


def test_a_file_that_shrinks_while_it_is_read() -> None:
    with pytest.raises(GgufError, match="ended while it was being read"):
        parse_header(lambda offset, n: head(1)[offset:], 4096)


@pytest.mark.parametrize(("name", "message"), [("gone.gguf", "no such file"), (".", "not a file")])
def test_what_is_not_a_file(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GgufError, match=message):
        read_header(tmp_path / name)


def refusal(data: bytes, changes: Mapping[str, MetadataValue] = {}) -> str:
    """What the user is told once everything that is done with a header was done; "" if all went well."""
    try:
        header = parse(data)
        header = header.model_copy(update={"metadata": {**header.metadata, **changes}})
        quantization_name(header)
        model_name(header)
        weights_of(architecture_of_header(header), tensor_sizes(header))
    except GgufError as error:
        return str(error)
    return ""


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    for start in (b"", b"GGUF", head(), head(1), head(0, 1), head(2, 2)):
        assert "\n" not in refusal(start + data)


KEYS = {
    **SSM,
    **WINDOW,
    "attention.head_count_kv": [0, 2, 0, 2],
    "attention.sliding_window_pattern": [True, False] * 2,
    "attention.shared_kv_layers": 0,
    "expert_count": 2,
    "expert_used_count": 1,
    "rope.dimension_count": 8,
    "name": "text",
    "tokens": ["a", "b"],
}
FAMILIES = (
    *("granitehybrid", "gemma3", "gemma4", "deepseek2", "qwen35", "lfm2", "bert", "gpt-oss", "unlisted"),
    *("nemotron_h_moe", "falcon-h1", "jamba", "kimi-linear", "glm-dsa", "deepseek4", "mimo2", "deci"),
)
MORE_KEYS = (
    "key_length",
    "value_length",
    "key_length_swa",
    "key_length_mla",
    "kv_lora_rank",
    "recurrent_layers",
    "indexer.head_count",
    "indexer.key_length",
    "indexer.top_k",
    "compress_ratios",
    "output_lora_rank",
    "output_group_count",
    "q_lora_rank",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of each family, with every kind of key and tensor that the translation looks at."""
    folder = tmp_path_factory.mktemp("valid")
    shapes = {**SHAPES, "blk.1.ffn_down_exps.weight": (32, 64, 2), "rope_freqs.weight": (4,)}
    return {
        family: write(folder / f"{family}.gguf", family, KEYS, shapes).read_bytes() for family in FAMILIES
    }


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_header_is_read_or_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    damaged = bytearray(files[data.draw(st.sampled_from(FAMILIES))])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, 4000))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        damaged[at : at + data.draw(st.sampled_from([0, len(piece)]))] = piece
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    assert "\n" not in refusal(bytes(damaged[:cut]))


values = st.one_of(
    st.integers(-2, 70),
    st.sampled_from([2**31, 2**32 - 1, 2**32, 2**64 - 1]),
    st.floats(),
    st.booleans(),
    st.text(max_size=4),
    st.lists(st.integers(-1, 5), min_size=4, max_size=4).map(tuple),
    st.lists(st.booleans(), max_size=5).map(tuple),
    st.integers(0, 2**60).map(lambda n: ArrayLength(length=n)),
)


@settings(max_examples=500)
@given(
    st.sampled_from(FAMILIES),
    st.dictionaries(
        st.sampled_from(
            [
                *DENSE,
                *KEYS,
                "nextn_predict_layers",
                "kda.head_dim",
                "hash_layer_count",
                *(f"attention.{key}" for key in MORE_KEYS),
            ]
        ),
        values,
        max_size=4,
    ),
)
def test_any_values_of_the_keys_are_read_or_refused(
    files: dict[str, bytes], family: str, changes: dict[str, MetadataValue]
) -> None:
    full = {f"{family}.{key}": value for key, value in changes.items()}
    assert "\n" not in refusal(files[family], full)
