"""What `gitward run` posts."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitward.cli.client.errors import refused

Json = dict[str, Any]
_MOST_BYTES = 65_536  # of a command or prompt, as the API has it


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A run, as the options of the command line describe it."""

    command: str | None = None
    prompt: str | None = None
    file: Path | None = None  # that holds the command; `-` is standard input
    agent: str | None = None
    model: str | None = None
    environment: str | None = None
    setup: str | None = None  # a command that makes the checkout ready
    publish: str | None = None  # draft, ready, branch or dry_run
    timeout: int | None = None  # seconds
    env: tuple[str, ...] = ()  # NAME=VALUE

    def instruction(self) -> Json:
        """The body's part that follow-ups have too.

        :raises ClientError: the options do not go together.
        """
        given = [name for name in ("command", "prompt", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            raise refused("give exactly one of --command, --prompt and --file")
        body: Json = {"prompt": self.prompt} if self.prompt is not None else {"command": self.command or self._read()}
        if self.prompt is None and (self.agent or self.model):
            raise refused("--agent and --model need a --prompt")
        more: Json = {"agent": self.agent, "model": self.model, "environment": self.environment, "setup": self.setup}
        more |= {"timeout_seconds": self.timeout, "env": self._variables()}
        body |= {name: value for name, value in more.items() if value}
        return body | ({"publish": {"mode": self.publish}} if self.publish else {})

    def _read(self) -> str:
        try:
            content = sys.stdin.read() if str(self.file) == "-" else Path(str(self.file)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise refused(f"{self.file}: cannot be read ({type(error).__name__})") from None
        if not content.strip():
            raise refused(f"{self.file}: is empty")
        if len(content.encode()) > _MOST_BYTES:
            raise refused(f"{self.file}: a command has at most {_MOST_BYTES:,} bytes")
        return content

    def _variables(self) -> dict[str, str]:
        pairs = [each.partition("=") for each in self.env]
        if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
            raise refused(f"--env {wrong[0]}: write NAME=VALUE")
        return {name: value for name, _, value in pairs}


def session_body(wish: Wish, repo: str, **more: Any) -> Json:
    """Of `POST /sessions`."""
    return {"repo": repo, **{name: value for name, value in more.items() if value}, **wish.instruction()}


def new_key() -> str:
    """An Idempotency-Key: a request that is sent again makes no second session."""
    return f"cli-{secrets.token_hex(12)}"
