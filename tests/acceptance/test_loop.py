"""Whatever a command leaves and however it writes, the service's event loop goes on: others wait for it.

The service logs each callback that held its loop; `held_loops` reads that after every test that drives one.
"""

from __future__ import annotations

import held_loops
from rig import Client, Rig

LETTERS = "tr -dc 'a-z0-9' < /dev/urandom | head -c"


async def settled(client: Client, there: Rig, command: str, **body: object) -> None:
    start = there.log.stat().st_size
    repository = await there.repository(files={"README.md": "x\n"})
    session, run, _ = await client.run(repository, command, **body)
    assert run["state"] == "succeeded", run
    for kind in ("diff", "patch", "bundle"):
        await client.http.get(f"/sessions/{session['id']}/{kind}")
    assert held_loops.logged(there.log, start) == []


async def test_output_without_a_line_break(there: Rig, client: Client) -> None:
    """8 MiB and more, of what may be the beginning of a token, and of characters of several bytes."""
    await settled(client, there, "head -c 9000000 /dev/zero | tr '\\0' x")
    await settled(client, there, "for i in $(seq 400000); do printf 'ghs_%s.' $i; done | head -c 4000000")
    await settled(client, there, "yes '€€€€€€€€€€€€€€€€' | tr -d '\\n' | head -c 4000000; echo")


async def test_artifacts_as_long_as_may_be(there: Rig, client: Client) -> None:
    """Of text without an end of line, with carriage returns, and of many lines."""
    await settled(client, there, f"{LETTERS} 9000000 > one-line.txt", publish={"mode": "dry_run"})
    await settled(
        client, there, f"{LETTERS} 7000000 | sed 's/.\\{{60\\}}/&\\r\\n/g' > dos.txt", publish={"mode": "dry_run"}
    )
    await settled(client, there, f"{LETTERS} 4000000 | fold -w 5 > lines.txt", publish={"mode": "dry_run"})


async def test_many_labels_and_many_files(there: Rig, client: Client) -> None:
    labels = [f"label {number}" for number in range(20)]
    command = "mkdir d && cd d && for i in $(seq 3000); do echo $i > file-$i; done"
    await settled(client, there, command, labels=labels, publish={"mode": "draft", "labels": labels})
