"""A repository and a checkout that want to harm whoever touches them: nothing outside their sandbox notices."""

from __future__ import annotations

import secrets
from pathlib import Path

from rig import Client, Rig, output

HOSTILE_FILES = {
    "README.md": "# hostile\n",
    ".gitattributes": "* filter=evil diff=evil merge=evil\n",
    ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% /tmp/pwned\n',
    "-rf": "not an option\n",
    "--force": "neither\n",
    "$(touch pwned)": "nor a command\n",
    "case.txt": "lower\n",
    "CASE.txt": "upper\n",
    "new\nline.txt": "a line break in a name\n",
}


async def test_hostile_content_is_checked_out_changed_and_pushed(service: Rig, alice_client: Client) -> None:
    repository = await service.repository(files=HOSTILE_FILES)
    command = "ls -1b; echo more >> ./-rf; rm -- --force; git status --porcelain | wc -l"
    session, run, events = await alice_client.run(repository, command)
    assert run["state"] == "succeeded", (run, output(events))
    assert {"-rf", "--force", "$(touch\\ pwned)", "case.txt", "CASE.txt"} <= set(output(events).splitlines())
    assert await repository.head(session["branch"]) == run["head_sha"]
    diff = (await alice_client.http.get(f"/sessions/{session['id']}/diff")).text
    assert "+more" in diff
    assert "deleted file mode" in diff


async def test_a_poisoned_checkout_harms_only_its_own_sandbox(service: Rig, alice_client: Client) -> None:
    """Hooks, filters, fsmonitor, aliases, an ssh command and links out of the tree, all left for our git to meet."""
    marker = Path(f"/tmp/gitward-pwned-{secrets.token_hex(8)}")
    evil = f"touch {marker}"
    poison = f"""
        for key in core.fsmonitor diff.evil.command core.sshCommand core.pager gpg.program core.editor; do
          git config $key '{evil}'
        done
        git config filter.evil.clean '{evil}; cat'; git config credential.helper '!{evil}'
        git config commit.gpgSign true
        for hook in pre-commit prepare-commit-msg commit-msg post-commit pre-push post-checkout post-index-change; do
          printf '#!/bin/sh\\n{evil}; exit 1\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook
        done
        git config core.hooksPath "$PWD/.git/hooks"
        ln -s /etc/passwd passwd; ln -s ../../../../.. up; ln -s /proc/1/environ environ
        echo '* filter=evil diff=evil' > .gitattributes; echo change > change.txt; touch /tmp/inside
    """
    repository = await service.repository()
    session, first, events = await alice_client.run(repository, poison)
    assert first["state"] == "succeeded", (first, output(events), output(events, "publish"))
    follow_up = await alice_client.post(f"/sessions/{session['id']}/runs", {"command": "echo again > again.txt"})
    second, events = await alice_client.finished(session, follow_up["id"])
    assert second["state"] == "succeeded", (second, output(events, "checkout"), output(events, "publish"))
    assert await repository.head(session["branch"]) == second["head_sha"]
    assert not marker.exists()
    patch = (await alice_client.http.get(f"/sessions/{session['id']}/patch")).text
    assert "root:x:0:0" not in patch
    assert "+again" in patch


DESTROYING = {  # a command, and how its run ends: state, reason, whether there is a change
    "rm -rf .git": ("succeeded", None, False),
    "rm -rf /workspace/repo; mkdir /workspace/repo": ("failed", "task_failed", None),
    "rm -rf /workspace/repo": ("failed", "task_failed", None),
    "mv /workspace/repo /workspace/away; ln -s away /workspace/repo": ("failed", "task_failed", None),
    "echo x > .git/HEAD; echo y > y": ("succeeded", None, True),
}


async def test_a_command_that_destroys_its_checkout_is_told_so(service: Rig, alice_client: Client) -> None:
    """Its files are its work while there are any; the next run has a checkout of its own."""
    repository = await service.repository()
    for command, expected in DESTROYING.items():
        session, run, events = await alice_client.run(repository, command)
        assert (run["state"], run["reason"], run["changed"]) == expected, (command, run)
        told = [event["data"]["message"] for event in events if event["type"] == "notice"]
        assert told or ".git" not in command, command
        retry = await alice_client.post(
            f"/sessions/{session['id']}/runs", {"command": "echo whole > whole.txt", "publish": {"mode": "dry_run"}}
        )
        again, _ = await alice_client.finished(session, retry["id"])
        assert again["state"] == "succeeded", (command, again)


async def test_a_file_of_a_hundred_megabytes(service: Rig, alice_client: Client) -> None:
    """Pushed; its patch is longer than what is kept, and that is told."""
    repository = await service.repository()
    session, run, events = await alice_client.run(repository, "head -c 100000000 /dev/urandom > big.bin")
    assert run["state"] == "succeeded", run
    assert await repository.head(session["branch"]) == run["head_sha"]
    notices = [event["data"]["message"] for event in events if event["type"] == "notice"]
    assert "The patch is longer than 10 MiB and is not kept." in notices
