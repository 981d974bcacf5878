"""What a broker asks its worker about a pushed pack, and what comes back: one protocol between two ends.

`server.inspection.requests` asks and `client.inspection` answers; both read and write these messages only here. A
request has a number, and its answer comes back with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitward.grants.channel import Message
from gitward.grants.inspection import MAX_NAMED, BadPack, Entry, Findings, InspectionFailed


@dataclass(frozen=True, kw_only=True)
class FileRequest:
    """An empty file for a pack; its descriptor comes with the answer."""

    run_id: str

    def to_message(self, number: int) -> Message:
        return {"ask": "file", "run_id": self.run_id, "number": number}


@dataclass(frozen=True, kw_only=True)
class PackRequest:
    """What the pack says about the commit `tip`; the pack's descriptor comes with the request."""

    run_id: str
    tip: str
    messages: bool  # of all commits, too

    def to_message(self, number: int) -> Message:
        return {"ask": "pack", "run_id": self.run_id, "tip": self.tip, "messages": self.messages, "number": number}


Request = FileRequest | PackRequest


def is_request(message: Message) -> bool:
    """Whether a broker's message is one of these."""
    return "ask" in message


def request_of(message: Message) -> Request:
    if message["ask"] == "file":
        return FileRequest(run_id=message["run_id"])
    return PackRequest(run_id=message["run_id"], tip=message["tip"], messages=message["messages"])


def answer_with(findings: Findings) -> Message:
    trees = {oid: {name: [each.mode, each.oid] for name, each in tree.items()} for oid, tree in findings.trees.items()}
    closes = dict(list(findings.closes.items())[:MAX_NAMED])
    return {"findings": {"tree": findings.tree, "trees": trees, "closes": closes}}


def refusal(error: BadPack | InspectionFailed) -> Message:
    return {"bad_pack" if isinstance(error, BadPack) else "failed": str(error)}


def require_success(answer: Message) -> None:
    """:raises BadPack, InspectionFailed: what the worker's end says instead of an answer."""
    if "bad_pack" in answer:
        raise BadPack(answer["bad_pack"])
    if "failed" in answer:
        raise InspectionFailed(answer["failed"])


def findings_of(answer: Message) -> Findings:
    found = answer["findings"]
    trees = {
        oid: {name: Entry(mode=mode, oid=entry) for name, (mode, entry) in tree.items()}
        for oid, tree in found["trees"].items()
    }
    return Findings(tree=found["tree"], trees=trees, closes=found["closes"])
