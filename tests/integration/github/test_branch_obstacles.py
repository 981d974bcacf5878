"""What will refuse the push to the session's branch is told before the command runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitward.errors import Reason, RunFailure
from gitward.github.client import Connection
from gitward.github.ownership import Known
from gitward.github.preflight import Facts, Wanted, check
from gitward_standin import Repository, StandIn

REPOSITORY, BRANCH = "octo-org/demo", "gitward/1"
STARTS = {"operator": "starts_with", "pattern": "users/"}


async def ask(connection: Connection, branch: str = BRANCH, *, known: Known | None = None, **more: Any) -> Facts:
    needed = datetime.now(UTC) + timedelta(hours=1)
    wanted = Wanted(repo=REPOSITORY, target_branch=None, branch=branch, needed_until=needed, **more)
    return await check(connection, wanted, known=known or Known(), admit=lambda _name: None)


async def failure(connection: Connection, branch: str = BRANCH, **more: Any) -> RunFailure:
    with pytest.raises(RunFailure) as raised:
        await ask(connection, branch, **more)
    return raised.value


class TestBranchInTheWay:
    @pytest.mark.parametrize(
        ("there", "wished"),
        [
            ("gitward", "gitward/1"),
            ("a/b", "a/b/c/d"),
            ("fix/other", "fix"),
            ("fix/a/b", "fix/a"),
            ("日本語", "日本語/x"),
        ],
    )
    async def test_it_is_named_with_what_to_do(
        self, connection: Connection, repository: Repository, there: str, wished: str
    ) -> None:
        await repository.commit(there, {"a": "1"})
        told = await failure(connection, wished)
        assert told.reason is Reason.PUSH_REJECTED
        assert told.message == (
            f"{REPOSITORY} has a branch {there}, so git cannot create a branch {wished}: rename or delete "
            f"{there}, or post a session with another branch."
        )
        assert (await ask(connection, wished, pushes=False)).notices == (told.message,)

    async def test_names_that_only_look_alike_are_in_nobody_s_way(
        self, connection: Connection, repository: Repository
    ) -> None:
        for name in ("git", "gitward-1", "gitward/11", "gitward/1-x", "gitward/2", "Gitward"):
            await repository.commit(name, {"a": "1"})
        assert (await ask(connection)).notices == ()

    async def test_a_very_deep_name_is_not_asked_for_part_by_part(
        self, standin: StandIn, connection: Connection
    ) -> None:
        await ask(connection, "/".join("abcdefghijklmnopqrstuvwxyz"))
        assert len([request for request in standin.requests if "/git/ref/" in request.path]) < 12


class TestRules:
    async def rules(self, standin: StandIn, *rules: dict[str, Any], bypass: str | None = "never") -> None:
        entries = [
            {"ruleset_id": 7 + number, "ruleset_source": "octo-org", "ruleset_source_type": "Organization", **rule}
            for number, rule in enumerate(rules)
        ]
        standin.fault(path="*/rules/branches/*", status=200, body=json.dumps(entries).encode(), times=9)
        about = {} if bypass is None else {"current_user_can_bypass": bypass}
        standin.fault(path="*/rulesets/*", status=200, body=json.dumps(about).encode(), times=9)

    @pytest.mark.parametrize(
        ("rule", "sentence"),
        [
            ({"type": "creation"}, "only those whom the rule exempts may create it"),
            ({"type": "branch_name_pattern", "parameters": STARTS}, "the name of a branch must begin with 'users/'"),
            (
                {
                    "type": "branch_name_pattern",
                    "parameters": {"operator": "contains", "pattern": "ward", "negate": True},
                },
                "the name of a branch must not contain 'ward'",
            ),
        ],
    )
    async def test_what_is_sure_to_be_refused_fails_the_run(
        self, standin: StandIn, connection: Connection, rule: dict[str, Any], sentence: str
    ) -> None:
        """Unless it is a dry run, or GitHub does not say that the token's owner may not pass the rule by."""
        await self.rules(standin, rule)
        told = await failure(connection)
        expected = f"A rule of octo-org for the branch {BRANCH}: {sentence}."
        assert (told.reason, told.message.startswith(expected)) == (Reason.BRANCH_PROTECTED, True), told.message
        assert (await ask(connection, pushes=False)).notices == (expected,)

    async def test_what_may_be_refused_is_a_notice(self, standin: StandIn, connection: Connection) -> None:
        await self.rules(
            standin,
            {"type": "required_signatures"},
            {"type": "commit_message_pattern", "parameters": {"operator": "regex", "pattern": "^JIRA-\\d+"}},
            {"type": "update"},
            {"type": "branch_name_pattern", "parameters": {"operator": "regex", "pattern": "^x"}},
        )
        notices = (await ask(connection)).notices
        assert len(notices) == 4
        assert "commits must be signed" in notices[0]
        assert "the message of each commit must match '^JIRA-" in notices[1]

    @pytest.mark.parametrize(("bypass", "count"), [("always", 0), ("exempt", 0), (None, 1), ("something new", 1)])
    async def test_who_may_pass_a_rule_by_is_not_told_of_it(
        self, standin: StandIn, connection: Connection, bypass: str | None, count: int
    ) -> None:
        await self.rules(standin, {"type": "creation"}, bypass=bypass)
        assert len((await ask(connection)).notices) == count

    async def test_rules_that_a_push_need_not_fear_are_not_told(self, standin: StandIn, connection: Connection) -> None:
        await self.rules(
            standin,
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": "branch_name_pattern", "parameters": {"operator": "starts_with", "pattern": "gitward/"}},
            {"type": "required_status_checks", "parameters": {"do_not_enforce_on_create": True}},
            {"type": "something new"},
        )
        assert (await ask(connection)).notices == ()
        assert not [request for request in standin.requests if "/rulesets/" in request.path]

    async def test_a_branch_that_is_there_may_be_closed_to_updates(
        self, standin: StandIn, connection: Connection, repository: Repository
    ) -> None:
        head = await repository.commit(BRANCH, {"a": "1"})
        await self.rules(standin, {"type": "update"}, {"type": "creation"})
        told = await failure(connection, known=Known(pushed_sha=head))
        assert (told.reason, "may push to it" in told.message) == (Reason.BRANCH_PROTECTED, True)

    @pytest.mark.parametrize("body", [b'{"message":"Upgrade to GitHub Pro"}', b"[1, null]", b"{}", b"<html>"])
    @pytest.mark.parametrize("status", [200, 403, 404])
    async def test_where_they_are_not_told_the_run_goes_on(
        self, standin: StandIn, connection: Connection, status: int, body: bytes
    ) -> None:
        standin.fault(path="*/rules/branches/*", status=status, body=body)
        assert (await ask(connection)).notices == ()

    async def test_words_of_github_become_one_line(self, standin: StandIn, connection: Connection) -> None:
        rule = {"type": "creation", "ruleset_source": "a\nb\x1b[31m" + "c" * 1000}
        await self.rules(standin, rule, bypass=None)
        [notice] = (await ask(connection)).notices
        assert notice.isprintable()
        assert len(notice) < 400
