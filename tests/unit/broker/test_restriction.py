"""What is left of a grant that makes a mirror, or publishes."""

from __future__ import annotations

import pytest

from gitward.broker.policy import git, lfs
from gitward.broker.policy.push import PushHead, Update
from gitward.broker.policy.restriction import Restriction, publishing, restriction_of
from gitward.broker.policy.verdict import Verdict
from gitward.broker.wire.ls_refs import is_ls_refs
from gitward.broker.wire.pktline import FLUSH, pkt
from gitward.broker.wire.target import parse_path
from gitward.grants.grant import MAX_LFS_OIDS, ExactPush, Grant

REF = "refs/heads/gitward/abc"
OID = "a" * 64
EXACT = ExactPush(old="0" * 40, new="1" * 40, ref=REF, lfs_oids=(OID,))
MIRROR = Grant(run_id="m", repository="octo/demo", push_ref=REF, fetch_only=True, expires_at=2e9)
RUN = Grant(run_id="r", repository="octo/demo", push_ref=REF, readable=("octo/library",), expires_at=2e9)
DELIMITER = b"0001"


def mirror() -> Restriction:
    restriction = restriction_of(MIRROR)
    assert restriction is not None
    return restriction


def verdict(restriction: Restriction, method: str, path: str) -> Verdict:
    segments, query = parse_path(path)
    if segments[2:4] == ("info", "lfs"):
        lfs_call = lfs.parse(method, segments, query)
        assert not isinstance(lfs_call, Verdict)
        return restriction.lfs(lfs_call, method)
    call = git.parse(method, segments, query)
    assert not isinstance(call, Verdict)
    return restriction.git(call)


BATCH = "/octo/demo.git/info/lfs/objects/batch"
ACTION = "/octo/demo.git/info/lfs/gitward/key"
LOCKS = "/octo/demo.git/info/lfs/locks"


@pytest.mark.parametrize(
    ("method", "path", "fetches", "publishes"),
    [
        ("GET", "/octo/demo/info/refs?service=git-upload-pack", True, True),
        ("POST", "/Octo/Demo.git/git-upload-pack", True, True),
        ("GET", "/octo/library/info/refs?service=git-upload-pack", False, False),
        ("GET", "/octo/demo/info/refs?service=git-receive-pack", False, True),
        ("POST", "/octo/demo/git-receive-pack", False, True),
        ("POST", "/octo/library/git-receive-pack", False, False),
        ("POST", BATCH, True, True),
        ("POST", BATCH.replace("demo", "library"), False, False),
        ("GET", ACTION, True, False),
        ("PUT", ACTION, False, True),
        ("POST", ACTION, False, True),
        ("POST", f"{LOCKS}/verify", False, True),
        ("GET", LOCKS, False, False),
    ],
)
def test_what_is_left(method: str, path: str, *, fetches: bool, publishes: bool) -> None:
    assert verdict(mirror(), method, path).allowed is fetches
    assert verdict(publishing(RUN, EXACT), method, path).allowed is publishes


def batch(operation: str, *oids: str) -> lfs.Batch:
    return lfs.Batch(operation=operation, content=b"", oids=frozenset(oids))


def test_which_objects_are_transferred() -> None:
    assert mirror().lfs_batch(batch("download", OID)).allowed
    assert not mirror().lfs_batch(batch("upload", OID)).allowed
    narrowed = publishing(RUN, EXACT)
    assert narrowed.lfs_batch(batch("upload", OID)).allowed
    assert not narrowed.lfs_batch(batch("upload", OID, "b" * 64)).allowed
    assert not narrowed.lfs_batch(batch("download", OID)).allowed


@pytest.mark.parametrize(
    ("updates", "allowed"),
    [
        ([], True),
        ([("0" * 40, "1" * 40, REF)], True),
        ([("2" * 40, "1" * 40, REF)], False),
        ([("0" * 40, "2" * 40, REF)], False),
        ([("0" * 40, "1" * 40, REF + "d")], False),
        ([("0" * 40, "1" * 40, REF), ("0" * 40, "1" * 40, REF)], False),
    ],
)
def test_which_push_is_left(updates: list[tuple[str, str, str]], *, allowed: bool) -> None:
    head = PushHead(updates=tuple(Update(old=old, new=new, ref=ref) for old, new, ref in updates))
    assert publishing(RUN, EXACT).push(head).allowed is allowed
    assert not mirror().push(head).allowed


def test_a_grant_is_never_widened() -> None:
    with pytest.raises(ValueError, match="cannot be narrowed"):
        publishing(MIRROR, EXACT)
    with pytest.raises(ValueError, match="cannot be narrowed"):
        publishing(RUN, ExactPush(old="0" * 40, new="1" * 40, ref="refs/heads/main"))
    assert restriction_of(RUN) is None


@pytest.mark.parametrize(
    ("old", "new", "oids"),
    [
        ("0" * 40, "0" * 40, ()),
        ("0" * 40, "HEAD", ()),
        ("", "1" * 40, ()),
        ("0" * 40, "1" * 40, ("x",)),
        ("0" * 40, "1" * 40, (OID,) * (MAX_LFS_OIDS + 1)),
    ],
)
def test_an_exact_push_is_exact(old: str, new: str, oids: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="an exact push"):
        ExactPush(old=old, new=new, ref=REF, lfs_oids=oids)


LIST = pkt(b"command=ls-refs\n") + pkt(b"agent=git/2.39.5")


@pytest.mark.parametrize(
    ("body", "lists"),
    [
        (LIST + FLUSH, True),
        (LIST + DELIMITER + FLUSH, True),
        (LIST + DELIMITER + pkt(b"peel\n") + pkt(b"ref-prefix refs/heads/") + FLUSH, True),
        (b"", False),
        (FLUSH, False),
        (LIST, False),
        (LIST + DELIMITER, False),
        (LIST + FLUSH + LIST + FLUSH, False),
        (LIST + FLUSH + b"x", False),
        (LIST + DELIMITER + DELIMITER + FLUSH, False),
        (LIST + pkt(b"command=fetch") + FLUSH, False),
        (LIST + DELIMITER + pkt(b"command=fetch") + FLUSH, False),
        (pkt(b"agent=x") + LIST + FLUSH, False),
        (pkt(b"command=ls-refs\n\n") + FLUSH, False),
        (pkt(b"command=fetch") + FLUSH, False),
        (LIST + b"0002" + FLUSH, False),
        (LIST + b"000" + FLUSH, False),
        (LIST + b"+00a012345" + FLUSH, False),
        (LIST + b"ffff" + FLUSH, False),
    ],
)
def test_a_question_for_refs_is_told_from_a_fetch(body: bytes, *, lists: bool) -> None:
    assert is_ls_refs(body) is lists
