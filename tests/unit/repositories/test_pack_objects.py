"""What comes out of the sandbox is read strictly: foreign code may have written it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.grants.inspection import BadPack, Entry, Findings
from gitward.repositories.pack_inspection.objects import findings, questions

FILE = "1" * 40


def oid_of(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def printed(kind: str, content: bytes, *, oid: str | None = None) -> bytes:
    return f"{oid or oid_of(kind, content)} {kind} {len(content)}\n".encode() + content + b"\n"


def entry(mode: str, name: bytes, oid: str) -> bytes:
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid)


def missing(number: int) -> bytes:
    return f"{questions(TIP)[number]} missing\n".encode()


def commit_of(root: bytes) -> bytes:
    return f"tree {oid_of('tree', root)}\nauthor x\n\nmessage\n".encode()


_BELOW = entry("100644", b"ci.yml", FILE)
_TOP = entry("40000", b"workflows", oid_of("tree", _BELOW))
_ROOT = entry("40000", b".github", oid_of("tree", _TOP)) + entry("100644", b"a", FILE)
TIP = oid_of("commit", commit_of(_ROOT))
ROOT, TOP, BELOW = (oid_of("tree", content) for content in (_ROOT, _TOP, _BELOW))
COMMIT, ROOT_TREE = printed("commit", commit_of(_ROOT)), printed("tree", _ROOT)
TOP_TREE, BELOW_TREE = printed("tree", _TOP), printed("tree", _BELOW)


def found_in(root: bytes, *below: bytes) -> Findings:
    """Of a commit with this top folder; `below` are the folders on the way to the workflows, missing ones left out."""
    commit = commit_of(root)
    tip = oid_of("commit", commit)
    folders = [printed("tree", content) for content in (root, *below)]
    folders += [f"{question} missing\n".encode() for question in questions(tip)[1 + len(folders) :]]
    return findings(tip, printed("commit", commit) + b"".join(folders))


def above(below: bytes) -> tuple[bytes, bytes, bytes]:
    """The three folders, from the top, of which the last is this one."""
    top = entry("40000", b"workflows", oid_of("tree", below))
    return entry("40000", b".github", oid_of("tree", top)), top, below


def test_all_is_there() -> None:
    assert findings(TIP, COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE) == Findings(
        tree=ROOT,
        trees={
            ROOT: {".github": Entry(mode="40000", oid=TOP)},
            TOP: {"workflows": Entry(mode="40000", oid=BELOW)},
            BELOW: {"ci.yml": Entry(mode="100644", oid=FILE)},
        },
    )


def test_what_is_missing_is_upstream() -> None:
    assert findings(TIP, b"".join(map(missing, range(4)))) == Findings()
    assert findings(TIP, COMMIT + missing(1) + missing(2) + missing(3)) == Findings(tree=ROOT)
    only_root = findings(TIP, COMMIT + ROOT_TREE + missing(2) + missing(3))
    assert set(only_root.trees) == {ROOT}


@pytest.mark.parametrize(
    "names", [[b"%d" % number for number in range(101)], [b"x" * 5000 + b"%d" % number for number in range(4)]]
)
def test_names_that_are_many_or_long_are_not_told(names: list[bytes]) -> None:
    folders = above(b"".join(entry("100644", name, FILE) for name in names))
    assert set(found_in(*folders).trees) == {oid_of("tree", folder) for folder in folders[:2]}


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(b"40000 .github\0short", id="short entry"),
        pytest.param(entry("9", b"a", FILE), id="no mode"),
        pytest.param(entry("100644", b"", FILE), id="no name"),
        pytest.param(entry("40000", b".github/workflows", FILE), id="a name with a slash"),
        pytest.param(entry("40000", b".github", TOP) * 2, id="twice"),
    ],
)
def test_a_malformed_folder_is_refused(root: bytes) -> None:
    with pytest.raises(BadPack, match="the pushed commit has"):
        found_in(root)


def test_a_slash_in_the_folder_is_refused_too() -> None:
    top = entry("100644", b"workflows/new.yml", FILE)
    with pytest.raises(BadPack, match="malformed folders"):
        found_in(entry("40000", b".github", oid_of("tree", top)), top)


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(COMMIT + ROOT_TREE + TOP_TREE, id="too little"),
        pytest.param(COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE + b"x", id="too much"),
        pytest.param(COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE[:-9], id="cut"),
        pytest.param(printed("tag", b"x") + ROOT_TREE + TOP_TREE + BELOW_TREE, id="a tag"),
        pytest.param(printed("commit", b"x") + ROOT_TREE + TOP_TREE + BELOW_TREE, id="another commit"),
        pytest.param(
            printed("commit", b"author x", oid=TIP) + ROOT_TREE + TOP_TREE + BELOW_TREE, id="a commit with another's id"
        ),
        pytest.param(COMMIT + TOP_TREE + TOP_TREE + BELOW_TREE, id="another root"),
        pytest.param(COMMIT + printed("blob", b"") + TOP_TREE + BELOW_TREE, id="a root that is a file"),
        pytest.param(COMMIT + printed("tree", _TOP, oid=ROOT) + TOP_TREE + BELOW_TREE, id="a root with another's id"),
        pytest.param(COMMIT + ROOT_TREE + BELOW_TREE + BELOW_TREE, id="another folder"),
        pytest.param(missing(0) * 4, id="other questions"),
    ],
)
def test_anything_else_is_refused(output: bytes) -> None:
    with pytest.raises(BadPack):
        findings(TIP, output)


def test_a_commit_without_a_tree_is_refused() -> None:
    commit = b"author x"
    with pytest.raises(BadPack, match="the pushed commit is malformed"):
        findings(oid_of("commit", commit), printed("commit", commit) + ROOT_TREE + TOP_TREE + BELOW_TREE)


@given(st.binary(max_size=200), st.integers(0, 600))
def test_whatever_comes_is_understood_or_refused(noise: bytes, place: int) -> None:
    whole = COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE
    try:
        found = findings(TIP, whole[:place] + noise + whole[place:])
    except BadPack:
        return
    assert found.tree in {None, ROOT}
