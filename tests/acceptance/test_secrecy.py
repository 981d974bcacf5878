"""The token is nowhere that it must not be; and the search that says so is shown to find a planted one."""

from __future__ import annotations

import json

from rig import Client, Rig, output
from search import found_in_files, found_in_processes, spellings

PLANTED = "canary-PLANTED-canary-PLANTED-canary"


async def test_the_search_finds_a_planted_secret_in_each_channel(service: Rig, alice_client: Client) -> None:
    repository = await service.repository()
    command = f"echo {PLANTED} > planted.txt; sleep 30 & echo started; wait -n"
    session = await alice_client.session(repository, command=command, env={"PLANTED": PLANTED})
    async for event in alice_client.stream(session):
        if event["type"] == "output" and event["data"]["step"] == "execute":
            break
    hits = found_in_processes(PLANTED, but=set())
    assert any(hit.endswith("/cmdline") for hit in hits), "the command's own argument, inside"
    assert any(hit.endswith("/environ") for hit in hits), "the command's own environment, inside"
    await alice_client.post(f"/sessions/{session['id']}/cancel", status=200)
    await alice_client.finished(session)
    files = found_in_files(PLANTED, service.data)
    assert any(name.startswith("gitward.db") for name in files)
    assert any(name.startswith("workspaces/") for name in files)
    assert PLANTED in json.dumps(await alice_client.get(f"/sessions/{session['id']}"))


async def test_the_token_is_in_no_file_process_log_event_or_answer(service: Rig, alice_client: Client) -> None:
    """While a hostile command reads all that it can see."""
    repository = await service.repository()
    command = (
        "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; git config --list --show-origin; "
        "gh auth token; cat ~/.config/gh/hosts.yml; "
        "printf 'protocol=https\\nhost=github.com\\n' | git credential fill; "
        "ls -la /proc/self/fd; echo done > done.txt; sleep 1"
    )
    session = await alice_client.session(repository, command=command)
    assert service.process is not None
    own = {service.process.pid}
    hits: list[str] = []
    events = []
    async for event in alice_client.stream(session):
        events.append(event)
        hits += found_in_processes(service.token, but=own)
    run = await alice_client.get(f"/sessions/{session['id']}/runs/{session['runs'][0]['id']}")
    assert run["state"] == "succeeded", (run, output(events))
    assert hits == []
    assert found_in_files(service.token, service.data) == []
    everything = json.dumps([events, await alice_client.get(f"/sessions/{session['id']}")]).encode()
    everything += service.log.read_bytes()
    everything += (await alice_client.http.get(f"/sessions/{session['id']}/patch")).content
    assert [form for form in spellings(service.token) if form in everything] == []
