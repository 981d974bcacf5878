"""A conversation's archive: what goes in comes out, and nothing else does, whoever wrote it."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

import pytest

from gitward.agents import archive
from gitward.agents.archive import Archive, KeptFile, WrongArchive, is_kept, is_usable_id, pack, unpack
from gitward.agents.built_in import BUILT_IN

GLOBS = ("talks/**/*.jsonl", "data/agent.db*")
FILES = (
    KeptFile(path="talks/a.jsonl", content=b"one\n"),
    KeptFile(path="talks/x/y/b.jsonl", content=b""),
    KeptFile(path="data/agent.db-wal", content=bytes(range(256))),
)


def made(files: Any = (["talks/a.jsonl", 3],), content: bytes = b"abc", **header: Any) -> bytes:
    whole = {"form": 1, "agent": "small", "conversation": "c-1", "files": files, **header}
    return zlib.compress(json.dumps(whole).encode() + b"\n" + content)


def test_what_goes_in_comes_out() -> None:
    kept = Archive(agent="small", conversation="c-1", files=FILES)
    assert unpack(pack(kept), GLOBS) == kept
    assert unpack(made(), GLOBS).files == (KeptFile(path="talks/a.jsonl", content=b"abc"),)


@pytest.mark.parametrize(
    "path",
    [
        *("../talks/a.jsonl", "talks/../../a.jsonl", "/talks/a.jsonl", "talks//a.jsonl", "talks/./a.jsonl", "talks"),
        *(
            "",
            "talks/a.jsonl/",
            "talks/a.json",
            "hooks/a.jsonl",
            "talks/a.jsonl\n",
            "talks/\0a.jsonl",
            "xtalks/a.jsonl",
        ),
        *("talks/a\u202e.jsonl", "data/agent.db/x", "talks/" + "a" * 400 + ".jsonl", "settings.json", "data/agentxdb"),
    ],
)
def test_a_name_that_is_no_conversation_file_is_refused(path: str) -> None:
    assert not is_kept(path, GLOBS)
    with pytest.raises(WrongArchive):
        unpack(made([[path, 3]]), GLOBS)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no zlib",
        pack(Archive(agent="small", conversation="c-1", files=FILES))[:-5],
        made() + b"more",
        made(content=b"ab"),
        made(content=b"abcd"),
        made([["talks/a.jsonl", 1], ["talks/a.jsonl", 2]]),
        made([["talks/a.jsonl", -1]]),
        made([["talks/a.jsonl", True]], b"a"),
        made([["talks/a.jsonl", 3, "/etc/passwd"]]),
        made({"talks/a.jsonl": 3}),
        made("talks"),
        made([[f"talks/{number}.jsonl", 0] for number in range(archive.MOST_FILES + 1)], b""),
        made(form=2),
        made(conversation="../c"),
        made(conversation=None),
        zlib.compress(b"[" * 200_000 + b"\n"),
        zlib.compress(b"no line" * 1000),
        zlib.compress(bytes(archive.MOST_BYTES + 2**20)),  # much of nothing
    ],
)
def test_an_archive_that_is_not_ours_is_refused(packed: bytes) -> None:
    with pytest.raises(WrongArchive):
        unpack(packed, GLOBS)


def test_there_is_a_limit_to_what_is_kept() -> None:
    many = tuple(KeptFile(path=f"talks/{number}.jsonl", content=b"") for number in range(archive.MOST_FILES + 1))
    long = (KeptFile(path="talks/a.jsonl", content=bytes(archive.MOST_BYTES + 1)),)
    dense = (KeptFile(path="talks/a.jsonl", content=random.Random(1).randbytes(archive.MOST_PACKED + 2**16)),)
    for files in (many, long, dense):
        with pytest.raises(WrongArchive, match="more than"):
            pack(Archive(agent="small", conversation="c-1", files=files))


@pytest.mark.parametrize(
    ("agent", "kept", "left"),
    [
        (
            "claude",
            ["projects/-workspace-repo/1.jsonl"],
            ["settings.json", "projects/x/memory/a.md", "hooks/a.jsonl"],
        ),
        ("codex", ["sessions/2026/11/29/rollout-1.jsonl"], ["auth.json", "config.toml", "sessions/hooks.json"]),
        ("opencode", ["data/opencode/opencode.db-wal"], ["data/opencode/auth.json", "config/opencode/opencode.json"]),
    ],
)
def test_of_the_built_in_agents_only_conversations_are_kept(agent: str, kept: list[str], left: list[str]) -> None:
    globs = BUILT_IN[agent].conversation
    assert all(is_kept(path, globs) for path in kept)
    assert not any(is_kept(path, globs) for path in left)


def test_an_id_is_a_plain_word() -> None:
    assert is_usable_id("ses_01J-a.b:c")
    assert not any(map(is_usable_id, ("", "../x", "-x", "a b", "a/b", "x" * 300, "a\n")))
