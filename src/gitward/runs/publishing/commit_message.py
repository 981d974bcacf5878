"""The message of the commit that has what a command left uncommitted."""

from __future__ import annotations

from gitward.sessions.model import Run, Session


def commit_message(session: Session, run: Run) -> str:
    """The instruction's own message, or what ran; git adds the trailers."""
    return (run.instruction.commit_message or session.title).strip() + "\n"
