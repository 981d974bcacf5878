"""The canary proof: `gitward audit-token` in both modes, and that it sees a token where a protection is missing."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import gitward
from gitward.audit import report
from gitward.audit.channels import PLACES, Channel
from gitward.audit.proof import audit
from gitward.audit.report import State
from gitward.audit.stage import demo


async def test_in_broker_mode_the_token_is_nowhere(tmp_path: Path) -> None:
    """While a hostile command takes all that it can get; and a planted value is found in every channel."""
    code, out, err = await gitward("audit-token", "--json", cwd=tmp_path)
    assert code == 0, (out, err)
    found = json.loads(out)
    assert (found["ok"], found["mode"], found["live"]) == (True, "broker", False)
    assert found["token_seen_upstream"] > 10
    assert found["samples"] > report.FEWEST_SAMPLES
    assert [row["channel"] for row in found["channels"]] == list(Channel)
    assert {row["state"] for row in found["channels"]} == {"clean"}
    assert all(row["planted"] == row["expected"] >= 14 and row["bytes"] > 0 for row in found["channels"])
    assert [each["why"] for each in found["exempt"]] == ["the service, to which the operator gave the variable"]


async def test_in_login_mode_it_is_where_the_docs_say_and_without_the_broker_the_audit_fails() -> None:
    """The broker's protection is taken away; judged by its rules, the same run is full of leaks."""
    async with demo(login_mode=True) as stage:
        outcome = await audit(stage, lambda _: None)
    table = report.rows(outcome)
    assert report.passes(outcome, table), "\n".join(report.text(outcome, table))
    documented = {row.channel for row in table if row.state is State.DOCUMENTED}
    assert documented >= {Channel.HOME, Channel.CREDENTIALS, Channel.MEMORY, Channel.TRACES, Channel.REFLECTIONS}
    assert documented <= {channel for channel, place in PLACES.items() if place.in_login}
    judged = report.rows(outcome, strict=True)
    assert not report.passes(outcome, judged)
    assert {row.channel for row in judged if row.state is State.LEAK} == documented
    shown = "\n".join(report.text(outcome, judged))
    assert ".config/gh/hosts.yml: the token, plain" in shown
    assert outcome.ledger.search(Channel.ANSWERS, "this report", shown.encode()) == set()


async def test_a_live_service_is_audited_from_outside(tmp_path: Path) -> None:
    """By its operator: what it will do is said first, what it cannot see is named, and nothing reaches GitHub."""
    async with demo(login_mode=False) as stage:
        assert stage.github is not None
        settings = {
            "GITWARD_DATA_DIR": str(stage.data),
            "GITWARD_PORT": stage.url.rpartition(":")[2],
            "GITHUB_TOKEN": "ghp_" + "anotherTokenThanTheServiceHas4242424",
        }
        main = await stage.github.repository(stage.repository).head("main")
        arguments = ("audit-token", "--repo", stage.repository, "--json")
        code, _, err = await gitward(*arguments, cwd=tmp_path, **settings)
        assert (code, err.splitlines()[-1]) == (
            1,
            "gitward: The service has another GITHUB_TOKEN than this command: set the same one.",
        )
        own = Path(f"/proc/{stage.pid}/environ").read_bytes().split(b"\0")
        settings["GITHUB_TOKEN"] = next(each[13:].decode() for each in own if each.startswith(b"GITHUB_TOKEN="))
        code, out, err = await gitward(*arguments, cwd=tmp_path, **settings)
        assert "post one session on octocat/hello-world" in err
        assert "It cannot see: inside: what upstream repeats" in err
        assert code == 0, (out, err)
        states = {row["channel"]: row["state"] for row in json.loads(out)["channels"]}
        hidden = {channel for channel, state in states.items() if state == "not visible"}
        assert hidden == {channel for channel, place in PLACES.items() if not place.live} | {Channel.LOG}
        assert set(states.values()) == {"clean", "not visible"}
        changes = [request for request in stage.github.requests if request.method not in {"GET", "HEAD"}]
        reading = ("/graphql", "/git-upload-pack", "/info/lfs/objects/batch")
        assert all(request.path.endswith(reading) for request in changes)
        assert await stage.github.repository(stage.repository).branches() == {"main": main}
