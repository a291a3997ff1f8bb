"""What every command prints, its help included, in English and in Korean, which has no English in it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from deployments import CASES
from entry import run
from factories import candidate, gpu, machine, speed
from test_detect import CONTAINER
from test_doctor import ILL, recorded_machine
from test_smoke_verdict import warned
from texts import commands
from untranslated import english_in

from advisor.cli.show_smoke import show_smoke_result
from advisor.cost import ApiPrice, Sources, compare, held_against
from advisor.demand import Demand
from advisor.doctor import checks, examination
from advisor.i18n import LANGUAGES, use_language
from advisor.local_cost import LocalSide
from advisor.machine_cost import Given, machine_terms
from advisor.prices import load_cost_catalog
from advisor.probes.recording import Recorded
from advisor.rendering import render
from advisor.report import cost_report
from advisor.usecase import Requirements

Golden = Callable[[str, str], None]
SMALL = ("--hardware", "RTX 3070 8 GB, 32 GB RAM")
LARGE = ("--hardware", "2x RTX 4090, 64 GB RAM")
TINY = ("--hardware", "M2 8 GB")

OUTPUTS = {
    "estimate": ("estimate", "qwen3-8b", "--limits", *SMALL),
    "estimate-split": ("estimate", "qwen3-32b", *SMALL),
    "estimate-none": ("estimate", "llama-3.3-70b-instruct", *SMALL),
    "estimate-vllm": ("estimate", "qwen3-32b", "--backend", "vllm", "--parallel", "4", *LARGE),
    "estimate-beside": ("estimate", "qwen3-8b", "--draft", "qwen3-0.6b:Q8_0", "--with", "bge-m3", *SMALL),
    "estimate-embedder": ("estimate", "bge-m3", *SMALL),
    "recommend": ("recommend", "--use-case", "coding", *SMALL),
    "recommend-rag": ("recommend", "--use-case", "rag", "--language", "ko", *SMALL),
    "recommend-users": ("recommend", "--users", "8", *LARGE),
    "recommend-none": ("recommend", "--min-tok-s", "500", *TINY),
    "recommend-pick": ("recommend", "--explain", "qwen3.5-9b", *SMALL),
    "recommend-rejected": ("recommend", "--explain", "llama-3.3-70b-instruct", *TINY),
    "models-search": ("models", "search", "exaone"),
    "models-show": ("models", "show", "qwen3-8b"),
    "models-compare": ("models", "compare", "qwen3-8b", "gpt-oss-20b", *SMALL),
    "models-none": ("models", "search", "nothing like it"),
    "hardware-list": ("hardware", "list", "4090"),
    "hardware-show": ("hardware", "show", "rtx-4090"),
    "hardware-preset": ("hardware", "show", "rtx-4090-workstation"),
    "doctor-planned": ("doctor", "--hardware", "Titan Xp"),
}
"""Command lines by the name of their golden file."""


def said(*words: str, language: str) -> str:
    """Everything that a command prints, errors behind the rest, without spaces at the ends of lines."""
    result = run(*words, "--locale", language)
    return tidy(result.stdout + result.stderr)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the command line are printed: not those of who runs the tests."""
    monkeypatch.setattr(sys, "argv", ["advisor", "…"])


def tidy(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def check(name: str, language: str, text: str, golden: Golden) -> None:
    golden(f"{language}/{name}.txt", text)
    if language == "ko":
        assert english_in(text) == []


REFUSED = (
    "nothing",
    "estimate",
    "estimate qwen3-8",
    "estimate qwen3-8b qwen3-4b",
    "estimate missing.gguf",
    "estimate bad.gguf",
    "estimate bad.json",
    "estimate owner/name",
    "estimate qwen3-8b --ctx 0",
    "estimate qwen3-8b --ctx many",
    "estimate qwen3-8b --kv-type q9",
    "estimate qwen3-8b --quant Q9_X",
    "estimate qwen3-8b --n-gpu-layers all",
    "estimate qwen3-8b --backend vllm --n-gpu-layers 3",
    "estimate qwen3-8b --backend vllm --limits",
    "estimate qwen3-8b --backend vllm --lora 16",
    "estimate qwen3-8b --kv-type fp8",
    "estimate qwen3-8b --lora 0",
    "estimate qwen3-8b --lora missing.gguf",
    "estimate qwen3-8b --mmproj F16",
    "estimate qwen3-8b --image-tokens 5",
    "estimate qwen3-8b --draft bge-m3",
    "estimate qwen3-8b --with bge-m3@many",
    "estimate qwen3-8b --method probe --lora 16",
    "estimate qwen3-8b --hardware RTX-9999",
    "estimate qwen3-8b --hardware RTX",
    "estimate qwen3-8b --hardware 5",
    "estimate qwen3-8b --hardware missing.json",
    "estimate qwen3-8b --hardware bad.json",
    "estimate qwen3-8b --hardware M2 --accelerator cuda",
    "recommend --yes --answers missing.yaml",
    "recommend --yes --answers bad.yaml",
    "recommend --yes --answers odd.yaml",
    "recommend --yes --answers wrong.yaml",
    "recommend --yes --backend onnx",
    "recommend --yes --backend vllm --kv-type q8_0",
    "recommend --yes --hardware M2 --explain qwen",
    "recommend --yes --hardware M2 --explain bge-m3",
    "recommend --yes --hardware M2 --save missing/plan.json",
    "recommend --yes --hardware M2 --save bad.json",
    "recommend --yes --hardware M2 --save .",
    "recommend --yes --min-tok-s 0",
    "smoke-test missing.gguf",
    "deploy missing.json --out serve",
    "deploy bad.json --out serve",
    "deploy odd.json --out serve",
    "deploy list.json --out serve",
    "deploy bad.json",
    "deploy bad.json --out serve --bind here",
    "deploy bad.json --out serve --target kubernetes",
    "cost missing.json",
    "cost --api no-such-model",
    "cost --api openai/gpt-6-lunar",
    "cost --requests-per-day nan",
    "cost --months 0",
    "cost --months",
    "cost --json=1",
    "models",
    "models show nothing",
    "models list --max-params few",
    "models compare qwen3-8b",
    "models compare qwen3-8b nothing",
    "models add nothing",
    "models add owner/name --as A",
    "models add Qwen/Qwen3-8B",
    "models add owner/name --released today",
    "models sync nothing",
    "models check nothing --offline",
    "hardware show nothing",
    "hardware list nothing",
    "hardware list --only rams",
    "doctor --from missing.md",
    "doctor --from bad.json",
    "doctor --from a --out b",
    "--locale fr",
    "--no-such-flag",
)
"""Wrong command lines, in a folder with broken files."""
BROKEN = {
    "bad.gguf": "GGUF?",
    "bad.json": "{",
    "odd.json": '{"schema_version": 7}',
    "list.json": "[]",
    "bad.yaml": "- a list",
    "odd.yaml": "colour: blue",
    "wrong.yaml": "users: none",
}

in_both = pytest.mark.parametrize("language", LANGUAGES)


@in_both
@pytest.mark.parametrize("name", OUTPUTS)
def test_output(name: str, language: str, golden: Golden) -> None:
    words = OUTPUTS[name] + (("--yes",) if name.startswith("recommend") else ())
    check(name, language, said(*words, language=language), golden)


@in_both
@pytest.mark.parametrize("words", ["", *(name for name, _command in commands())])
def test_help(words: str, language: str, golden: Golden) -> None:
    name = f"help/{words.replace(' ', '-') or 'advisor'}"
    check(name, language, said(*words.split(), "--help", language=language), golden)


@in_both
def test_detect(language: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    here = CONTAINER.model_copy(update={"notes": ()})
    machines = SimpleNamespace(detect_with_versions=lambda: here, detect=lambda: here)
    monkeypatch.setitem(sys.modules, "advisor.machines", machines)
    check("detect", language, said("detect", language=language), golden)


@in_both
def test_doctor(language: str, golden: Golden, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report of an ill machine, and the page that is written down, without its recording."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("advisor.probes.source.Live", lambda: Recorded(ILL))
    monkeypatch.setattr(examination, "read_machine", recorded_machine)
    monkeypatch.setattr(examination, "date", SimpleNamespace(today=lambda: date(2026, 11, 21)))
    monkeypatch.setattr(checks, "catalogs", lambda: checks.Check(name="catalogs", status="ok", detail="…"))
    told = said("doctor", "--out", "doctor.md", language=language)
    page, _fence, _recording = Path("doctor.md").read_text(encoding="utf-8").partition("```")
    check("doctor", language, f"{told}== doctor.md\n{page}", golden)


@in_both
def test_smoke_test(language: str, golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    use_language(language)
    show_smoke_result(warned())
    check("smoke-test", language, tidy(capsys.readouterr().out), golden)


@in_both
def test_cost(language: str, golden: Golden) -> None:
    use_language(language)
    apis = (
        ApiPrice(name="maker/large", usd_per_request=Decimal("0.016"), context_window=400_000),
        ApiPrice(name="maker/small", usd_per_request=Decimal("0.0000004"), context_window=1000),
    )
    on = machine(gpu())
    terms = machine_terms(on, candidate(), load_cost_catalog(), "kr", Given())
    local = LocalSide(machine=on.title, model="Qwen2.5 7B", n_ctx=8192, speed=speed(), terms=terms)
    sources = Sources(genai_prices="0.2.3", genai_prices_published=None, catalog=date(2026, 11, 21))
    compared = compare(Demand(), apis, local, stated=(), sources=sources)
    needs = Requirements(privacy="local-only", budget_usd=10)
    report = cost_report(held_against(compared, needs)).replace(speed().basis, "…")
    check("cost", language, report, golden)


@pytest.mark.parametrize("target", ["compose", "script"])
@pytest.mark.parametrize("name", ["rag", "ollama-rocm", "vllm-two-gpus", "llama-cpp-local-files"])
def test_deployed_files(name: str, target: str, golden: Golden) -> None:
    """In Korean: in English they are compared one by one."""
    plan, options = CASES[name]
    use_language("ko")
    rendering = render(plan, options.model_copy(update={"target": target}))
    files = "".join(f"== {file.path}\n{file.text}" for file in rendering.files)
    check(f"deploy/{name}-{target}", "ko", "\n".join((files, *rendering.warnings)), golden)


@in_both
def test_deploy_tells_what_it_wrote(language: str, golden: Golden, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(CASES["rag"][0].model_dump_json(), encoding="utf-8")
    told = said("deploy", str(file), "--out", str(tmp_path / "serve"), language=language)
    check("deploy", language, told.replace(str(tmp_path), "/folder"), golden)


@pytest.mark.parametrize("words", REFUSED)
def test_refusals_are_in_korean(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    told = said(*words.split(), language="ko").replace(str(tmp_path), "")
    assert re.search("[가-힣]", told)
    assert english_in(told) == []


@pytest.mark.parametrize("name", ["estimate", "recommend"])
def test_json_has_the_same_shape(name: str) -> None:
    """What people read in it is in their language, what programs read is not."""

    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value)

    english, korean = (
        json.loads(run(*OUTPUTS[name], "--json", "--locale", language).stdout) for language in ("en", "ko")
    )
    assert shape(korean) == shape(english)
    assert re.search("[가-힣]", json.dumps(korean, ensure_ascii=False))
    for key in ("fits", "quantization", "backend", "use_case"):
        assert korean.get(key) == english.get(key)


@pytest.mark.parametrize(
    ("text", "is_english"),
    [
        pytest.param("속도     28 tok/s (19~37)", False, id="figures"),
        pytest.param("시작     llama-server -hf a/b:Q4_K_M -c 8192 --port 8080", False, id="command"),
        pytest.param("GPU      GeForce RTX 3060 Laptop", False, id="name"),
        pytest.param("참고: memory by rule", True, id="two words and a small one"),
        pytest.param("참고: nothing was left", True, id="three words"),
        pytest.param("대역폭   unknown", True, id="one word"),
        pytest.param("  --users 정수   Requests served at once.", True, id="help"),
    ],
)
def test_english_is_found(text: str, is_english: bool) -> None:
    assert bool(english_in(text)) is is_english
