"""What the mounts of a sandbox tell: nothing of the session, the run, or who owns them."""

from __future__ import annotations

from rig import output, rig


async def test_the_list_of_mounts_names_no_session() -> None:
    """Both in the command's first run and in a later one, whose folder is there already."""
    async with rig() as service, service.client("mallory-of-sandboxes") as client:
        repository = await service.repository()
        told = []
        for _ in range(2):
            command = "cat /proc/self/mountinfo /proc/self/mounts; echo told"
            session, run, events = await client.run(repository, command, publish={"mode": "dry_run"})
            told.append(output(events))
            assert "/workspace " in told[-1]
            assert told[-1].endswith("told\n")
            for name in (session["id"], run["id"], session["id"].partition("_")[2], "mallory-of-sandboxes"):
                assert name not in told[-1], name
