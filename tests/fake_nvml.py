"""A stand-in for `pynvml` that replays recorded answers (tests/machines/nvml)."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pynvml

RECORDED: Final = Path(__file__).parent / "machines" / "nvml"


def told(answer: Any) -> Any:
    """A recorded answer, or the error that NVML gave instead of one."""
    if isinstance(answer, dict) and "error" in answer:
        raise pynvml.NVMLError(answer["error"])
    return answer


class FakeNvml(ModuleType):
    """Answers from a recording; names that it lacks, errors and constants, are the real module's."""

    def __init__(self, name: str) -> None:
        super().__init__("pynvml")
        self.recording = json.loads((RECORDED / f"{name}.json").read_text())
        self.open = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(pynvml, name)

    def nvmlInit(self) -> None:  # noqa: N802  # NVML's own names, here and below
        told(self.recording.get("init"))
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> Any:  # noqa: N802
        return told(self.recording["driver"])

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(told(self.recording["cards"]))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        return self.recording["cards"][index]

    def nvmlDeviceGetName(self, card: Any) -> Any:  # noqa: N802
        return told(card["name"])

    def nvmlDeviceGetMemoryInfo(self, card: Any) -> Any:  # noqa: N802
        return SimpleNamespace(total=told(card["total"]), free=told(card["free"]))

    def nvmlDeviceGetCudaComputeCapability(self, card: Any) -> Any:  # noqa: N802
        return told(card["capability"])

    def nvmlDeviceGetMaxPcieLinkGeneration(self, card: Any) -> Any:  # noqa: N802
        return told(card["pcie"])[0]

    def nvmlDeviceGetMaxPcieLinkWidth(self, card: Any) -> Any:  # noqa: N802
        return told(card["pcie"])[1]

    def nvmlDeviceGetNvLinkState(self, card: Any, number: int) -> Any:  # noqa: N802
        return _at(card.get("nvlinks", []), number, pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlDeviceGetComputeRunningProcesses(self, card: Any) -> Any:  # noqa: N802
        return [SimpleNamespace(pid=n, usedGpuMemory=size) for n, (_, size) in enumerate(_users(card))]

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: Any) -> Any:  # noqa: N802
        return self.nvmlDeviceGetComputeRunningProcesses(card)[:1]  # one that draws as well

    def nvmlSystemGetProcessName(self, pid: int) -> Any:  # noqa: N802
        return [name for card in self.recording["cards"] for name, _ in _users(card)][pid]

    def nvmlDeviceGetMigMode(self, card: Any) -> Any:  # noqa: N802
        if "mig" not in card:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [pynvml.NVML_DEVICE_MIG_ENABLE] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Any) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Any, index: int) -> Any:  # noqa: N802
        return _at(card["mig"], index, pynvml.NVML_ERROR_NOT_FOUND)


def _users(card: Any) -> list[tuple[str, int | None]]:
    return [tuple(user) for user in card.get("users", [])]


def _at(answers: list[Any], index: int, error: int) -> Any:
    if index >= len(answers) or answers[index] is None:
        raise pynvml.NVMLError(error)
    return answers[index]
