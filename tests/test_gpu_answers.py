"""What tools print and files hold, damaged and hostile: no probe for GPUs may stop, or believe nonsense."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_source import NAMES, document, read, recorded

from advisor.probes import amd_names, intel_names
from advisor.probes.answers import json_answer, rows, size, whole
from advisor.units import GIB, MIB

HOSTILE: Final = {
    "empty": "",
    "words": "command not found",
    "half": '{"gpu_data": [{"gpu": 0, "asic": {"market_',
    "deep": "[" * 200_000,
    "deep-objects": '{"a":' * 200_000,
    "numbers": "[" + "9" * 10_000 + "]",
    "not-finite": '[{"gpu": 0, "asic": {}, "vram": {"size": {"value": 1e999}}, "AdapterRAM": NaN}]',
    "negative": '[{"gpu": 0, "asic": {}, "vram": {"size": -5}, "device_id": -1}]',
    "wrong-kinds": '{"gpu_data": [{"gpu": [], "asic": 5, "bus": "x", "vram": []}, 7, null]}',
    "wide": json.dumps([{"gpu": n, "asic": {}, "device_id": 99} for n in range(2_000)]),
    "names": json.dumps({"card0": {"Card series": "[" * 300_000, "PCI Bus": ":" * 300_000}}),
    "table": "| 0 " + "a " * 300_000 + "| OK | x |\n| 0 | 0000:01:00.0 | " + "1/" * 300_000 + " |",
    "nul": "\x00\ud800" * 100,
}
TOOLS: Final = {name: sorted(document(name).get("tools", {})) for name in NAMES}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", [name for name in NAMES if TOOLS[name]])
def test_hostile_answers_are_notes_at_worst(name: str, text: str) -> None:
    reading = read(recorded(name, tools=dict.fromkeys(TOOLS[name], text)))
    assert all(found.gpu.vram_bytes >= 0 for found in reading.gpus)


WORDS: Final = """
gpu gpu_data asic bus bdf vram size value unit mem_usage used_vram total_vram market_name card0 device_list
device_id device_name pci_bdf_address memory_physical_size_byte memory_free_size_byte Name AdapterRAM device
PNPDeviceID CL_DEVICE_GLOBAL_MEM_SIZE CL_DEVICE_VENDOR CL_DEVICE_TYPE memory name
"""
KEYS: Final = st.sampled_from(WORDS.split()) | st.text(max_size=4)
LEAVES: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["Intel", "GPU", "0000:03:00.0", "24560 MB", "N/A", "0x744c", "PCI\\VEN_1002&DEV_744C"])
)
DOCUMENTS: Final = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
).map(json.dumps)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_answer_stops_a_probe(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    answer = st.text(max_size=40) | DOCUMENTS
    parts = document(name)
    files = dict(parts.get("files", {}))
    for path in data.draw(st.lists(st.sampled_from(sorted(files) or [""]), max_size=4)):
        files[path] = data.draw(st.text(max_size=30) | st.integers().map(str))
    changed = {
        "files": files,
        "tools": {line: data.draw(answer) for line in TOOLS[name]},
        "asked": {
            question: json.loads(data.draw(DOCUMENTS), parse_constant=str)
            for question in parts.get("asked", {})
        },
    }
    for found in read(recorded(name, **changed)).gpus:
        assert found.gpu.vram_bytes >= 0
        assert found.gpu.free_bytes is None or found.gpu.free_bytes >= 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"value": 24560, "unit": "MB"}, 24560 * MIB, id="rocm-7"),
        pytest.param({"value": "24560", "unit": "MB"}, 24560 * MIB, id="text-value"),
        pytest.param("24560 MB", 24560 * MIB, id="with-unit"),
        pytest.param(24560, 24560 * MIB, id="bare"),
        pytest.param("192 GB", 192 * GIB, id="gib"),
        pytest.param({"value": 1.5, "unit": "GiB"}, 1536 * MIB, id="fraction"),
        pytest.param({"value": "N/A", "unit": "MB"}, None, id="not-available"),
        pytest.param({"value": 5, "unit": "furlongs"}, None, id="unit-unknown"),
        pytest.param(-5, None, id="negative"),
        pytest.param(True, None, id="flag"),
        pytest.param(10**30, None, id="too-large"),
        pytest.param(float("nan"), None, id="nan"),
    ],
)
def test_size(value: Any, expected: int | None) -> None:
    assert size(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("WARNING: group [render] is missing\n[1]", [1], id="warning-with-brackets"),
        pytest.param('{"a": 1}\ntrailing', {"a": 1}, id="words-after"),
        pytest.param("nothing", None, id="no-json"),
        pytest.param(None, None, id="no-answer"),
    ],
)
def test_json_answer(text: str | None, expected: Any) -> None:
    assert json_answer(text) == expected


def test_rows_and_numbers() -> None:
    assert rows({"gpu_data": [{"gpu": 0}, 5]}) == ({"gpu": 0},)
    assert rows([{"gpu": 0}, None]) == ({"gpu": 0},)
    assert rows({"gpu": 0}) == ({"gpu": 0},)
    assert rows("text") == ()
    assert [whole(value) for value in ("12", " 7\n", "٣", 3.0, True, -1, "x", None)] == [
        12,
        7,
        3,
        *[None] * 5,
    ]


@pytest.mark.parametrize(
    "names",
    [amd_names.NAMES, amd_names.INTEGRATED, intel_names.DISCRETE, intel_names.INTEGRATED],
    ids=["amd", "amd-integrated", "intel", "intel-integrated"],
)
def test_tables_of_names_are_sorted_and_lower_case(names: dict[str, str]) -> None:
    assert list(names) == sorted(names)
    assert all(number == number.lower() for number in names)
    assert all(name.startswith(("AMD ", "Intel(R) ")) for name in names.values())
