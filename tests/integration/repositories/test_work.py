# ruff: noqa: E501 - a shell command stands on one line of its table
"""The ways to leave work in a checkout, each as docs/work.md tells it."""

from __future__ import annotations

import pytest

from gitward.sandboxes import Shown
from workbench import BRANCH, Workbench, run

pytestmark = pytest.mark.asyncio(loop_scope="session")


COMMIT = "echo x > x.txt; git add -A; git commit -qm work"
ALL = {"x.txt": "A"}

CHANGES = {
    "nothing": ("true", {}),
    "HEAD": (COMMIT, ALL),
    "uncommitted": ("echo x > x.txt", ALL),
    "staged": ("echo x > x.txt; git add x.txt", ALL),
    "commit and more": (f"{COMMIT}; echo y > y.txt; rm run.sh", {"x.txt": "A", "y.txt": "A", "run.sh": "D"}),
    "detached HEAD": (f"git checkout -q --detach; {COMMIT}", ALL),
    "own branch checked out": (f"git switch -qc fix/typo; {COMMIT}", ALL),
    "target branch checked out": (f"git switch -q main; {COMMIT}", ALL),
    "amended": (f"{COMMIT}; git commit -q --amend -m better", ALL),
    "squashed": (
        f"{COMMIT}; echo z > z; git add z; git commit -qm z; git reset -q --soft HEAD~2; git commit -qm one",
        {"x.txt": "A", "z": "A"},
    ),
    "mode": ("chmod 644 run.sh; chmod 755 README.md", {"run.sh": "M", "README.md": "M"}),
    "link": ("ln -sf a/f link; ln -s nowhere broken", {"link": "M", "broken": "A"}),
    "link to file": ("rm link; echo file > link", {"link": "T"}),
    "file to link": ("rm README.md; ln -s a/f README.md", {"README.md": "T"}),
    "file to folder": ("rm README.md; mkdir README.md; echo x > README.md/x", {"README.md": "D", "README.md/x": "A"}),
    "folder to file": ("rm -r a; echo a > a", {"a/f": "D", "a": "A"}),
    "folder to link": ("mv a c; ln -s c a", {"a/f": "D", "a": "A", "c/f": "A"}),
    "case": (
        "git mv README.md readme.md; mv run.sh RUN.sh",
        {"README.md": "D", "readme.md": "A", "run.sh": "D", "RUN.sh": "A"},
    ),
    "names": (
        r"""
        mkdir ' '; echo 1 > "$(printf 'new\nline')"; echo 1 > '"quoted"'; echo 1 > "$(printf 'tab\there')"
        echo 1 > "$(printf '\303\050')"; echo 1 > ' / '; echo 1 > '-n'; echo 1 > ':(glob)x'; echo 1 > 'a\b'
        echo 1 > "$(printf 'x%.0s' $(seq 255))"; echo 1 > ünï
        """,
        dict.fromkeys(
            ("new\nline", '"quoted"', "tab\there", "\udcc3(", " / ", "-n", ":(glob)x", "a\\b", "x" * 255, "ünï"), "A"
        ),
    ),
    "ignored": ("echo x > x.log", {}),
    "ignored but added": ("echo x > x.log; git add -f x.log", {"x.log": "A"}),
    "ignored but added, changed since": ("echo x > x.log; git add -f x.log; echo y > x.log", {"x.log": "A"}),
    "intent to add": ("echo x > x.txt; git add -N x.txt", ALL),
    "intent to add, ignored": ("echo x > x.log; git add -N -f x.log", {"x.log": "A"}),
    "assume unchanged": ("git update-index --assume-unchanged README.md; echo x > README.md", {"README.md": "M"}),
    "skip worktree": ("git update-index --skip-worktree README.md; echo x > README.md", {"README.md": "M"}),
    "no index": ("rm .git/index; echo x > x.txt", ALL),
    "nonsense index": ("echo nonsense > .git/index; echo x > x.txt", ALL),
    "empty folder": ("mkdir empty", {}),
    "touched": ("touch -d 2001-01-01 README.md; cat b/f > t; mv t b/f", {}),
    "excluded by the command": ("echo x.txt > .git/info/exclude; echo x > x.txt", ALL),
    "excluded by its configuration": (
        "git config core.excludesFile /workspace/e; echo x.txt > ../e; echo x > x.txt",
        ALL,
    ),
    "file mode off": ("git config core.fileMode false; chmod 755 README.md", {"README.md": "M"}),
    "git moved elsewhere": (f"{COMMIT}; mv .git ../elsewhere; echo 'gitdir: ../elsewhere' > .git", ALL),
    ".git removed": ("rm -rf .git; echo x > x.txt", ALL),
    ".git removed, nothing else": ("rm -rf .git", {}),
    ".git made anew": ("rm -rf .git; git init -q; echo x > x.txt; git add -A; git commit -qm all", ALL),
    ".git made anew, no commit": ("rm -rf .git; git init -q; echo x > x.txt", ALL),
    ".git is a file": ("rm -rf .git; echo nonsense > .git; echo x > x.txt", ALL),
    "HEAD unborn": ("git symbolic-ref HEAD refs/heads/none; echo x > x.txt", ALL),
    "reftable of refs": (f"{COMMIT}; git pack-refs --all --prune", ALL),
    "packed objects": (f"{COMMIT}; git gc -q", ALL),
    "file beyond a link": ("mv a /workspace/a; ln -s ../a a", {"a/f": "D", "a": "A"}),
    "untracked by rm --cached": (
        "git rm -q --cached README.md; echo README.md >> .gitignore",
        {"README.md": "D", ".gitignore": "M"},
    ),
    "all untracked and added again": (
        "echo README.md >> .gitignore; git rm -rq --cached .; git add .",
        {"README.md": "D", ".gitignore": "M"},
    ),
    "rm --cached, not ignored": ("git rm -q --cached README.md", {}),
    "split index": ("git update-index --split-index; echo x > x.txt; git add x.txt", ALL),
    "git folder elsewhere": (f"git init -q --separate-git-dir=/workspace/elsewhere; {COMMIT}", ALL),
    "git folder by a link": (f"mv .git ../elsewhere; ln -s ../elsewhere .git; {COMMIT}", ALL),
    "reset to an older commit, softly": ("git reset -q --soft HEAD~1", {}),
    "reset to an older commit, mixed": ("git reset -q HEAD~1", {}),
    "socket": ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'; mkfifo f; echo x > x.txt", ALL),
    "case of a folder": ("git mv a A", {"a/f": "D", "A/f": "A"}),
    "worktree without changes": ("git worktree add -q ../wt; echo x > x.txt", ALL),
    "merge of another branch": ("git merge -q -X ours -m merged origin/other; echo x > x.txt", ALL),
}


@pytest.mark.parametrize(("command", "expected"), CHANGES.values(), ids=CHANGES)
async def test_the_change(bench: Workbench, command: str, expected: dict[str, str]) -> None:
    async with bench.run(command) as taken:
        assert taken.reason is None, taken.told
        assert await taken.changed() == expected, taken.told
        assert taken.work.changed == bool(expected), taken.told
        assert not taken.left, taken.told
        if expected:
            assert len(await taken.trees(patch="merge" not in command)) == 1


async def test_all_that_collects_the_work_needs_no_more_than_two_sandboxes(bench: Workbench) -> None:
    """Each sandbox records three processes in the claim: its supervisor, bubblewrap, and process 1."""
    async with bench.run(f"{COMMIT}; echo y > y.txt; git stash -q -u; echo z > z.txt; ln -s z.txt l") as taken:
        assert await taken.changed() == {"x.txt": "A", "z.txt": "A", "l": "A"}
        claim = (taken.workspace / "result/claim").read_text().splitlines()
    assert 3 <= len(claim) <= 2 * 3


CLASH = "echo mine > README.md; git commit -qam mine"
ELSEWHERE = {
    "session branch left": (f"{COMMIT}; git switch -q main", ALL),
    "one other branch": (f"git switch -qc fix/typo; {COMMIT}; git switch -q -", ALL),
    "one other branch, amended": (
        f"git switch -qc fix; echo 1 > x.txt; git add -A; git commit -qm 1; {COMMIT}; "
        "git commit -q --amend -m better; git switch -q -",
        ALL,
    ),
    "one other branch, with a tag": (f"git switch -qc fix; {COMMIT}; git tag -a v1 -m v1; git switch -q -", ALL),
    "worktree, committed": (f"git worktree add -q ../wt -b fix/wt; cd ../wt; {COMMIT}", ALL),
    "HEAD unborn since": (
        f"git switch -qc one; {COMMIT}; git symbolic-ref HEAD refs/heads/none; git rm -q --cached x.txt; rm x.txt",
        ALL,
    ),
    "worktree that is gone": (f"git worktree add -q /tmp/wt -b fix/wt; cd /tmp/wt; {COMMIT}; rm -rf /tmp/wt", ALL),
}


@pytest.mark.parametrize(("command", "expected"), ELSEWHERE.values(), ids=ELSEWHERE)
async def test_one_branch_elsewhere_becomes_the_change(
    bench: Workbench, command: str, expected: dict[str, str]
) -> None:
    async with bench.run(command) as taken:
        assert (taken.reason, taken.work.changed) == (None, True), taken.told
        assert "that is the change" in taken.told
        assert await taken.changed() == expected
        assert len(await taken.trees()) == 1


Y = "echo y > y.txt; git add -A; git commit -qm y"
LEFT = {
    "two branches": (
        f"git switch -qc one; {COMMIT}; git switch -qc two main; {Y}; git switch -q {BRANCH}",
        ["branch", "branch"],
        ["x.txt", "y.txt"],
    ),
    "stash": ("echo x >> README.md; git stash -q", ["stash"], ["README.md"]),
    "stashes": (
        "echo x >> README.md; git stash -q; echo y > y.txt; git stash -qu; echo z >> a/f; git stash -q",
        ["stash", "stash", "stash"],
        ["README.md", "a/f", "y.txt"],
    ),
    "stash of a staged file": (
        "echo x > x.txt; git add x.txt; echo more >> x.txt; echo y > y; git stash -qu",
        ["stash"],
        ["x.txt", "y"],
    ),
    "detached worktree": (f"git worktree add -q --detach ../wt; cd ../wt; {COMMIT}", ["worktree"], ["x.txt"]),
    "worktree, uncommitted": ("git worktree add -q ../wt; echo x > ../wt/x.txt", ["worktree"], ["x.txt"]),
    "worktree inside, uncommitted": ("git worktree add -q .trees/a; echo x > .trees/a/x.txt", ["worktree"], ["x.txt"]),
    "tag": (f"git checkout -q --detach; {COMMIT}; git tag wip; git switch -q {BRANCH}", ["tag"], ["x.txt"]),
    "annotated tag": (
        f"git checkout -q --detach; {COMMIT}; git tag -a wip -m w; git switch -q {BRANCH}",
        ["tag"],
        ["x.txt"],
    ),
    "staged only": (
        r"printf -- '--- a/b/f\n+++ b/b/f\n@@ -1 +1 @@\n-b\n+B\n' | git apply --cached",
        ["staged"],
        ["b/f"],
    ),
    "staged, and gone from disk": ("echo x > x.txt; git add x.txt; rm x.txt", ["staged"], ["x.txt"]),
}


@pytest.mark.parametrize(("command", "kinds", "files"), LEFT.values(), ids=LEFT)
async def test_work_elsewhere_fails_the_run_and_is_kept(
    bench: Workbench, command: str, kinds: list[str], files: list[str]
) -> None:
    async with bench.run(command) as taken:
        assert taken.reason == "work_not_on_branch", taken.told
        assert taken.left == kinds, taken.told
        for each in taken.work.left:
            assert each.name in taken.told
        clone = await taken.recovered()
        names = run("git", "for-each-ref", "--format=%(refname)", "refs/kept/gitward", cwd=clone).decode().split()
        assert len(names) == len(kinds)
        shown = run("git", "log", "--format=", "--name-only", *names, "--not", "origin/main", cwd=clone)
        assert sorted(set(shown.decode().split())) == files


BESIDE = {
    "branch": (f"{Y}; git switch -qc one main; {COMMIT}; git switch -q {BRANCH}", ["branch"]),
    "stash": (f"echo x > x.txt; git stash -qu; {Y}", ["stash"]),
    "worktree": (f"git worktree add -q ../wt; echo x > ../wt/x.txt; {Y}", ["worktree"]),
    "staged": (f"{Y}; echo x > x.txt; git add x.txt; rm x.txt", ["staged"]),
}


@pytest.mark.parametrize(("command", "kinds"), BESIDE.values(), ids=BESIDE)
async def test_beside_a_change_it_is_kept_and_told(bench: Workbench, command: str, kinds: list[str]) -> None:
    async with bench.run(command) as taken:
        assert (taken.reason, taken.work.changed, taken.left) == (None, True, kinds), taken.told
        assert "Kept in the bundle, and not proposed" in taken.told
        assert await taken.changed() == {"y.txt": "A"}
        assert await taken.content("x.txt", taken.work.left[0].oid) == b"x\n"


WEAK = {
    "no branch holds it": (f"{COMMIT}; git reset -q --hard HEAD~1", ["reflog"]),
    "deleted branch": (f"git switch -qc one; {COMMIT}; git switch -q -; git branch -qD one", ["reflog"]),
    "ref of a tool": (f"{COMMIT}; git update-ref refs/checkpoints/1 HEAD; git reset -q --hard HEAD~1", ["ref"]),
    "notes": ("git notes add -m note", ["ref"]),
}


@pytest.mark.parametrize(("command", "kinds"), WEAK.values(), ids=WEAK)
async def test_what_no_branch_holds_is_kept_and_changes_nothing(
    bench: Workbench, command: str, kinds: list[str]
) -> None:
    async with bench.run(command) as taken:
        assert (taken.reason, taken.work.changed, taken.left) == (None, False, kinds), taken.told
        assert "Kept in the bundle, and not proposed" in taken.told
        await taken.recovered()


OPERATIONS = {
    "merge": (f"{CLASH}; git merge -q origin/other || true", "a merge under way in README.md"),
    "merge, not committed": ("git merge -q --no-commit -X ours origin/other", "a merge under way"),
    "cherry-pick": ("git cherry-pick origin/other >/dev/null || true", "a cherry-pick under way in README.md"),
    "revert": (f"{CLASH}; git revert --no-edit HEAD~1 >/dev/null || true", "a revert under way in README.md"),
    "rebase": (f"{CLASH}; git rebase -q origin/other || true", "a rebase under way in README.md"),
    "rebase by hand": (
        f"{CLASH}; GIT_SEQUENCE_EDITOR='sed -i s/pick/edit/' git rebase -qi HEAD~1",
        "a rebase under way",
    ),
    "am": ("git format-patch -q -1 origin/other -o /tmp; git am -q /tmp/*.patch || true", "an am under way"),
    "stash pop": (
        "echo mine > README.md; git stash -q; echo theirs > README.md; git commit -qam theirs; git stash pop -q || true",
        "conflicts in README.md",
    ),
    "split index": (
        "git update-index --split-index; echo mine > README.md; git stash -q; echo theirs > README.md; "
        "git commit -qam theirs; git stash pop -q || true",
        "conflicts in README.md",
    ),
}


@pytest.mark.parametrize(("command", "words"), OPERATIONS.values(), ids=OPERATIONS)
async def test_an_operation_under_way_is_never_proposed(bench: Workbench, command: str, words: str) -> None:
    async with bench.run(f"echo x > x.txt; {command}") as taken:
        assert taken.reason == "task_failed", taken.told
        assert words in taken.told
        assert await taken.content("x.txt") == b"x\n"


async def test_what_a_rebase_stashed_is_kept(bench: Workbench) -> None:
    async with bench.run(f"{CLASH}; echo x >> a/f; git rebase -q --autostash origin/other || true") as taken:
        assert "a rebase under way" in taken.told
        stashes = [each for each in taken.work.left if each.kind == "stash"]
        assert [await taken.content("a/f", each.oid) for each in stashes] == [b"a\nx\n"]


UPSTREAM_ALREADY = {
    "somebody else's branch": ("git switch -q other", ""),
    "fetched since": ("git fetch -q /gitward/fork two:review; git fetch -q /gitward/fork one", ""),
    "detached at a tag": ("git checkout -q --detach origin/other", ""),
    "reset to an older commit": ("git reset -q --hard HEAD~1", "which is already upstream"),
}


@pytest.mark.parametrize(("command", "words"), UPSTREAM_ALREADY.values(), ids=UPSTREAM_ALREADY)
async def test_what_is_upstream_is_no_work(bench: Workbench, command: str, words: str) -> None:
    fork = bench.upstream(
        "git switch -qc one; echo 1 > 1; git add -A; git commit -qm 1; git switch -qc two; "
        "echo 2 > 2; git add -A; git commit -qm 2; git switch -q main"
    )
    shown = Shown(host=fork.path, inside="/gitward/fork")
    safe = "git config --global safe.directory '*'; "
    async with bench.run(safe + command, shown=[shown]) as taken:
        assert (taken.reason, taken.work.changed, taken.left) == (None, False, []), taken.told
        assert words in taken.told


async def test_work_upon_somebody_elses_branch_is_the_change(bench: Workbench) -> None:
    async with bench.run(f"git switch -q other; {COMMIT}") as taken:
        assert (taken.reason, taken.work.changed) == (None, True), taken.told
        assert await taken.changed(taken.work.head) == {"README.md": "M", "x.txt": "A"}


async def test_an_empty_commit_is_a_change(bench: Workbench) -> None:
    async with bench.run("git commit -q --allow-empty -m 'run CI'") as taken:
        assert (taken.reason, taken.work.changed, await taken.changed()) == (None, True, {}), taken.told


ORPHANS = {
    "orphan branch": f"git checkout -q --orphan new; {COMMIT}",
    "root commit": "git reset -q --soft $(git commit-tree -m root HEAD^{tree})",
}


@pytest.mark.parametrize("command", ORPHANS.values(), ids=ORPHANS)
async def test_history_with_nothing_in_common_is_kept(bench: Workbench, command: str) -> None:
    async with bench.run(command) as taken:
        assert taken.reason == "work_not_on_branch"
        assert "no history in common with main" in taken.told
        await taken.recovered()


@pytest.mark.parametrize(
    "command", ["cd ..; rm -rf repo", "cd ..; rm -rf repo; mkdir repo", "cd ..; mv repo gone", "rm -rf ./* .[!.]*"]
)
async def test_a_checkout_that_is_gone(bench: Workbench, command: str) -> None:
    async with bench.run(command) as taken:
        assert (taken.reason, taken.work.changed) == ("task_failed", False)
        assert "removed its checkout" in taken.told


NESTED = {
    "without a commit": "mkdir app; cd app; git init -q; echo 1 > main.txt",
    "with a commit": "mkdir app; cd app; git init -q; echo 1 > main.txt; git add -A; git commit -qm init",
    "added": "git init -q app; cd app; echo 1 > main.txt; git add -A; git commit -qm init; cd ..; git add -A 2>/dev/null",
    "committed": "git init -q app; cd app; echo 1 > main.txt; git add -A; git commit -qm init; cd ..; git add -A 2>/dev/null; git commit -qm all",
    "worktree": "git worktree add -q app",
}


@pytest.mark.parametrize("command", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("more", ["", "echo x > x.txt"], ids=["alone", "beside a change"])
async def test_a_nested_repository_is_left_out_and_named(bench: Workbench, command: str, more: str) -> None:
    async with bench.run(f"{more}\n({command})") as taken:
        assert taken.reason is None, taken.told
        assert "app" in taken.told
        assert await taken.changed() == (ALL if more else {})


async def test_nested_repositories_in_ignored_folders_are_nobodys_business(bench: Workbench) -> None:
    async with bench.run("mkdir d.log; cd d.log; git init -q; echo 1 > f; git add -A; git commit -qm 1") as taken:
        assert (taken.reason, taken.work.changed, taken.told) == (None, False, "")


REFUSED = {
    "unreadable file": ("echo s > hidden; chmod 000 hidden", "hidden"),
    "unreadable folder": ("mkdir closed; echo s > closed/f; chmod 000 closed", "closed"),
    "unreadable name with a line break": ('n=$(printf \'a\\nb\'); echo s > "$n"; chmod 000 "$n"', "a\ufffdb"),
    "name that git has for itself": ("mkdir git~1; echo x > git~1/f", "git~1/f"),
    "unreadable tracked folder": ("chmod 000 a", "a"),
    "too deep": ("n=$(printf 'x%.0s' $(seq 250)); for i in $(seq 20); do mkdir $n; cd $n; done; echo x > f", "xxx"),
    "many": ("for i in $(seq 150); do echo $i > u$i; done; chmod 000 u*", "u1, u10, u100"),
}


@pytest.mark.parametrize(("command", "name"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("more", ["", "echo x > x.txt"], ids=["alone", "beside a change"])
async def test_what_git_cannot_take_is_named(bench: Workbench, command: str, name: str, more: str) -> None:
    async with bench.run(f"{more}\n({command})") as taken:
        assert name in taken.told
        assert taken.reason == (None if more else "task_failed"), taken.told
        assert await taken.changed() == (ALL if more else {})


SPARSE = {
    "cone": "git sparse-checkout set a; mkdir -p b; echo lock > b/lock; echo x >> a/f",
    "no cone": "git sparse-checkout set --no-cone /a /README.md; mkdir -p b; echo lock > b/lock; echo x >> a/f",
    "sparse index": "git sparse-checkout set --sparse-index a; mkdir -p b; echo lock > b/lock; echo x >> a/f",
    "and index removed": "git sparse-checkout set a; mkdir -p b; echo lock > b/lock; echo x >> a/f; rm .git/index",
}


@pytest.mark.parametrize("command", SPARSE.values(), ids=SPARSE)
async def test_a_sparse_checkout_deletes_nothing(bench: Workbench, command: str) -> None:
    async with bench.run(command) as taken:
        assert taken.reason is None, taken.told
        assert await taken.changed() == {"b/lock": "A", "a/f": "M"}


DEPTHS = {
    "shallowed": f"git rev-parse HEAD > .git/shallow; {COMMIT}",
    "shallow file of nonsense": f"{COMMIT}; echo nonsense > .git/shallow",
    "cut at its own commit": f"{COMMIT}; git rev-parse HEAD > .git/shallow",
}


@pytest.mark.parametrize("command", DEPTHS.values(), ids=DEPTHS)
async def test_how_deep_the_history_is_makes_no_difference(bench: Workbench, command: str) -> None:
    async with bench.run(command) as taken:
        assert (taken.reason, await taken.changed()) == (None, ALL), taken.told
        assert len(await taken.trees()) == 1


async def test_a_follow_up_may_rewrite_what_it_pushed(bench: Workbench) -> None:
    there = "git switch -qc follow; echo 1 > 1; git add -A; git commit -qm 1; echo 2 > 2; git add -A; git commit -qm 2; git switch -q main"
    async with bench.run("git reset -q --hard HEAD~1", upstream=there, follows="follow") as taken:
        assert (taken.reason, taken.work.changed, await taken.changed()) == (None, True, {"2": "D"}), taken.told
    async with bench.run("git reset -q --soft HEAD~2; git commit -qm one", upstream=there, follows="follow") as taken:
        assert (taken.reason, taken.work.changed, await taken.changed()) == (None, True, {}), taken.told
    async with bench.run("git reset -q --hard origin/main", upstream=there, follows="follow") as taken:
        assert (taken.reason, taken.work.changed) == (None, False), taken.told
