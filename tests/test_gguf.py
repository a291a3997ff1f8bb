"""GGUF headers: against the gguf package, against the rules, and against files that mean harm."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from architectures import CONFIGS, architecture
from gguf_files import make_gguf
from hypothesis import given
from hypothesis import strategies as st
from sparse_gguf import write_sparse

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
from advisor.gguf.header import BLOCK_BYTES, MAX_HEADER_BYTES
from advisor.model import Architecture
from advisor.units import MIB
from advisor.weights import weights_by_rule, weights_of

Shapes = Mapping[str, tuple[int, ...]]


# --- architectures that were written are read ---------------------------------------------------------------

NOT_IN_THE_FILE: dict[str, dict[str, Any]] = {
    "mixtral-8x7b": {"n_ff": 0},  # no layer has an ordinary block
    "qwen3.5-0.8b": {"n_mtp_layers": 0},  # the sparse file leaves them out
}


@pytest.mark.parametrize("name", CONFIGS)
def test_what_the_rules_write_is_read_back(name: str, tmp_path: Path) -> None:
    arch = architecture(name)
    quantization = "MXFP4" if arch.family == "gpt-oss" else "Q4_K_M"
    header = read_header(write_sparse(tmp_path / "x.gguf", arch, quantization))
    read = architecture_of_header(header)
    assert read == arch.model_copy(update=NOT_IN_THE_FILE.get(name, {}))
    assert weights_of(read, tensor_sizes(header)) == weights_by_rule(arch, quantization)


DENSE = {
    "block_count": 4,
    "context_length": 4096,
    "embedding_length": 64,
    "feed_forward_length": 128,
    "attention.head_count": 8,
    "attention.head_count_kv": 2,
}
"""Keys of a tiny decoder; a test adds its own, None takes one away."""
SHAPES: Shapes = {
    "token_embd.weight": (64, 320),
    **{f"blk.{i}.attn_k.weight": (64, 16) for i in range(4)},
    **{f"blk.{i}.attn_v.weight": (64, 16) for i in range(4)},
    **{f"blk.{i}.ffn_down.weight": (128, 64) for i in range(4)},
}


def write(path: Path, family: str, keys: Mapping[str, Any], shapes: Shapes = SHAPES, **options: Any) -> Path:
    """A small file of F16 zeros, by the gguf package."""
    writer = gguf.GGUFWriter(path, family, **options)
    for key, value in {**DENSE, **keys}.items():
        _add(writer, f"{family}.{key}", value)
    for name, shape in shapes.items():
        writer.add_tensor(name, np.zeros(shape[::-1], dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif value is not None:
        writer.add_array(key, value)


def read_architecture(
    path: Path, family: str, keys: Mapping[str, Any], shapes: Shapes = SHAPES
) -> Architecture:
    return architecture_of_header(read_header(write(path, family, keys, shapes)))


WINDOW = {"attention.sliding_window": 128}
SSM = {
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 128,
    "ssm.state_size": 16,
    "ssm.time_step_rank": 8,
    "ssm.group_count": 1,
}


@pytest.mark.parametrize(
    ("family", "keys", "pattern", "n_swa"),
    [
        pytest.param("llama", WINDOW, "f", 0, id="a window that the family does not use"),
        pytest.param("phi3", WINDOW, "f", 0, id="phi3: disabled in llama.cpp"),
        pytest.param("gemma2", {}, "sf", 4096, id="gemma2: the window is known"),
        pytest.param("gemma2", WINDOW, "sf", 128, id="gemma2"),
        pytest.param("gemma3", {}, "f", 0, id="gemma3 without a window"),
        pytest.param("gemma3", {**WINDOW, "attention.sliding_window_pattern": 4}, "sssf", 128, id="a period"),
        pytest.param("gemma3", {**WINDOW, "attention.sliding_window_pattern": 1}, "f", 0, id="period of one"),
        pytest.param("gemma3", {**WINDOW, "attention.sliding_window_pattern": 0}, "s", 128, id="never full"),
        pytest.param("gpt-oss", WINDOW, "sf", 128, id="gpt-oss"),
        pytest.param("exaone4", WINDOW, "f", 0, id="exaone4: only the 64-layer model has windows"),
        pytest.param("cohere2moe", WINDOW, "fsss", 128, id="full layer first"),
        pytest.param(
            "future",
            {**WINDOW, "attention.sliding_window_pattern": [True, False, False, True]},
            "sffs",
            128,
            id="listed layers of an unlisted family",
        ),
        pytest.param(
            "qwen35",
            {**SSM, "attention.recurrent_layers": [True, True, False, True]},
            "rrfr",
            0,
            id="qwen35: listed layers",
        ),
        pytest.param("qwen35", {**SSM, "full_attention_interval": 2}, "rf", 0, id="qwen35: an interval"),
        pytest.param("qwen35", SSM, "rrrf", 0, id="qwen35: the known interval"),
        pytest.param(
            "granitehybrid", {**SSM, "attention.head_count_kv": [0, 0, 2, 0]}, "rrfr", 0, id="no KV heads"
        ),
        pytest.param(
            "lfm2",
            {**WINDOW, "shortconv.l_cache": 3, "attention.head_count_kv": [0, 2, 0, 2]},
            "rs",
            128,
            id="lfm2 with a window",
        ),
    ],
)
def test_kinds_of_layers(family: str, keys: dict[str, Any], pattern: str, n_swa: int, tmp_path: Path) -> None:
    arch = read_architecture(tmp_path / "x.gguf", family, keys)
    assert (arch.layer_pattern, arch.n_swa) == (pattern, n_swa)


def test_an_unlisted_family_is_read_as_a_plain_decoder(tmp_path: Path) -> None:
    arch = read_architecture(tmp_path / "x.gguf", "glm4", {})
    assert arch == Architecture(
        family="glm4",
        n_layers=4,
        n_embd=64,
        n_vocab=320,
        n_ctx_train=4096,
        n_heads=8,
        n_kv_heads=2,
        head_dim=8,
        n_ff=128,
        tied_embeddings=True,
    )


def test_multi_token_prediction_blocks_are_counted_apart(tmp_path: Path) -> None:
    arch = read_architecture(tmp_path / "x.gguf", "qwen35", {**SSM, "nextn_predict_layers": 1})
    assert (arch.n_layers, arch.n_mtp_layers, arch.layer_pattern) == (3, 1, "r")


def test_k_and_v_of_different_widths_take_the_bytes_of_their_mean(tmp_path: Path) -> None:
    keys = {"attention.key_length": 24, "attention.value_length": 16}
    assert read_architecture(tmp_path / "x.gguf", "mimo2", keys).head_dim == 20


def test_kv_heads_by_kind_of_layer(tmp_path: Path) -> None:
    keys = {**WINDOW, "attention.head_count_kv": [4, 2, 4, 2], "attention.key_length_swa": 8}
    keys |= {"attention.value_length_swa": 8, "attention.key_length": 16, "attention.value_length": 16}
    arch = read_architecture(tmp_path / "x.gguf", "gemma2", keys)
    assert (arch.n_kv_heads, arch.n_kv_heads_full, arch.head_dim, arch.head_dim_full) == (4, 2, 8, 16)


@pytest.mark.parametrize(
    ("family", "keys", "message"),
    [
        pytest.param("clip", {}, "projector", id="mmproj"),
        pytest.param("llama", {"block_count": None}, "'llama.block_count'", id="no layers given"),
        pytest.param("llama", {"block_count": 100_000}, "100,000 layers", id="too many layers"),
        pytest.param("llama", {"nextn_predict_layers": 4}, "nextn_predict_layers", id="only MTP blocks"),
        pytest.param("llama", {"context_length": None}, "'llama.context_length'", id="no context given"),
        pytest.param("llama", {"context_length": "many"}, "whole number", id="text for a number"),
        pytest.param("llama", {"context_length": 0}, "n_ctx_train", id="no context"),
        pytest.param("llama", {"attention.head_count": None}, "attention.head_count", id="no heads given"),
        pytest.param("llama", {"attention.head_count": 0}, "attention.head_count", id="no heads"),
        pytest.param("llama", {"attention.head_count": 65}, "head_dim", id="more heads than values"),
        pytest.param("llama", {"attention.head_count_kv": 0}, "head_count_kv", id="no KV heads"),
        pytest.param("llama", {"attention.head_count_kv": [2, 2]}, "2 entries for 4", id="short list"),
        pytest.param(
            "deci", {"attention.head_count_kv": [2, 4, 2, 2]}, "differs between layers", id="heads by layer"
        ),
        pytest.param("gpt-oss", {**WINDOW, "expert_count": 8}, "one by one", id="experts missing"),
        pytest.param("mamba2", SSM, "recurrent layers", id="an unlisted recurrent family"),
        pytest.param("t5", {"decoder_block_count": 4}, "an encoder beside", id="encoder and decoder"),
        pytest.param("glm-dsa", {"attention.indexer.key_length": 128}, "index", id="index cache"),
        pytest.param("llada", {"attention.causal": False}, "encoder", id="an unlisted encoder"),
        pytest.param("granitehybrid", {"attention.head_count_kv": [0, 2, 0, 2]}, "ssm.", id="no state given"),
        pytest.param(
            "granitehybrid", {**SSM, "attention.head_count_kv": [0] * 4}, "attention", id="all zero"
        ),
    ],
)
def test_what_cannot_be_estimated_is_named(
    family: str, keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(GgufError, match=message) as error:
        read_architecture(tmp_path / "x.gguf", family, keys)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["token_embd.weight", "blk.0.ffn_down.weight"])
def test_missing_tensors_are_named(name: str, tmp_path: Path) -> None:
    shapes = {key: shape for key, shape in SHAPES.items() if name.rsplit(".", 2)[-2] not in key}
    with pytest.raises(GgufError, match=r"token_embd\.weight|n_ff"):
        read_architecture(tmp_path / "x.gguf", "llama", {}, shapes)


# --- the header itself ----------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A real file of two layers, with a tokenizer."""
    return make_gguf(tmp_path / "small.gguf", n_layers=2, n_embd=64, n_ff=64)


def test_it_reads_what_the_gguf_package_reads(small: Path) -> None:
    header, theirs = read_header(small), gguf.GGUFReader(small)
    assert header.data_offset == theirs.data_offset
    assert header.alignment == theirs.alignment
    assert header.file_size == small.stat().st_size
    assert [
        (t.name, t.shape, t.type_name, t.size_bytes, t.offset + header.data_offset) for t in header.tensors
    ] == [
        (t.name, tuple(t.shape.tolist()), t.tensor_type.name, t.n_bytes, t.data_offset)
        for t in theirs.tensors
    ]
    for key, field in theirs.fields.items():
        if key.startswith("GGUF."):
            continue
        value, read = field.contents(), header.metadata[key]
        assert read == (ArrayLength(length=len(value)) if isinstance(value, list) else value)
    assert model_name(header) == "random qwen2"


def test_short_lists_of_numbers_are_kept(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "x.gguf", "llama", {"flags": [True, False], "scales": [0.5, -1.0]}))
    assert header.metadata["llama.flags"] == (True, False)
    assert header.metadata["llama.scales"] == (0.5, -1.0)


@pytest.mark.parametrize(
    ("file_type", "name"),
    [(15, "Q4_K_M"), (1024 + 7, "Q8_0"), (38, "MXFP4"), (4242, "F16"), (None, "F16")],
    ids=["known", "guessed by llama.cpp", "MXFP4", "unknown number", "not given"],
)
def test_quantization_name(file_type: int | None, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", "llama", {})
    header = read_header(path)
    named = {**header.metadata, "general.file_type": file_type} if file_type else header.metadata
    assert quantization_name(header.model_copy(update={"metadata": named})) == name


def test_a_name_stays_on_one_line(tmp_path: Path) -> None:
    header = read_header(write(tmp_path / "x.gguf", "llama", {}))
    assert model_name(header) is None
    hostile = {**header.metadata, "general.name": "a\x1b[2J\nb"}
    assert model_name(header.model_copy(update={"metadata": hostile})) == "a [2J b"


def test_a_large_vocabulary_is_walked_over_in_blocks(tmp_path: Path) -> None:
    tokens = [f"token {i}" for i in range(150_000)]
    data = write(tmp_path / "x.gguf", "llama", {"tokens": tokens, "scores": [0.5] * 150_000}).read_bytes()
    reads: list[int] = []

    def read(offset: int, n: int) -> bytes:
        reads.append(n)
        return data[offset : offset + n]

    tracemalloc.start()
    header = parse_header(read, len(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.metadata["llama.tokens"] == ArrayLength(length=150_000)
    assert header.metadata["llama.scores"] == ArrayLength(length=150_000)
    assert header.data_offset == gguf.GGUFReader(tmp_path / "x.gguf").data_offset
    assert len(reads) <= 2 + header.data_offset // BLOCK_BYTES
    assert peak < 4 * MIB


# --- split files ----------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    write(tmp_path / "model.gguf", "llama", {}, split_max_tensors=5)
    return sorted(tmp_path.glob("model-*.gguf"))


@pytest.mark.parametrize("given_part", [0, 1, 2])
def test_the_parts_of_a_split_file_are_joined(parts: list[Path], given_part: int, tmp_path: Path) -> None:
    whole = read_header(write(tmp_path / "whole.gguf", "llama", {}))
    header = read_header(parts[given_part])
    assert len(parts) == 3
    assert tensor_sizes(header) == tensor_sizes(whole)
    assert architecture_of_header(header) == architecture_of_header(whole)
    assert header.file_size == sum(part.stat().st_size for part in parts)


def test_missing_parts_are_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(GgufError, match=r"1 of its 3 parts.*model-00002-of-00003\.gguf.*download"):
        read_header(parts[0])


def test_a_renamed_part_cannot_find_its_others(parts: list[Path]) -> None:
    with pytest.raises(GgufError, match=r"one of 3 parts.*NAME-00001-of-00003\.gguf"):
        read_header(parts[0].rename(parts[0].with_name("mine.gguf")))


def test_a_part_in_the_place_of_another_is_refused(parts: list[Path]) -> None:
    parts[2].write_bytes(parts[1].read_bytes())
    with pytest.raises(GgufError, match=r"model-00003-of-00003\.gguf: not part 3 of 3"):
        read_header(parts[0])


def test_a_truncated_part_is_named(parts: list[Path]) -> None:
    os.truncate(parts[1], parts[1].stat().st_size - 64)
    with pytest.raises(GgufError, match=r"model-00002-of-00003\.gguf: truncated"):
        read_header(parts[0])


# --- files that are broken or mean harm -------------------------------------------------------------------------


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


def test_a_truncated_download_names_the_missing_bytes(small: Path) -> None:
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
    with pytest.raises(GgufError, match="exceeds 64.00 MiB"):
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
        parse_header(lambda offset, n: b"GGUF", 4096)


@pytest.mark.parametrize(("name", "message"), [("gone.gguf", "no such file"), (".", "not a file")])
def test_what_is_not_a_file(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GgufError, match=message):
        read_header(tmp_path / name)


def use(data: bytes) -> None:
    """Everything that is done with a header."""
    header = parse(data)
    quantization_name(header)
    model_name(header)
    weights_of(architecture_of_header(header), tensor_sizes(header))


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    for start in (b"", b"GGUF", head(), head(1), head(0, 1), head(2, 2)):
        try:
            use(start + data)
        except GgufError as error:
            assert "\n" not in str(error)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A hybrid with experts: every kind of key and tensor the translation looks at."""
    keys = {
        **SSM,
        **WINDOW,
        "attention.head_count_kv": [0, 2, 0, 2],
        "attention.sliding_window_pattern": [True, False] * 2,
        "attention.shared_kv_layers": 0,
        "expert_count": 2,
        "expert_used_count": 1,
        "name": "text",
        "tokens": ["a", "b"],
    }
    shapes = {**SHAPES, "blk.1.ffn_down_exps.weight": (32, 64, 2), "rope_freqs.weight": (4,)}
    return write(tmp_path_factory.mktemp("valid") / "x.gguf", "granitehybrid", keys, shapes).read_bytes()


FAMILIES_TRIED = ["granitehybrid", "gemma4", "deepseek2", "qwen35", "bert"]


@given(st.data())
def test_a_damaged_header_is_read_or_refused(valid: bytes, data: st.DataObject) -> None:
    end = parse(valid).data_offset
    family = data.draw(st.sampled_from(FAMILIES_TRIED)).encode()
    damaged = bytearray(
        valid.replace(text("granitehybrid"), text(family)).replace(b"granitehybrid.", family + b".")
    )
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, end - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        damaged[at : at + data.draw(st.sampled_from([0, len(piece)]))] = piece
    try:
        use(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except GgufError as error:
        assert "\n" not in str(error)
