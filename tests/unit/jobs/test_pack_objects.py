"""What comes out of the sandbox is read strictly: foreign code may have written it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.grants.inspection import BadPack, Entry, Findings
from gitward.jobs.pack_objects import findings, questions

TIP, ROOT, TOP, BELOW = (digit * 40 for digit in "1234")


def printed(oid: str, kind: str, content: bytes) -> bytes:
    return f"{oid} {kind} {len(content)}\n".encode() + content + b"\n"


def entry(mode: str, name: bytes, oid: str) -> bytes:
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid)


def missing(number: int) -> bytes:
    return f"{questions(TIP)[number]} missing\n".encode()


COMMIT = printed(TIP, "commit", f"tree {ROOT}\nauthor x\n\nmessage\n".encode())
ROOT_TREE = printed(ROOT, "tree", entry("40000", b".github", TOP) + entry("100644", b"a", BELOW))
TOP_TREE = printed(TOP, "tree", entry("40000", b"workflows", BELOW))
BELOW_TREE = printed(BELOW, "tree", entry("100644", b"ci.yml", TIP))


def test_all_is_there() -> None:
    assert findings(TIP, COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE) == Findings(
        tree=ROOT,
        trees={
            ROOT: {".github": Entry(mode="40000", oid=TOP)},
            TOP: {"workflows": Entry(mode="40000", oid=BELOW)},
            BELOW: {"ci.yml": Entry(mode="100644", oid=TIP)},
        },
    )


def test_what_is_missing_is_upstream() -> None:
    assert findings(TIP, b"".join(map(missing, range(4)))) == Findings()
    assert findings(TIP, COMMIT + missing(1) + missing(2) + missing(3)) == Findings(tree=ROOT)
    only_root = findings(TIP, COMMIT + ROOT_TREE + missing(2) + missing(3))
    assert set(only_root.trees) == {ROOT}


def test_many_files_are_not_named() -> None:
    many = b"".join(entry("100644", b"%d" % number, TIP) for number in range(101))
    found = findings(TIP, COMMIT + ROOT_TREE + TOP_TREE + printed(BELOW, "tree", many))
    assert set(found.trees) == {ROOT, TOP}


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(COMMIT + ROOT_TREE + TOP_TREE, id="too little"),
        pytest.param(COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE + b"x", id="too much"),
        pytest.param(COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE[:-9], id="cut"),
        pytest.param(printed(TIP, "tag", b"x") + ROOT_TREE + TOP_TREE + BELOW_TREE, id="a tag"),
        pytest.param(printed(ROOT, "commit", b"x") + ROOT_TREE + TOP_TREE + BELOW_TREE, id="another commit"),
        pytest.param(printed(TIP, "commit", b"author x") + ROOT_TREE + TOP_TREE + BELOW_TREE, id="no tree"),
        pytest.param(COMMIT + TOP_TREE + TOP_TREE + BELOW_TREE, id="another root"),
        pytest.param(COMMIT + printed(ROOT, "blob", b"") + TOP_TREE + BELOW_TREE, id="a root that is a file"),
        pytest.param(COMMIT + ROOT_TREE + BELOW_TREE + BELOW_TREE, id="another folder"),
        pytest.param(COMMIT + printed(ROOT, "tree", b"40000 .github\0short") + TOP_TREE + BELOW_TREE, id="short entry"),
        pytest.param(COMMIT + printed(ROOT, "tree", entry("9", b"a", TOP)) + TOP_TREE + BELOW_TREE, id="no mode"),
        pytest.param(COMMIT + printed(ROOT, "tree", entry("100644", b"", TOP)) + TOP_TREE + BELOW_TREE, id="no name"),
        pytest.param(
            COMMIT + printed(ROOT, "tree", entry("40000", b".github", TOP) * 2) + TOP_TREE + BELOW_TREE, id="twice"
        ),
        pytest.param(missing(0) * 4, id="other questions"),
    ],
)
def test_anything_else_is_refused(output: bytes) -> None:
    with pytest.raises(BadPack):
        findings(TIP, output)


@given(st.binary(max_size=200), st.integers(0, 600))
def test_whatever_comes_is_understood_or_refused(noise: bytes, place: int) -> None:
    whole = COMMIT + ROOT_TREE + TOP_TREE + BELOW_TREE
    try:
        found = findings(TIP, whole[:place] + noise + whole[place:])
    except BadPack:
        return
    assert found.tree in {None, ROOT}
