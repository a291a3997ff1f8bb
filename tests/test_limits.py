"""The questions turned round: what is named fits, one step more does not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from architectures import architecture
from simulated import machine

from advisor.api import machine_of
from advisor.errors import ConfigError
from advisor.hardware import Machine
from advisor.limits import (
    MAX_SEQS,
    Change,
    Holds,
    Question,
    best_quantization,
    holds_anywhere,
    holds_on_gpus,
    limits_of,
    longest_context,
    most_sequences,
    remedies,
    would_fit,
)
from advisor.quantization import MIXES, base_bits
from advisor.settings import CELL_PADDING, Settings
from advisor.units import GIB
from advisor.weights import weights_by_rule


def question(name: str, where: Machine, quantization: str = "Q4_K_M", **settings: Any) -> Question:
    arch = architecture(name)
    return Question(
        architecture=arch,
        weights=weights_by_rule(arch, quantization),
        quantization=quantization,
        settings=Settings(**settings),
        machine=where,
        weights_in=lambda q: weights_by_rule(arch, q),
    )


CASES = [
    pytest.param("llama-3.1-8b", machine(8), id="8B on 8 GiB"),
    pytest.param("llama-3.1-8b", machine(6.5, ram_gib=12), id="a card with little free memory"),
    pytest.param("llama-3.1-70b", machine(24, 24, ram_gib=64), id="70B on two GPUs"),
    pytest.param("llama-3.1-70b", machine((24, 1000), (16, 700), ram_gib=40), id="unlike GPUs"),
    pytest.param("qwen3-30b-a3b", machine(12, ram_gib=24), id="a mixture"),
    pytest.param("gemma-3-12b", machine(10), id="windows and tied embeddings"),
    pytest.param("granite-4.0-h-tiny", machine(ram_gib=8), id="a hybrid in RAM"),
    pytest.param("llama-3.1-8b", machine_of("M2 8 GB"), id="one pool"),
]
ROOMS = [pytest.param(holds_anywhere, id="anywhere"), pytest.param(holds_on_gpus, id="on GPUs")]


@pytest.mark.parametrize("holds", ROOMS)
@pytest.mark.parametrize(("name", "where"), CASES)
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_the_longest_context(name: str, where: Machine, kv_type: str, holds: Holds) -> None:
    asked = question(name, where)
    longest = longest_context(asked, holds, kv_type=kv_type)
    trained = asked.architecture.n_ctx_train

    def fits(n_ctx: int) -> bool:
        return holds(asked.footprint(n_ctx=n_ctx, kv_type=kv_type), where)

    if longest is None:
        assert not fits(CELL_PADDING)
        return
    assert fits(longest)
    assert longest == trained or (longest % CELL_PADDING == 0 and not fits(longest + 1))


@pytest.mark.parametrize("holds", ROOMS)
@pytest.mark.parametrize(("name", "where"), CASES)
def test_the_most_sequences(name: str, where: Machine, holds: Holds) -> None:
    asked = question(name, where, n_ctx=4096)
    most = most_sequences(asked, holds)
    if most is not None:
        assert holds(asked.footprint(n_seqs=most), where)
    more = (most or 0) + 1
    assert most == MAX_SEQS or not holds(asked.footprint(n_seqs=more), where)


@pytest.mark.parametrize("holds", ROOMS)
@pytest.mark.parametrize(("name", "where"), CASES)
def test_the_finest_quantization(name: str, where: Machine, holds: Holds) -> None:
    asked = question(name, where)

    def fits(quantization: str) -> bool:
        try:
            return holds(question(name, where, quantization).footprint(), where)
        except ConfigError:
            return False

    best = best_quantization(asked, holds)
    if best is not None:
        assert fits(best)
    finer = [q for q in MIXES if best is None or base_bits(q) > base_bits(best)]
    assert [q for q in finer if q in ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M") and fits(q)] == []


def test_a_model_that_fits_has_nothing_to_change() -> None:
    limits = limits_of(question("llama-3.1-8b", machine(24)))
    assert limits.would_fit == limits.would_fit_on_gpus == ()
    assert limits.on_gpus is not None
    assert limits.on_gpus.quantization == "F16"
    assert limits.n_gpu_layers == 33


def test_without_gpus_there_is_one_kind_of_room() -> None:
    limits = limits_of(question("llama-3.1-8b", machine(ram_gib=16)))
    assert limits.on_gpus is None
    assert limits.would_fit_on_gpus == ()
    assert limits.n_gpu_layers == 0


CHANGES = [
    pytest.param(
        "llama-3.1-8b", machine(8, ram_gib=1), {"n_ctx": 32768}, holds_anywhere, id="a long context"
    ),
    pytest.param("llama-3.1-8b", machine(ram_gib=8), {"n_seqs": 8}, holds_anywhere, id="many users"),
    pytest.param("llama-3.1-70b", machine(12, ram_gib=20), {}, holds_anywhere, id="far too large"),
    pytest.param("llama-3.1-70b", machine((24, 1000), (16, 700)), {}, holds_on_gpus, id="not all on GPUs"),
    pytest.param("llama-3.1-70b", machine_of("M1 Max 32 GB"), {}, holds_anywhere, id="one pool"),
]


@pytest.mark.parametrize(("name", "where", "settings", "holds"), CHANGES)
def test_every_change_alone_is_enough(
    name: str, where: Machine, settings: dict[str, Any], holds: Holds
) -> None:
    asked = question(name, where, **settings)
    changes = would_fit(asked, holds)
    assert changes
    assert not holds(asked.footprint(), where)
    for change in changes:
        assert holds(*_changed(asked, change))
        assert str(change.to) in change.text or isinstance(change.to, int)


@pytest.mark.parametrize(("name", "where", "settings", "holds"), CHANGES)
def test_a_gib_less_is_not_enough(name: str, where: Machine, settings: dict[str, Any], holds: Holds) -> None:
    asked = question(name, where, **settings)
    memory = [c for c in would_fit(asked, holds) if c.change in ("ram", "gpu_memory") and c.to != GIB]
    for change in memory:
        less = change.model_copy(update={"to": int(change.to) - GIB})
        assert not holds(*_changed(asked, less))


def _changed(asked: Question, change: Change) -> tuple[Any, Machine]:
    where = asked.machine
    if change.change in ("ram", "gpu_memory"):
        return asked.footprint(), _grown(where, change)
    if change.change == "quantization":
        return asked.footprint().with_weights(asked.weights_in(str(change.to))), where
    return asked.footprint(**{change.change: change.to}), where


def _grown(where: Machine, change: Change) -> Machine:
    more = int(change.to)
    ram = where.host_capacity_bytes + more * (change.change == "ram")
    memory = where.host.memory.model_copy(update={"available_bytes": ram, "total_bytes": ram})
    largest = max(where.gpus, key=lambda gpu: gpu.capacity_bytes, default=None)
    gpus = tuple(
        gpu.model_copy(update={"free_bytes": gpu.capacity_bytes + more})
        if gpu.unified or (gpu is largest and change.change == "gpu_memory")
        else gpu
        for gpu in where.gpus
    )
    host = where.host.model_copy(update={"memory": memory})
    return where.model_copy(update={"host": host, "gpus": gpus})


def test_the_cheapest_change_comes_first() -> None:
    changes = would_fit(question("llama-3.1-8b", machine(ram_gib=8), n_seqs=4), holds_anywhere)
    order = ["kv_type", "n_seqs", "n_ctx", "quantization", "ram"]
    assert [c.change for c in changes] == [kind for kind in order if kind in {c.change for c in changes}]
    assert len(changes) > 2


def test_layers_asked_for_are_what_does_not_fit() -> None:
    (change,) = remedies(question("llama-3.1-8b", machine(4)))
    assert (change.change, change.to) == ("n_gpu_layers", "auto")


def estimate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "advisor", "estimate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_estimate_says_what_would_fit() -> None:
    hardware = ("--hardware", "RTX 3060 12 GB, 32 GB RAM")
    shown = estimate("llama-3.3-70b-instruct", "--ctx", "32768", *hardware)
    assert shown.returncode == 1
    assert "would fit with --quant" in shown.stdout
    assert "GiB more RAM" in shown.stdout
    document = json.loads(estimate("llama-3.3-70b-instruct", "--ctx", "32768", "--json", *hardware).stdout)
    assert document["limits"] is None
    assert {"quantization", "ram", "gpu_memory"} <= {change["change"] for change in document["would_fit"]}


def test_estimate_gives_the_limits() -> None:
    hardware = ("--hardware", "2x RTX 4090, 64 GB RAM")
    limits = json.loads(estimate("llama-3.3-70b-instruct", "--limits", "--json", *hardware).stdout)["limits"]
    assert limits["on_gpus"]["quantization"] == "Q4_K_M"
    assert limits["on_gpus"]["n_ctx"] < limits["on_gpus"]["n_ctx_q8_0"] < limits["anywhere"]["n_ctx"]
    shown = estimate("llama-3.3-70b-instruct", "--limits", *hardware)
    assert f"{limits['on_gpus']['n_ctx']:,}" in shown.stdout


def test_limits_are_llama_cpps() -> None:
    refused = estimate("qwen3-8b", "--limits", "--backend", "vllm", "--hardware", "RTX 4090")
    assert refused.returncode == 2
    assert "--limits" in refused.stderr
