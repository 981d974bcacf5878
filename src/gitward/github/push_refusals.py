"""Why a push was refused, read from what `git push` wrote: GitHub's own reason instead of git's closing lines.

GitHub tells its reason in `remote:` lines, git then closes with `! [remote rejected] main -> main (pre-receive hook
declined)`, which says nothing. Sources: GitHub's documentation ("About large files on GitHub", "Blocking command line
pushes that expose your personal email address", "Troubleshooting rules", "Push protection from the command line"), and
the output in public bug reports. The text comes out of a sandbox: it is bounded, and only ever shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gitward.errors import Reason
from gitward.github import rule_violations
from gitward.github.sentences import fitted

LOOKED_AT = 65_536  # characters of git's text: its beginning and its end, where the reason stands
_BEGINNING = 16_384
_LONGEST_LINE = 1000

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_CODE = re.compile(r"error: (GH\d{3}): *(.*)")
_CLOSING = re.compile(r"! \[(remote rejected|rejected)\]\s+(?:\S+\s+->\s+)?(\S+)\s+\((.*)\)")
_ANSWERED = re.compile(r"(?:fatal|error): .*\b(?:returned error:|RPC failed; HTTP) 4(?!08|29)\d\d")
_LARGE_FILE = re.compile(r"error: File (.+) is ([0-9.]+ [A-Z]?B); this exceeds (.+)")
_OBJECT_ID = re.compile(r"[0-9a-f]{64}")
_NOISE = re.compile(  # what a server also says when it accepts a push
    r"warning: |error: Trace: |error: See |Enumerating objects|Counting objects|Compressing objects|Resolving deltas"
    r"|Total \d|Checking connectivity|Processing changes|Create a pull request for |This repository moved"
    r"|GitHub found \d|Bypassed rule violations"
)
_EMPTY_REASONS = re.compile(
    r"(?:pre-receive|update|protected branch|proc-receive) hook declined|hook declined|declined"
    r"|push declined due to (?:repository rule violations|email privacy restrictions)"
)
_PRIVATE_EMAIL = "email privacy restrictions"

# git's own reasons, in words that say what happened and what to do.
_MOVED = "{branch} moved on GitHub meanwhile, so nothing was pushed; retry to start from what is there now"
_PLAIN: dict[str, str] = {
    "stale info": _MOVED,
    "fetch first": (
        "{branch} has commits on GitHub that this push does not contain, so nothing was pushed; retry to start "
        "from what is there now"
    ),
    "non-fast-forward": "the push would remove commits from {branch} on GitHub, so nothing was pushed; "
    "build on what is there, or use another branch",
    "needs force": "{branch} on GitHub is not a branch with commits, so nothing was pushed; use another branch",
    "already exists": "{branch} exists on GitHub already, so nothing was pushed; use another name",
    "failed to update ref": (
        "GitHub could not create or update {branch}; does a branch whose name begins the same block it? If not, retry"
    ),
    "shallow update not allowed": "the history that was pushed is incomplete (shallow); fetch all of it first",
}
_LOCKED = "GitHub could not create or update {branch}: {reason}; does a branch whose name begins the same block it?"


@dataclass(frozen=True, kw_only=True)
class PushRefusal:
    """A push that was refused."""

    reason: Reason  # branch_protected: rules forbid to update this branch; else push_rejected
    message: str  # one line, 600 characters at most, fit for a person
    private_email: bool = False  # a commit's address is private: other addresses would be accepted


def find_refusal(text: str) -> PushRefusal | None:
    """The refusal that git's standard error tells; None: nobody refused the push, it failed in another way."""
    lines = _lines(text)
    said = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    closing = next((found for line in lines if (found := _CLOSING.fullmatch(line))), None)
    place = next((n for n, line in enumerate(said) if _CODE.fullmatch(line)), None)
    if place is not None:
        return _by_code(said, place)
    if closing is None and not any(_ANSWERED.match(line) for line in lines):
        return None
    reason, branch = (closing[3], closing[2]) if closing else ("", "")
    return _without_code(_reasons(said), reason, branch)


def _reasons(said: Sequence[str]) -> list[str]:
    """What was said, without what is said about accepted pushes too, and the addresses that belong to that."""
    told: list[str] = []
    noise = False
    for line in said:
        noise = bool(_NOISE.match(line)) or (noise and (not line or line.startswith("http")))
        if line and not noise:
            told.append(line)
    return told


def _lines(text: str) -> list[str]:
    """Bounded lines of printable characters: no controls, nothing that hides or reorders text."""
    if len(text) > LOOKED_AT:
        text = f"{text[:_BEGINNING]}\n{text[_BEGINNING - LOOKED_AT :]}"
    found = _BREAKS.split(_ESCAPES.sub("", text))
    return ["".join(filter(_is_shown, line[:_LONGEST_LINE].replace("\t", " "))).strip() for line in found]


def _is_shown(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _by_code(said: Sequence[str], place: int) -> PushRefusal:
    """A refusal that GitHub numbered. `place`: of the numbered line; the details stand before or after it."""
    found = _CODE.fullmatch(said[place])
    assert found is not None
    code, sentence = found[1], found[2]
    if code == "GH013":
        violations = rule_violations.parse(sentence, said[place + 1 :])
        reason = Reason.BRANCH_PROTECTED if violations.forbid_update else Reason.PUSH_REJECTED
        return PushRefusal(reason=reason, message=violations.message)
    details, advice = _DETAILS.get(code, _rest)(said, said[place + 1 :])
    if code == "GH001" and details:
        sentence = "Large files detected."  # what follows in GitHub's sentence is the advice
    reason = Reason.BRANCH_PROTECTED if code in {"GH003", "GH006"} else Reason.PUSH_REJECTED
    message = fitted(f"GitHub refused the push ({code}): {sentence}", details, advice)
    return PushRefusal(reason=reason, message=message, private_email=code == "GH007")


Details = tuple[Iterable[str], str]  # what is wrong, one by one, and what to do


def _large_files(said: Sequence[str], _after: Sequence[str]) -> Details:
    files = [found for line in said if (found := _LARGE_FILE.fullmatch(line))]
    limit = f"This exceeds {files[0][3].rstrip('.')}. " if files else ""
    return [f"{found[1]} is {found[2]}" for found in files], limit + "Remove it from the commits, or use Git LFS."


def _unknown_objects(_said: Sequence[str], after: Sequence[str]) -> Details:
    objects = [line for line in after if _OBJECT_ID.fullmatch(line)]
    return [each[:12] for each in objects], "Push them with 'git lfs push --all', or remove their files."


def _rest(_said: Sequence[str], after: Sequence[str]) -> Details:
    words = [line.removeprefix("error:").removeprefix("- ").strip() for line in after]
    return [" ".join(word for word in words if word and word != "-")], ""


_DETAILS: dict[str, Callable[[Sequence[str], Sequence[str]], Details]] = {
    "GH001": _large_files,
    "GH008": _unknown_objects,
}


def _without_code(said: Sequence[str], reason: str, branch: str) -> PushRefusal | None:
    """A refusal by git itself, by a hook of an Enterprise server, or by Gitward's own rules."""
    told = " ".join(line.removeprefix("error: ") for line in said)
    if _PRIVATE_EMAIL in reason:
        told = told or "a commit's e-mail address is private"
        return PushRefusal(
            reason=Reason.PUSH_REJECTED, message=fitted("GitHub refused the push:", [told], ""), private_email=True
        )
    kind = Reason.BRANCH_PROTECTED if reason.startswith("protected branch") else Reason.PUSH_REJECTED
    if reason in _PLAIN:
        message = fitted("The push was refused:", [_PLAIN[reason].format(branch=branch)], "")
    elif reason.startswith("cannot lock ref"):
        message = fitted("The push was refused:", [_LOCKED.format(branch=branch, reason=reason)], "")
    elif told.startswith("Gitward: "):
        message = fitted("Gitward refused the push:", [told.removeprefix("Gitward: ")], "")
    else:
        best = [told] if told and (not reason or _EMPTY_REASONS.fullmatch(reason)) else [told, reason]
        message = fitted("The push was refused:", [part for part in best if part], "")
    return PushRefusal(reason=kind, message=message) if said or reason else None
