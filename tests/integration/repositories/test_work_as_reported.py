# ruff: noqa: E501 - a shell command stands on one line of its table
"""Work that people lost, or that broke their repositories, in public reports of other tools: what becomes of it here.

Each case names its report. They stand for kinds that the other files of this folder try one by one.
"""

from __future__ import annotations

import pytest

from workbench import Workbench

pytestmark = pytest.mark.asyncio(loop_scope="session")


CLONE = "git init -q {0}; (cd {0}; echo 1 > f; git add -A; git commit -qm init)"
X = {"x.txt": "A"}

REPORTS = {
    # peter-evans/create-pull-request 1202: generated files that differ by line endings alone: "nothing to commit"
    "line endings alone": (
        "printf '* text=auto\\n' > .git/info/attributes; sed -i 's/$/\\r/' README.md; git -c core.autocrlf=input commit -qam ends || true",
        {"README.md": "M"},
        "",
    ),
    # HyDE-Project/HyDE 1930: a clone of a tool was swept up by `git add`; every later checkout failed
    "a tool's clone, committed": (
        f"mkdir -p .config/zsh; {CLONE.format('.config/zsh/ohmyzsh')}; echo x > x.txt; git add -A 2>/dev/null; git commit -qm bump",
        X,
        ".config/zsh/ohmyzsh",
    ),
    # hmislk/hmis 21476, jsboige/CoursIA 7788: an agent's own work tree became an entry of the tree
    "an agent's work tree, committed": (
        "git worktree add -q .claude/worktrees/agent-af4f; echo x > x.txt; git add -A 2>/dev/null; git commit -qm work",
        X,
        ".claude/worktrees/agent-af4f",
    ),
    # framework/the-framework 786, hurttlocker/o8 452: success was told, the edit was never committed
    "an edit that nobody committed": ("echo x > x.txt", X, ""),
    # tomcounsell/ai 2137: a checkout that was reset over an edit that had been stashed by a hook
    "reset after a commit": (
        "echo x > x.txt; git add -A; git commit -qm work; echo y > x.txt; git reset -q --hard",
        X,
        "",
    ),
    # rios0rios0/pipelines 560: Go's read-only module cache inside the checkout stops whoever cleans up
    "a read-only module cache in the tree": (
        "echo /.go >> .git/info/exclude; echo .go/ > .gitignore; mkdir -p .go/pkg/mod/m@v1; echo 1 > .go/pkg/mod/m@v1/m.go; chmod -R a-w .go; chmod 500 .go/pkg/mod/m@v1; echo x > x.txt",
        {**X, ".gitignore": "M"},
        "",
    ),
    # microsoft/vscode 314631: refs of a tool whose objects `git prune` took away
    "a tool's ref without its object": (
        "mkdir -p .git/refs/sessions/s; echo 0123456789012345678901234567890123456789 > .git/refs/sessions/s/turn; git prune; echo x > x.txt; git add -A; git commit -qm work",
        X,
        "",
    ),
    # buildkite/agent 1222: empty loose objects after a machine had lost its power
    "empty loose objects of files": (
        "echo x > x.txt; git add -A; echo y > y.txt; git add -A; o=.git/objects/$(git hash-object y.txt | sed 's,^..,&/,'); chmod 600 $o; : > $o",
        {**X, "y.txt": "A"},
        "",
    ),
    # dimileeh/agent-workspace-fabric 614: an alternates file of the command's lends objects that are nowhere else
    "a commit that only an alternates file has": (
        "git clone -q . ../private; (cd ../private; git config user.name p; git config user.email p@example.org; echo x > x.txt; git add -A; git commit -qm hidden); echo /workspace/private/.git/objects >> .git/objects/info/alternates; git reset -q --hard $(git -C ../private rev-parse HEAD)",
        X,
        "",
    ),
}


@pytest.mark.parametrize(("command", "changed", "named"), REPORTS.values(), ids=REPORTS)
async def test_a_report(bench: Workbench, command: str, changed: dict[str, str], named: str) -> None:
    async with bench.run(command) as taken:
        assert taken.reason is None, taken.told
        assert await taken.changed() == changed, (taken.told, taken.said)
        assert named in taken.told
        await taken.recovered()


async def test_a_detached_commit_and_a_dirty_work_tree(bench: Workbench) -> None:
    """anthropics/claude-code 74719: both were reaped as clean, one with an unpushed commit, one with edits."""
    command = (
        "git worktree add -q --detach ../one; (cd ../one; echo 1 > one; git add -A; git commit -qm one); "
        "git worktree add -q --detach ../two; echo 2 > ../two/two"
    )
    async with bench.run(command) as taken:
        assert taken.reason == "work_not_on_branch"
        assert len(taken.left) == 2
        assert "one" in taken.told
        assert "two" in taken.told


async def test_a_submodule_at_a_commit_that_was_never_pushed(bench: Workbench) -> None:
    """Gryt-chat/gryt 48: `git commit -a` swept up a submodule that stood on a local commit; nobody could clone it."""
    command = (
        f"{CLONE.format('/workspace/lib')}; git -c protocol.file.allow=always submodule add -q /workspace/lib lib; "
        "(cd lib; git config user.name n; git config user.email n@example.org; echo 2 > f; git commit -qam local); git add -A; git commit -qam all"
    )
    async with bench.run(command) as taken:
        assert taken.reason == "work_not_on_branch", taken.told
        assert "lib" in taken.told
