"""Windows' registry, which alone has the whole of a card's memory, and what is told without it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from recorded_source import MEMORY, SPECS, recorded

from advisor.hardware import GpuSpec
from advisor.probes import windows
from advisor.probes.windows import read_windows
from advisor.units import GIB


@pytest.mark.parametrize(
    ("name", "specs", "expected"),
    [
        pytest.param("windows-b580", SPECS, [12 * GIB], id="one-size-is-sold"),
        pytest.param("windows-9060-xt-no-registry", SPECS, [], id="two-sizes-are-sold"),
        pytest.param("windows-b580", (), [2147479552], id="not-in-the-catalog"),
        pytest.param("windows-9060-xt-no-registry", (), [], id="not-in-the-catalog-and-capped"),
    ],
)
def test_windows_without_the_registry(name: str, specs: tuple[GpuSpec, ...], expected: list[int]) -> None:
    reading = read_windows(recorded(name, asked={}), MEMORY, specs)
    assert [found.gpu.vram_bytes for found in reading.gpus] == expected
    assert bool(reading.notes) == (expected != [2147479552])


class Registry:
    """`winreg` over a dict of keys."""

    HKEY_LOCAL_MACHINE = 0

    def __init__(self, keys: dict[str, dict[str, Any]]) -> None:
        self._keys = keys

    def OpenKey(self, _: int, path: str) -> Any:  # noqa: N802 - winreg's name
        number = path.removeprefix(windows.CLASS_KEY + "\\")
        if number not in self._keys:
            raise FileNotFoundError(path)
        values = self._keys[number]

        class Key(SimpleNamespace):
            def __enter__(self) -> Key:
                return self

            def __exit__(self, *_: object) -> None: ...

        return Key(values=values)

    def QueryValueEx(self, key: Any, name: str) -> tuple[Any, int]:  # noqa: N802 - winreg's name
        if name not in key.values:
            raise FileNotFoundError(name)
        return key.values[name], 11


def test_the_registry_is_read_past_gaps_and_whatever_the_values_are() -> None:
    device = {"MatchingDeviceId": "pci\\ven_1002&dev_744c", "DriverDesc": "AMD Radeon RX 7900 XTX"}
    keys = {
        "0000": {**device, windows.MEMORY_VALUE: 25753026560},
        "0002": {**device, windows.MEMORY_VALUE: (25753026560).to_bytes(8, "little")},
        "0003": {"DriverDesc": ["a", "list"]},
    }
    found = windows.registered_adapters(Registry(keys))  # type: ignore[arg-type] # stands for the module
    assert [row["memory"] for row in found] == [25753026560, 25753026560, None]
    assert found[0] == {
        "device": "pci\\ven_1002&dev_744c",
        "name": "AMD Radeon RX 7900 XTX",
        "memory": 25753026560,
    }
    assert found[2] == {"device": None, "name": None, "memory": None}
    assert json.loads(json.dumps(found)) == found  # as recordings keep it
