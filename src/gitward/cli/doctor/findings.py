"""What the doctor found: one verdict on one part, in words, with what to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

_NAME_WIDTH = 18


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # runs succeed, but something is worth a look
    FAIL = "fail"  # something must be mended


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. It holds no secret, nor anything that a sandbox wrote."""

    part: str
    verdict: Verdict
    detail: str
    remedy: str | None = None  # what to do; None: nothing

    def lines(self) -> list[str]:
        """For a person."""
        shown = "FAIL" if self.verdict is Verdict.FAIL else self.verdict
        remedy = [f"       {'':<{_NAME_WIDTH - 2}}-> {self.remedy}"] if self.remedy else []
        return [f"{shown:<4} {self.part:<{_NAME_WIDTH}} {self.detail}", *remedy]

    def document(self) -> str:
        """For a program: one line of JSON."""
        return json.dumps(asdict(self))


def ok(part: str, detail: str) -> Finding:
    return Finding(part=part, verdict=Verdict.OK, detail=detail)


def warn(part: str, detail: str, remedy: str) -> Finding:
    return Finding(part=part, verdict=Verdict.WARN, detail=detail, remedy=remedy)


def fail(part: str, detail: str, remedy: str | None = None) -> Finding:
    return Finding(part=part, verdict=Verdict.FAIL, detail=detail, remedy=remedy)
