"""What a run changed, in three forms that any machine can serve: a diff, a mailbox for `git am`, a bundle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gitward.repositories.git import LISTING_BYTES
from gitward.repositories.left_commits import LeftCommit
from gitward.repositories.result import SUBMODULES, Result
from gitward.repositories.submodules import Submodules

LEFT = "refs/gitward/left/"  # where a bundle has what was not proposed

_MOST_EDGE = 1000  # commits on which a bundle builds

# Nothing but these options decides how a change is shown: the result has no configuration and no attributes.
_AS_TEXT = ("-c", "core.bigFileThreshold=512m")  # a long text is shown as text, if it is not too long to be kept
_SHOWN = (
    *("--no-color", "--no-ext-diff", "--no-textconv", "--binary", "--full-index", "--submodule=short"),
    *("--unified=3", "--src-prefix=a/", "--dst-prefix=b/"),
)


class Form(StrEnum):
    DIFF = "diff"
    PATCH = "patch"
    BUNDLE = "bundle"


@dataclass(frozen=True, kw_only=True)
class Span:
    """From one commit to another."""

    base: str
    head: str


async def make(res: Result, form: Form, span: Span, *, limit: int) -> bytes:
    """One form of the change. Raises GitFailed, and RunFailure (OutputTooLong) beyond `limit` bytes."""
    return await res.bare.do(*_arguments(form, span), limit=limit)


def _arguments(form: Form, span: Span) -> Sequence[str]:
    between = f"{span.base}..{span.head}"
    match form:
        case Form.DIFF:
            return (*_AS_TEXT, "diff", *_SHOWN, f"{span.base}...{span.head}", "--")
        case Form.PATCH:
            return (*_AS_TEXT, "format-patch", "--stdout", "--no-attach", "--no-thread", *_SHOWN, between, "--")
        case Form.BUNDLE:
            return ("bundle", "create", "--quiet", "-", "HEAD", "--branches", f"--glob={LEFT}*", f"^{span.base}", "--")


async def make_submodules(res: Result, kept: Submodules, *, limit: int) -> bytes:
    """A bundle of the work inside submodules, for `git fetch` in a clone of theirs. Raises as `make`."""
    git = replace(res.bare, folder=SUBMODULES)
    await asyncio.to_thread(res.name_in_submodules, {each.ref: each.oid for each in kept.kept})
    asked = "".join([*(f"{each.oid}\n" for each in kept.kept), *(f"^{oid}\n" for oid in sorted(kept.known))]).encode()
    told = await git.do("rev-list", "--boundary", "--ignore-missing", "--stdin", stdin=asked, limit=LISTING_BYTES)
    edge = [f"^{line[1:]}" for line in told.decode().split() if line.startswith("-")]
    return await git.do("bundle", "create", "--quiet", "-", "--branches", *edge[:_MOST_EDGE], "--", limit=limit)


async def name_for_bundle(res: Result, branch: str, head: str, left: Sequence[LeftCommit]) -> None:
    """Gives what a bundle shall hold its names: HEAD, the branch, and what was left as refs/gitward/left/*."""
    await res.stand_on(head)
    names = {f"refs/heads/{branch}": head}
    names |= {f"{LEFT}{number}-{each.kind}": each.oid for number, each in enumerate(left, start=1)}
    await asyncio.to_thread(res.name, names)
