"""Deployment files from a plan: templates filled in, every value quoted for the file it goes into."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from advisor.deployment import Options, Service, services
from advisor.i18n import _
from advisor.model import ModelKind
from advisor.output import write_folder
from advisor.plan import Recommendation
from advisor.plans import chosen
from advisor.quoting import by_flag, dotenv, line, scalar
from advisor.resources import TEMPLATES_DIR
from advisor.value import Value

if TYPE_CHECKING:
    from jinja2 import Environment

_API_KEYS: Final = {"llama.cpp": "LLAMA_API_KEY", "vllm": "VLLM_API_KEY"}
"""Engines that can ask for a key, and the variable they read it from; Ollama has none."""


class RenderedFile(Value):
    """One file of a deployment."""

    path: str
    """Name inside the output folder."""
    text: str
    sha256: str
    """Hex digest of the text as UTF-8."""

    @classmethod
    def of(cls, path: str, text: str) -> RenderedFile:
        """Digest the text."""
        return cls(path=path, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())

    @property
    def n_bytes(self) -> int:
        """Size on disk."""
        return len(self.text.encode())


class Rendering(Value):
    """The files of a deployment, and what to do with them."""

    services: tuple[Service, ...]
    files: tuple[RenderedFile, ...]
    commands: tuple[str, ...]
    """To be run in the output folder, in their order: start, check, stop (a script is stopped by Ctrl-C)."""
    warnings: tuple[str, ...] = ()


def render(plan: Recommendation, options: Options) -> Rendering:
    """The deployment files of a plan.

    Raises `PlanError` for a plan without a choice and `OutputError` where an engine cannot serve its model.
    """
    made = services(chosen(plan), plan.companions, plan.machine, options)
    context = _context(plan, made, options)
    check = request(made[0], options.bind)
    commands: tuple[str, ...]
    if options.target == "script":
        files = _script_files(made, context)
        commands = (f"sh {files[0].path}", check)
    else:
        files = _compose_files(context)
        commands = ("docker compose up -d", check, "docker compose down")
    return Rendering(services=made, files=files, commands=commands, warnings=_warnings(made, options))


def write_all(files: Sequence[RenderedFile], out_dir: Path, *, force: bool) -> tuple[RenderedFile, ...]:
    """Write the files, all or none, and return them as written. Raises `OutputError`.

    Secrets and numbers that someone filled into an earlier `.env` of the folder stay.
    """
    filled_in = _filled_in(out_dir / ".env")
    kept = tuple(_with_settings(file, filled_in) if file.path == ".env" else file for file in files)
    write_folder(out_dir, {file.path: file.text for file in kept}, force=force)
    return kept


_LEFT_EMPTY: Final = re.compile(r"^(HF_TOKEN|\w+_API_KEY|VIDEO_GID|RENDER_GID)=(.*)$", re.MULTILINE)
"""What a rendered `.env` leaves to the user."""


def _filled_in(path: Path) -> dict[str, str]:
    """Values as they stand in an earlier file; none where there is no such file, or not one of text."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: value for name, value in _LEFT_EMPTY.findall(text) if value.strip()}


def _with_settings(file: RenderedFile, filled_in: Mapping[str, str]) -> RenderedFile:
    return RenderedFile.of(
        file.path, _LEFT_EMPTY.sub(lambda m: f"{m[1]}={filled_in.get(m[1], m[2])}", file.text)
    )


def _compose_files(context: dict[str, object]) -> tuple[RenderedFile, ...]:
    names = {
        ".env": "compose/env.j2",
        "docker-compose.yml": "compose/docker-compose.yml.j2",
        "README.md": "compose/README.md.j2",
    }
    environment = _environment()
    return tuple(
        RenderedFile.of(path, environment.get_template(name).render(context)) for path, name in names.items()
    )


def _script_files(made: Sequence[Service], context: dict[str, object]) -> tuple[RenderedFile, ...]:
    environment = _environment()
    script = environment.get_template("script/start.sh.j2")
    readme = environment.get_template("script/README.md.j2").render(**context, script_name=_script_name)
    scripts = [
        RenderedFile.of(_script_name(service), script.render(**context, service=service)) for service in made
    ]
    return (*scripts, RenderedFile.of("README.md", readme))


def _script_name(service: Service) -> str:
    return "start.sh" if service.name == "llm" else f"start-{service.name}.sh"


def _context(plan: Recommendation, made: Sequence[Service], options: Options) -> dict[str, object]:
    engines = [service.backend for service in made]
    downloads = options.model_dir is None and any(engine != "ollama" for engine in engines)
    volumes = ["models"] if downloads else []
    volumes += [f"{service.name}-ollama" for service in made if service.backend == "ollama"]
    volumes += ["vllm-cache"] if "vllm" in engines else []
    choice = made[0].candidate
    return {
        "heading": _("{name} {quantization} with {engine} on {machine}").format(
            name=choice.name,
            quantization=choice.quantization,
            engine=made[0].backend,
            machine=plan.machine.title,
        ),
        "services": made,
        "options": options,
        "model_dir": options.model_dir,
        "downloads": downloads,
        "volumes": volumes,
        "api_keys": sorted({_API_KEYS[engine] for engine in engines if engine in _API_KEYS}),
        "protected": all(engine in _API_KEYS for engine in engines),
        "rocm": any(service.accelerator == "rocm" for service in made),
        "address": _url_host(options.bind),
        "checks": [request(service, options.bind) for service in made],
    }


def _warnings(made: Sequence[Service], options: Options) -> tuple[str, ...]:
    if options.is_local:
        return ()
    open_engines = sorted({service.backend for service in made} - set(_API_KEYS))
    if open_engines:
        return (
            _("{address} opens it to the network, and {engine} asks for no key: use a proxy").format(
                address=options.bind, engine=open_engines[0]
            ),
        )
    return (_("{address} opens it to the network: set an API key first").format(address=options.bind),)


_REQUESTS: Final[Mapping[ModelKind, tuple[str, dict[str, object]]]] = {
    ModelKind.CHAT: ("chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
    ModelKind.EMBEDDING: ("embeddings", {"input": "Hello"}),
    ModelKind.RERANK: ("rerank", {"query": "greeting", "documents": ["Hello", "Rain"]}),
}
"""Path and body of the OpenAI-compatible request that each kind of model answers."""


def request(service: Service, bind: str) -> str:
    """A shell line that asks the service for something."""
    path, body = _REQUESTS[service.candidate.kind]
    url = f"http://{_url_host(bind)}:{service.port}/v1/{path}"
    data = json.dumps({"model": service.api_name, **body})
    return shlex.join(["curl", url, "-H", "Content-Type: application/json", "-d", data])


def _url_host(bind: str) -> str:
    """The address to call from this machine."""
    address = ipaddress.ip_address(bind)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return bind if address.version == 4 else f"[{bind}]"


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        undefined=StrictUndefined,
        autoescape=False,  # no HTML here: each kind of file has a filter of its own below
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["_"] = _
    environment.filters.update(scalar=scalar, dotenv=dotenv, line=line, sh=shlex.quote, by_flag=by_flag)
    return environment
