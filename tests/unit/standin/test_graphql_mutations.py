"""Mutations change what REST shows, for those tokens that GitHub lets."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gitward_standin import StandIn, Token, TokenKind
from gitward_standin.example import Example
from gitward_standin.model import PullRequest
from gitward_standin.node_ids import encode
from octocat import TOKEN

from .conftest import Api, GraphQL

pytestmark = pytest.mark.slow  # each has a GitHub of its own

World = tuple[StandIn, Example]
SECOND = "second-token"


class Sender:
    """Sends mutations about the example's repository."""

    def __init__(self, graphql: GraphQL, world: World) -> None:
        self.graphql = graphql
        self.standin, contents = world
        self.repository = contents.repository
        self.pull: PullRequest = self.repository.pulls[0]
        self.repository_id = encode("Repository", self.repository.id)
        self.pull_id = encode("PullRequest", self.repository.id, self.pull.id)
        self.issue_id = encode("Issue", self.repository.id, self.repository.issues[0].id)

    def account(self, login: str) -> str:
        account = self.standin.site.accounts.get(login)
        return encode(account.type, account.id)

    def label(self, name: str) -> str:
        return encode("Label", self.repository.id, self.repository.labels[name].id)

    async def send(
        self, mutation: str, wanted: str = "clientMutationId", *, token: str | None = None, **input: Any
    ) -> Any:
        """The whole answer."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation M($input: {kind}!) {{ it: {mutation}(input: $input) {{ {wanted} }} }}"
        return await self.graphql(query, token=token or TOKEN, input=input)

    async def __call__(self, mutation: str, wanted: str = "clientMutationId", **input: Any) -> Any:
        """The payload of a mutation that succeeds."""
        answer = await self.send(mutation, wanted, **input)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]["it"]

    async def refused(self, mutation: str, *, token: str | None = None, **input: Any) -> tuple[str, str]:
        """Type and message of its one error."""
        answer = await self.send(mutation, token=token, **input)
        assert answer["data"] == {"it": None}
        (error,) = answer["errors"]
        assert error["path"] == ["it"]
        return error["type"], error["message"]


@pytest.fixture
def send(graphql: GraphQL, example: World) -> Sender:
    return Sender(graphql, example)


class TestPullRequests:
    async def test_create(self, send: Sender, rest: Api) -> None:
        payload = await send(
            "createPullRequest",
            "clientMutationId pullRequest { number url isDraft author { login } headRefName }",
            repositoryId=send.repository_id,
            headRefName="fresh",
            baseRefName="main",
            title="Fresh",
            body="Why",
            draft=True,
            clientMutationId="x",
        )
        assert payload == {
            "clientMutationId": "x",
            "pullRequest": {
                "number": 5,
                "url": "https://github.com/octo-org/demo/pull/5",
                "isDraft": True,
                "author": {"login": "octocat"},
                "headRefName": "fresh",
            },
        }
        shown = (await rest("GET", "/repos/octo-org/demo/pulls/5")).json
        assert (shown["title"], shown["body"], shown["draft"]) == ("Fresh", "Why", True)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"headRefName": "topic"}, "A pull request already exists for octo-org:topic."),
            ({"headRefName": "main"}, "No commits between main and main"),
            ({"headRefName": "none"}, "Head sha can't be blank"),
            ({"baseRefName": "none", "headRefName": "none"}, "Head sha can't be blank, Base sha can't be blank"),
            ({"title": " "}, "Title can't be blank"),
        ],
    )
    async def test_what_breaks_a_rule(self, send: Sender, values: dict[str, str], message: str) -> None:
        given = {"headRefName": "fresh", "baseRefName": "main", "title": "x", **values}
        refused = await send.refused("createPullRequest", repositoryId=send.repository_id, **given)
        assert refused == ("UNPROCESSABLE", message)

    async def test_update(self, send: Sender) -> None:
        milestone = send.repository.milestones[0]
        await send(
            "updatePullRequest",
            pullRequestId=send.pull_id,
            title="New",
            body="Text",
            baseRefName="done",
            labelIds=[send.label("help")],
            assigneeIds=[send.account("hubot")],
            milestoneId=encode("Milestone", send.repository.id, milestone.id),
        )
        assert (send.pull.title, send.pull.body, send.pull.base) == ("New", "Text", "done")
        assert (send.pull.labels, [who.login for who in send.pull.assignees]) == (["help"], ["hubot"])
        await send("updatePullRequest", pullRequestId=send.pull_id, milestoneId=None)
        assert (send.pull.milestone, send.pull.title) == (None, "New")

    async def test_states(self, send: Sender) -> None:
        wanted = "pullRequest { state isDraft closed }"
        for mutation, expected in (
            ("markPullRequestReadyForReview", ("OPEN", False, False)),
            ("convertPullRequestToDraft", ("OPEN", True, False)),
            ("closePullRequest", ("CLOSED", True, True)),
            ("reopenPullRequest", ("OPEN", True, False)),
        ):
            pull = (await send(mutation, wanted, pullRequestId=send.pull_id))["pullRequest"]
            assert (pull["state"], pull["isDraft"], pull["closed"]) == expected
        await send("updatePullRequest", pullRequestId=send.pull_id, state="CLOSED")
        assert send.pull.state == "closed"

    async def test_merge(self, send: Sender) -> None:
        assert await send.refused("mergePullRequest", pullRequestId=send.pull_id) == (
            "UNPROCESSABLE",
            "Pull Request is still a draft",
        )
        send.pull.draft = False
        wanted = "pullRequest { state merged mergeCommit { oid parents(first: 2) { totalCount } } mergedBy { login } }"
        pull = (await send("mergePullRequest", wanted, pullRequestId=send.pull_id))["pullRequest"]
        assert (pull["state"], pull["merged"], pull["mergedBy"]) == ("MERGED", True, {"login": "octocat"})
        assert pull["mergeCommit"] == {"oid": await send.repository.head("main"), "parents": {"totalCount": 2}}

    async def test_auto_merge(self, send: Sender) -> None:
        wanted = "pullRequest { autoMergeRequest { mergeMethod enabledBy { login } } }"
        payload = await send("enablePullRequestAutoMerge", wanted, pullRequestId=send.pull_id, mergeMethod="SQUASH")
        assert payload["pullRequest"]["autoMergeRequest"] == {
            "mergeMethod": "SQUASH",
            "enabledBy": {"login": "octocat"},
        }
        await send("disablePullRequestAutoMerge", pullRequestId=send.pull_id)
        assert send.pull.auto_merge is None

    async def test_review_requests(self, send: Sender) -> None:
        send.pull.reviewers = []
        organization = send.standin.site.accounts.get("octo-org")
        (team,) = send.standin.site.accounts.teams(organization)
        team_id = encode("Team", organization.id, team.id)
        await send("requestReviews", pullRequestId=send.pull_id, userIds=[send.account("hubot")], teamIds=[team_id])
        assert ([who.login for who in send.pull.reviewers], send.pull.teams) == (["hubot"], [team])
        await send("requestReviewsByLogin", pullRequestId=send.pull_id, userLogins=[], teamSlugs=["octo-org/reviewers"])
        assert (send.pull.reviewers, send.pull.teams) == ([], [team])
        await send("requestReviewsByLogin", pullRequestId=send.pull_id, userLogins=["hubot"], union=True)
        assert [who.login for who in send.pull.reviewers] == ["hubot"]
        for login, expected in (
            ("stranger", "Reviews may only be requested from collaborators."),
            ("octocat", "Review cannot be requested from pull request author."),
        ):
            users = [send.account(login)]
            _, message = await send.refused("requestReviews", pullRequestId=send.pull_id, userIds=users)
            assert message.startswith(expected)

    async def test_review(self, send: Sender) -> None:
        refused = await send.refused("addPullRequestReview", pullRequestId=send.pull_id, event="APPROVE")
        assert refused == ("UNPROCESSABLE", "Can not approve your own pull request")
        send.standin.add_token(SECOND, Token(login="hubot"))
        answer = await send.send(
            "addPullRequestReview",
            "pullRequestReview { state body } reviewEdge { node { author { login } } }",
            token=SECOND,
            pullRequestId=send.pull_id,
            event="APPROVE",
            body="Good",
        )
        assert answer["data"]["it"]["pullRequestReview"] == {"state": "APPROVED", "body": "Good"}
        assert send.pull.reviewers == []


class TestIssues:
    async def test_create(self, send: Sender) -> None:
        payload = await send(
            "createIssue",
            "issue { number url labels(first: 9) { nodes { name } } assignees(first: 9) { nodes { login } } }",
            repositoryId=send.repository_id,
            title="New",
            body="Text",
            labelIds=[send.label("help")],
            assigneeIds=[send.account("octocat")],
        )
        assert payload["issue"] == {
            "number": 5,
            "url": "https://github.com/octo-org/demo/issues/5",
            "labels": {"nodes": [{"name": "help"}]},
            "assignees": {"nodes": [{"login": "octocat"}]},
        }
        send.repository.issues_enabled = False
        refused = await send.refused("createIssue", repositoryId=send.repository_id, title="x")
        assert refused == ("UNPROCESSABLE", "The repository has disabled issues.")

    async def test_update_close_and_reopen(self, send: Sender) -> None:
        issue = send.repository.issues[0]
        await send(
            "updateIssue", id=send.issue_id, title="New", body="Text", labelIds=[], assigneeIds=[], milestoneId=None
        )
        assert (issue.title, issue.body, issue.labels, issue.assignees) == ("New", "Text", [], [])
        wanted = "issue { state stateReason }"
        closed = await send("closeIssue", wanted, issueId=send.issue_id, stateReason="NOT_PLANNED")
        assert closed["issue"] == {"state": "CLOSED", "stateReason": "NOT_PLANNED"}
        assert (await send("reopenIssue", wanted, issueId=send.issue_id))["issue"]["stateReason"] == "REOPENED"

    async def test_only_administrators_delete(self, send: Sender) -> None:
        kind, message = await send.refused("deleteIssue", issueId=send.issue_id)
        assert (kind, message) == (
            "FORBIDDEN",
            "octocat does not have the correct permissions to execute `DeleteIssue`",
        )
        secret = send.standin.repository("octo-org/secret")
        issue_id = encode("Issue", secret.id, secret.issues[0].id)
        payload = await send("deleteIssue", "repository { nameWithOwner }", issueId=issue_id)
        assert payload["repository"]["nameWithOwner"] == "octo-org/secret"
        assert secret.issues == []

    async def test_comments(self, send: Sender) -> None:
        for subject in (send.issue_id, send.pull_id):
            edge = (await send("addComment", "commentEdge { node { id url body } }", subjectId=subject, body="Hello"))[
                "commentEdge"
            ]
            assert edge["node"]["body"] == "Hello"
            assert "#issuecomment-" in edge["node"]["url"]
        comment = send.pull.comments[-1]
        comment_id = encode("IssueComment", send.repository.id, comment.id)
        await send("updateIssueComment", id=comment_id, body="Goodbye")
        assert comment.body == "Goodbye"
        await send("deleteIssueComment", id=comment_id)
        assert comment not in send.pull.comments
        assert await send.refused("addComment", subjectId=send.pull_id, body=" ") == (
            "UNPROCESSABLE",
            "Body cannot be blank",
        )

    async def test_labels_and_assignees(self, send: Sender) -> None:
        issue = send.repository.issues[0]
        await send("addLabelsToLabelable", labelableId=send.issue_id, labelIds=[send.label("help")])
        assert issue.labels == ["bug", "help"]
        await send("removeLabelsFromLabelable", labelableId=send.issue_id, labelIds=[send.label("bug")])
        assert issue.labels == ["help"]
        await send("addAssigneesToAssignable", assignableId=send.issue_id, assigneeIds=[send.account("hubot")])
        assert [who.login for who in issue.assignees] == ["octocat", "hubot"]
        await send("removeAssigneesFromAssignable", assignableId=send.issue_id, assigneeIds=[send.account("octocat")])
        assert [who.login for who in issue.assignees] == ["hubot"]
        await send("replaceActorsForAssignable", assignableId=send.issue_id, actorLogins=["octocat"])
        assert [who.login for who in issue.assignees] == ["octocat"]
        await send("createLabel", "label { name }", repositoryId=send.repository_id, name="new", color="ffffff")
        assert "new" in send.repository.labels


class TestGit:
    """The ways to write to git without a push."""

    async def test_refs(self, send: Sender) -> None:
        head = await send.repository.head("topic")
        created = await send(
            "createRef", "ref { id name prefix }", repositoryId=send.repository_id, name="refs/heads/made", oid=head
        )
        assert (created["ref"]["name"], created["ref"]["prefix"]) == ("made", "refs/heads/")
        main = await send.repository.head("main")
        await send("updateRef", refId=created["ref"]["id"], oid=main, force=True)
        assert await send.repository.head("made") == main
        await send("deleteRef", refId=created["ref"]["id"])
        assert await send.repository.head("made") is None
        refused = await send.refused("createRef", repositoryId=send.repository_id, name="refs/heads/main", oid=main)
        assert refused == ("UNPROCESSABLE", "Reference already exists")

    async def test_a_commit(self, send: Sender) -> None:
        head = await send.repository.head("main")
        payload = await send(
            "createCommitOnBranch",
            'commit { oid message file(path: "new.txt") { object { ... on Blob { text } } } } ref { name }',
            branch={"repositoryNameWithOwner": "octo-org/demo", "branchName": "main"},
            message={"headline": "Headline", "body": "Body"},
            expectedHeadOid=head,
            fileChanges={
                "additions": [{"path": "new.txt", "contents": base64.b64encode(b"new").decode()}],
                "deletions": [{"path": "README.md"}],
            },
        )
        assert payload["ref"] == {"name": "main"}
        assert payload["commit"]["oid"] == await send.repository.head("main")
        assert payload["commit"]["message"] == "Headline\n\nBody"
        assert payload["commit"]["file"]["object"]["text"] == "new"
        files = (await send.repository.run_git("ls-tree", "-r", "--name-only", "main")).decode().split()
        assert "README.md" not in files

    async def test_a_commit_on_an_outdated_head(self, send: Sender) -> None:
        kind, message = await send.refused(
            "createCommitOnBranch",
            branch={"id": encode("Ref", send.repository.id, "refs/heads/main")},
            message={"headline": "x"},
            expectedHeadOid="0" * 40,
        )
        assert kind == "UNPROCESSABLE"
        assert message.startswith('Expected branch to point to "0000')


class TestRights:
    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            (
                Token(login="octocat", push=False),
                ("FORBIDDEN", "Resource not accessible by personal access token"),
            ),
            (
                Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False),
                ("FORBIDDEN", "Resource not accessible by personal access token"),
            ),
            (
                Token(login=None, kind=TokenKind.APP, push=False),
                ("FORBIDDEN", "Resource not accessible by integration"),
            ),
            (Token(login="stranger"), ("NOT_FOUND", "Could not resolve to a node with the global id of 'ID'.")),
        ],
    )
    async def test_a_token_that_may_not(self, send: Sender, token: Token, expected: tuple[str, str]) -> None:
        send.standin.add_token(SECOND, token)
        kind, message = await send.refused("closePullRequest", token=SECOND, pullRequestId=send.pull_id)
        assert (kind, message.replace(send.pull_id, "ID")) == expected
        assert send.pull.state == "open"

    async def test_who_reads_may_comment_and_no_more(self, send: Sender) -> None:
        send.standin.add_token(SECOND, Token(login="stranger"))
        public = send.standin.repository("octo-org/open")
        pull_id = encode("PullRequest", public.id, public.pulls[0].id)
        answer = await send.send("addComment", token=SECOND, subjectId=pull_id, body="Hello")
        assert "errors" not in answer
        kind, message = await send.refused("mergePullRequest", token=SECOND, pullRequestId=pull_id)
        assert kind == "FORBIDDEN"
        assert message == "stranger does not have the correct permissions to execute `MergePullRequest`"

    async def test_an_archived_repository_is_read_only(self, send: Sender) -> None:
        send.repository.archived = True
        refused = await send.refused("addComment", subjectId=send.issue_id, body="Hello")
        assert refused == ("UNPROCESSABLE", "Repository was archived so is read-only.")

    async def test_an_id_of_another_kind_is_not_found(self, send: Sender) -> None:
        kind, _ = await send.refused("closePullRequest", pullRequestId=send.issue_id)
        assert kind == "NOT_FOUND"

    async def test_other_repositories_are_changed_when_the_token_may(self, send: Sender) -> None:
        """The stand-in keeps nothing back: that is a policy's task."""
        secret = send.standin.repository("octo-org/secret")
        await send("closePullRequest", pullRequestId=encode("PullRequest", secret.id, secret.pulls[0].id))
        assert secret.pulls[0].state == "closed"
