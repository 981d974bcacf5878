# ruff: noqa: E501 - a shell command stands on one line of its table
"""Work inside submodules: kept as a bundle of its own, and never proposed at a commit that nobody can get."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.sandboxes import Shown
from workbench import Taken, Upstream, Workbench, run

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LIBRARY = """
git switch -qc next; echo next > next; git add -A; git commit -qm next; git switch -q main
git tag v1; git switch -qc old v1~1; echo o > o; git add -A; git commit -qm old; git tag off; git switch -q main; git branch -qD old
"""
_URL = "/gitward/lib"
_WITH = """
git -c protocol.file.allow=always submodule add -q {path} lib; git config -f .gitmodules submodule.lib.url /gitward/lib
git add -A; git commit -qm 'with lib'
"""
CLONED = """
git config --global safe.directory '*'; git config --global protocol.file.allow always
git submodule -q update --init"""
WORK = "cd lib; echo x > x.txt; git add -A; git commit -qm work; cd .."


@pytest.fixture
def library(bench: Workbench) -> Upstream:
    return bench.upstream(_LIBRARY)


@pytest.fixture
def there(library: Upstream) -> str:
    return _WITH.format(path=library.path)


@pytest.fixture
def shown(library: Upstream) -> list[Shown]:
    return [Shown(host=library.path, inside=_URL)]


async def recovered(taken: Taken, library: Upstream) -> tuple[Path, list[str]]:
    """A clone of the submodule's own repository, with what the second bundle has."""
    clone = taken.workspace / "library"
    run("git", "clone", "-q", str(library.path), str(clone), cwd=taken.workspace)
    (clone / ".git/kept.bundle").write_bytes(await taken.submodules())
    run("git", "fetch", "-q", ".git/kept.bundle", "refs/heads/*:refs/kept/*", cwd=clone)
    names = run("git", "for-each-ref", "--format=%(refname)", "refs/kept", cwd=clone).decode().split()
    return clone, names


NOTHING = {
    "not cloned": "true",
    "cloned": CLONED,
    "cloned and looked at": f"{CLONED}; git -C lib status -q; git -C lib log -1 >/dev/null; git -C lib checkout -q off; git submodule -q update",
    "shallow": f"{CLONED}; git submodule -q deinit -f lib; rm -rf .git/modules; git submodule -q init; "
    "git config submodule.lib.url file:///gitward/lib; git submodule -q update --depth 1; test -s .git/modules/lib/shallow",
    "with ignored files": f"{CLONED}; echo x > lib/x.log",
}


@pytest.mark.parametrize("command", NOTHING.values(), ids=NOTHING)
async def test_a_clone_is_no_work(bench: Workbench, there: str, shown: list[Shown], command: str) -> None:
    async with bench.run(command, upstream=there, shown=shown) as taken:
        assert (taken.reason, taken.work.changed, taken.work.submodules) == (None, False, None), taken.told


PUBLISHED = {
    "a branch of its upstream": "git -C lib checkout -q origin/next",
    "a tag of its upstream": "git -C lib checkout -q off",
    "fetched by hand": "git -C lib fetch -q origin next; git -C lib checkout -q FETCH_HEAD",
    "update --remote": "git config -f .gitmodules submodule.lib.branch next; git submodule -q update --remote",
    "committed": "git -C lib checkout -q origin/next; git commit -qam 'move lib'",
}


@pytest.mark.parametrize("command", PUBLISHED.values(), ids=PUBLISHED)
async def test_a_submodule_that_moved_is_a_change(
    bench: Workbench, there: str, shown: list[Shown], command: str
) -> None:
    async with bench.run(f"{CLONED}; {command}", upstream=there, shown=shown) as taken:
        assert (taken.reason, taken.work.changed, taken.work.submodules) == (None, True, None), taken.told
        changed = await taken.changed()
        changed.pop(".gitmodules", None)
        assert changed == {"lib": "M"}
        assert len(await taken.trees()) == 1


UNPUBLISHED = {
    "moved": WORK,
    "committed": f"{WORK}; git commit -qam 'move lib'",
    "on a branch of its own": f"git -C lib switch -qc mine; {WORK}; git commit -qam 'move lib'; echo more > more.txt",
    "tagged": f"{WORK}; git -C lib tag v9",
    "on another branch": f"git switch -qc mine; {WORK}; git commit -qam 'move lib'; git switch -q -; git submodule -q update",
    "a submodule made here": "mkdir ../made; git -C ../made init -q; git -C ../made commit -q --allow-empty -m 1; "
    "git -c protocol.file.allow=always submodule -q add ../made made 2>/dev/null || "
    "git -c protocol.file.allow=always submodule -q add /workspace/made made; git -C made commit -q --allow-empty -m 2",
}


@pytest.mark.parametrize("command", UNPUBLISHED.values(), ids=UNPUBLISHED)
async def test_a_commit_that_is_nowhere_upstream_is_not_proposed(
    bench: Workbench, there: str, shown: list[Shown], library: Upstream, command: str
) -> None:
    async with bench.run(f"{CLONED}; {command}", upstream=there, shown=shown) as taken:
        assert taken.reason == "work_not_on_branch", taken.told
        name = "made" if "made" in command else "lib"
        assert f"moves {name} to a commit that its upstream does not have" in taken.told
        assert (
            taken.work.submodules is not None
        )  # where they are is told with what was stored: runs/publishing/push_and_store.py
        if name == "lib":
            clone, [ref] = await recovered(taken, library)
            assert run("git", "show", f"{ref}:x.txt", cwd=clone) == b"x\n"
            assert run("git", "rev-parse", f"{ref}~1", cwd=clone).decode().strip() == library.git("rev-parse", "main")


BESIDE = {
    "commits, gone from HEAD": f"{WORK}; git submodule -q update",
    "commits on a branch": f"git -C lib switch -qc mine; {WORK}; git -C lib switch -q --detach main",
    "edits": "echo x > lib/x.txt",
    "staged edits": "echo x > lib/x.txt; git -C lib add x.txt",
    "a stash": "echo x > lib/x.txt; git -C lib add -A; git -C lib stash -q",
}


@pytest.mark.parametrize("command", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("more", ["", "echo y > y.txt"], ids=["alone", "beside a change"])
async def test_work_inside_is_kept(
    bench: Workbench, there: str, shown: list[Shown], library: Upstream, *, command: str, more: str
) -> None:
    async with bench.run(f"{CLONED}; {command}; {more}", upstream=there, shown=shown) as taken:
        assert await taken.changed() == ({"y.txt": "A"} if more else {})
        assert taken.reason == (None if more else "work_not_on_branch"), taken.told
        assert "submodule lib" in taken.told
        clone, refs = await recovered(taken, library)
        assert run("git", "show", f"{refs[0]}:x.txt", cwd=clone) == b"x\n"


async def test_a_submodule_inside_of_a_submodule(bench: Workbench, shown: list[Shown], library: Upstream) -> None:
    middle = bench.upstream(_WITH.format(path=library.path) + "# shown as a whole")
    outer = f"git -c protocol.file.allow=always submodule add -q {middle.path} mid; git config -f .gitmodules submodule.mid.url /gitward/mid; git add -A; git commit -qm mid"
    both = [*shown, Shown(host=middle.path, inside="/gitward/mid")]
    command = f"{CLONED.replace('--init', '--init --recursive')}; echo x > mid/lib/x.txt; echo y > y.txt"
    async with bench.run(command, upstream=outer, shown=both) as taken:
        assert (taken.reason, await taken.changed()) == (None, {"y.txt": "A"}), taken.told
        assert "uncommitted files of submodule mid/lib" in taken.told
        clone, [ref] = await recovered(taken, library)
        assert run("git", "show", f"{ref}:x.txt", cwd=clone) == b"x\n"


HOSTILE = {
    "fsmonitor": "git -C lib config core.fsmonitor /workspace/evil; echo x > lib/x.txt",
    "filters": "git -C lib config filter.evil.clean /workspace/evil; echo '* filter=evil' > lib/.gitattributes; echo x > lib/x.txt",
    "worktree": "git -C lib config core.worktree /etc; echo x > lib/x.txt",
    "alternates": "echo /workspace/other > .git/modules/lib/objects/info/alternates; echo x > lib/x.txt",
    "refs are links": "mv .git/modules/lib/refs ../refs; ln -s /workspace/refs .git/modules/lib/refs; echo x > lib/x.txt",
    "HEAD is a pipe": "rm .git/modules/lib/HEAD; mkfifo .git/modules/lib/HEAD; echo x > x.txt",
    "git folder outside": "echo 'gitdir: /etc' > lib/.git; echo x > x.txt",
    "git folder of the checkout": "echo 'gitdir: ../.git' > lib/.git; echo x > x.txt",
    "paths that leave": "git config -f .gitmodules submodule.lib.path ../../etc; git config -f .gitmodules submodule.a.path /etc; echo x > x.txt",
    "nonsense in .gitmodules": "head -c 100000 /dev/urandom > .gitmodules; echo x > x.txt",
}


@pytest.mark.parametrize("command", HOSTILE.values(), ids=HOSTILE)
async def test_what_a_submodule_configures_does_nothing(
    bench: Workbench, there: str, shown: list[Shown], command: str
) -> None:
    evil = "printf '#!/bin/sh\\necho evil > /result/evil; cat\\n' > ../evil; chmod 755 ../evil"
    async with bench.run(f"{CLONED}; {evil}; {command}", upstream=there, shown=shown) as taken:
        assert not (taken.place / "evil").exists()
        kept = taken.work.submodules is not None or taken.work.changed or taken.reason is not None
        assert kept, taken.told
