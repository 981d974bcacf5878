"""How Gitward runs git in a sandbox: the host's own, with only our configuration."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from gitward.sandboxes import WORK_DIR, Command, Sandbox, Stream

CONFIG = f"{WORK_DIR}/gitconfig"
TAIL_BYTES = 4096

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",  # not the operator's tool folders
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": CONFIG,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
}

# Every fetch leaves a pack with its index; nothing is done that was not asked for.
_CONFIG = """\
[core]
	hooksPath = /dev/null
	fsmonitor = false
	bigFileThreshold = 16m
	attributesFile = /dev/null
[credential]
	helper =
[fetch]
	unpackLimit = 1
	recurseSubmodules = false
[gc]
	auto = 0
[init]
	templateDir =
	defaultBranch = main
[maintenance]
	auto = false
[pack]
	writeReverseIndex = true
[protocol]
	version = 2
	allow = never
[protocol "https"]
	allow = always
[submodule]
	recurse = false
[transfer]
	unpackLimit = 1
"""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\ufffc]")


@dataclass(frozen=True, kw_only=True)
class GitResult:
    """How a git command ended."""

    exit_code: int
    limit: str | None  # "disk", "memory" or "time" when it reached one of ours
    output: bytes  # of standard output, no more than was asked for
    tail: str  # the last lines of its complaints, for a person


def config(server_url: str | None = None, credential: str = "") -> bytes:
    """A configuration; with the credential of a run, which is worth nothing elsewhere, for one server."""
    if server_url is None:
        return _CONFIG.encode()
    basic = base64.b64encode(f"x-access-token:{credential}".encode()).decode()
    return f'{_CONFIG}[http "{server_url}/"]\n\textraHeader = "Authorization: Basic {basic}"\n'.encode()


async def git(
    sandbox: Sandbox,
    *arguments: str,
    cwd: str = WORK_DIR,
    stdin: bytes = b"",
    seconds: float,
    limit: int = 0,
) -> GitResult:
    """Runs git to its end; of its output, the first `limit` bytes are kept."""
    output, complaint = bytearray(), bytearray()

    async def sink(stream: Stream, piece: bytes) -> None:
        if stream is Stream.STDERR:
            complaint.extend(piece)
            del complaint[:-TAIL_BYTES]
        else:
            output.extend(piece[: max(0, limit - len(output))])

    argv = ("git", *arguments)
    # One follows the other, in the same sandbox: nothing is made ready for the next.
    command = Command(
        argv=argv, env=ENVIRONMENT, cwd=cwd, stdin=stdin, timeout_seconds=seconds, last=True, in_series=True
    )
    completed = await sandbox.run(command, sink)
    return GitResult(
        exit_code=completed.exit_code,
        limit="time" if completed.timed_out else completed.limit,
        output=bytes(output),
        tail=tail_of(bytes(complaint)),
    )


def tail_of(complaint: bytes) -> str:
    """The last lines that git printed, without control characters, 2,000 characters at most."""
    lines = complaint.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    kept = [_UNPRINTABLE.sub("\ufffd", line).strip() for line in lines if line.strip()]
    return "\n".join(kept[-12:])[-2000:]
