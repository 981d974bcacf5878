"""What people do with gh on the session's repository, by both versions, in the real sandbox and in `broker` mode.

With both values of GITWARD_WRITES.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from gitward_standin import StandIn, Token
from gitward_standin.example import REPOSITORY, SENDER, populate
from rig import Rig, output

OLD, NEW = "2.23.0", "2.102.0"
RUN, JOB = "900000013", "900000015"  # of the example
SECONDS = 200.0  # for eighty commands on a busy machine


@dataclass(frozen=True)
class Row:
    """One command in the checkout, on the session's branch; $own and $issue are numbers of what it has made."""

    line: str  # without "gh"
    shows: str = ""  # a part of what it writes
    _: KW_ONLY
    code: int = 0
    only: str = ""  # the version that has the command
    refused: str = ""  # by this rule; `shows` is how a person reads it


def refused(line: str, rule: str, shows: str, *, only: str = "") -> Row:
    return Row(line, f"Gitward: {shows}", code=1, refused=rule, only=only)


MAY = f"it may read {REPOSITORY} and write the texts of its issues and pull requests"
UNLISTED = f"this session may not use {{}} /repos/{REPOSITORY}{{}}; {MAY}"
FIELD = "this session may not use the GraphQL field {}"
PR_FIELDS = (
    "additions,assignees,author,baseRefName,body,changedFiles,closed,comments,commits,createdAt,deletions,files,"
    "headRefName,headRefOid,headRepository,id,isDraft,labels,latestReviews,mergeable,mergeStateStatus,milestone,number,"
    "reviewDecision,reviewRequests,reviews,state,statusCheckRollup,title,updatedAt,url"
)
ISSUE_FIELDS = "assignees,author,body,closed,comments,createdAt,id,labels,milestone,number,state,title,updatedAt,url"
REPO_FIELDS = (
    "assignableUsers,createdAt,defaultBranchRef,description,diskUsage,forkCount,id,isArchived,isFork,isPrivate,labels,"
    "languages,latestRelease,licenseInfo,milestones,name,nameWithOwner,owner,parent,primaryLanguage,pushedAt,"
    "repositoryTopics,sshUrl,stargazerCount,url,viewerPermission"
)

TABLE = (
    Row("--version"),
    Row("auth status", f"Logged in to github.com as {SENDER}", only=OLD),
    Row("auth status", f"Logged in to github.com account {SENDER}", only=NEW),
    Row("auth setup-git"),
    Row("repo view", "# Demo"),
    Row(f"repo view {REPOSITORY} --json {REPO_FIELDS}", f'"nameWithOwner":"{REPOSITORY}"'),
    Row(f"repo clone {REPOSITORY} ~/again && ls ~/again/README.md", "README.md"),
    # pull requests
    Row("pr create --title Mine --body Text --draft", "/pull/"),
    Row("pr create --title Mine --body Text", "already exists", code=1),
    Row("pr view", "Mine"),
    Row("pr view $own --json number,title,isDraft", '"title":"Mine"'),
    Row("pr view 1 --comments", "Looks good"),
    Row(f"pr view 1 --json {PR_FIELDS}", '"title":"Add topic"'),
    Row("pr view topic --json url --jq .url", "/pull/1"),
    Row("pr list", "Add topic"),
    Row(f"pr list --state all --json {PR_FIELDS}", '"headRefName":"done"'),
    Row("pr list --state closed --limit 5 --author @me", "Done"),
    Row("pr list --search 'topic in:title' --label bug", "Add topic"),
    Row("pr list --head topic --base main --json number --jq '.[0].number'", "1"),
    Row("pr list --assignee @me --draft"),
    Row("pr status", "Mine"),
    Row("pr status --json number,title,statusCheckRollup", "Mine"),
    Row("pr checks 1", "ci/outside", code=1),  # a check has failed; gh says so by its exit code
    Row("pr checks 1 --watch --interval 1", "ci/outside", code=1),
    Row("pr checks 1 --json name,state,bucket,link", "lint", only=NEW),
    Row("pr checks $own", "no checks reported", code=1),
    Row("pr diff 1", "+topic"),
    Row("pr diff 1 --name-only", "topic.txt"),
    Row("pr diff $own --patch", "gh.txt"),
    Row("pr edit $own --title Newer --body 'More text'", "/pull/"),
    Row("pr edit $own --add-label help,bug --milestone v1", "/pull/"),
    Row("pr edit $own --remove-label bug --add-assignee @me", "/pull/"),
    Row("pr edit $own --add-reviewer hubot", "/pull/"),
    Row("pr comment $own --body Hello", "#issuecomment-"),
    Row("pr comment $own --body-file - <<< 'From a file'", "#issuecomment-"),
    Row("pr ready $own"),
    Row("pr ready $own --undo"),
    Row("pr checkout 1 && git switch -q -"),
    # issues
    Row("issue create --title Broken --body Text --label bug --assignee @me --milestone v1", "/issues/"),
    Row("issue list", "It is broken"),
    Row(f"issue list --state all --limit 10 --json {ISSUE_FIELDS}", "An old one"),
    Row("issue list --label bug --assignee @me", "It is broken"),
    Row("issue list --search 'broken sort:created-desc'", "It is broken"),
    Row("issue list --author hubot --milestone v1"),
    Row("issue view 3", "Please help"),
    Row("issue view 3 --comments", "On it"),
    Row(f"issue view 3 --json {ISSUE_FIELDS}", '"title":"It is broken"'),
    Row("issue comment 3 --body Hello", "#issuecomment-"),
    Row("issue edit $issue --add-label help --body 'New text'", "/issues/"),
    Row("issue status", "It is broken"),
    # workflows, releases, labels
    Row("run list", "Add topic"),
    Row("run list --workflow CI --branch topic --json databaseId,conclusion,status,headSha", "failure"),
    Row("run list --status failure --limit 3", "Add topic", only=NEW),
    Row(f"run view {RUN}", "It did not work"),
    Row(f"run view {RUN} --exit-status", "It did not work", code=1),
    Row(f"run view {RUN} --verbose --json jobs,conclusion", "failure"),
    Row(f"run view --job {JOB}", "Run tests"),
    Row(f"run watch {RUN}", "has already completed"),
    Row("workflow list", "CI"),
    Row("workflow view CI", "Add topic"),
    Row("release list --limit 5", "Release v1.0.0"),
    Row("release view v1.0.0", "Notes"),
    Row("release list --json tagName,isLatest", "v1.0.0", only=NEW),
    Row("label list --search bug", "d73a4a"),
    # the API
    Row("api user --jq .login", SENDER),
    Row("api 'repos/{owner}/{repo}' --jq .full_name", REPOSITORY),
    Row("api 'repos/{owner}/{repo}/pulls/1/files' --jq '.[].filename'", "topic.txt"),
    Row("api 'repos/{owner}/{repo}/issues?per_page=1&state=all' --paginate --jq '.[].title'", "It is broken"),
    Row("api 'repos/{owner}/{repo}/issues/3/comments' -f body=Hi --jq .body", "Hi"),
    Row("api -X PATCH repos/{owner}/{repo}/issues/$issue -f title=Renamed --jq .title", "Renamed"),
    Row("api 'repos/{owner}/{repo}/commits/topic/check-runs' --jq '.check_runs[].name'", "lint"),
    Row("api -X GET 'repos/{owner}/{repo}/actions/runs' -f branch=topic --jq .total_count", "2"),
    Row("api graphql -F owner='{owner}' -F name='{repo}' --jq .data.repository.id -f query='"
        "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){id}}'"),
    # what is refused, as a person reads it
    refused("pr merge $own --squash", "graphql.field", FIELD.format("Mutation.mergePullRequest")),
    refused("pr close $own", "graphql.field", FIELD.format("Mutation.closePullRequest")),
    refused("pr review 1 --approve", "graphql.field", FIELD.format("Mutation.addPullRequestReview")),
    refused("pr comment $own --body x --edit-last", "graphql.field", FIELD.format("Mutation.updateIssueComment")),
    refused("issue close 3", "graphql.field", FIELD.format("Mutation.closeIssue")),
    refused(f"run view {RUN} --log", "rest.unlisted", UNLISTED.format("GET", f"/actions/runs/{RUN}/logs")),
    refused(f"run rerun {RUN}", "rest.unlisted", UNLISTED.format("POST", f"/actions/runs/{RUN}/rerun")),
    refused("workflow run CI", "rest.unlisted", UNLISTED.format("POST", "/actions/workflows/900000012/dispatches")),
    refused("secret list", "rest.unlisted", UNLISTED.format("GET", "/actions/secrets")),
    refused("release create v9 --notes x", "rest.unlisted", UNLISTED.format("POST", "/releases")),
    refused("issue delete $issue --yes", "graphql.field", FIELD.format("Mutation.deleteIssue")),
    refused("repo list", "graphql.field", FIELD.format("User.repositories")),
    refused("label create x", "rest.unlisted", UNLISTED.format("POST", "/labels")),
    refused("repo fork --clone=false", "rest.unlisted", UNLISTED.format("POST", "/forks")),
    refused("pr list -R octo-org/secret", "graphql.argument",
            "Query.repository(name) must be the name of the session's repository"),
    refused("repo clone octo-org/secret ~/secret", "graphql.argument",
            "Query.repository(name) must be the name of the session's repository", only=NEW),
)  # fmt: skip


OWN_ONLY = (
    "this session may write title, body and comments of its own pull request and of issues that it opened, and "
    "turn the pull request into a draft; its POST sets everything else (GITWARD_WRITES=repository allows more)"
)
CANNOT = f"Mutation.{{}} cannot be used: {OWN_ONLY}"


def others(line: str, number: str) -> Row:
    return refused(line, "writes.own", f"#{number} is neither this session's pull request nor an issue that it opened")


OWN_TABLE = (
    Row("--version"),
    refused("pr create --title Mine --body Text", "graphql.argument",
            "Mutation.createPullRequest(input)(draft) must be true"),
    refused("pr create --title Mine --body Text --draft --base topic", "graphql.argument",
            "Mutation.createPullRequest(input)(baseRefName) must be the session's target branch"),
    refused("pr create --title Mine --body 'Closes octo-org/secret#1' --draft", "graphql.argument",
            "Mutation.createPullRequest(input)(body) must be a text that closes only issues of the session's"),
    Row("pr create --title Mine --body 'Closes #3' --draft", "/pull/"),
    Row("pr view", "Mine"),
    Row("pr status", "Mine"),
    Row("pr edit $own --title Newer --body 'More text'", "/pull/"),
    Row("pr comment $own --body Hello", "#issuecomment-"),
    Row("pr ready $own --undo"),
    refused("pr ready $own", "writes.own", CANNOT.format("markPullRequestReadyForReview")),
    refused("pr edit $own --body 'Fixes octo-org/secret#1'", "graphql.argument",
            "Mutation.updatePullRequest(input)(body) must be a text that closes only issues of the session's"),
    refused("pr comment $own --body 'Fixes octo-org/secret#1'", "graphql.argument",
            "Mutation.addComment(input)(body) must be a text that closes only issues of the session's"),
    refused("pr edit $own --add-label help", "writes.own", CANNOT.format("addLabelsToLabelable")),
    refused("pr edit $own --milestone v1", "graphql.argument",
            "Mutation.updatePullRequest(input)(milestoneId) must be absent: the session's POST sets it"),
    refused("pr edit $own --base topic", "graphql.argument",
            "Mutation.updatePullRequest(input)(baseRefName) must be absent: the session's POST sets it"),
    others("pr comment 1 --body /deploy", "1"),
    others("pr edit 1 --title x", "1"),
    refused("pr review 1 --approve", "graphql.field", FIELD.format("Mutation.addPullRequestReview")),
    refused("pr review $own --comment --body x", "graphql.field", FIELD.format("Mutation.addPullRequestReview")),
    refused("pr merge $own --squash", "graphql.field", FIELD.format("Mutation.mergePullRequest")),
    refused("pr close $own", "graphql.field", FIELD.format("Mutation.closePullRequest")),
    Row("issue create --title Broken --body Text", "/issues/"),
    Row("issue comment $issue --body Hello", "#issuecomment-"),
    Row("issue edit $issue --title Newer --body 'New text'", "/issues/"),
    refused("issue create --title x --body x --label bug", "graphql.argument",
            "Mutation.createIssue(input)(labelIds) must be empty: the session's POST sets it"),
    refused("issue create --title x --body x --milestone v1", "graphql.argument",
            "Mutation.createIssue(input)(milestoneId) must be absent: the session's POST sets it"),
    refused("issue edit $issue --add-label help", "writes.own", CANNOT.format("addLabelsToLabelable")),
    others("issue comment 3 --body /deploy", "3"),
    others("issue edit 3 --title x", "3"),
    refused("issue close $issue", "graphql.field", FIELD.format("Mutation.closeIssue")),
    refused("issue pin $issue", "graphql.field", FIELD.format("Mutation.pinIssue")),
    refused("issue transfer $issue octo-org/open", "graphql.argument",
            "Query.repository(name) must be the name of the session's repository"),
    refused("issue lock $issue", "graphql.field", FIELD.format("Issue.activeLockReason")),
    Row("api 'repos/{owner}/{repo}/issues/$issue/comments' -f body=Hi --jq .body".replace("'repos", '"repos').replace(
        "comments'", 'comments"'), "Hi"),
    refused("api 'repos/{owner}/{repo}/issues/3/comments' -f body=/deploy", "writes.own",
            "#3 is neither this session's pull request nor an issue that it opened"),
    refused("api 'repos/{owner}/{repo}/issues/1/labels' -f 'labels[]=safe-to-test'", "writes.own", OWN_ONLY),
    refused("api -X PATCH 'repos/{owner}/{repo}/pulls/1' -f body=x", "writes.own",
            "#1 is neither this session's pull request nor an issue that it opened"),
)  # fmt: skip


def script(rows: list[Row], gh: str) -> str:
    """The command of the session: every row with its output and exit code between marks."""
    lines = [
        f'gh() {{ {gh} "$@"; }}',
        "date > gh.txt; git add gh.txt; git commit -qm 'Add gh.txt'; git push -q -u origin HEAD; own=0",
    ]
    for number, row in enumerate(rows):
        lines.append(f"echo; echo '#### {number}'; gh {row.line} 2>&1; code=$?; echo; echo \"#### = $code\"")
        if row.line.startswith("pr create"):
            lines.append("own=$(gh pr view --json number --jq .number)")
        elif row.line.startswith("issue create"):
            lines.append("issue=$(gh issue list --limit 1 --json number --jq '.[0].number')")
    return "\n".join(lines)


def results(text: str) -> dict[int, tuple[int, str]]:
    """Exit code and output by the number of the row."""
    found = {}
    for part in text.split("\n#### ")[1:]:
        head, _, rest = part.partition("\n")
        if head.isdigit():
            number, shown = int(head), rest
        else:
            found[number] = (int(head.removeprefix("= ")), shown)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world() -> AsyncIterator[Rig]:
    async with served("repository") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_world() -> AsyncIterator[Rig]:
    async with served("own") as service:
        yield service


@asynccontextmanager
async def served(writes: str) -> AsyncIterator[Rig]:
    """The example's repository behind a service whose sandboxes have the newest gh too."""
    root = Path(tempfile.mkdtemp(prefix="gitward-test-"))
    root.chmod(0o711)
    tools = root / "tools"
    tools.mkdir()
    shutil.copy(Path(sys.executable).with_name("gh"), tools / "gh")
    github = StandIn(root / "github")
    service = Rig(root, github, warm=True)
    try:
        await github.start()
        await populate(github)
        service = Rig(root, github, warm=True, GITWARD_SANDBOX_PATHS=str(tools), GITWARD_WRITES=writes)
        github.add_token(service.token, Token(login=SENDER, scopes=("repo", "user:email")))
        await service.start()
        yield service
    finally:
        if service.process is not None and service.process.returncode is None:
            await service.stop()
        await github.stop()
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_gh_works_on_the_sessions_repository(world: Rig, version: str) -> None:
    await check(world, TABLE, version)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", [OLD, NEW])
async def test_by_default_gh_writes_what_is_the_sessions_own(own_world: Rig, version: str) -> None:
    await check(own_world, OWN_TABLE, version)


async def check(world: Rig, table: Sequence[Row], version: str) -> None:
    rows = [row for row in table if row.only in {"", version}]
    gh = "/usr/bin/gh" if version == OLD else "command gh"
    async with world.client() as client:
        body = {"repo": REPOSITORY, "branch": f"by-{version}", "publish": {"mode": "branch"}}
        session = await client.post("/sessions", {**body, "command": script(rows, gh)})
        async with asyncio.timeout(SECONDS):
            events = [event async for event in client.stream(session)]
    shown = output(events)
    found = results(shown)
    assert len(found) == len(rows), shown[-3000:]
    assert f"gh version {version}" in found[0][1]
    wrong = [
        (row.line, found[number])
        for number, row in enumerate(rows)
        if found[number][0] != row.code or row.shows not in found[number][1].replace('\\"', '"')
    ]
    assert not wrong, "\n".join(map(str, wrong))
    denied = [event["data"]["rule"] for event in events if event["type"] == "policy.denied"]
    assert denied == [row.refused for row in rows if row.refused]
    ended = next(event["data"] for event in events if event["type"] == "run.ended")
    assert ended["state"] == "succeeded", json.dumps(ended)
