"""The ways to leave work in a checkout, each as docs/work.md tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from workbench import Workbench, workbench

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench() -> AsyncIterator[Workbench]:
    async with workbench() as made:
        yield made


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
    "squashed": (f"{COMMIT}; echo z > z; git add z; git commit -qm z; git reset -q --soft HEAD~2; git commit -qm one",
                 {"x.txt": "A", "z": "A"}),
    "mode": ("chmod 644 run.sh; chmod 755 README.md", {"run.sh": "M", "README.md": "M"}),
    "link": ("ln -sf a/f link; ln -s nowhere broken", {"link": "M", "broken": "A"}),
    "link to file": ("rm link; echo file > link", {"link": "T"}),
    "file to link": ("rm README.md; ln -s a/f README.md", {"README.md": "T"}),
    "file to folder": ("rm README.md; mkdir README.md; echo x > README.md/x", {"README.md": "D", "README.md/x": "A"}),
    "folder to file": ("rm -r a; echo a > a", {"a/f": "D", "a": "A"}),
    "folder to link": ("mv a c; ln -s c a", {"a/f": "D", "a": "A", "c/f": "A"}),
    "case": ("git mv README.md readme.md; mv run.sh RUN.sh",
             {"README.md": "D", "readme.md": "A", "run.sh": "D", "RUN.sh": "A"}),
    "names": (
        r"""
        mkdir ' '; echo 1 > "$(printf 'new\nline')"; echo 1 > '"quoted"'; echo 1 > "$(printf 'tab\there')"
        echo 1 > "$(printf '\303\050')"; echo 1 > ' / '; echo 1 > '-n'; echo 1 > ':(glob)x'; echo 1 > 'a\b'
        echo 1 > "$(printf 'x%.0s' $(seq 255))"; echo 1 > ünï
        """,
        {name: "A" for name in
         ("new\nline", '"quoted"', "tab\there", "\udcc3(", " / ", "-n", ":(glob)x", "a\\b", "x" * 255, "ünï")},
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
    "excluded by its configuration": ("git config core.excludesFile /workspace/e; echo x.txt > ../e; echo x > x.txt", ALL),
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
    "merge of another branch": ("git merge -q -X ours -m merged origin/other; echo x > x.txt", ALL),
}


@pytest.mark.parametrize(("command", "expected"), CHANGES.values(), ids=CHANGES)
async def test_the_change(bench: Workbench, command: str, expected: dict[str, str]) -> None:
    async with bench.run(command) as taken:
        assert taken.reason is None, taken.told
        assert await taken.changed() == expected, taken.told
        if expected:
            assert taken.work.changed
            assert len(await taken.trees()) == 1
