"""Output of any size and kind: bounded, decoded, redacted, and never lost where it matters."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gitward.runs.storage.workspace_names import workspace_of
from rig import RUN_SECONDS, Client, Rig, output

MIB = 1024 * 1024


def peak_memory(pid: int) -> int:
    """Bytes of resident memory that the process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no VmHWM")


def database_size(data: Path) -> int:
    return sum(path.stat().st_size for path in data.glob("gitward.db*"))


async def test_a_gigabyte_of_output_costs_neither_memory_nor_disk(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    await alice_client.run(repository, "true")  # what the first run loads is not what is measured
    assert service.process is not None
    memory, size = peak_memory(service.process.pid), database_size(service.data)
    command = "echo first; yes 'a line of quite ordinary text' | head -c 1000000000; echo; echo last"
    session = await alice_client.session(await service.repository(), command=command)
    run, events = await alice_client.finished(session)
    assert run["state"] == "succeeded", run
    assert run["output_truncated"] is True
    shown = output(events)
    assert shown.startswith("first\na line of")
    assert shown.endswith("\nlast\n")
    assert 8 * MIB * 0.9 < len(shown) < 8 * MIB + 128 * 1024
    assert any(e["type"] == "notice" and "middle is not kept" in e["data"]["message"] for e in events)
    assert peak_memory(service.process.pid) - memory < 50 * MIB
    assert database_size(service.data) - size < 20 * MIB


async def test_binary_output_and_output_without_a_line_break(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = "head -c 30000000 /dev/urandom; head -c 3000000 /dev/zero | tr '\\0' 'x'; printf '\\0end'"
    _, run, events = await alice_client.run(repository, command)
    assert run["state"] == "succeeded", run
    assert run["output_truncated"] is True
    shown = output(events)
    assert "\0" not in shown
    assert shown.endswith("\ufffdend")


async def test_colours_are_kept_and_a_prompt_is_shown_before_its_line_ends(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = "printf '\\033[31mred\\033[0m\\n'; printf 'Continue?'; until [ -e ../answer ]; do sleep 0.05; done; echo"
    session = await alice_client.session(repository, command=command)
    answer = workspace_of(service.data / "workspaces", session["id"]) / "work" / "answer"
    pieces = []
    async with asyncio.timeout(RUN_SECONDS):
        async for event in alice_client.stream(session):
            if event["type"] == "output" and event["data"]["step"] == "execute":
                pieces.append(event["data"]["text"])
                if "Continue?" in pieces[-1]:
                    answer.touch()
    assert pieces[0] == "\x1b[31mred\x1b[0m\n"
    assert "Continue?" in pieces, "shown by itself, before the line was ended"


async def test_a_secret_in_pieces_is_masked(service: Rig, alice_client: Client) -> None:
    """Whatever looks like a GitHub token, also when it is written bit by bit."""
    repository = await service.repository()
    secret = "ghp_" + "Ab1" * 12
    command = (
        f"for c in $(printf %s {secret[:20]}); do printf %s $c; done; printf %s {secret[20:]}; echo; echo {secret}"
    )
    _, run, events = await alice_client.run(repository, command)
    assert run["state"] == "succeeded"
    assert output(events) == "***\n***\n"


async def test_an_error_that_git_meets_while_it_checks_out_is_told(service: Rig, alice_client: Client) -> None:
    """It ends with 0 all the same: a file whose bytes do not fit the encoding that the repository wants for it."""
    files = {".gitattributes": "*.txt working-tree-encoding=UTF-16\n", "bad.txt": b"\xff\xfe\xfa", "good": "x"}
    repository = await service.repository(files=files)
    _, run, events = await alice_client.run(repository, "true")
    assert (run["state"], run["changed"]) == ("succeeded", False), run
    told = [event["data"]["message"] for event in events if event["type"] == "notice"]
    assert "git says: error: failed to encode 'bad.txt' from UTF-8 to UTF-16" in told, (
        told,
        output(events, "checkout"),
    )
