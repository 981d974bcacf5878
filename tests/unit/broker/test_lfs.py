"""What Git LFS may ask, and that no signed address of its answers gets out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitward.broker.policy import lfs
from gitward.broker.policy.lfs import Batch, LfsCall
from gitward.broker.policy.verdict import Verdict
from gitward.broker.server import lfs_actions
from gitward.broker.server.lfs_actions import Actions, BadAnswer
from gitward.broker.wire.target import parse_path
from gitward.grants.grant import Grant

GRANT = Grant(
    run_id="run-1",
    repository="octo/demo",
    push_ref="refs/heads/gitward/abc",
    readable=("octo/library",),
    expires_at=2e9,
)
OID = "a" * 64
UPSTREAM = "https://github.com"


def rule_of(method: str, raw: str) -> str:
    segments, query = parse_path(raw)
    call = lfs.parse(method, segments, query)
    return (call if isinstance(call, Verdict) else lfs.check(call, GRANT)).rule


@pytest.mark.parametrize(
    ("method", "raw", "rule"),
    [
        ("POST", "/octo/demo.git/info/lfs/objects/batch", "lfs.objects.batch"),
        ("POST", "/Octo/Demo/info/lfs/objects/batch", "lfs.objects.batch"),
        ("POST", "/octo/library.git/info/lfs/objects/batch", "lfs.objects.batch"),
        ("POST", "/octo/demo/info/lfs/locks/verify", "lfs.locks.verify"),
        ("GET", "/octo/demo/info/lfs/locks?path=a&limit=1", "lfs.locks"),
        ("GET", "/octo/demo.git/info/lfs/gitward/abc", "lfs.action"),
        ("GET", "/octo/demo/info/lfs/locks?token=a", "lfs.unlisted"),
        ("POST", "/octo/demo/info/lfs/locks", "lfs.lock"),
        ("POST", "/octo/demo/info/lfs/locks/1/unlock", "lfs.lock"),
        ("DELETE", "/octo/demo/info/lfs/gitward/abc", "lfs.unlisted"),
        ("GET", "/octo/demo/info/lfs/gitward/abc?x=1", "lfs.unlisted"),
        ("GET", "/octo/demo/info/lfs/objects/batch", "lfs.unlisted"),
        ("POST", "/octo/demo/info/lfs/objects/batch?x=1", "lfs.unlisted"),
        ("GET", f"/octo/demo/info/lfs/objects/{OID}", "lfs.unlisted"),
        ("GET", "/octo/demo/info/lfs", "lfs.unlisted"),
        ("POST", "/octo/other/info/lfs/objects/batch", "lfs.repository"),
    ],
)
def test_calls(method: str, raw: str, rule: str) -> None:
    assert rule_of(method, raw) == rule


def batch(**changes: Any) -> Batch | Verdict:
    body = {"operation": "upload", "objects": [{"oid": OID, "size": 1}], **changes}
    return lfs.read_batch(json.dumps(body).encode())


def test_a_batch_goes_on_as_it_was_understood() -> None:
    read = batch(transfers=["basic", "evil"], ref={"name": "refs/heads/x", "y": 1}, extra=1)
    assert isinstance(read, Batch)
    assert json.loads(read.content) == {
        "operation": "upload",
        "transfers": ["basic"],
        "objects": [{"oid": OID, "size": 1}],
        "ref": {"name": "refs/heads/x"},
        "hash_algo": "sha256",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "delete"},
        {"operation": ["upload"]},
        {"objects": []},
        {"objects": [{"oid": OID, "size": 1}] * 1001},
        {"objects": [{"oid": OID}]},
        {"objects": [{"oid": OID.upper(), "size": 1}]},
        {"objects": [{"oid": OID, "size": -1}]},
        {"objects": [{"oid": OID, "size": True}]},
        {"objects": {"oid": OID}},
        {"hash_algo": "md5"},
    ],
)
def test_a_batch_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    assert isinstance(batch(**changes), Verdict)


def test_a_name_that_stands_twice_is_refused() -> None:
    body = b'{"operation":"download","operation":"upload","objects":[{"oid":"%s","size":1}]}' % OID.encode()
    assert isinstance(lfs.read_batch(body), Verdict)


@pytest.mark.parametrize(
    ("repository", "operation", "allowed"),
    [
        ("octo/demo", "upload", True),
        ("OCTO/demo", "upload", True),
        ("octo/demo", "download", True),
        ("octo/library", "download", True),
        ("octo/library", "upload", False),
    ],
)
def test_upload_is_for_the_sessions_repository(repository: str, operation: str, allowed: bool) -> None:
    call = LfsCall(repository=repository, call=lfs.Call.BATCH)
    assert (
        lfs.check_operation(call, Batch(operation=operation, content=b"", oids=frozenset()), GRANT).allowed is allowed
    )


def answer(href: str, **action: Any) -> bytes:
    actions = {"download": {"href": href, "header": {"Authorization": "RemoteAuth s3cret"}, **action}}
    return json.dumps({"objects": [{"oid": OID, "size": 1, "actions": actions, "x": "s3cret"}]}).encode()


def rewritten(actions: Actions, data: bytes) -> dict[str, Any]:
    text = actions.rewritten(data, repository="octo/demo", authorization="Basic mine")
    assert b"s3cret" not in text
    entry: dict[str, Any] = json.loads(text)["objects"][0]
    return entry


def test_an_address_is_ours_and_good_once() -> None:
    actions = Actions(server_url=UPSTREAM, upstream_url=UPSTREAM)
    entry = rewritten(actions, answer("https://storage.example/x?signature=s3cret", Host="evil"))
    assert entry["authenticated"]
    local = entry["actions"]["download"]
    assert local["header"] == {"Authorization": "Basic mine"}
    base, _, key = local["href"].rpartition("/")
    assert base == "https://github.com/octo/demo.git/info/lfs/gitward"
    assert actions.take(key, "octo/demo", "PUT") is None
    assert actions.take(key, "octo/library", "GET") is None
    taken = actions.take(key, "Octo/Demo", "GET")
    assert taken is not None
    assert taken.href == "https://storage.example/x?signature=s3cret"
    assert taken.headers == {"authorization": "RemoteAuth s3cret"}
    assert "s3cret" not in repr(taken)
    assert actions.take(key, "octo/demo", "GET") is None


def test_an_address_expires() -> None:
    actions = Actions(server_url=UPSTREAM, upstream_url=UPSTREAM)
    entry = rewritten(actions, answer("https://storage.example/x", expires_in=-1))
    assert actions.take(entry["actions"]["download"]["href"].rpartition("/")[2], "octo/demo", "GET") is None


def test_addresses_are_bounded() -> None:
    actions = Actions(server_url=UPSTREAM, upstream_url=UPSTREAM)
    keys = [
        rewritten(actions, answer("https://storage.example/x"))["actions"]["download"]["href"].rpartition("/")[2]
        for _ in range(lfs_actions.MAX_ACTIONS + 1)
    ]
    assert actions.take(keys[0], "octo/demo", "GET") is None
    assert actions.take(keys[1], "octo/demo", "GET") is not None


@pytest.mark.parametrize(
    "href",
    ["http://storage.example/x", "http://github.com/x", "ftp://x/y", "https://u:p@storage.example/x", "https:///x", ""],
)
def test_storage_is_reached_by_https(href: str) -> None:
    with pytest.raises(BadAnswer):
        rewritten(Actions(server_url=UPSTREAM, upstream_url=UPSTREAM), answer(href))


def test_upstreams_own_origin_is_good_as_it_is() -> None:
    actions = Actions(server_url=UPSTREAM, upstream_url="http://127.0.0.1:8080")
    assert rewritten(actions, answer("http://127.0.0.1:8080/x"))
    with pytest.raises(BadAnswer):
        rewritten(actions, answer("http://127.0.0.1:8081/x"))


@pytest.mark.parametrize("data", [b"", b"[]", b'{"objects":1}', b'{"objects":[{"oid":"x","size":1,"actions":[1]}]}'])
def test_an_answer_that_cannot_be_read_is_not_passed_on(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        rewritten(Actions(server_url=UPSTREAM, upstream_url=UPSTREAM), data)


@pytest.mark.parametrize(
    ("body", "onward"),
    [
        (b"{}", {}),
        (b'{"ref":{"name":"refs/heads/x","other":1},"cursor":"a","limit":5,"operation":"upload"}',
         {"ref": {"name": "refs/heads/x"}, "cursor": "a", "limit": 5}),
        (b'{"ref":"x","cursor":1,"limit":true}', {}),
    ],
)  # fmt: skip
def test_a_question_for_locks_goes_on_as_it_was_understood(body: bytes, onward: object) -> None:
    asked = lfs.read_verification(body)
    assert isinstance(asked, bytes)
    assert json.loads(asked) == onward


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"operation=upload", b'{"a":1,"a":2}', b'{"a":"\\ud800"}', b'{"a":1e999}']
)
def test_a_question_for_locks_that_two_may_read_in_two_ways_is_refused(body: bytes) -> None:
    asked = lfs.read_verification(body)
    assert isinstance(asked, Verdict)
    assert asked.rule == "lfs.malformed"
