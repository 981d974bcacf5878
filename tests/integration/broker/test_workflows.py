"""Pushes that change .github/workflows/, with real git, the real broker process and real sandboxes."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gitward.broker import Brokers, OpenGrant
from gitward.grants.grant import Grant
from gitward.repositories.pack_inspection.inspector import PackInspector
from gitward.secrets import Secret
from gitward_standin import StandIn, Token

from .conftest import BRANCH, REPOSITORY, TOKEN, Events, new_grant
from .rig import Inside, Result

URL = f"https://github.com/{REPOSITORY}"
CI = ".github/workflows/ci.yml"
MAY_NOT = "this session may not change .github/workflows/"


@pytest.fixture
async def grant(github: StandIn) -> Grant:
    github.add_token(TOKEN, Token(login="dev", scopes=("repo", "workflow")))  # GitHub itself would let all pass
    main = await github.repository(REPOSITORY).commit("main", {CI: "on: push\n"}, message="workflow")
    return replace(new_grant(allow_workflows=False), target_branch="main", target_sha=main)


@pytest.fixture
async def opened(broker: Brokers, grant: Grant, events: Events, inspector: PackInspector) -> OpenGrant:
    return await broker.open(grant, Secret(TOKEN), events, inspector)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A clone, and what was upstream when the run began."""

    tools: Inside
    checkout: Path
    github: StandIn
    events: Events
    folder: Path

    async def git(self, *argv: str) -> str:
        return (await self.tools.ok("git", *argv, cwd=self.checkout)).strip()

    async def commit(self, message: str = "change") -> str:
        await self.git("add", "--all")
        await self.git("commit", "-q", "--allow-empty", "-m", message)
        return await self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> None:
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    async def push(self, source: str = "HEAD") -> Result:
        return await self.tools.git("push", "--force", "origin", f"{source}:refs/heads/{BRANCH}", cwd=self.checkout)

    async def again(self) -> None:
        """Back to where the session began; the branch is not upstream."""
        await self.git("checkout", "-q", "--force", "-B", BRANCH, "origin/main")
        await self.git("clean", "-q", "-ffdx")
        repository = self.github.repository(REPOSITORY)
        if await repository.head(BRANCH) is not None:
            await repository.run_git("update-ref", "-d", f"refs/heads/{BRANCH}")

    async def refused(self, result: Result, reason: str, rule: str = "git.push.workflows") -> None:
        """By exactly this text in git's output, with the event; upstream is as it was, and nothing is left on disk."""
        lines = [" ".join(line.split()) for line in result.err.splitlines() if "rejected]" in line]
        assert [line.partition(" (")[2] for line in lines] == [f"{reason})"], result
        assert lines[0].startswith("! [remote rejected] ")
        assert result.status == 1
        event = self.events.all[-1] if self.events.all else (await self.events.wait(1))[-1]
        assert event.data == {"rule": rule, "message": f"push refs/heads/{BRANCH}: {reason}"}
        self.events.all.clear()
        assert await self.github.repository(REPOSITORY).head(BRANCH) is None
        assert list(self.folder.iterdir()) == []

    async def taken(self, result: Result) -> None:
        assert result.status == 0, result
        assert await self.github.repository(REPOSITORY).head(BRANCH) == await self.git("rev-parse", "HEAD")
        assert list(self.folder.iterdir()) == []


def may_not(files: str) -> str:
    return f"{MAY_NOT}{files}; a session with allow_workflows=true may"


@pytest.fixture
async def scene(tools: Inside, github: StandIn, events: Events, folder: Path) -> Scene:
    await tools.ok("git", "clone", "-q", URL, "demo")
    scene = Scene(tools=tools, checkout=tools.home / "demo", github=github, events=events, folder=folder)
    await scene.again()
    return scene


Change = Callable[[Scene], Awaitable[object]]


async def _new_file(scene: Scene) -> None:
    scene.write(".github/workflows/new \u200b.yml", "on: push\n")


async def _many(scene: Scene) -> None:
    for name in "abcd":
        scene.write(f".github/workflows/{name}.yml", "on: push\n")


async def _changed(scene: Scene) -> None:
    scene.write(CI, "on: [push, pull_request]\n")


async def _made_executable(scene: Scene) -> None:
    (scene.checkout / CI).chmod(0o755)


async def _deleted(scene: Scene) -> None:
    shutil.rmtree(scene.checkout / ".github")


async def _a_link_to_a_folder(scene: Scene) -> None:
    scene.write("elsewhere/ci.yml", "on: push\n")
    shutil.rmtree(scene.checkout / ".github/workflows")
    (scene.checkout / ".github/workflows").symlink_to("../elsewhere")


async def _a_link_above(scene: Scene) -> None:
    (scene.checkout / ".github").rename(scene.checkout / "elsewhere")
    (scene.checkout / ".github").symlink_to("elsewhere")


async def _a_file_above(scene: Scene) -> None:
    shutil.rmtree(scene.checkout / ".github")
    scene.write(".github", "file\n")


async def _a_submodule_above(scene: Scene) -> None:
    shutil.rmtree(scene.checkout / ".github")
    await scene.git("rm", "-r", "-q", "--cached", ".github")
    await scene.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},.github")
    (scene.checkout / ".github").mkdir()


REFUSED: dict[str, tuple[Change, str]] = {
    "new": (_new_file, " (new??.yml)"),
    "many": (_many, " (a.yml, b.yml, c.yml and 1 more)"),
    "changed": (_changed, " (ci.yml)"),
    "executable": (_made_executable, " (ci.yml)"),
    "deleted": (_deleted, " (ci.yml)"),
    "link": (_a_link_to_a_folder, " (ci.yml)"),
    "link above": (_a_link_above, " (ci.yml)"),
    "file above": (_a_file_above, " (ci.yml)"),
    "submodule above": (_a_submodule_above, " (ci.yml)"),
}


async def test_changed_workflows_are_refused(scene: Scene) -> None:
    for change, files in REFUSED.values():
        await change(scene)
        await scene.commit()
        await scene.refused(await scene.push(), may_not(files))
        await scene.again()


async def test_what_is_upstream_already_is_looked_at_there(scene: Scene, grant: Grant) -> None:
    """Pushes that bring no pack, or no folder: an earlier commit, and a commit that goes back to its folder."""
    assert grant.target_sha is not None
    earlier = await scene.git("rev-parse", f"{grant.target_sha}^")
    await scene.refused(await scene.push(earlier), may_not(" (ci.yml)"))
    back = await scene.git("commit-tree", "-p", "HEAD", "-m", "back", f"{earlier}^{{tree}}")
    await scene.refused(await scene.push(back), may_not(" (ci.yml)"))
    other = await scene.github.repository(REPOSITORY).commit("other", {CI: "on: issues\n"}, start=grant.target_sha)
    await scene.git("fetch", "-q", "origin", "other")
    scene.write("a.txt", "a")
    await scene.git("reset", "-q", "--soft", other)
    await scene.git("checkout", "-q", other, "--", ".github")
    await scene.commit()
    await scene.refused(await scene.push(), may_not(" (ci.yml)"))


async def test_whatever_leaves_workflows_as_they_are_passes(scene: Scene, grant: Grant) -> None:
    for name in ("a.txt", ".github/dependabot.yml", ".GitHub/Workflows/ci.yml", "docs/.github/workflows/ci.yml"):
        scene.write(name, "on: push\n")
        await scene.commit()
        await scene.taken(await scene.push())
    scene.write(CI, "on: issues\n")
    await scene.commit("change a workflow")
    await scene.git("revert", "--no-edit", "HEAD")
    await scene.taken(await scene.push())
    await scene.commit("nothing")
    await scene.taken(await scene.push())
    await scene.git("reset", "-q", "--hard", str(grant.target_sha))
    await scene.taken(await scene.push())
    assert {event.type for event in scene.events.all} == {"branch.pushed"}


async def test_workflows_that_others_changed_are_taken_along(scene: Scene) -> None:
    """The target branch moved on and is merged; a person pushed to the session's branch."""
    repository = scene.github.repository(REPOSITORY)
    scene.write("a.txt", "a")
    await scene.commit()
    await repository.commit("main", {CI: "on: issues\n"})
    await scene.git("pull", "-q", "--no-rebase", "--no-edit", "origin", "main")
    await scene.taken(await scene.push())
    await repository.commit(BRANCH, {CI: "on: release\n"})
    await scene.git("pull", "-q", "--no-rebase", "--no-edit", "origin", BRANCH)
    scene.write("b.txt", "b")
    await scene.commit()
    await scene.taken(await scene.push())


async def test_clones_of_every_kind_can_push(scene: Scene) -> None:
    for number, option in enumerate(("--depth=1", "--filter=blob:none", "--single-branch")):
        await scene.tools.ok("git", "clone", "-q", option, URL, f"small{number}")
        small = replace(scene, checkout=scene.tools.home / f"small{number}")
        small.write("a.txt", "a")
        await small.commit()
        await small.taken(await small.push())
        await small.github.repository(REPOSITORY).run_git("update-ref", "-d", f"refs/heads/{BRANCH}")
        await small.events.wait(1)
        small.events.all.clear()
        small.write(CI, "on: issues\n")
        await small.commit()
        await small.refused(await small.push(), may_not(" (ci.yml)"))


async def test_a_tag_is_no_commit(scene: Scene) -> None:
    await scene.git("tag", "-a", "-m", "v1", "v1")
    reason = "a branch must point to a commit"
    await scene.refused(await scene.push("refs/tags/v1"), reason, rule="git.push.pack")


async def test_a_name_with_slashes_is_refused(scene: Scene) -> None:
    """git finds `.github/workflows/new.yml` in a folder whose one entry has the name `.github/workflows`, too."""
    raw = scene.checkout / "raw"

    async def tree(name: str, mode: str, oid: str) -> str:
        raw.write_bytes(f"{mode} {name}\0".encode() + bytes.fromhex(oid))
        return await scene.git("hash-object", "-t", "tree", "-w", "--literally", "raw")

    scene.write("new.yml", "on: push\n")
    below = await tree("new.yml", "100644", await scene.git("hash-object", "-w", "new.yml"))
    tip = await scene.git("commit-tree", "-p", "HEAD", "-m", "x", await tree(".github/workflows", "40000", below))
    assert await scene.git("show", f"{tip}:.github/workflows/new.yml") == "on: push"
    reason = "the pushed commit has malformed folders"
    await scene.refused(await scene.push(tip), reason, rule="git.push.pack")
