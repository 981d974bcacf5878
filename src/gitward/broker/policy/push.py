"""Reads what a push asks for from its first bytes, and refuses it in a form whose reason git prints.

The body of git-receive-pack (gitprotocol-pack, "Reference Update Request"): optional `shallow` lines, one line
`old new ref` per update with the capabilities behind a NUL in the first, a flush, push options and a flush when
that capability was asked for, then the pack.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gitward.broker.policy.verdict import Verdict, allow, deny
from gitward.broker.wire.pktline import FLUSH, MalformedPktLine, PktReader, pkt, sideband

MAX_HEAD = 256 * 1024  # bytes of commands and options: of a shallow clone, nearly 5,000 lines that say where it ends
_LONGEST_REF = 4096  # bytes; longer ones cannot be answered in one pkt-line with a reason

OPTIONS = frozenset({"ci.skip"})  # push options, letter by letter

# What changes how a push is read. git takes a flag for set also when a value follows it, and splits the list at four
# bytes; others may read it otherwise again. So there is one way to write each, with a space between two.
_FLAGS = frozenset({"report-status", "report-status-v2", "side-band-64k", "push-options", "push-cert", "atomic"})
_WORD = re.compile(r"[\x21-\x7e]+")

_UPDATE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\x00-\x20\x7f]+)")
_SHALLOW = re.compile(rb"shallow (?:[0-9a-f]{40}|[0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Update:
    """One command of a push."""

    old: str  # object id in hex; all zeros: the ref is made
    new: str  # all zeros: the ref is deleted
    ref: str

    @property
    def deletes(self) -> bool:
        return set(self.new) == {"0"}


@dataclass(frozen=True, kw_only=True)
class PushHead:
    """All that stands before the pack."""

    updates: tuple[Update, ...] = ()
    capabilities: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    certificate: bool = False

    @property
    def sideband(self) -> bool:
        return "side-band-64k" in self.capabilities

    @property
    def reports(self) -> bool:
        """Whether git listens to a report-status."""
        return bool(self.capabilities & {"report-status", "report-status-v2"})


@dataclass(frozen=True, kw_only=True)
class PushRule:
    """One thing that a push must not do. `{branch}` in the message stands for the granted branch."""

    name: str
    message: str
    broken: Callable[[PushHead, str], bool]  # by this head, when this full ref is granted


_ONLY = "this session may only push to {branch}"

RULES: tuple[PushRule, ...] = (
    PushRule(
        name="git.push.certificate",
        message="signed pushes are not allowed in this session",
        broken=lambda head, _: head.certificate,
    ),
    PushRule(
        name="git.push.ref",
        message=_ONLY,
        broken=lambda head, ref: any(update.ref != ref for update in head.updates),
    ),
    PushRule(
        name="git.push.delete",
        message="this session may not delete a branch",
        broken=lambda head, _: any(update.deletes for update in head.updates),
    ),
    PushRule(
        name="git.push.repeated",
        message=_ONLY + ", once in a push",
        broken=lambda head, _: len(head.updates) > 1,
    ),
    PushRule(
        name="git.push.report",
        message="a push must ask for report-status",
        broken=lambda head, _: bool(head.updates) and not head.reports,
    ),
    PushRule(
        # Hooks of an Enterprise Server read them, and some change a repository's settings: repo.private, repo.template.
        name="git.push.option",
        message=f"the only push option that this session allows is {' or '.join(sorted(OPTIONS))}",
        broken=lambda head, _: not OPTIONS.issuperset(head.options),
    ),
)


def check(head: PushHead, push_ref: str) -> Verdict:
    """Exactly one update, of the granted ref, and no delete. A head without updates is git's probe."""
    for rule in RULES:
        if rule.broken(head, push_ref):
            return deny(rule.name, rule.message.format(branch=push_ref.removeprefix("refs/heads/")))
    return allow("git.push" if head.updates else "git.push.probe")


class PushReader:
    """Reads the head from a stream that arrives in pieces; `head` is None until it is complete.

    Raises MalformedPktLine for what no git sends, and for a head beyond MAX_HEAD bytes.
    """

    def __init__(self) -> None:
        self.head: PushHead | None = None
        self._reader = PktReader()
        self._size = 0
        self._updates: list[Update] = []
        self._options: list[str] = []
        self._capabilities: frozenset[str] | None = None
        self._certificate = False
        self._in_certificate = False
        self._in_options = False

    @property
    def rest(self) -> bytes:
        """What was fed behind the head."""
        return self._reader.rest

    def feed(self, piece: bytes) -> None:
        self._reader.feed(piece)
        if self.head is not None:
            return
        for payload in self._reader:
            self._size += 4 + len(payload or b"")
            if self._size > MAX_HEAD:
                raise MalformedPktLine(f"the commands of a push must be below {MAX_HEAD} bytes")
            if self._take(payload):
                return

    def _take(self, payload: bytes | None) -> bool:
        """Whether the head is complete."""
        if payload is None:
            return self._flush()
        if self._in_options:
            self._options.append(payload.removesuffix(b"\n").decode("utf-8", "replace"))
        else:
            self._line(payload)
        return False

    def _flush(self) -> bool:
        if self._in_certificate:
            raise MalformedPktLine("a push certificate without an end")
        capabilities = self._capabilities or frozenset()
        if "push-options" in capabilities and self._updates and not self._in_options:
            self._in_options = True
            return False
        self.head = PushHead(
            updates=tuple(self._updates),
            capabilities=capabilities,
            options=tuple(self._options),
            certificate=self._certificate,
        )
        return True

    def _line(self, payload: bytes) -> None:
        line, nul, capabilities = payload.removesuffix(b"\n").partition(b"\0")
        if nul:
            # git itself reads capabilities from any line; so nobody else's reading may differ, only the first has them.
            if self._capabilities is not None or self._updates or line.startswith(b"shallow"):
                raise MalformedPktLine("only the first command may have capabilities")
            self._capabilities = _asked_for(capabilities)
        if line == b"push-cert":
            self._certificate = self._in_certificate = True
        elif line == b"push-cert-end" and self._in_certificate:
            self._in_certificate = False
        elif found := _UPDATE.fullmatch(line):
            self._update(*found.groups())
        elif not self._in_certificate and not _SHALLOW.fullmatch(line):
            raise MalformedPktLine("a push must consist of lines `old new ref`")

    def _update(self, old: bytes, new: bytes, ref: bytes) -> None:
        if len(ref) > _LONGEST_REF or len(old) != len(new):
            raise MalformedPktLine("a ref of a push is too long, or its object ids differ in length")
        self._updates.append(Update(old=old.decode(), new=new.decode(), ref=ref.decode("utf-8", "surrogateescape")))


def _asked_for(capabilities: bytes) -> frozenset[str]:
    """What nobody knows is harmless, such as a user agent of two words.

    Raises MalformedPktLine for what git or another reader could take for a flag.
    """
    found = frozenset(filter(None, capabilities.decode("utf-8", "replace").split(" ")))
    for each in sorted(found - _FLAGS):
        if not _WORD.fullmatch(each) or each.partition("=")[0] in _FLAGS or "push-options" in each.casefold():
            raise MalformedPktLine(f"{each[:60]!r} is not a way to ask for {' or '.join(sorted(_FLAGS))}")
    return found


def refusal(head: PushHead, reason: str) -> bytes:
    """The report-status that makes git print `! [remote rejected] … (reason)` for every ref, and exit 1."""
    lines = [pkt(b"unpack ok\n")]
    for update in head.updates:
        ref = update.ref.encode("utf-8", "surrogateescape")
        lines.append(pkt(b"ng " + ref + b" " + reason.encode() + b"\n"))
    report = b"".join(lines) + FLUSH
    return sideband(1, report) + FLUSH if head.sideband else report


class ReportReader:
    """Reads from the upstream's answer, in pieces, which refs it took. Never raises: the answer is not ours."""

    def __init__(self, *, sideband: bool) -> None:
        self.accepted: set[str] = set()
        self.refused: dict[str, str] = {}  # ref → the reason
        self._unpacked = False
        self._outer = PktReader() if sideband else None
        self._report = PktReader()
        self._broken = False

    def feed(self, piece: bytes) -> None:
        if self._broken:
            return
        try:
            if self._outer is None:
                self._read(piece)
                return
            self._outer.feed(piece)
            for payload in self._outer:
                if payload and payload[0] == 1:
                    self._read(payload[1:])
        except MalformedPktLine:
            self._broken = True

    def _read(self, data: bytes) -> None:
        self._report.feed(data)
        for payload in self._report:
            line = (payload or b"").removesuffix(b"\n").decode("utf-8", "surrogateescape")
            if line == "unpack ok":
                self._unpacked = True
            elif line.startswith("ok ") and self._unpacked:
                self.accepted.add(line[3:])
            elif line.startswith("ng "):
                ref, _, reason = line[3:].partition(" ")
                self.refused.setdefault(ref, reason)
