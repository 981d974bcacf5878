"""Runs commands of a real gh against the stand-in and keeps what each one sends, free of what differs by run."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitward_standin import ReceivedRequest, StandIn

from .conftest import Inside
from .gh_commands import TOKEN, Command

DOCUMENTS = Path(__file__).with_name("gh_documents")
_SHA = re.compile(r"\b[0-9a-f]{40}\b")
_OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")

Json = dict[str, Any]


@dataclass
class Capture:
    """What one version of gh sent: documents by file name, and the requests of each command."""

    version: str
    documents: dict[str, str] = field(default_factory=dict)
    commands: list[Json] = field(default_factory=list)

    @property
    def index(self) -> str:
        return json.dumps({"gh": self.version, "commands": self.commands}, indent=1) + "\n"

    def differs(self, kept: Json) -> list[str]:
        """The commands that send something else than is kept. Where requests race, some of the kept may be missing."""
        lines = [each["command"] for each in kept["commands"]]
        if lines != [each["command"] for each in self.commands]:
            return ["the list of commands"]
        return [
            ours["command"]
            for ours, theirs in zip(self.commands, kept["commands"], strict=True)
            if not _fits(ours["requests"], theirs["requests"], races="races" in ours)
        ]

    def write(self, folder: Path) -> None:
        """Puts the files where they can be compared, or taken over, by hand."""
        folder.mkdir(exist_ok=True)
        (folder / f"{self.version}.json").write_text(self.index)
        for name, text in self.documents.items():
            (folder / name).write_text(text)

    def add(self, command: Command, requests: list[ReceivedRequest]) -> None:
        """gh sends some requests at once, so they are kept in an order of their own."""
        described = [self._described(request) for request in requests]
        described.sort(key=lambda each: json.dumps(each, sort_keys=True))
        races = {"races": True} if command.races else {}
        self.commands.append({"command": f"gh {command.line}", **races, "requests": described})

    def _described(self, request: ReceivedRequest) -> Json:
        if request.path == "/graphql":
            return self._graphql(json.loads(request.body))
        if request.host == "github.com":
            return {"git": f"{request.method} {request.path}", "query": request.query}
        if not request.host.startswith("api."):
            return {"download": f"{request.method} <signed>"}
        shown = {"rest": f"{request.method} {request.path}", "query": _stable_query(request.query)}
        if "application/vnd.github.merge-info-preview" not in request.headers.get("accept", ""):
            shown["accept"] = request.headers.get("accept", "")
        return {**shown, **({"body": _stable(json.loads(request.body))} if request.body else {})}

    def _graphql(self, body: Mapping[str, Any]) -> Json:
        unknown = set(body) - {"query", "variables"}
        assert not unknown, f"gh sends more than a query and variables: {unknown}"
        text = body["query"]
        match = _OPERATION.search(text)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        name = f"{match[1] if match else 'anonymous'}-{digest}.graphql"
        self.documents[name] = text
        return {"graphql": name, "variables": _stable(body.get("variables"))}


def _fits(sent: list[Json], kept: list[Json], *, races: bool) -> bool:
    return bool(sent) and all(request in kept for request in sent) if races else sent == kept


def _stable(value: Any) -> Any:
    """The same value in every run: commits are called <sha>."""
    return json.loads(_SHA.sub("<sha>", json.dumps(value, sort_keys=True)))


def _stable_query(query: str) -> str:
    return _SHA.sub("<sha>", "&".join(sorted(query.split("&"))))


async def capture(version: str, gh: Path, standin: StandIn, inside: Inside, commands: tuple[Command, ...]) -> Capture:
    """Runs the commands in a clone, and checks that each does what is expected of it."""
    taken = Capture(version=version)
    work = await _clone(inside)
    for command in commands:
        if command.only not in ("", version):
            continue
        argv = command.argv
        if argv[-1] == "ALL":
            argv[-1] = await _all_fields(inside, gh, argv[:-1], work)
        for preparation in command.before:
            await inside("git", *shlex.split(preparation), cwd=work)
        seen = len(standin.requests)
        result = await inside(str(gh), *argv, stdin=command.stdin, cwd=work, expect=None)
        assert result.code == command.code, f"gh {command.line}: {result}"
        assert command.shows in result.out, f"gh {command.line}: {result}"
        taken.add(command, standin.requests[seen:])
    return taken


async def _clone(inside: Inside) -> Path:
    """A clone without any credential in it, on the branch of pull request 1."""
    work = inside.home / "work"
    helper = "!f() { echo username=x; echo password=$GH_CAPTURE_TOKEN; }; f"
    inside.environment["GH_CAPTURE_TOKEN"] = TOKEN
    url = "https://github.com/octo-org/demo"
    await inside("git", "-c", f"credential.helper={helper}", "clone", "--quiet", url, "work")
    await inside("git", "switch", "--quiet", "--create", "pushed", "origin/fresh", "--no-track", cwd=work)
    await inside("git", "commit", "--quiet", "--allow-empty", "-m", "Pushed", cwd=work)
    await inside("git", "switch", "--quiet", "topic", cwd=work)
    return work


async def _all_fields(inside: Inside, gh: Path, argv: list[str], work: Path) -> str:
    """What gh lists when --json has no value."""
    result = await inside(str(gh), *argv, cwd=work, expect=1)
    names = [line.strip() for line in result.err.splitlines() if line.startswith("  ")]
    assert names, result
    return ",".join(names)
