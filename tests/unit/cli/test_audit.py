"""The search of the audit: what it finds, and that it says so when it could not have found anything."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from gitward.audit import folders, objects, report
from gitward.audit.channels import PLACES, Channel
from gitward.audit.database import search_artifacts, unpacked
from gitward.audit.ledger import Ledger
from gitward.audit.needles import Needles, Plant, TokenTooShort
from gitward.audit.proof import Outcome
from gitward.audit.report import State
from gitward.audit.stage import Stage
from gitward.secrets import Secret, spellings
from gitward.sessions import artifacts
from gitward.sessions.artifacts import PIECE_BYTES, Origin
from gitward.sessions.model import ArtifactKind, Owner
from tests_support import Backend

TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA2cF4eR6uY8"


@pytest.mark.parametrize(
    ("data", "spelling"),
    [
        (f"x{TOKEN}y".encode(), "plain"),
        (TOKEN[::-1].encode(), "backwards"),
        (TOKEN.encode().hex().encode(), "hex"),
        (TOKEN.encode().hex().upper().encode(), "HEX"),
        (base64.b64encode(f"x-access-token:{TOKEN}".encode()), "base64, offset 0"),
        (base64.b64encode(f"Bearer {TOKEN} x".encode()), "base64, offset 1"),
        (base64.b64encode(f"token:{TOKEN}".encode())[3:], "base64, offset 0"),
        (base64.urlsafe_b64encode(f"??{TOKEN}??".encode()), "base64url, offset 2"),
        ("".join(f"%{ord(each):02x}" for each in TOKEN).encode(), "URL-encoded"),
        (json.dumps({"x": TOKEN}).replace(TOKEN, "".join(f"\\u{ord(each):04x}" for each in TOKEN)).encode(),
         "JSON-escaped"),
        (json.dumps("".join(f"\\u{ord(each):04x}" for each in TOKEN)).encode(), "JSON-escaped"),
        (TOKEN.encode("utf-16"), "UTF-16LE"),
        (quote(TOKEN, safe="").encode(), "plain"),
        (TOKEN[: len(TOKEN) // 2].encode(), "plain, half"),
        (TOKEN[len(TOKEN) // 2 :].encode(), "plain, half"),
        (b" ".join([TOKEN[20:].encode(), TOKEN[:20].encode()]), "plain, both halves"),
        (TOKEN.encode().hex().encode()[:40], "hex, half"),
    ],
)  # fmt: skip
def test_every_spelling_is_found_whole_or_half(data: bytes, spelling: str) -> None:
    assert spelling in Needles(Secret(TOKEN)).found_in(b"before " + data + b" after")


def test_other_values_are_not_found() -> None:
    needles = Needles(Secret(TOKEN))
    assert needles.found_in(os.urandom(1_000_000)) == set()
    assert needles.found_in(TOKEN[:19].encode() + b"x" + TOKEN[21:].encode()) == set()
    assert TOKEN not in repr(needles)
    with pytest.raises(TokenTooShort):
        Needles(Secret("ghp_short"))


def test_an_escaped_spelling_is_found_however_deep_it_stands() -> None:
    """Only what has a backslash can come to light when some are taken away."""
    data = "".join(f"\\u{ord(each):04x}" for each in TOKEN).encode()
    for _ in range(4):
        data = data.replace(b"\\", b"\\\\")
        assert Needles(Secret(TOKEN)).found_in(b"x" + data) == {"JSON-escaped"}
    assert Needles(Secret(TOKEN)).found_in(TOKEN.replace("T", "\\\\T").encode()) == {"plain, half"}


def test_nothing_is_lost_with_the_zeros_of_an_empty_page() -> None:
    ledger = Ledger(Secret(TOKEN), Plant())
    pages = bytes(3 * 4096)
    for before in range(0, 4097, 241):
        data = pages[:before] + TOKEN.encode("utf-16-be") + pages + TOKEN.encode() + pages[: 4096 - before]
        assert ledger.search(Channel.MEMORY, "a process", data) >= {"plain", "UTF-16BE"}
    assert ledger.findings(Channel.MEMORY).bytes >= 17 * len(pages)


def test_a_plant_is_found_as_a_whole() -> None:
    plant = Plant()
    assert len(plant.text_spellings) == len(spellings(Secret(TOKEN))) - 1  # both UTF-16 left out, the halves counted
    assert plant.spellings > plant.text_spellings
    assert plant.found_in(plant.text.encode()) == plant.text_spellings
    assert Plant().found_in(plant.text.encode() + plant.binary) == set()


def outcome(ledger: Ledger, plant: Plant, *, live: bool = False, samples: int = 1000, uses: int = 1) -> Outcome:
    github = None if live else object()
    stage = Stage(
        url="http://localhost:8000",
        jwt="",
        token=Secret(TOKEN),
        repository="octo/demo",
        pid=1,
        data=Path("/nowhere"),
        database_url="sqlite:////nowhere/gitward.db",
        log=None if live else Path("/nowhere/service.log"),
        login_mode=False,
        github=github,  # type: ignore[arg-type]  # only whether there is one counts here
    )
    return Outcome(
        stage=stage, ledger=ledger, plant=plant, samples=samples, processes=5, exempt=(), uses=uses, seconds=1.0
    )


def planted(*, but: Channel | None = None) -> tuple[Ledger, Plant]:
    plant = Plant()
    ledger = Ledger(Secret(TOKEN), plant)
    for channel in Channel:
        if channel is not but:
            ledger.search(channel, "a place", plant.text.encode() + plant.binary)
    return ledger, plant


@pytest.mark.parametrize("channel", list(Channel))
def test_a_token_in_any_channel_fails_the_audit(channel: Channel) -> None:
    ledger, plant = planted()
    assert report.passes(outcome(ledger, plant), report.rows(outcome(ledger, plant)))
    ledger.search(channel, f"in {TOKEN}", TOKEN.encode().hex().encode())
    table = report.rows(outcome(ledger, plant))
    assert not report.passes(outcome(ledger, plant), table)
    (row,) = (row for row in table if row.state is not State.CLEAN)
    assert (row.channel, row.state) == (channel, State.LEAK)
    assert {hit.spelling for hit in row.hits} == {"plain", "hex"}
    shown = "\n".join(report.text(outcome(ledger, plant), table)) + json.dumps(
        report.document(outcome(ledger, plant), table)
    )
    assert Needles(Secret(TOKEN)).found_in(shown.encode()) == set()


@pytest.mark.parametrize("channel", list(Channel))
def test_a_model_s_key_in_any_channel_fails_the_audit_in_every_mode(channel: Channel) -> None:
    """What the documents allow of the token in `login` mode they do not allow of a key."""
    key, plant = "sk-ant-0123456789abcdefghij", Plant()
    ledger = Ledger(Secret(TOKEN), plant, {"ANTHROPIC_API_KEY": Secret(key)})
    for each in Channel:
        ledger.search(each, "a place", plant.text.encode() + plant.binary)
    ledger.search(channel, "a place", f"x {key} y".encode())
    seen = outcome(ledger, plant)
    seen = replace(seen, stage=replace(seen.stage, login_mode=True, keys={"ANTHROPIC_API_KEY": Secret(key)}))
    table = report.rows(seen)
    assert not report.passes(seen, table)
    assert [(row.channel, [hit.of for hit in row.hits]) for row in table if row.state is State.LEAK] == [
        (channel, ["ANTHROPIC_API_KEY"])
    ]
    shown = "\n".join(report.text(seen, table)) + json.dumps(report.document(seen, table))
    assert key not in shown
    assert "ANTHROPIC_API_KEY" in shown


@pytest.mark.parametrize("channel", list(Channel))
def test_a_channel_that_the_search_cannot_see_fails_the_audit(channel: Channel) -> None:
    ledger, plant = planted(but=channel)
    ledger.search(channel, "a place", b"nothing of ours")
    seen = outcome(ledger, plant)
    table = report.rows(seen)
    assert not report.passes(seen, table)
    assert [row.channel for row in table if row.state is State.BLIND] == [channel]
    live = report.rows(outcome(ledger, plant, live=True))
    hidden = {channel for channel, place in PLACES.items() if not place.live} | {Channel.LOG}
    assert {row.channel for row in live if row.state is State.NOT_VISIBLE} == hidden
    assert (State.BLIND in {row.state for row in live}) == (channel not in hidden)


def test_an_audit_in_which_nothing_happened_fails() -> None:
    ledger, plant = planted()
    table = report.rows(outcome(ledger, plant))
    assert not report.passes(outcome(ledger, plant, samples=3), table)
    assert not report.passes(outcome(ledger, plant, uses=0), table), "upstream never saw the token"


async def test_objects_of_a_hostile_repository_are_read_and_its_configuration_is_not(tmp_path: Path) -> None:
    """Loose and packed ones are told apart; a file that git would run stays untouched."""
    ledger = Ledger(Secret(TOKEN), Plant())

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "a").write_text(TOKEN)
    git("add", "a")
    git("commit", "-qm", "a")
    git("repack", "-adq")
    (tmp_path / "b").write_bytes(b"b" + TOKEN.encode())
    git("add", "b")
    (tmp_path / ".git" / "config").write_text(f"[core]\n\tfsmonitor = touch {tmp_path / 'ran'}\n\tbroken\n[")
    await objects.search_objects(ledger, tmp_path / ".git" / "objects", loose=Channel.LOOSE, packed=Channel.PACKED)
    assert [hit.spelling for hit in ledger.findings(Channel.LOOSE).hits] == ["plain"]
    assert [hit.spelling for hit in ledger.findings(Channel.PACKED).hits] == ["plain"]
    assert ledger.findings(Channel.PACKED).looks == 3
    assert not (tmp_path / "ran").exists()


def test_files_are_searched_across_pieces_and_their_names_too(tmp_path: Path) -> None:
    ledger = Ledger(Secret(TOKEN), Plant())
    (tmp_path / "long").write_bytes(b"x" * (folders.PIECE - 5) + TOKEN.encode())
    (tmp_path / TOKEN).write_bytes(b"")
    (tmp_path / "other").write_bytes(b"nothing")
    (tmp_path / "link").symlink_to(f"/nowhere/{TOKEN}")
    os.mkfifo(tmp_path / "fifo")
    folders.search_folder(ledger, Channel.WORK, tmp_path)
    assert {hit.place for hit in ledger.findings(Channel.WORK).hits} == {"long", "***", "link"}


@pytest.mark.parametrize("pack", [lambda data: data, zlib.compress, gzip.compress], ids=["plain", "zlib", "gzip"])
async def test_a_key_in_an_artifact_is_found_also_when_it_is_packed(
    backend: Backend, database_url: str, alice: Owner, pack: Callable[[bytes], bytes]
) -> None:
    """It lies across two of the artifact's pieces in the database."""
    key = "sk-ant-0123456789abcdefghij"
    session = await backend.create(alice)
    words = random.Random(1).randbytes(2 * PIECE_BYTES).hex().encode()  # such as does not shrink
    content = pack(words[: PIECE_BYTES - 7] + key.encode() + words)
    origin = Origin(run_id=session.runs[0].id, attempt=1)
    with backend.database.transaction() as tx:
        artifacts.store(tx, origin, ArtifactKind.PATCH, content)
    ledger = Ledger(Secret(TOKEN), Plant(), {"ANTHROPIC_API_KEY": Secret(key)})
    await search_artifacts(ledger, database_url)
    assert {hit.of for hit in ledger.findings(Channel.ARTIFACTS).hits} == {"ANTHROPIC_API_KEY"}


def test_what_is_cut_or_no_packed_data_is_searched_as_far_as_it_goes() -> None:
    packed = zlib.compress(b"x" * 100_000)
    assert b"".join(unpacked(packed[:-10])).startswith(b"xxx")
    assert list(unpacked(b"diff --git a/x b/x")) == []
    assert list(unpacked(b"")) == []
