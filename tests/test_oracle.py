"""llama.cpp's own plan: asked, kept, held against the rules, and everything that can go wrong with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from architectures import architecture
from gguf_files import make_gguf

from advisor import llama_process, oracle, oracle_cache
from advisor.api import machine_of
from advisor.assessment import MemoryEstimate
from advisor.errors import OracleError
from advisor.gguf import read_header
from advisor.gguf.sparse import blueprint_by_rule, blueprint_of_header
from advisor.hardware import Machine
from advisor.i18n import use_language
from advisor.measurements import Trial
from advisor.memory import Footprint, Split, footprint_of
from advisor.model import ModelKind
from advisor.oracle import Asked, prover
from advisor.oracle_cache import Answer
from advisor.placement import estimate_memory, force
from advisor.proof import Proof
from advisor.settings import Settings
from advisor.smoke_failure import Ending, own_words
from advisor.usecase import Method
from advisor.weights import weights_by_rule

RAM = "CPU only, 256 GB RAM, 8 cores"
GPU = "RTX 3070, 32 GB RAM"
ONE = Settings(n_ctx=4096)
FOUR = Settings(n_ctx=2048, n_seqs=4, kv_type="q8_0", kv_unified=True)
EXACT = ("weights_bytes", "kv_cache_bytes", "recurrent_bytes", "output_bytes")
COMPUTE_SHARE = 0.02
"""Of the total: how far a compute buffer by rule may be off."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own for every test, subprocesses included."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return oracle_cache.cache_folder()


class Case:
    """One model under one setting on one machine, estimated by rule."""

    def __init__(self, name: str, settings: Settings, spec: str = RAM, quantization: str = "Q4_K_M") -> None:
        arch = architecture(name)
        self.machine: Machine = machine_of(spec)
        self.settings = settings
        weights = weights_by_rule(arch, quantization)
        self.footprint: Footprint = footprint_of(arch, weights, settings)
        everything = self.footprint.n_layers + 1
        self.split = force(self.footprint, self.machine, everything) if self.machine.gpus else Split()
        self.memory: MemoryEstimate = estimate_memory(
            self.footprint, self.split, self.machine, "config-rules"
        )
        blueprint = partial(blueprint_by_rule, arch, quantization)
        self.asked = Asked(blueprint, settings, ModelKind.CHAT, "llama.cpp")

    def prove(self, method: Method, on_slow: Callable[[], None] | None = None) -> Proof:
        return prover(self.asked, self.machine, method, on_slow)(self.footprint, self.split, self.memory)


TINY = partial(Case, "all-minilm-l6-v2", Settings(n_ctx=512, n_batch=512, embeddings=True))


# ---- the plan against the rules ----


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("llama-3.1-8b", ONE, id="dense"),
        pytest.param("llama-3.1-8b", FOUR, id="dense, four sequences in one q8_0 cache"),
        pytest.param("gemma-3-12b", ONE, id="sliding windows"),
        pytest.param("gemma-3-12b", Settings(n_ctx=4096, swa_full=True), id="sliding windows kept whole"),
        pytest.param(
            "qwen3-30b-a3b", Settings(n_ctx=4096, flash_attn=False), id="experts, no flash attention"
        ),
        pytest.param("deepseek-v2-lite", ONE, id="latent attention"),
        pytest.param("granite-4.0-h-tiny", FOUR.model_copy(update={"kv_unified": False}), id="states"),
        pytest.param("gemma-4-e2b", ONE, id="a tied matrix that the plan has twice"),
        pytest.param("all-minilm-l6-v2", TINY().settings, id="encoder"),
    ],
)
def test_the_plan_proves_the_rules(name: str, settings: Settings) -> None:
    case = Case(name, settings)
    memory, notes = case.prove("probe")
    assert memory.source == "probe"
    assert memory.proven_by is not None
    assert memory.proven_by.startswith("llama.cpp (llama-cpp-python ")
    assert {part: getattr(memory, part) for part in EXACT} == {
        part: getattr(case.memory, part) for part in EXACT
    }
    assert memory.overhead_bytes == case.memory.overhead_bytes
    assert abs(memory.compute_bytes - case.memory.compute_bytes) <= COMPUTE_SHARE * memory.total_bytes
    assert all("for compute than the rules" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"arch": "qwen2"}, id="qwen2"),
        pytest.param({"arch": "gemma3", "n_swa": 128}, id="gemma3"),
        pytest.param({"arch": "qwen3moe", "n_experts": 8}, id="qwen3moe"),
        pytest.param({"arch": "lfm2"}, id="lfm2"),
        pytest.param({"arch": "bert", "n_ctx_train": 512}, id="bert"),
    ],
)
def test_a_file_without_tokenizer_and_weights_plans_as_the_file_itself(
    options: dict[str, Any], tmp_path: Path
) -> None:
    file = make_gguf(tmp_path / "real.gguf", n_layers=4, n_embd=256, n_heads=4, n_ff=512, **options)
    copy = blueprint_of_header(read_header(file)).write(tmp_path / "copy.gguf")
    encodes = options["arch"] == "bert"
    settings = Settings(n_ctx=512, n_batch=512, embeddings=encodes)
    trial = Trial(settings=settings, repack=False, kind=ModelKind.EMBEDDING if encodes else ModelKind.CHAT)
    real, planned = oracle.plan(file, trial, 60), oracle.plan(copy, trial, 60)
    assert real.buffers is not None
    assert real.buffers.exact
    assert planned.buffers == real.buffers


# ---- what cannot be proven ----


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "words"),
    [
        pytest.param(
            Case("nomic-embed-text-v1.5", Settings(n_ctx=2048, embeddings=True, n_outputs_max=64)),
            "GGML_ASSERT(ggml_can_mul_mat(a, b)) failed",
            id="it aborts",
        ),
        pytest.param(
            Case("qwen2.5-0.5b", Settings(n_ctx=256, n_seqs=300)), "n_seq_max must be <= 256", id="too many"
        ),
        pytest.param(
            Case("qwen2.5-0.5b", Settings(flash_attn=False, kv_type="q8_0")),
            "quantized V cache requires flash_attn",
            id="a cache that needs flash attention",
        ),
    ],
)
def test_a_refusal_is_told_in_llamas_words_and_kept(
    case: Case, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, notes = case.prove("auto")
    assert memory == case.memory
    assert notes[0].startswith("memory is by rule: llama.cpp (")
    assert words in notes[0]
    monkeypatch.setattr(llama_process, "run_child", _nobody)
    with pytest.raises(OracleError) as caught:
        case.prove("probe")
    assert words in str(caught.value)
    assert str(caught.value).endswith(": use --method rules")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_gpus_that_the_library_does_not_see_leave_the_placement_to_the_rules() -> None:
    case = Case("llama-3.1-8b", ONE, GPU)
    memory, notes = case.prove("auto")
    assert memory == case.memory
    assert "agrees on weights, cache and state; it sees no such GPU" in notes[0]
    with pytest.raises(OracleError, match=r"sees no GPU here.*GeForce RTX 3070.*--accelerator cpu"):
        case.prove("probe")


def test_large_states_are_not_allocated_for_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_process, "run_child", _nobody)
    memory, notes = Case("granite-4.0-h-tiny", Settings(n_ctx=512, n_seqs=64)).prove("auto")
    assert memory.proven_by is None
    assert "would allocate" in notes[0]


def test_no_room_for_the_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("advisor.gguf.sparse.Blueprint.write", full)
    assert "cannot be written to the temporary folder (No space left" in TINY().prove("auto").notes[0]


def test_other_backends_are_not_asked_about() -> None:
    case = TINY()
    case.asked = case.asked._replace(backend="ollama")
    assert case.prove("auto") == Proof(case.memory)
    with pytest.raises(OracleError, match=r"asks llama\.cpp, not ollama"):
        case.prove("probe")


def test_a_time_limit_is_kept_until_more_time_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that tells nothing and does not end."""
    hang = (sys.executable, "-c", "import time; time.sleep(60)")
    monkeypatch.setattr(llama_process, "COMMAND", hang)
    monkeypatch.setattr(oracle, "QUICK_S", 0.2)
    assert "no answer within 0.2 s" in TINY().prove("auto").notes[0]
    monkeypatch.setattr(llama_process, "run_child", _nobody)
    assert "no answer within 0.2 s" in TINY().prove("auto").notes[0]
    with pytest.raises(AssertionError, match="a process was started"):
        TINY().prove("probe")


def test_a_refusal_in_another_language_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_process, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(oracle, "QUICK_S", 0.2)
    use_language("ko")
    assert "no answer" not in TINY().prove("auto").notes[0]
    use_language("en")
    assert "no answer within 0.2 s" in TINY().prove("auto").notes[0]


def test_the_process_speaks_the_language_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "import json, os; print(json.dumps({'missing': os.environ['LANGUAGE']}))"
    monkeypatch.setattr(llama_process, "COMMAND", (sys.executable, "-c", told))
    monkeypatch.setenv("LANGUAGE", "ko")
    assert llama_process.run_child((), 60).news["missing"] == "en"


def test_a_process_that_the_system_killed_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = (sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(llama_process, "COMMAND", killed)
    assert "the system killed it while llama.cpp was loaded" in TINY().prove("auto").notes[0]
    monkeypatch.setattr(llama_process, "run_child", _nobody)
    with pytest.raises(AssertionError, match="a process was started"):
        TINY().prove("auto")


def test_who_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = (sys.executable, "-c", "import time; time.sleep(60)")
    monkeypatch.setattr(llama_process, "COMMAND", hang)
    monkeypatch.setattr(oracle, "QUICK_S", 0.4)
    monkeypatch.setattr(oracle, "NOTICED_S", 0.0)
    told: list[str] = []
    TINY().prove("auto", lambda: told.append("slow"))
    assert told == ["slow"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param(
            ["x/ggml.c:3354: GGML_ASSERT(a == b) failed"], "GGML_ASSERT(a == b) failed", id="assert"
        ),
        pytest.param(
            [
                "llama_model_load: error loading model: unknown model architecture: 'x'",
                "failed to load model",
            ],
            "unknown model architecture: 'x'",
            id="architecture",
        ),
        pytest.param(
            ["error loading model: error loading model hyperparameters: key not found in model: x.y"],
            "key not found in model: x.y",
            id="key",
        ),
        pytest.param(
            ["all is well"], "it was ended by SIGABRT while llama.cpp planned its memory", id="none"
        ),
    ],
)
def test_own_words(lines: list[str], words: str) -> None:
    assert own_words(Ending(status=-6, stage="plan", log=tuple(lines)), limit_s=5) == words


# ---- answers that are kept ----


def _nobody(*_: object) -> NoReturn:
    raise AssertionError("a process was started")


ANSWER = Answer(refusal="because", limit_s=None)


@pytest.mark.slow
def test_an_answer_is_asked_for_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = TINY().prove("probe")
    (file,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(llama_process, "run_child", _nobody)
        assert TINY().prove("probe") == first
        with pytest.raises(AssertionError, match="a process was started"):
            TINY(quantization="F16").prove("probe")
    for broken in (b"", b"{", b'{"buffers": 1}', b"\xff" * 100_000):
        file.write_bytes(broken)
        assert oracle_cache.kept(cache, file.stem) is None
    assert TINY().prove("probe") == first
    assert oracle_cache.kept(cache, file.stem) is not None


def test_another_build_or_device_is_another_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint, trial = TINY().asked.blueprint(), Trial(settings=ONE)
    lib = tmp_path / "lib"
    lib.mkdir()
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(lib))
    keys = [oracle._key(blueprint, trial), oracle._key(blueprint, trial)]
    assert keys[0] == keys[1]
    (lib / "libllama.so").write_bytes(b"1")
    keys.append(oracle._key(blueprint, trial))
    (lib / "libllama.so").write_bytes(b"22")
    keys.append(oracle._key(blueprint, trial))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    keys.append(oracle._key(blueprint, trial))
    keys.append(oracle._key(blueprint._replace(data_bytes=1), trial))
    keys.append(oracle._key(blueprint, trial.model_copy(update={"n_gpu_layers": 1})))
    assert len(set(keys[1:])) == len(keys) - 1


def test_the_folder_stays_small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_cache, "MAX_FILES", 20)
    monkeypatch.setattr(oracle_cache, "KEPT_FILES", 10)
    for number in range(21):
        oracle_cache.keep(cache, f"{number:02}", ANSWER)
        os.utime(cache / f"{number:02}.json", (number, number))
    assert len(list(cache.iterdir())) == 10
    assert oracle_cache.kept(cache, "00") is None
    assert oracle_cache.kept(cache, "20") == ANSWER


def test_several_writers_do_no_harm(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_cache, "MAX_FILES", 4)
    monkeypatch.setattr(oracle_cache, "KEPT_FILES", 2)
    seen: list[Answer | None] = []

    def work(number: int) -> None:
        oracle_cache.keep(cache, f"{number % 8}", ANSWER)
        seen.append(oracle_cache.kept(cache, f"{(number + 1) % 8}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert set(seen) <= {ANSWER, None}
    assert all(oracle_cache.kept(cache, file.stem) == ANSWER for file in cache.iterdir())


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    oracle_cache.keep(tmp_path / "file", "x", ANSWER)
    assert oracle_cache.kept(tmp_path / "file", "x") is None


def test_rules_look_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "find_spec", _nobody)
    case = TINY()
    assert case.prove("rules") == Proof(case.memory)
