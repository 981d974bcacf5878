"""The rule about workflows, decided by ids; GitHub's answers come from a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitward.broker.server.forwarder import UpstreamFailed
from gitward.broker.server.inspection.upstream_trees import UpstreamTrees
from gitward.broker.server.inspection.workflow_rule import RULE, WorkflowRule
from gitward.grants.grant import Grant
from gitward.grants.inspection import BadPack, Entry, Findings

TIP, BASE, TOP, FOLDER, OLD, NEW = (digit * 40 for digit in "123456")


def grant(target_sha: str | None = BASE) -> Grant:
    return Grant(
        run_id="run-1",
        repository="octo/demo",
        push_ref="refs/heads/gitward/abc",
        target_branch="main",
        target_sha=target_sha,
        expires_at=2e9,
    )


def tree(*entries: tuple[str, str, str], truncated: bool = False) -> dict[str, Any]:
    listed = [{"path": path, "mode": mode, "sha": sha, "type": "tree"} for path, mode, sha in entries]
    return {"sha": "x", "tree": listed, "truncated": truncated}


def ref(branch: str, sha: str) -> dict[str, Any]:
    return {"ref": f"refs/heads/{branch}", "object": {"sha": sha, "type": "commit"}}


UPSTREAM = {
    f"/git/trees/{BASE}": tree((".github", "040000", TOP), ("README.md", "100644", NEW)),
    f"/git/trees/{TOP}": tree(("workflows", "040000", OLD)),
    f"/git/trees/{OLD}": tree(("ci.yml", "100644", NEW)),
    "/git/ref/heads/main": ref("main", BASE),
}


class GitHub:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, path: str) -> bytes | None:
        self.asked.append(path)
        answer = self.answers.get(path)
        return None if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def found(workflows: str | None, mode: str = "40000") -> Findings:
    below = {} if workflows is None else {"workflows": Entry(mode=mode, oid=workflows)}
    return Findings(tree="a" * 40, trees={"a" * 40: {".github": Entry(mode="40000", oid="b" * 40)}, "b" * 40: below})


async def judged(findings: Findings, answers: dict[str, Any], of: Grant | None = None) -> bool:
    verdict = await WorkflowRule(of or grant(), UpstreamTrees(GitHub(answers))).check(TIP, findings)
    assert verdict.rule == RULE
    return verdict.allowed


@pytest.mark.parametrize(
    ("findings", "allowed"),
    [
        pytest.param(found(OLD), True, id="same"),
        pytest.param(found(NEW), False, id="other"),
        pytest.param(found(OLD, "120000"), False, id="a link with the same id"),
        pytest.param(found(None), False, id="gone"),
        pytest.param(Findings(tree=BASE), True, id="a folder that is upstream"),
        pytest.param(Findings(tree="a" * 40, trees={"a" * 40: {}}), False, id="all gone"),
        pytest.param(
            Findings(tree="a" * 40, trees={"a" * 40: {".github": Entry(mode="160000", oid=TOP)}}), False, id="submodule"
        ),
    ],
)
async def test_ids_are_compared(findings: Findings, allowed: bool) -> None:
    assert await judged(findings, UPSTREAM) is allowed


async def test_the_branches_as_they_are_now_count_too() -> None:
    moved = UPSTREAM | {
        f"/git/trees/{NEW}": tree((".github", "040000", FOLDER)),
        f"/git/trees/{FOLDER}": tree(("workflows", "040000", "c" * 40)),
    }
    for branch in ("main", "gitward/abc"):
        assert await judged(found("c" * 40), moved | {f"/git/ref/heads/{branch}": ref(branch, NEW)})
    assert not await judged(found("c" * 40), moved | {"/git/ref/heads/main": ref("main-2", NEW)})


async def test_an_empty_repository_has_no_workflows_to_change() -> None:
    assert await judged(found(None), {}, grant(target_sha=None))
    assert not await judged(found(NEW), {}, grant(target_sha=None))


async def test_what_did_not_change_is_asked_once() -> None:
    github = GitHub(UPSTREAM)
    rule = WorkflowRule(grant(), UpstreamTrees(github))
    for _ in range(3):
        await rule.prepare()
        assert (await rule.check(TIP, found(OLD))).allowed
    assert github.asked == [f"/git/trees/{BASE}", f"/git/trees/{TOP}"]


async def test_a_folder_that_is_nowhere_refuses_the_push() -> None:
    with pytest.raises(BadPack, match="its pack lacks a folder"):
        await judged(Findings(tree="d" * 40), UPSTREAM)
    with pytest.raises(BadPack, match="its pack lacks a folder"):
        await judged(Findings(), UPSTREAM)


async def test_a_listing_that_is_cut_short_is_not_believed() -> None:
    cut = {f"/git/trees/{TIP}": tree(("a", "100644", NEW), truncated=True)}
    with pytest.raises(BadPack, match="too large"):
        await judged(Findings(), UPSTREAM | cut)


async def test_a_folder_cannot_be_pushed_out_of_a_listing() -> None:
    """`.github/.github` is in what GitHub shows of a very large `.github`, and `workflows` is not."""
    without = UPSTREAM | {f"/git/trees/{BASE}": tree(("README.md", "100644", NEW))}
    large = {
        f"/git/trees/{TIP}": tree((".github", "040000", FOLDER)),
        f"/git/trees/{FOLDER}": tree((".github", "100644", NEW), ("a", "100644", NEW), truncated=True),
    }
    with pytest.raises(BadPack, match="too large"):
        await judged(Findings(), without | large)


async def test_a_name_with_a_slash_is_no_name() -> None:
    slash = {f"/git/trees/{TIP}": tree((".github/workflows", "040000", NEW), (".github", "040000", TOP))}
    with pytest.raises(BadPack, match="malformed folders"):
        await judged(Findings(), UPSTREAM | slash)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"[]", b"{}", b'{"tree":1}', b'{"tree":[1]}', b'{"tree":[{"path":"a","mode":1,"sha":"x"}]}'),
        *(tree((".github", "040000", "HEAD")), tree((".github", "040000", "1" * 39)), b"[" * 100_000),
    ],
)
async def test_an_answer_that_is_none_refuses_the_push(answer: Any) -> None:
    with pytest.raises(UpstreamFailed):
        await judged(Findings(), UPSTREAM | {f"/git/trees/{TIP}": answer})


async def test_a_refusal_names_few_files_harmlessly() -> None:
    names = {f"\x1b[31m{number}{'x' * 100}": Entry(mode="100644", oid=NEW) for number in range(5)}
    findings = found(NEW)
    with_names = Findings(tree=findings.tree, trees={**findings.trees, NEW: names})
    verdict = await WorkflowRule(grant(), UpstreamTrees(GitHub(UPSTREAM))).check(TIP, with_names)
    assert verdict.message.isprintable()
    assert " and 3 more)" in verdict.message
    assert len(verdict.message) < 350
