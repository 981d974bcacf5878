"""Keeps a run's work in the database, in three kinds, from where any machine gives it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gitward.repositories.mailbox import carry_returns
from gitward.runs.attempt import Attempt
from gitward.runs.commands import SAFE_GIT, Commands, Kept, OutputTooLong
from gitward.sessions import artifacts
from gitward.sessions.artifacts import Origin
from gitward.sessions.model import ArtifactKind
from gitward.store.database import Transaction

# What the checkout's own configuration must not decide about.
_DIFF = (
    *("--no-color", "--no-ext-diff", "--no-textconv", "--binary", "--full-index", "--submodule=short"),
    *("--unified=3", "--src-prefix=a/", "--dst-prefix=b/"),
)
# A large file is compressed as it is written, not in memory beforehand: one that is too long is noticed soon.
_STREAMING = ("-c", "core.bigFileThreshold=8m")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be kept."""

    origin: Origin  # the run and attempt that did it
    head: str  # the commit that holds all of it
    base: str  # the commit of the target branch that it is compared with


@dataclass(frozen=True, kw_only=True)
class _Kind:
    kind: ArtifactKind
    argv: tuple[str, ...]
    finish: Callable[[bytes], bytes] = bytes


async def keep(attempt: Attempt, commands: Commands, work: Work) -> None:
    """Stores the branch's work as a bundle for `git fetch`, a mailbox for `git am`, and a diff to read.

    Each kind for itself: what cannot be made, or is too long, is told, and the others are kept all the same.
    """
    kept = []
    for wanted in _kinds(attempt.claim.session.branch, work.base):
        try:
            ended = await commands.capture(wanted.argv, limit=artifacts.MAX_BYTES)
            content = wanted.finish(ended.output) if ended.exit_code == 0 else b""
        except OutputTooLong:
            ended, content = None, b""
        if ended is None or len(content) > artifacts.MAX_BYTES:
            await attempt.notice(
                f"The {wanted.kind} is longer than {artifacts.MAX_BYTES // 2**20} MiB and is not kept."
            )
        elif ended.exit_code != 0:
            await attempt.notice(f"git could not make the {wanted.kind}: {ended.tail}")
        else:
            await attempt.write(partial(_store, attempt, work.origin, wanted.kind, content))
            kept.append(wanted.kind)
    if kept:
        commands.kept = Kept(head=work.head, kinds=tuple(kept))


def _kinds(branch: str, base: str) -> tuple[_Kind, ...]:
    # All local branches, for the command may have made some. Of what is upstream only our own branch is not left out:
    # whoever recovers the work need not have fetched it, and it may be deleted there.
    upstream = (f"^{base}", "--not", f"--exclude=origin/{branch}", "--remotes=origin", "--")
    return (
        _Kind(
            kind=ArtifactKind.BUNDLE,
            argv=(*SAFE_GIT, *_STREAMING, "bundle", "create", "--quiet", "-", "HEAD", "--branches", *upstream),
        ),
        _Kind(
            kind=ArtifactKind.PATCH,
            argv=(*SAFE_GIT, "format-patch", "--stdout", "--no-attach", "--no-thread", *_DIFF, f"{base}..HEAD", "--"),
            finish=carry_returns,
        ),
        _Kind(kind=ArtifactKind.DIFF, argv=(*SAFE_GIT, "diff", *_DIFF, f"{base}...HEAD", "--")),
    )


def _store(attempt: Attempt, origin: Origin, kind: ArtifactKind, content: bytes, tx: Transaction) -> None:
    attempt.parts.progress.guard(tx, attempt.claim)
    artifacts.keep(tx, origin, kind, content)
