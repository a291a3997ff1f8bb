"""A hub on the loopback interface: the part of the Hugging Face hub's API that a download uses."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Files of one repository, and what goes wrong with them."""

    repo: str
    files: dict[str, bytes]
    status: int = 200
    """Answered to everything but 200, with `error_code`."""
    error_code: str | None = None
    status_of_bodies: int = 200
    """Answered to downloads only."""
    cuts: list[int] = field(default_factory=list)
    """How many bytes of a body are sent before the connection is closed, download by download."""
    ignores_ranges: bool = False
    cdn: str = ""
    """Another server's address, to which bodies are redirected; itself, under another name, will do."""
    is_stalled: bool = False
    """Bodies stop in their middle and the connection stays open, until the hub is gone."""
    about: dict[str, Any] = field(default_factory=dict)
    """What the hub says of the repository beside its files: cardData, gated, tags …"""
    more: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Other repositories and their files."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Old names of repositories, and the new ones that the hub redirects to."""
    retry_after: list[int] = field(default_factory=list)
    """Seconds after which to come back, with status 429, question by question; then answers."""
    cut_answers: int | None = None
    """How many bytes of an answer of the API are sent before the connection is closed."""
    stalls_answers: bool = False
    """No answer of the API ever comes."""
    url: str = ""
    requests: list[str] = field(default_factory=list)
    """Method, path, and the range asked for."""
    tokens: set[str | None] = field(default_factory=set)
    """Authorization headers seen."""
    started: threading.Event = field(default_factory=threading.Event)
    """Set when a body begins."""
    closing: threading.Event = field(default_factory=threading.Event)

    def downloads(self) -> list[str]:
        """The requests for bodies."""
        return [request for request in self.requests if request.startswith(f"GET /{self.repo}/")]


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve until the end of the block."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if (
            not self._is_refused(self.hub.status)
            and self.path == f"/api/models/{self.hub.repo}/paths-info/main"
        ):
            known = [name for name in body["paths"] if name in self.hub.files]
            rows = [
                {"type": "file", "path": name, "size": len(self.hub.files[name]), "oid": "0" * 40}
                for name in known
            ]
            self._send(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})

    def do_HEAD(self) -> None:
        self._resolve(with_body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            self._tell_about()
        else:
            self._resolve(with_body=True)

    def _tell_about(self) -> None:
        """What the hub knows about the repository."""
        if self._is_refused(self.hub.status):
            return
        path = self.path.partition("?")[0]
        repo = path.removeprefix("/api/models/")
        known = {self.hub.repo: self.hub.files, **self.hub.more}
        if path == "/api/models":
            self._answer([{"id": name} for name in known])
        elif new := self.hub.renamed.get(repo):
            self._send(307, b"", {"Location": f"/api/models/{new}?blobs=true"})
        elif repo not in known:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        else:
            siblings = [{"rfilename": name, "size": len(data)} for name, data in known[repo].items()]
            about = self.hub.about if repo == self.hub.repo else {}
            self._answer({"id": repo, "sha": COMMIT, "siblings": siblings, **about})

    def _answer(self, data: object) -> None:
        body = json.dumps(data).encode()
        if self.hub.stalls_answers:
            self.hub.closing.wait()
        if self.hub.cut_answers is None:
            self._send(200, body, {"Content-Type": "application/json"})
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.hub.cut_answers])
        self.close_connection = True

    def _resolve(self, *, with_body: bool) -> None:
        status = self.hub.status if self.hub.status != 200 or not with_body else self.hub.status_of_bodies
        if self._is_refused(status):
            return
        name = re.sub(rf"^(/cdn)?/{self.hub.repo}/resolve/(main|{COMMIT})/", "", self.path)
        if name not in self.hub.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        data = self.hub.files[name]
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if self.hub.cdn and not self.path.startswith("/cdn/"):
            self._send(
                302,
                b"",
                {**headers, "X-Linked-Size": str(len(data)), "Location": f"{self.hub.cdn}/cdn{self.path}"},
            )
            return
        if not with_body:
            self._send(200, b"", {**headers, "Content-Length": str(len(data))})
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or self.hub.ignores_ranges:
            self._send(200, data, headers)
            return
        start, end = int(asked[1]), min(int(asked[2] or len(data) - 1) + 1, len(data))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self._send(206, data[start:end], headers)

    def _is_refused(self, status: int) -> bool:
        asked = self.headers.get("Range")
        self.hub.requests.append(f"{self.command} {self.path}" + (f" {asked}" if asked else ""))
        self.hub.tokens.add(self.headers.get("Authorization"))
        # Not the questions that the library asks for itself.
        if self.hub.retry_after and self.path.startswith("/api/models/"):
            self._send(429, b"", {"Retry-After": str(self.hub.retry_after.pop(0))})
            return True
        if status != 200:
            headers = {"X-Error-Code": self.hub.error_code} if self.hub.error_code else {}
            self._send(status, b"", headers)
        return status != 200

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "GET" or not body:
            self.wfile.write(b"" if self.command == "HEAD" else body)
            return
        self.hub.started.set()
        if self.hub.is_stalled:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.hub.closing.wait()
        elif self.hub.cuts:
            self.wfile.write(body[: self.hub.cuts.pop(0)])
            self.close_connection = True
        else:
            with suppress(ConnectionError):  # who asked has read enough
                self.wfile.write(body)
