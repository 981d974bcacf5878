from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.broker.policy.push import (
    MAX_HEAD,
    PushHead,
    PushReader,
    ReportReader,
    Update,
    check,
    refusal,
)
from gitward.broker.wire.pktline import FLUSH, MalformedPktLine, PktReader, pkt, sideband

GRANTED = "refs/heads/gitward/abc"
OLD = b"1" * 40
NEW = b"2" * 40
ZERO = b"0" * 40
CAPS = b"report-status side-band-64k agent=git/2.39.5"


def command(old: bytes, new: bytes, ref: bytes, caps: bytes | None = None) -> bytes:
    return pkt(old + b" " + new + b" " + ref + (b"" if caps is None else b"\0" + caps))


def own(caps: bytes = CAPS) -> bytes:
    return command(OLD, NEW, GRANTED.encode(), caps)


def read(data: bytes) -> PushHead | None:
    reader = PushReader()
    reader.feed(data)
    return reader.head


def rule(data: bytes) -> str:
    head = read(data)
    assert head is not None
    return check(head, GRANTED).rule


CERTIFICATE = (
    pkt(b"push-cert\0" + CAPS + b"\n")
    + pkt(b"certificate version 0.1\n")
    + pkt(b"pusher Dev <dev@example.org> 1700000000 +0000\n")
    + pkt(b"\n")
    + pkt(OLD + b" " + NEW + b" " + GRANTED.encode() + b"\n")
    + pkt(b"-----BEGIN PGP SIGNATURE-----\n")
    + pkt(b"push-cert-end\n")
    + FLUSH
)


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        pytest.param(own() + FLUSH + b"PACK", "git.push", id="own branch"),
        pytest.param(own(b" " + CAPS) + FLUSH, "git.push", id="own branch, as git writes it"),
        pytest.param(command(ZERO, NEW, GRANTED.encode(), CAPS) + FLUSH, "git.push", id="made"),
        pytest.param(command(b"1" * 64, b"2" * 64, GRANTED.encode(), CAPS) + FLUSH, "git.push", id="sha256"),
        pytest.param(pkt(b"shallow " + OLD) + own() + FLUSH, "git.push", id="from a shallow clone"),
        pytest.param(FLUSH, "git.push.probe", id="probe"),
        pytest.param(command(OLD, NEW, b"refs/heads/main", CAPS) + FLUSH, "git.push.ref", id="other branch"),
        pytest.param(command(OLD, NEW, b"refs/tags/v1", CAPS) + FLUSH, "git.push.ref", id="tag"),
        pytest.param(command(OLD, NEW, b"refs/heads/gitward/ABC", CAPS) + FLUSH, "git.push.ref", id="case"),
        pytest.param(command(OLD, NEW, b"refs/heads/gitward/abc/x", CAPS) + FLUSH, "git.push.ref", id="below"),
        pytest.param(command(OLD, NEW, b"gitward/abc", CAPS) + FLUSH, "git.push.ref", id="short name"),
        pytest.param(own() + command(OLD, NEW, b"refs/heads/main") + FLUSH, "git.push.ref", id="mix"),
        pytest.param(command(OLD, ZERO, GRANTED.encode(), CAPS) + FLUSH, "git.push.delete", id="delete"),
        pytest.param(own() + command(OLD, NEW, GRANTED.encode()) + FLUSH, "git.push.repeated", id="twice"),
        pytest.param(own(b"side-band-64k") + FLUSH, "git.push.report", id="no report"),
        pytest.param(CERTIFICATE, "git.push.certificate", id="signed"),
        pytest.param(
            own(b" report-status-v2 atomic quiet delete-refs ofs-delta object-format=sha1 session-id=1 agent=go-git/5")
            + FLUSH,
            "git.push",
            id="what clients ask for",
        ),
        pytest.param(own(CAPS + b" my-app/1.0 no-thin unknown=1") + FLUSH, "git.push", id="a user agent of two words"),
        pytest.param(own(CAPS + b" push-options") + FLUSH + pkt(b"ci.skip") + FLUSH, "git.push", id="option"),
        pytest.param(
            own(CAPS + b" push-options") + FLUSH + pkt(b" Repo.private=false\n") + FLUSH,
            "git.push.option",
            id="repository option",
        ),
        *[
            pytest.param(
                own(CAPS + b" push-options") + FLUSH + pkt(b"ci.skip") + pkt(option) + FLUSH, "git.push.option"
            )
            for option in (b"CI.skip", b"ci.skip ", b"ci.skip=1", b"ci", b"", b"secret_push_protection.skip", b"\xff")
        ],
    ],
)
def test_the_rules(data: bytes, verdict: str) -> None:
    assert rule(data) == verdict


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"POST / HTTP/1.1", id="no pkt-line"),
        pytest.param(pkt(b""), id="empty line"),
        pytest.param(command(OLD, NEW, b"refs/heads/a b", CAPS), id="space in a ref"),
        pytest.param(command(OLD, NEW, b"refs/heads/a\nb", CAPS), id="newline in a ref"),
        pytest.param(command(OLD, NEW, GRANTED.encode() + b"\n\n", CAPS), id="two newlines"),
        pytest.param(command(OLD, NEW, GRANTED.encode() + b"\n", CAPS), id="newline before the capabilities"),
        pytest.param(command(OLD.upper() + b"", b"A" * 40, GRANTED.encode(), CAPS), id="capital hex"),
        pytest.param(command(OLD[:39], NEW, GRANTED.encode(), CAPS), id="short id"),
        pytest.param(command(OLD, b"2" * 64, GRANTED.encode(), CAPS), id="mixed ids"),
        pytest.param(command(OLD, NEW, b"r" * 5000, CAPS), id="endless ref"),
        pytest.param(own() + command(OLD, NEW, GRANTED.encode(), b"atomic"), id="capabilities twice"),
        pytest.param(pkt(b"shallow " + OLD + b"\0push-options") + own(), id="capabilities of a shallow line"),
        pytest.param(pkt(b"push-cert\0" + CAPS) + FLUSH, id="endless certificate"),
        pytest.param(b"0001", id="delimiter"),
        pytest.param(own() + pkt(b"push-cert-end\n"), id="end of no certificate"),
        *[
            pytest.param(own(CAPS + asked) + FLUSH + pkt(b"repo.private=false"), id=f"asks for {asked!r}")
            for asked in (
                *(b" push-options=1", b" push-options=", b"\tpush-options", b" x\rpush-options", b"\n push-options"),
                *(b" Push-Options", b" x-push-options", b" side-band-64k=1", b" report-status=", b" push-cert=x"),
                *(b" agent=a\tpush-options", b" object-format=\xff", b" x\0push-options", b" x\n\n"),
            )
        ],
    ],
)
def test_what_no_git_sends_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPktLine):
        read(data + FLUSH)


def test_a_head_is_bounded() -> None:
    """Also one that never ends costs at most MAX_HEAD bytes of memory."""
    reader = PushReader()
    line = command(OLD, NEW, b"refs/heads/" + b"x" * 800)
    for _ in range(MAX_HEAD // len(line)):
        reader.feed(line)
    with pytest.raises(MalformedPktLine, match="must be below"):
        reader.feed(line)


def test_an_unfinished_head_has_no_verdict() -> None:
    assert read(own()) is None
    assert read(own(CAPS + b" push-options") + FLUSH) is None


refs = st.sampled_from([GRANTED, "refs/heads/main", "refs/tags/v1", "HEAD", GRANTED + "\n", "refs/heads/ü"])
commands = st.builds(
    lambda old, new, ref: old + b" " + new + b" " + ref.encode(),
    st.sampled_from([OLD, ZERO, b"1" * 64]),
    st.sampled_from([NEW, ZERO, b"3" * 64]),
    refs,
)
heads = st.lists(
    st.one_of(commands, st.just(b"shallow " + OLD), st.binary(max_size=60), st.just(b"push-cert"), st.none()),
    max_size=6,
)


@given(heads, st.sampled_from([b"", b"\0" + CAPS, b"\0" + CAPS + b" push-options"]), st.data())
def test_any_split_gives_the_same_verdict(lines: list[bytes | None], caps: bytes, data: st.DataObject) -> None:
    """And whatever is allowed is one update of the granted ref, read by other means than the parser's."""
    whole = b"".join(
        FLUSH if line is None else pkt(line + (caps if place == 0 else b"")) for place, line in enumerate(lines)
    )
    whole += FLUSH + data.draw(st.binary(max_size=40))
    expected = outcome([whole])
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=40))
    marks = sorted({*places, 0, len(whole)})
    assert outcome([whole[start:end] for start, end in itertools.pairwise(marks)]) == expected
    if expected[0] == "git.push":
        updates = [line for line in whole.split(FLUSH)[0].split(b" ") if b"refs/" in line]
        assert len(updates) == 1
        assert GRANTED.encode() in updates[0]


def outcome(pieces: list[bytes]) -> tuple[str, PushHead | None, bytes]:
    reader = PushReader()
    try:
        for piece in pieces:
            reader.feed(piece)
    except MalformedPktLine:
        return "malformed", None, b""
    if reader.head is None:
        return "unfinished", None, b""
    return check(reader.head, GRANTED).rule, reader.head, reader.rest


def test_a_refusal_names_every_ref() -> None:
    updates = (
        Update(old="1" * 40, new="2" * 40, ref="refs/heads/main"),
        Update(old="1" * 40, new="2" * 40, ref="refs/tags/v1"),
    )
    plain = refusal(PushHead(updates=updates, capabilities=frozenset({"report-status"})), "no")
    assert plain == (pkt(b"unpack ok\n") + pkt(b"ng refs/heads/main no\n") + pkt(b"ng refs/tags/v1 no\n") + FLUSH)
    banded = refusal(PushHead(updates=updates, capabilities=frozenset({"report-status", "side-band-64k"})), "no")
    assert banded == sideband(1, plain) + FLUSH


REPORT = pkt(b"unpack ok\n") + pkt(b"ok " + GRANTED.encode() + b"\n") + pkt(b"ng refs/heads/x no\n") + FLUSH


@given(st.booleans(), st.lists(st.integers(min_value=0), max_size=30))
def test_a_report_is_read_in_any_pieces(banded: bool, places: list[int]) -> None:
    data = sideband(2, b"remote: hello\n") + sideband(1, REPORT) + FLUSH if banded else REPORT
    reader = ReportReader(sideband=banded)
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    for start, end in itertools.pairwise(marks):
        reader.feed(data[start:end])
    assert (reader.accepted, reader.refused) == ({GRANTED}, {"refs/heads/x": "no"})


def test_what_could_not_be_unpacked_was_not_accepted() -> None:
    reader = ReportReader(sideband=False)
    reader.feed(pkt(b"unpack index-pack failed\n") + pkt(b"ok " + GRANTED.encode() + b"\n") + FLUSH)
    assert reader.accepted == set()


@given(st.binary(max_size=200), st.booleans())
def test_a_nonsensical_report_is_no_success(data: bytes, banded: bool) -> None:
    reader = ReportReader(sideband=banded)
    reader.feed(data)
    reader.feed(data)
    assert GRANTED not in reader.accepted


def test_the_rest_is_what_was_fed_behind_the_head() -> None:
    reader = PushReader()
    reader.feed(own() + FLUSH + b"PA")
    reader.feed(b"CK")
    assert reader.rest == b"PACK"
    assert list(PktReader()) == []
