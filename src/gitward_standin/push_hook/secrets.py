"""Push protection: secrets in the lines that a push adds, told as GitHub tells them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .git import AddedLine, added_lines

SHOWN = 5  # secrets, as the documentation says
_WIDTH = 54
_KINDS = {
    "Amazon AWS Access Key ID": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "GitHub Personal Access Token": re.compile(r"\bghp_[A-Za-z0-9]{36}\b"),
    "Stripe API Key": re.compile(r"\bsk_live_[A-Za-z0-9]{24,}\b"),
}
_LEARN = (
    "https://docs.github.com/code-security/secret-scanning/working-with-secret-scanning-and-push-protection/"
    "working-with-push-protection-from-the-command-line#resolving-a-blocked-push"
)
_HEAD = (
    "- GITHUB PUSH PROTECTION",
    "  —————————————————————————————————————————",
    "    Resolve the following violations before pushing again",
    "",
    "    - Push cannot contain secrets",
    "",
    "",
    "     (?) Learn how to resolve a blocked push",
    f"     {_LEARN}",
    "",
)


class Secret(NamedTuple):
    """One value, and every line that has it."""

    kind: str
    value: str
    lines: Sequence[AddedLine]


def found_in(tip: str) -> list[Secret]:
    found: dict[tuple[str, str], list[AddedLine]] = {}
    for line in added_lines(tip):
        for kind, pattern in _KINDS.items():
            for value in pattern.findall(line.text):
                found.setdefault((kind, value), []).append(line)
    return [Secret(kind=kind, value=value, lines=lines) for (kind, value), lines in found.items()]


def tell(secrets: Sequence[Secret], *, page: str, say: Callable[[str], None]) -> None:
    """:param page: the repository's address."""
    for words in _HEAD if secrets else ():
        say(words)
    for secret in secrets[:SHOWN]:
        say("")
        say(f"      —— {secret.kind} ".ljust(_WIDTH, "—"))
        say("       locations:")
        for line in secret.lines:
            say(f"         - commit: {line.commit}")
            say(f"           path: {line.path}:{line.number}")
        say("")
        say("       (?) To push, remove secret from commit(s) or follow this URL to allow the secret.")
        say(f"       {page}/security/secret-scanning/unblock-secret/{_number(secret)}")
    for _ in range(3 if secrets else 0):
        say("")


def _number(secret: Secret) -> str:
    """What stands for the secret in the address, without telling it."""
    return hashlib.sha256(secret.value.encode(errors="replace")).hexdigest()[:27]
