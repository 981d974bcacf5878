"""What a command that talks to GitHub printed tells whether it is worth another try."""

from __future__ import annotations

import pytest

from gitward.errors import Reason, RunFailure
from gitward.repositories.git import CommandResult
from gitward.runs.commands import disk_full
from gitward.runs.commands.retrying import fault_in

# As git 2.39 (GnuTLS), git-lfs 3.3, gh 2.23 and gh 2.102 print them.
PASSING = {
    "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 502": "answered 502",
    "error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503 / send-pack: unexpected disconnect "
    "while reading sideband packet / fatal: the remote end hung up unexpectedly": "answered 503",
    "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 429": "answered 429",
    "error validating token: HTTP 502: Gitward: GitHub could not be reached (https://api.github.com/)": "answered 502",
    "batch response: Fatal error: Server error: https://github.com/a/b.git/info/lfs from HTTP 500": "answered 500",
    "batch response: Fatal error: Service Unavailable / error: failed to fetch some objects": "LFS does not answer",
    "error: RPC failed; curl 56 GnuTLS recv error (-110): The TLS connection was non-properly terminated.": "broke",
    "fetch-pack: unexpected disconnect while reading sideband packet / fatal: early EOF": "broke",
    "fatal: unable to access '…': Failed to connect to github.com port 443 after 0 ms: Couldn't connect": "broke",
    "fatal: unable to access '…': Empty reply from server": "broke",
    "fatal: unable to access '…': Recv failure: Connection reset by peer": "broke",
    'error validating token: Get "https://api.github.com/": EOF': "broke",
    'Get "https://api.github.com/": net/http: TLS handshake timeout': "broke",
}
FINAL = [
    "",
    "fatal: unable to access 'https://github.com/a/b.git/': The requested URL returned error: 403",
    "fatal: Authentication failed for 'https://github.com/a/b.git/'",
    "fatal: repository 'https://github.com/a/b.git/' not found",
    "! [remote rejected] HEAD -> main (this session may only push to gitward/1) / error: failed to push some refs",
    "! [rejected] HEAD -> gitward/1 (stale info) / error: failed to push some refs",
    "! [remote rejected] HEAD -> x (HTTP 500 in a hook's own words)",
    "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413 / fatal: the remote end hung up "
    "unexpectedly",
    "fatal: destination path '/workspace/repo' already exists and is not an empty directory.",
    "batch response: This repository is over its data quota. Purchase more data packs",
    "[4d7a] Object does not exist on the server: [404] / error: failed to fetch some objects from 'https://x'",
    "error: unable to write file: No space left on device",
]


@pytest.mark.parametrize(("text", "cause"), PASSING.items())
def test_a_fault_that_may_pass_has_its_cause(text: str, cause: str) -> None:
    assert cause in (fault_in(text) or "")


@pytest.mark.parametrize("text", FINAL)
def test_what_stands_is_not_tried_again(text: str) -> None:
    assert fault_in(text) is None


NO_ROOM = [
    "gh auth login failed: write /home/gitward/.config/gh/hosts.yml: no space left on device",
    "error: unable to write file main.py / fatal: cannot create directory at 'app': Disk quota exceeded",
    "fatal: unable to create '/workspace/repo/.git/index.lock': Read-only file system",
    "The repository could not be fetched: the fetched objects could not be kept: [Errno 122] Disk quota exceeded",
]
OTHERS = [
    "remote: fatal: write error: No space left on device / ! [remote rejected] HEAD -> gitward/1 (unpacker error)",
    "gh auth login failed: error validating token: HTTP 401: Bad credentials",
]


@pytest.mark.parametrize("text", NO_ROOM)
def test_what_failed_for_want_of_room_is_not_the_token_s_fault(text: str) -> None:
    ended = CommandResult(exit_code=1, tail=text)
    failure = disk_full.named(RunFailure(Reason.TOKEN_REJECTED, text, exit_code=1, head_sha="a" * 40), ended)
    assert (failure.reason, failure.message) == (Reason.SANDBOX_FAILED, text)
    assert (failure.exit_code, failure.head_sha) == (1, "a" * 40)


@pytest.mark.parametrize("text", OTHERS)
def test_a_server_s_want_of_room_is_the_server_s(text: str) -> None:
    ended = CommandResult(exit_code=1, tail=text)
    failure = RunFailure(Reason.PUSH_REJECTED, text)
    assert disk_full.named(failure, ended) is failure
