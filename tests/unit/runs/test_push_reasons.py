"""The reason of a push that failed is true: only what was refused is called rejected."""

from __future__ import annotations

import pytest

from gitward.errors import Reason
from gitward.repositories.git import CommandResult
from gitward.runs.publishing.push import PrivateAddress, _failed

HEAD = "a" * 40
TO = "To https://github.com/a/b.git / "
# What git prints, and which reason and words it comes to.
REFUSED = {
    f"{TO}! [remote rejected] HEAD -> gitward/1 (protected branch hook declined)": (
        Reason.BRANCH_PROTECTED,
        "The push was refused: protected branch hook declined.",
    ),
    "! [rejected] HEAD -> gitward/1 (stale info)": (Reason.PUSH_REJECTED, "moved on GitHub meanwhile"),
    "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 403": (
        Reason.PUSH_REJECTED,
        "GitHub refused the push: fatal: unable to access",
    ),
    "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413": (
        Reason.PUSH_REJECTED,
        "GitHub refused the push: error: RPC failed; HTTP 413",
    ),
}
NOT_ARRIVED = {
    "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 502": (
        Reason.INTERNAL,
        "The push did not arrive: GitHub answered 502 (fatal:",
    ),
    "fatal: unable to access '…': Failed to connect to github.com port 443 after 0 ms: Couldn't connect": (
        Reason.INTERNAL,
        "The push did not arrive: the connection to GitHub broke (fatal:",
    ),
    "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 429": (
        Reason.RATE_LIMITED,
        "The push did not arrive: GitHub answered 429 (fatal:",
    ),
    "error: pack-objects died of signal 9": (Reason.INTERNAL, "git could not push: error: pack-objects died"),
}


@pytest.mark.parametrize(("text", "expected"), [*REFUSED.items(), *NOT_ARRIVED.items()])
def test_the_reason_and_the_words(text: str, expected: tuple[Reason, str]) -> None:
    failure = _failed(CommandResult(exit_code=1, tail=text, complaint=text.replace(" / ", "\n")), HEAD)
    assert (failure.reason, failure.head_sha, failure.exit_code) == (expected[0], HEAD, 0)
    assert expected[1] in failure.message
    assert "kept" not in failure.message, "whether it is, only its storing knows"
    assert failure.message.endswith(".")


def test_a_private_address_is_a_refusal_of_its_own() -> None:
    text = (
        "remote: error: GH007: Your push would publish a private email address.\n"
        " ! [remote rejected] x -> x (push declined due to email privacy restrictions)"
    )
    failure = _failed(CommandResult(exit_code=1, tail=text, complaint=text), HEAD)
    assert isinstance(failure, PrivateAddress)
    assert failure.reason is Reason.PUSH_REJECTED
