"""Every refusal of git and Git LFS as a person sees it, and the event that names its rule.

A rule without a case here fails the suite: the names are read from the sources.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gitward import broker as package
from gitward.broker import Brokers, OpenGrant
from gitward.broker.policy import push
from gitward.grants.grant import Grant
from gitward.grants.inspection import BadPack, Entry, Findings, InspectionFailed
from gitward.secrets import Secret
from gitward_standin import StandIn

from .conftest import BRANCH, TOKEN, Events, new_grant
from .rig import Inside, commit
from .scripted import Look, Scripted, raising

HOST = "https://github.com"
OTHER, LIBRARY, OWN = (f"{HOST}/octo/{name}" for name in ("other", "library", "demo"))
SOURCES = (
    *("policy/push", "policy/git", "policy/lfs"),
    *("server/push_stream", "server/inspection/push_check", "server/inspection/workflow_rule", "server/lfs_handler"),
    "server/lfs_actions",
)
ONLY = f"(this session may only push to {BRANCH})"
SAME = f"{BRANCH} -> {BRANCH}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command in a checkout, and one line that it prints."""

    rule: str
    argv: tuple[str, ...]
    shown: str  # the whole line, runs of spaces made one
    status: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    look: Look | None = None  # what the inspector says


def pushing(rule: str, shown: str, *argv: str, look: Look | None = None) -> Case:
    return Case(rule=rule, argv=("git", *(argv or ("push", "origin", BRANCH))), shown=shown, look=look)


def rejected(reason: str) -> str:
    return f"! [remote rejected] {SAME} ({reason})"


def asking(rule: str, message: str, *argv: str, **env: str) -> Case:
    return Case(rule=rule, argv=("git", *argv), shown=f"remote: Gitward: {message}", status=128, env=env)


def lfs(rule: str, shown: str, *argv: str) -> Case:
    return Case(rule=rule, argv=("git", *argv), shown=shown, status=2)


def curl(rule: str, shown: str, path: str, *options: str) -> Case:
    """What no git sends; ../curlrc has the credential."""
    return Case(
        rule=rule, argv=("curl", "-sS", "-K", "../curlrc", *options, f"{OWN}.git/{path}"), shown=shown, status=0
    )


def message(text: str) -> str:
    return f'{{"message": "Gitward: {text}"}}'


def changed_workflows() -> Findings:
    return Findings(tree="e" * 40, trees={"e" * 40: {".github": Entry(mode="120000", oid="1" * 40)}})


CASES = (
    pushing("git.push.ref", f"! [remote rejected] HEAD -> main {ONLY}", "push", "origin", "HEAD:main"),
    pushing("git.push.ref", f"! [remote rejected] v1 -> v1 {ONLY}", "push", "origin", "v1"),
    pushing("git.push.ref", f"! [remote rejected] main {ONLY}", "push", "origin", ":main"),
    pushing("git.push.ref", f"! [remote rejected] {SAME} {ONLY}", "push", "origin", BRANCH, "HEAD:other"),
    pushing("git.push.ref", f"! [remote rejected] {SAME} {ONLY}", "push", "--atomic", "origin", BRANCH, "HEAD:other"),
    pushing("git.push.ref", f"! [remote rejected] {SAME} {ONLY}", "push", "--follow-tags", "origin", BRANCH),
    pushing("git.push.ref", f"! [remote rejected] {SAME} {ONLY}", "push", "--mirror", "origin"),
    pushing(
        "git.push.delete",
        f"! [remote rejected] {BRANCH} (this session may not delete a branch)",
        *("push", "origin", "--delete", BRANCH),
    ),
    pushing(
        "git.push.certificate",
        rejected("signed pushes are not allowed in this session"),
        *("-c", "gpg.program=../gpg", "push", "--signed", "origin", BRANCH),
    ),
    pushing(
        "git.push.option",
        rejected("the only push option that this session allows is ci.skip"),
        *("push", "-o", "repo.private=false", "origin", BRANCH),
    ),
    curl(
        "git.push.repeated",
        f"ng refs/heads/{BRANCH} this session may only push to {BRANCH}, once in a push",
        *("git-receive-pack", "--data-binary", "@../repeated"),
    ),
    curl(
        "git.push.report",
        "Gitward: a push must ask for report-status",
        *("git-receive-pack", "--data-binary", "@../silent"),
    ),
    pushing(
        "git.push.workflows",
        rejected("this session may not change .github/workflows/; a session with allow_workflows=true may"),
        look=changed_workflows,
    ),
    pushing("git.push.pack", rejected("git cannot read this pack"), look=raising(BadPack("git cannot read this pack"))),
    pushing("git.push.unseen", rejected("try again"), look=raising(InspectionFailed("try again"))),
    asking("git.push.repository", "this session may only push to octo/demo", "push", OTHER, BRANCH),
    asking("git.push.repository", "this session may only push to octo/demo", "push", LIBRARY, BRANCH),
    asking("git.fetch.repository", "this session may only fetch from octo/demo, octo/library", "fetch", OTHER),
    asking("git.unlisted", "only git's fetch and push are allowed on this host", "ls-remote", f"{HOST}/octo"),
    asking(
        "git.dumb",
        "only git's smart HTTP protocol is allowed (service=git-upload-pack or git-receive-pack)",
        *("ls-remote", OWN),
        GIT_SMART_HTTP="0",
    ),
    curl("git.unlisted", "Gitward: only git's fetch and push are allowed on this host", "archive/main.zip"),
    lfs(
        "lfs.lock",
        "Locking a.txt failed: Gitward: this session may not lock or unlock files",
        *("lfs", "lock", "a.txt"),
    ),
    lfs(
        "lfs.repository",
        "batch response: Gitward: this session may only use the LFS objects of octo/demo, octo/library",
        *("-c", f"lfs.url={OTHER}.git/info/lfs", "-c", "lfs.locksverify=false", "lfs", "push", "origin", BRANCH),
    ),
    lfs(
        "lfs.upload.repository",
        "batch response: Gitward: this session may only upload LFS objects to octo/demo",
        *("-c", f"lfs.url={LIBRARY}.git/info/lfs", "-c", "lfs.locksverify=false", "lfs", "push", "origin", BRANCH),
    ),
    curl(
        "lfs.unlisted",
        message("only Git LFS's batch and basic transfers are allowed in this session"),
        f"info/lfs/objects/{'a' * 64}",
    ),
    curl("lfs.unlisted", message("locks takes no such parameters in this session"), "info/lfs/locks?token=a"),
    curl(
        "lfs.malformed",
        message("an LFS batch must be one JSON object with operation and objects"),
        *("info/lfs/objects/batch", "-d", "[]"),
    ),
    curl(
        "lfs.malformed",
        message("an LFS batch must upload or download at most 1000 objects"),
        *("info/lfs/objects/batch", "-d", '{"operation":"delete","objects":[]}'),
    ),
    curl(
        "lfs.malformed",
        message("an LFS object must have a SHA-256 and a size"),
        *("info/lfs/objects/batch", "-d", '{"operation":"download","objects":[{"oid":"x","size":1}]}'),
    ),
    curl(
        "lfs.address",
        message("this address of an LFS object is unknown, used or expired"),
        "info/lfs/gitward/abc",
    ),
)  # fmt: skip
PUBLIC_CASES = (
    asking(
        "git.fetch.public",
        "this session may only fetch from octo/demo, octo/library and public repositories; octo/other is not public",
        *("fetch", OTHER),
    ),
    lfs(
        "lfs.public",
        "batch response: Gitward: this session may only download LFS objects of octo/demo, octo/library and public "
        "repositories; octo/other is not public",
        *("-c", f"lfs.url={OTHER}.git/info/lfs", "lfs", "fetch", "origin", BRANCH),
    ),
)


def test_every_rule_has_a_case() -> None:
    """Names of rules are literals of this form in the sources; those that allow something are none."""
    name = re.compile(r"(?:git|lfs)(?:\.[a-z]+)+")
    found: set[str] = set()
    for source in SOURCES:
        tree = ast.parse((Path(package.__file__).parent / f"{source}.py").read_text())
        literals = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        found |= {text for text in literals if isinstance(text, str) and name.fullmatch(text)}
    found -= {"git.push", "git.push.probe", "git.fetch"}
    found.remove("git.push.closing")  # test_closing_commits.py
    assert found == {case.rule for case in CASES + PUBLIC_CASES}
    assert {rule.name for rule in push.RULES} < found


@pytest.fixture
async def grant(github: StandIn) -> Grant:
    main = await github.repository("octo/demo").head("main")
    grant = new_grant(readable=("octo/library",), allow_workflows=False)
    return replace(grant, target_branch="main", target_sha=main)


@pytest.fixture
def scripted(folder: Path) -> Scripted:
    return Scripted(folder)


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events, scripted: Scripted) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, scripted)


@pytest.fixture
async def checkout(tools: Inside, opened: OpenGrant, github: StandIn) -> Path:
    """On the session's branch, which is upstream too; ahead of it by a commit with an LFS object and a tag."""
    await github.add_repository("octo/library", permissions={"dev": "push"})
    repository = github.repository("octo/demo")
    await repository.run_git("config", "receive.certNonceSeed", "seed")
    await repository.run_git("branch", BRANCH, "main")
    await tools.ok("git", "lfs", "install", "--skip-repo")
    await tools.ok("git", "clone", "-q", "--branch", BRANCH, OWN, "demo")
    checkout = tools.home / "demo"
    await tools.ok("git", "lfs", "track", "*.bin", cwd=checkout)
    await tools.ok("git", "add", ".gitattributes", cwd=checkout)
    await commit(tools, checkout, "a.txt", b"a")
    await commit(tools, checkout, "a.bin", b"large")
    await tools.ok("git", "tag", "-a", "-m", "v1", "v1", cwd=checkout)
    await tools.ok("git", "config", "lfs.locksverify", "false", cwd=checkout)
    (tools.home / "curlrc").write_text(f'user = "x:{opened.credential}"\n')
    (tools.home / "repeated").write_bytes(_commands(2, "\0report-status") + b"0000")
    (tools.home / "silent").write_bytes(_commands(1, "\0atomic") + b"0000")
    gpg = tools.home / "gpg"
    gpg.write_text("#!/bin/sh\ncat >/dev/null\nprintf '\\n[GNUPG:] SIG_CREATED D\\n' >&2\necho signature\n")
    gpg.chmod(0o755)
    return checkout


def _commands(count: int, capabilities: str) -> bytes:
    lines = [f"{'1' * 40} {'2' * 40} refs/heads/{BRANCH}{'' if number else capabilities}" for number in range(count)]
    return b"".join(b"%04x" % (len(line) + 4) + line.encode() for line in lines)


async def check(case: Case, tools: Inside, checkout: Path, events: Events) -> None:
    told = len(events.all)
    before = tools.env
    tools.env = {**before, **case.env}
    result = await tools.run(*case.argv, cwd=checkout)
    tools.env = before
    printed = [_plain(line) for line in (result.out + "\n" + result.err).splitlines()]
    assert case.shown in printed, (case, result)
    assert result.status == case.status, (case, result)
    denied = [event for event in (await events.wait(told + 1))[told:] if event.type == "policy.denied"]
    assert [event.data["rule"] for event in denied] == [case.rule] * len(denied)
    assert denied
    await tools.ok("git", "fetch", "-q", "origin", cwd=checkout)  # git believes what it pushed


def _plain(line: str) -> str:
    """Without git's padding, and without the pkt-line length before a line of a raw report."""
    return re.sub(r"^[0-9a-f]{4}(?=ng )", "", " ".join(line.split()))


async def test_refusals(tools: Inside, checkout: Path, scripted: Scripted, events: Events, github: StandIn) -> None:
    repository = github.repository("octo/demo")
    before = await repository.refs("refs")
    for case in CASES:
        scripted.looks = [] if case.look is None else [case.look]
        await check(case, tools, checkout, events)
    assert await repository.refs("refs") == before


class TestPublic:
    @pytest.fixture
    def grant(self) -> Grant:
        return replace(new_grant(readable=("octo/library",)), public_read=True)

    async def test_refusals(self, tools: Inside, checkout: Path, events: Events) -> None:
        await tools.ok("rm", "-rf", ".git/lfs", cwd=checkout)
        for case in PUBLIC_CASES:
            await check(case, tools, checkout, events)
