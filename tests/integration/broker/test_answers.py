"""Answers that are no JSON: diffs, patches and files as they are, and what is told when one cannot be passed on."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitward.broker import OpenGrant
from gitward.grants.grant import Grant
from gitward_standin import StandIn

from .conftest import BRANCH, REPOSITORY, TOKEN
from .rig import Inside
from .wire import GIT_HOST, Wire, wired

SOURCE = b'import json\nurl = entry["download_url"]\ntoken = {"temp_clone_token": "x"}\n'
NEW = str(Path(sys.executable).with_name("gh"))
CONTENTS = f"repos/{REPOSITORY}/contents/client.py?ref={BRANCH}"


@pytest.fixture
async def wire(github: StandIn, grant: Grant) -> AsyncIterator[Wire]:
    async with wired(github.url, github.api_url, grant, TOKEN) as wire:
        yield wire


async def pushed(tools: Inside, opened: OpenGrant) -> Path:
    """A checkout whose file speaks of credentials, pushed to the session's branch; gh has its credential."""
    tools.env |= {"GH_TOKEN": opened.credential, "GH_PROMPT_DISABLED": "1"}
    checkout = tools.home / "demo"
    await tools.ok("git", "clone", "-q", f"https://github.com/{REPOSITORY}.git", str(checkout))
    await tools.ok("git", "switch", "-q", "-c", BRANCH, cwd=checkout)
    (checkout / "client.py").write_bytes(SOURCE)
    await tools.ok("git", "add", "--", "client.py", cwd=checkout)
    await tools.ok("git", "commit", "-q", "-m", "read download_url", cwd=checkout)
    await tools.ok("git", "push", "-q", "origin", BRANCH, cwd=checkout)
    return checkout


@pytest.mark.parametrize("gh", ["/usr/bin/gh", NEW], ids=["2.23", "2.102"])
async def test_diffs_and_files_that_speak_of_credentials(tools: Inside, opened: OpenGrant, gh: str) -> None:
    """`gh pr diff`, its patch, a file and a commit come as they are."""
    checkout = await pushed(tools, opened)
    await tools.ok(gh, "pr", "create", "--title", "T", "--body", "B", "--head", BRANCH, "--base", "main", cwd=checkout)
    line = '+url = entry["download_url"]\n'
    assert line in await tools.ok(gh, "pr", "diff", BRANCH, cwd=checkout)
    assert line in await tools.ok(gh, "pr", "diff", "--patch", BRANCH, cwd=checkout)
    for raw in ("raw", "v3.raw", "raw+json"):
        shown = await tools.ok(gh, "api", "-H", f"Accept: application/vnd.github.{raw}", CONTENTS)
        assert shown.encode() == SOURCE
    commit = f"repos/{REPOSITORY}/commits/{BRANCH}"
    assert line in await tools.ok(gh, "api", "-H", "Accept: application/vnd.github.diff", commit)
    described = json.loads(await tools.ok(gh, "api", CONTENTS))
    assert (described["name"], described["download_url"]) == ("client.py", "")
    assert "SIGNED" not in await tools.ok(gh, "api", f"repos/{REPOSITORY}/contents")


async def test_what_goes_upstream_is_on_the_list(wire: Wire, github: StandIn) -> None:
    """Previews are left out, for REST, GraphQL and git alike."""
    preview = "Accept: application/vnd.github.nebula-preview, application/vnd.github.v3+json;q=0.9"
    assert (await wire.ask("GET /user", preview)).status == 200
    body = json.dumps({"query": "{viewer{login}}"}).encode()
    assert (await wire.ask("POST /graphql", "Content-Type: application/json", preview, body=body)).status == 200
    listing = "GET /octo/demo/info/refs?service=git-upload-pack"
    assert (await wire.ask(listing, preview, host=GIT_HOST)).status == 200
    sent = [{name.lower(): value for name, value in request.headers.items()}["accept"] for request in github.requests]
    assert sent == ["application/vnd.github+json", "application/vnd.github+json", "*/*"]


async def test_another_form_is_refused_before_upstream_hears_of_it(wire: Wire, github: StandIn) -> None:
    answer = await wire.ask("GET /repos/octo/demo/readme", "Accept: application/vnd.github.html")
    assert answer.status == 403
    assert b"as raw, diff, patch or sha" in answer.body
    assert await wire.denied(1) == ["rest.accept"]
    assert github.requests == []


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html"}, b"<html>"),
        ({"Content-Type": "text/plain"}, b"x"),
        ({"Content-Type": "application/x-ndjson"}, b'{"temp_clone_token":"A"}\n{}'),
        ({"Content-Type": "application/json"}, b'{"temp_clone_token":"A"}\n{"temp_clone_token":"B"}'),
        ({"Content-Type": "application/json; charset=utf-16"}, '{"temp_clone_token":"A"}'.encode("utf-16")),
        ({"Content-Type": "application/json"}, b""),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, b"\x0b\x02\x80{}\x03"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0) * 2),
        ({"Content-Type": "application/vnd.github.raw"}, b"a file that nobody asked for"),
    ],
    ids=["html", "text", "ndjson", "two values", "utf-16", "empty", "brotli", "two gzips", "a file"],
)
async def test_an_answer_of_another_form_is_an_error(
    wire: Wire, github: StandIn, headers: dict[str, str], body: bytes
) -> None:
    """With a sentence, and never a success."""
    github.fault(path="*/user", status=200, headers=headers, body=body)
    answer = await wire.ask("GET /user")
    assert answer.status == 502
    assert json.loads(answer.body)["message"].startswith("Gitward: GitHub's answer ")


async def test_an_error_of_another_form_keeps_its_status(wire: Wire, github: StandIn) -> None:
    """A gateway before GitHub answers in HTML; its headers say when to come again."""
    headers = {"Content-Type": "text/html", "Retry-After": "7"}
    github.fault(path="*/user", status=503, headers=headers, body=b"<html><p>Unicorn!")
    answer = await wire.ask("GET /user")
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert json.loads(answer.body) == {"message": "Gitward: GitHub's answer is not JSON: its type is text/html"}


async def test_a_folder_where_a_file_was_asked_for(wire: Wire, github: StandIn) -> None:
    """Should GitHub call its list a file, the addresses in it stay here."""
    signed = b'[{"name": "x", "download_url": "https://raw.example/x?token=ABC"}]'
    headers = {"Content-Type": "application/vnd.github.raw; charset=utf-8"}
    github.fault(path="*/contents/docs", status=200, headers=headers, body=signed)
    answer = await wire.ask("GET /repos/octo/demo/contents/docs", "Accept: application/vnd.github.raw")
    assert (answer.status, b"ABC" in answer.body) == (502, False)
    assert b"ask for it as JSON" in answer.body
