# ruff: noqa: E501 - a shell command stands on one line of its table
"""Files that differ from their own attributes: nobody's work, until somebody changes their content."""

from __future__ import annotations

import pytest

from workbench import Workbench

pytestmark = pytest.mark.asyncio(loop_scope="session")

_COMMIT = "git add -A; git commit -qm files"
# A tree whose blobs do not fit the attributes that were committed later. Each has a file `odd`, and more of its kind.
SHAPES = {
    "text": f"printf 'a\\r\\nb\\r\\n' > odd; {_COMMIT}; echo 'odd text' > .gitattributes; "
    "git add .gitattributes; git commit -qm a",
    "eol=crlf": f"printf 'a\\r\\nb\\r\\n' > odd; printf 'a\\nb\\n' > fits; {_COMMIT}; "
    f"printf 'odd text eol=crlf\\nfits text eol=crlf\\n' > .gitattributes; git add .gitattributes; git commit -qm a",
    "eol=lf": f"printf 'a\\r\\nb\\n' > odd; {_COMMIT}; echo 'odd text eol=lf' > .gitattributes; "
    "git add .gitattributes; git commit -qm a",
    "ident": f"printf '$Id: 0123456789012345678901234567890123456789 $\\n' > odd; {_COMMIT}; echo 'odd ident' > .gitattributes; "
    "git add .gitattributes; git commit -qm a",
    "working-tree-encoding": f"printf 'hello\\r\\n' > odd; {_COMMIT}; "
    "echo 'odd text working-tree-encoding=UTF-16LE-BOM eol=crlf' > .gitattributes; git add .gitattributes; git commit -qm a",
    "encoding that does not fit": f"printf 'a\\xff\\xfeb\\n' > odd; {_COMMIT}; "
    "echo 'odd text working-tree-encoding=UTF-16' > .gitattributes; git add .gitattributes; git commit -qm a",
    "LFS pattern on plain files": f"head -c 5000 /dev/zero > odd; {_COMMIT}; "
    "echo 'odd filter=lfs diff=lfs merge=lfs -text' > .gitattributes; git add .gitattributes; git commit -qm a",
    "attributes in a folder": f"mkdir d; printf 'a\\r\\nb\\r\\n' > d/odd; printf 'a\\r\\nb\\r\\n' > odd; {_COMMIT}; "
    "echo '* text' > d/.gitattributes; echo 'odd text=auto eol=crlf' > .gitattributes; "
    "git add .gitattributes d/.gitattributes; git commit -qm a",
}
# Each leaves the content of every file as the checkout wrote it.
UNCHANGED = {
    "nothing": "true",
    "touched": "touch odd",
    "rewritten": "cp odd ../o; cat ../o > odd; touch -d 2001-01-01 odd",
    "replaced": "cp odd ../o; mv ../o odd",
    "looked at": "git status -s >/dev/null; git diff >/dev/null",
    "index made anew": "rm .git/index; git reset -q --mixed 2>/dev/null; true",
}


@pytest.mark.parametrize("command", UNCHANGED.values(), ids=UNCHANGED)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_files_that_nobody_touched_are_no_work(bench: Workbench, shape: str, command: str) -> None:
    async with bench.run(f"{command}; echo x >> README.md", upstream=shape) as taken:
        assert (taken.reason, await taken.changed(), taken.told) == (None, {"README.md": "M"}, "")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_where_nothing_was_touched_nothing_changed(bench: Workbench, shape: str) -> None:
    async with bench.run("touch odd", upstream=shape) as taken:
        assert (taken.reason, taken.work.changed, taken.told) == (None, False, "")


@pytest.mark.parametrize("name", ["text", "eol=crlf", "eol=lf"])
async def test_what_was_changed_is_work(bench: Workbench, name: str) -> None:
    async with bench.run("printf 'more\\r\\n' >> odd", upstream=SHAPES[name]) as taken:
        assert (taken.reason, await taken.changed()) == (None, {"odd": "M"}), taken.told
        assert b"more" in await taken.content("odd")
        assert len(await taken.trees(patch=False)) == 1


async def test_a_plain_file_under_an_lfs_pattern_becomes_a_pointer_when_it_is_changed(bench: Workbench) -> None:
    async with bench.run("printf 'more\\r\\n' >> odd", upstream=SHAPES["LFS pattern on plain files"]) as taken:
        assert (taken.reason, await taken.changed()) == (None, {"odd": "M"}), taken.told
        assert (await taken.content("odd")).startswith(b"version https://git-lfs.github.com/spec/v1\n")
        assert len(await taken.trees(patch=False)) == 1


@pytest.mark.parametrize("name", ["text", "eol=crlf"])
async def test_a_mode_is_changed_without_its_content(bench: Workbench, name: str) -> None:
    async with bench.run("chmod 755 odd", upstream=SHAPES[name]) as taken:
        assert await taken.changed() == {"odd": "M"}
        assert await taken.content("odd") == await taken.content("odd", taken.start.sha)


STAGED = {
    "staged": "git add --renormalize .",
    "committed": "git add --renormalize .; git commit -qm normalise",
    "staged, and one more": "git add --renormalize .; printf 'x\\r\\n' >> odd",
}


@pytest.mark.parametrize("command", STAGED.values(), ids=STAGED)
async def test_what_the_command_normalised_on_purpose_is_work(bench: Workbench, command: str) -> None:
    async with bench.run(command, upstream=SHAPES["text"]) as taken:
        assert await taken.changed() == {"odd": "M"}, taken.told
        assert b"\r" not in await taken.content("odd")


ATTRIBUTES = {
    "new": "printf '* text eol=crlf\\n' > .gitattributes",
    "removed": "rm .gitattributes",
    "new, and a file touched": "printf '* text eol=crlf\\n' > .gitattributes; touch odd README.md",
    "new with a filter": "printf '* filter=x diff=x -text\\n' > .gitattributes; git config filter.x.clean 'echo evil'; touch *",
}


@pytest.mark.parametrize("command", ATTRIBUTES.values(), ids=ATTRIBUTES)
@pytest.mark.parametrize("name", ["text", "eol=crlf", "working-tree-encoding"])
async def test_attributes_that_change_leave_the_files_alone(bench: Workbench, name: str, command: str) -> None:
    async with bench.run(command, upstream=SHAPES[name]) as taken:
        letter = "D" if command.startswith("rm") else "M"
        assert (taken.reason, await taken.changed()) == (None, {".gitattributes": letter}), taken.told


async def test_a_work_tree_of_such_files_is_no_work(bench: Workbench) -> None:
    async with bench.run("git worktree add -q ../wt", upstream=SHAPES["text"]) as taken:
        assert (taken.reason, taken.work.changed, taken.left) == (None, False, []), taken.told


async def test_a_file_in_another_encoding_is_named_and_the_rest_is_taken(bench: Workbench) -> None:
    command = "printf 'odd\\n' > odd; echo x > x.txt"
    async with bench.run(command, upstream=SHAPES["encoding that does not fit"]) as taken:
        assert "odd" in taken.told
        assert (taken.reason, await taken.changed()) == (None, {"x.txt": "A"}), taken.told
        assert "git cannot take them: odd" in taken.told
