"""safetensors headers: what they say, and what is refused in one line and bounded memory."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors_files import BITS, CONFIG, Row, entries, header, tiny_model, write

from advisor.api import load_catalog, workload_of
from advisor.architecture import Architecture, Moe
from advisor.errors import SafetensorsError
from advisor.folders import LocalFolder
from advisor.resolve import resolve_model
from advisor.safetensors import (
    SafetensorsHeader,
    parse_safetensors,
    read_safetensors,
    safetensors_weights,
    stored_format,
    tower_bytes,
)
from advisor.safetensors.header import DTYPE_BITS, MAX_HEADER_BYTES
from advisor.settings import Settings
from advisor.units import MIB
from advisor.weights import weights_by_rule

GOOD = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def parse(data: bytes, size: int | None = None) -> SafetensorsHeader:
    return parse_safetensors(lambda offset, n: data[offset : offset + n], len(data) if size is None else size)


def test_a_header_is_read() -> None:
    rows: dict[str, Row] = {
        "a": ("BF16", (3, 5)),
        "b": ("F8_E4M3", ()),
        "c": ("F4", (2, 32)),
        "d": ("F32", (0,)),
    }
    listed, size = entries(rows)
    raw = header(listed)
    read = parse(raw, len(raw) + size)
    assert {name: (t.dtype, t.shape) for name, t in read.tensors.items()} == rows
    assert {name: t.size_bytes for name, t in read.tensors.items()} == {"a": 30, "b": 1, "c": 32, "d": 0}
    assert (read.data_bytes, read.file_bytes) == (63, len(raw) + size)


def test_space_behind_the_header_is_part_of_it() -> None:
    assert parse(header(json.dumps({"a": GOOD}, indent=2) + "   ") + bytes(24)).tensors.keys() == {"a"}


def test_every_type_has_its_size() -> None:
    for dtype, bits in DTYPE_BITS.items():
        entry = {"dtype": dtype, "shape": [8], "data_offsets": [0, bits]}
        assert parse(header({"a": entry}) + bytes(bits)).data_bytes == bits


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "empty or incomplete", id="empty"),
        pytest.param(b"1234567", "empty or incomplete", id="half a length"),
        pytest.param(b"version https://git-lfs.github.com", "not a safetensors file", id="LFS pointer"),
        pytest.param(b"\xff" * 64, "not a safetensors file", id="endless header"),
        pytest.param(header("{}")[:-1], "ends inside its header", id="cut in the header"),
        pytest.param(header(""), "not a list of tensors", id="no JSON"),
        pytest.param(header("[]"), "not a list of tensors", id="a list"),
        pytest.param(header('{"a":1}'), "not a list of tensors", id="a number for a tensor"),
        pytest.param(header('{"a":{"b":{}}}'), "not a list of tensors", id="nested"),
        pytest.param(header('{"a":' + "[" * 100_000), "not a list of tensors", id="deep"),
        pytest.param(
            header({"__metadata__": {"a": 1}}), "not a list of tensors", id="notes that are no text"
        ),
        pytest.param(header('{"a":{"b":[' + "[" * 1000 + "]}}"), "not described in JSON", id="deep entry"),
        pytest.param(header({"a": {"x": "y" * 2000}}), "not a list of tensors", id="long entry"),
        pytest.param(header({"a" * 600: GOOD}), "a tensor's name has 600 bytes", id="long name"),
        pytest.param(header(b'{"\xff":{}}'), "not text", id="name that is not text"),
        pytest.param(
            header('{"a":%s,"a":%s}' % ((json.dumps(GOOD),) * 2)), "'a' stands there twice", id="twice"
        ),
        pytest.param(header('{"a":{"dtype":"F32","dtype":"F32"}}'), "a field twice", id="field twice"),
        pytest.param(header({"a": {**GOOD, "dtype": "F99"}}), "unknown type 'F99'", id="unknown type"),
        pytest.param(header({"a": {**GOOD, "dtype": ["F32"]}}), "unknown type", id="type that is no text"),
        pytest.param(header({"a": {**GOOD, "shape": None}}), "no possible shape", id="no shape"),
        pytest.param(header({"a": {**GOOD, "shape": [-1]}}), "no possible shape", id="negative"),
        pytest.param(header({"a": {**GOOD, "shape": [True]}}), "no possible shape", id="flag for a number"),
        pytest.param(header({"a": {**GOOD, "shape": [1] * 17}}), "no possible shape", id="many dimensions"),
        pytest.param(header({"a": {**GOOD, "shape": [1 << 62, 4]}}), "absurd shape", id="too many values"),
        pytest.param(header({"a": {**GOOD, "dtype": "F4", "shape": [3]}}), "absurd shape", id="half a byte"),
        pytest.param(header({"a": {**GOOD, "data_offsets": [0]}}), "no possible shape", id="one offset"),
        pytest.param(header({"a": {**GOOD, "data_offsets": [24, 0]}}), "takes -24 bytes", id="backwards"),
        pytest.param(header({"a": {**GOOD, "data_offsets": [0, 25]}}), "shape and type need 24", id="size"),
        pytest.param(header({"a": {**GOOD, "data_offsets": [8, 32]}}), "starts at 8 instead of 0", id="gap"),
        pytest.param(header({"a": GOOD, "b": GOOD}), "starts at 0 instead of 24", id="overlap"),
        pytest.param(header({"a": GOOD}) + bytes(20), "truncated: 4 of 24 bytes", id="truncated"),
        pytest.param(header({"a": GOOD}) + bytes(30), "6 bytes behind its last", id="more data"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(SafetensorsError, match=message) as raised:
        parse(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "filling",
    [
        pytest.param(b"[],", id="lists"),
        pytest.param(b'"":{},', id="empty entries"),
        pytest.param(b'"', id="quotes"),
        pytest.param(b"\\", id="backslashes"),
        pytest.param(b" ", id="spaces"),
        pytest.param('{"ä":'.encode(), id="nesting"),
    ],
)
@pytest.mark.parametrize("start", [b"{", b'{"', b'{"__metadata__":{"a":"b",', b'{"a":{'])
def test_a_long_header_of_nothing_takes_no_memory(start: bytes, filling: bytes) -> None:
    raw = header((start + filling * (MIB // len(filling)))[:MIB])
    tracemalloc.start()
    with pytest.raises(SafetensorsError):
        parse(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_the_length_is_believed_within_limits_only() -> None:
    asked: list[int] = []

    def read(offset: int, n: int) -> bytes:
        asked.append(n)
        return (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + bytes(n - 8)

    with pytest.raises(SafetensorsError, match="claims a header of 33,554,433 bytes"):
        parse_safetensors(read, 1 << 40)
    assert asked == [MIB]


# --- fuzzing ---

VALID = header(entries(tiny_model(1))[0])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from([*BITS, "F64"]) | values,
        "shape": st.lists(st.integers(-1, 5) | st.sampled_from([1 << 31, 1 << 63, 1 << 64])) | values,
        "data_offsets": st.lists(st.integers(-1, 100) | st.sampled_from([1 << 63, 1 << 64])) | values,
    },
)


def read_or_refused(data: bytes, size: int) -> None:
    with contextlib.suppress(SafetensorsError):  # any other error fails the test
        read = parse(data, size)
        assert read.data_bytes <= size
        for tensor in read.tensors.values():
            assert tensor.size_bytes == prod(tensor.shape) * DTYPE_BITS[tensor.dtype] // 8


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_header_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        piece = data.draw(
            st.binary(min_size=1, max_size=8) | st.sampled_from([b'"', b"{", b"}", b"[", b"9" * 30])
        )
        damaged[at : at + data.draw(st.sampled_from([0, len(piece)]))] = piece
    cut = data.draw(st.just(len(damaged)) | st.integers(0, len(damaged)))
    read_or_refused(bytes(damaged[:cut]), data.draw(st.integers(0, 1 << 20)))


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=10), fields | values, max_size=4), st.integers(0, 200))
def test_any_entries_are_read_or_refused(listed: dict[str, Any], size: int) -> None:
    raw = header(listed)
    read_or_refused(raw, len(raw) + size)


# --- models ---


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder as transformers writes it."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    write(tmp_path / "model.safetensors", tiny_model())
    return tmp_path


def shard(folder: Path) -> dict[str, str]:
    """Split the folder's model in two, and the weight map of its index."""
    rows = tiny_model()
    names = list(rows)
    weight_map = {}
    for i, part in enumerate((names[:5], names[5:]), 1):
        file = f"model-{i:05}-of-00002.safetensors"
        write(folder / file, {name: rows[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors").unlink()
    index(folder, weight_map)
    return weight_map


def index(folder: Path, weight_map: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )


def test_shards_are_joined(model: Path) -> None:
    whole = read_safetensors(LocalFolder(model))
    shard(model)
    assert read_safetensors(LocalFolder(model)).tensors == whole.tensors


def lose_a_shard(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / "model-00002-of-00002.safetensors").unlink()


def cut_a_shard(folder: Path, weight_map: dict[str, str]) -> None:
    path = folder / "model-00002-of-00002.safetensors"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)


def swap_shards(folder: Path, weight_map: dict[str, str]) -> None:
    index(folder, dict.fromkeys(weight_map, "model-00001-of-00002.safetensors"))


def repeat_a_shard(folder: Path, weight_map: dict[str, str]) -> None:
    first = folder / "model-00001-of-00002.safetensors"
    (folder / "again.safetensors").write_bytes(first.read_bytes())
    index(folder, {**weight_map, "model.norm.weight": "again.safetensors"})


def leave_the_folder(folder: Path, weight_map: dict[str, str]) -> None:
    index(folder, {"a": "../../secret.safetensors"})


def name_no_file(folder: Path, weight_map: dict[str, str]) -> None:
    index(folder, {"a": ["model.safetensors"]})


def break_the_index(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / "model.safetensors.index.json").write_text("[" * 100_000)


def list_nothing(folder: Path, weight_map: dict[str, str]) -> None:
    index(folder, {})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_a_shard, "model-00002-of-00002.safetensors: missing"),
        (cut_a_shard, "model-00002-of-00002.safetensors: truncated: 7 of"),
        (swap_shards, "model-00001-of-00002.safetensors: lacks 19 tensors"),
        (repeat_a_shard, "is in an earlier file"),
        (leave_the_folder, "names '../../secret.safetensors' as a file"),
        (name_no_file, "as a file of weights"),
        (break_the_index, "index.json: is not JSON"),
        (list_nothing, "names 0 files"),
    ],
)
def test_a_broken_set_of_shards_is_refused(
    model: Path, damage: Callable[[Path, dict[str, str]], None], message: str
) -> None:
    damage(model, shard(model))
    with pytest.raises(SafetensorsError, match=message) as raised:
        read_safetensors(LocalFolder(model))
    assert "\n" not in str(raised.value)


# --- sizes ---

DENSE = Architecture(
    family="qwen3",
    n_layers=2,
    n_embd=64,
    n_vocab=512,
    n_ctx_train=4096,
    n_heads=4,
    n_kv_heads=2,
    head_dim=16,
    n_ff=128,
    tied_embeddings=True,
)


def test_weights_are_the_rules_own_for_a_plain_model() -> None:
    listed, size = entries(tiny_model(dtype="F32"))
    raw = header(listed)
    assert safetensors_weights(DENSE, parse(raw, len(raw) + size)) == weights_by_rule(DENSE, "F32")


MOE = DENSE.model_copy(update={"n_layers": 1, "moe": Moe(n_experts=2, n_experts_used=1, n_ff=8)})


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param(
            "model.language_model.layers.0.mlp.experts.1.up_proj.weight", "experts", id="one by one"
        ),
        pytest.param("model.layers.0.mlp.experts.gate_up_proj_blocks", "experts", id="stacked"),
        pytest.param("model.layers.0.block_sparse_moe.experts.1.w2.weight", "experts", id="mixtral"),
        pytest.param("model.layers.0.block_sparse_moe.input_linear.weight", "experts", id="granite"),
        pytest.param("backbone.layers.0.mixer.experts.1.up_proj.weight", "experts", id="nemotron 3"),
        pytest.param("model.layers.0.mlp.shared_experts.up_proj.weight", "layers", id="shared expert"),
        pytest.param("model.layers.0.mlp.gate.weight", "layers", id="router"),
        pytest.param("model.layers.1.eh_proj.weight", "", id="prediction behind the layers"),
        pytest.param("mtp.layers.0.mlp.experts.0.up_proj.weight", "", id="prediction apart"),
        pytest.param("lm_head.weight", "output", id="output matrix"),
        pytest.param("model.norm.weight", "output", id="output norm"),
        pytest.param("backbone.embeddings.weight", "input", id="embedding"),
        pytest.param("model.visual.blocks.0.attn.qkv.weight", "tower", id="qwen's tower"),
        pytest.param("vision_tower.encoder.layers.0.mlp.fc1.weight", "tower", id="llava's tower"),
        pytest.param("multi_modal_projector.linear_1.weight", "tower", id="projector"),
    ],
)
def test_tensors_are_told_by_their_names(name: str, part: str) -> None:
    raw = header({name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}})
    read = parse(raw, len(raw) + 24)
    weights = safetensors_weights(MOE, read)
    placed = {
        "experts": sum(weights.experts),
        "layers": sum(weights.layers),
        "output": weights.output_bytes,
        "input": weights.input_bytes,
        "tower": tower_bytes(read),
    }
    assert placed == {**dict.fromkeys(placed, 0), **({part: 24} if part else {})}


@pytest.mark.parametrize(
    ("dtype", "config", "name"),
    [
        ("BF16", {}, "BF16"),
        ("F8_E4M3", {}, "FP8"),
        ("I32", {"quantization_config": {"quant_method": "awq"}}, "AWQ"),
        ("F8_E4M3", {"quantization_config": {"quant_method": "fp8"}}, "FP8"),
        ("U8", {"quantization_config": {"quant_method": 7}}, "U8"),
    ],
)
def test_the_format_is_told(dtype: str, config: dict[str, Any], name: str) -> None:
    listed, size = entries(tiny_model(dtype=dtype))
    raw = header(listed)
    assert stored_format(parse(raw, len(raw) + size), config) == name


def test_an_engine_loads_what_the_folder_holds(model: Path) -> None:
    own = sum(prod(shape) * 2 for _, shape in tiny_model().values())
    subject = resolve_model(str(model), load_catalog)
    workload = workload_of(subject, Settings(), backend="vllm")
    assert workload.quantization == "BF16"
    assert workload.weights.total_bytes == own
    assert any("the safetensors hold" in note for note in workload.notes)


def test_a_config_is_enough_where_its_files_are_broken(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"nothing")
    subject = resolve_model(str(model), load_catalog)
    assert subject.checkpoint is None
    assert "model.safetensors: has no safetensors header" in subject.notes[0]
