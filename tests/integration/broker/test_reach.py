"""Nothing else: for every sentence of what a session must not do, attempts by REST and by GraphQL.

Each attempt is refused as it stands and in every disguise: paths, hosts, framing, aliases, fragments, variables. What
upstream received is the proof: nothing, but for the broker's own question to which repository a node id belongs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gitward.broker.policy.graphql.mutations import VIEWS
from gitward.broker.server.graphql.node_ids import QUERY
from gitward_standin import StandIn
from gitward_standin.node_ids import encode

from .conftest import REPOSITORY, TOKEN, new_grant, populated
from .wire import API_HOST, GIT_HOST, Answer, Wire, read_answer, wired

R = f"/repos/{REPOSITORY}"
OWN = 'repository(owner:"octo",name:"demo")'
JSON = "Content-Type: application/json"


def mutations(*names: str) -> tuple[str, ...]:
    return tuple(f'mutation {name}(input:{{clientMutationId:"x"}}){{clientMutationId}}' for name in names)


def of_own(*fields: str) -> tuple[str, ...]:
    return tuple(f"query {OWN}{{{field}}}" for field in fields)


def listed(*fields: str) -> tuple[str, ...]:
    return of_own(*(f"{field}(first:1){{totalCount}}" for field in fields))


@dataclass(frozen=True)
class Reach:
    """One thing that a session must not do."""

    sentence: str
    rest: tuple[str, ...]  # "METHOD /path", a body behind a second space
    graphql: tuple[str, ...]  # "query" or "mutation", and what is selected


# fmt: off
TABLE = (
    Reach("read another repository",
          ("GET /repos/octo/other", "GET /repos/octo/other/contents/README.md", "GET /repos/octo/other/pulls",
           "GET /repositories/900000002", "GET /repositories", f"GET {R}/forks", f"GET {R}/compare/main...x:other:main",
           f"GET {R}/issues/1/timeline", "GET /repos/octo/other/zipball"),
          ('query repository(owner:"octo",name:"other"){id}', 'query node(id:"{other}"){id}',
           'query nodes(ids:["{other}"]){id}', 'query resource(url:"https://github.com/octo/other"){url}',
           'query search(query:"repo:octo/other",type:ISSUE,first:1){issueCount}',
           'query search(query:"x",type:REPOSITORY,first:1){repositoryCount}',
           *of_own("forks(first:1){nodes{name}}", "owner{repositories(first:1){nodes{name}}}",
                   "parent{pullRequests(first:1){totalCount}}", "pullRequest(number:1){headRepository{issues{id}}}",
                   "submodules(first:1){nodes{gitUrl}}"))),
    Reach("write to another repository",
          ('POST /repos/octo/other/issues {"title":"x"}', 'POST /repos/octo/other/pulls {"head":"x"}',
           'PATCH /repos/octo/other/issues/1 {"title":"x"}', 'POST /repos/octo/other/issues/1/comments {"body":"x"}'),
          ('mutation createIssue(input:{repositoryId:"{other}",title:"x"}){issue{id}}',
           'mutation addComment(input:{subjectId:"{other}",body:"x"}){clientMutationId}',
           'mutation createPullRequest(input:{repositoryId:"{other}",headRefName:"gitward/abc123",baseRefName:"main",'
           'title:"x"}){pullRequest{id}}',
           'mutation updatePullRequest(input:{pullRequestId:"{other}",title:"x"}){pullRequest{id}}',
           *mutations("transferIssue"))),
    Reach("read what belongs to people and organizations",
          ("GET /users/dev", "GET /users/dev/repos", "GET /user/repos", "GET /user/emails", "GET /user/orgs",
           "GET /user/subscriptions", "GET /notifications", "GET /gists", "GET /orgs/octo", "GET /orgs/octo/members",
           "GET /orgs/octo/repos", "GET /user/installations", "GET /issues", "GET /events"),
          ("query viewer{email}", "query viewer{repositories(first:1){nodes{name}}}",
           "query viewer{organizations(first:1){nodes{login}}}", 'query user(login:"dev"){email}',
           'query user(login:"dev"){gists(first:1){totalCount}}', 'query organization(login:"other"){id}',
           'query organization(login:"octo"){membersWithRole(first:1){nodes{login}}}',
           'query repositoryOwner(login:"octo"){login}', 'query enterprise(slug:"x"){id}',
           "query relay{viewer{email}}")),
    Reach("change an account",
          ('PATCH /user {"name":"x"}', 'POST /user/emails {"emails":["x@example.org"]}', "PUT /user/following/dev",
           f"PUT /user/starred/{REPOSITORY}", 'POST /gists {"files":{}}', f"PUT {R}/subscription"),
          mutations("changeUserStatus", "followUser", "addStar", "updateSubscription", "updateUserList")),
    Reach("write files and objects past the push rule",
          (f'PUT {R}/contents/README.md {{"message":"x","content":"eA=="}}', f"DELETE {R}/contents/README.md",
           f'POST {R}/git/blobs {{"content":"x"}}', f'POST {R}/git/trees {{"tree":[]}}',
           f'POST {R}/git/commits {{"message":"x"}}', f'POST {R}/git/tags {{"tag":"x"}}'),
          mutations("createCommitOnBranch", "importProject")),
    Reach("write refs past the push rule",
          (f'POST {R}/git/refs {{"ref":"refs/heads/x"}}', f'PATCH {R}/git/refs/heads/main {{"sha":"x"}}',
           f"DELETE {R}/git/refs/heads/main", f'POST {R}/branches/main/rename {{"new_name":"x"}}',
           f'POST {R}/merge-upstream {{"branch":"main"}}'),
          mutations("createRef", "updateRef", "updateRefs", "deleteRef", "createLinkedBranch", "deleteLinkedBranch")),
    Reach("merge",
          (f"PUT {R}/pulls/1/merge", f'POST {R}/merges {{"base":"main","head":"x"}}', f"PUT {R}/pulls/1/update-branch"),
          mutations("mergePullRequest", "mergeBranch", "updatePullRequestBranch", "revertPullRequest")),
    Reach("have GitHub merge later",
          (f'PATCH {R} {{"allow_auto_merge":true}}', f"PUT {R}/pulls/1/auto-merge", f"POST {R}/pulls/1/merge-queue"),
          mutations("enablePullRequestAutoMerge", "enqueuePullRequest", "dequeuePullRequest",
                    "disablePullRequestAutoMerge")),
    Reach("loosen the protection of branches",
          (f"GET {R}/branches/main/protection", f"PUT {R}/branches/main/protection",
           f"DELETE {R}/branches/main/protection", f"POST {R}/rulesets", f"PUT {R}/rulesets/1",
           f"DELETE {R}/rulesets/1", f"POST {R}/tags/protection"),
          (*mutations("createBranchProtectionRule", "updateBranchProtectionRule", "deleteBranchProtectionRule",
                      "createRepositoryRuleset", "updateRepositoryRuleset", "deleteRepositoryRuleset"),
           *listed("branchProtectionRules", "rulesets"))),
    Reach("approve, dismiss, close or reopen",
          (f'POST {R}/pulls/1/reviews {{"event":"APPROVE"}}', f"PUT {R}/pulls/1/reviews/1/dismissals",
           f'PATCH {R}/pulls/1 {{"state":"closed"}}', f'PATCH {R}/issues/1 {{"state":"closed"}}',
           f"PUT {R}/issues/1/lock"),
          mutations("addPullRequestReview", "submitPullRequestReview", "dismissPullRequestReview", "closePullRequest",
                    "reopenPullRequest", "closeIssue", "reopenIssue", "lockLockable", "addPullRequestReviewThread",
                    "resolveReviewThread")),
    Reach("read or make keys",
          (f"GET {R}/keys", f'POST {R}/keys {{"key":"x"}}', "GET /user/keys", 'POST /user/keys {"key":"x"}',
           "GET /user/gpg_keys", "POST /user/gpg_keys", "GET /user/ssh_signing_keys", "POST /user/ssh_signing_keys",
           f"POST {R}/autolinks"),
          (*listed("deployKeys"), 'query user(login:"dev"){publicKeys(first:1){nodes{key}}}',
           "query viewer{publicKeys(first:1){nodes{key}}}", "query viewer{gpgKeys(first:1){nodes{key}}}",
           *mutations("createDeployKey", "addVerifiableDomain"))),
    Reach("read or make hooks",
          (f"GET {R}/hooks", f'POST {R}/hooks {{"config":{{}}}}', f"POST {R}/hooks/1/tests", f"PATCH {R}/hooks/1",
           "POST /orgs/octo/hooks", f"GET {R}/hooks/1/deliveries"),
          (*listed("webhooks"), *mutations("createWebhook"))),
    Reach("read or write secrets",
          (f"GET {R}/actions/secrets", f"GET {R}/actions/secrets/public-key", f"PUT {R}/actions/secrets/X",
           f"PUT {R}/dependabot/secrets/X", f"PUT {R}/codespaces/secrets/X", "PUT /orgs/octo/actions/secrets/X",
           f"PUT {R}/environments/prod/secrets/X", "PUT /user/codespaces/secrets/X",
           f"GET {R}/secret-scanning/alerts"),
          (*listed("secrets"), *mutations("createSecret"))),
    Reach("read or write variables",
          (f"GET {R}/actions/variables", f"POST {R}/actions/variables", f"PATCH {R}/actions/variables/X",
           f"GET {R}/environments/prod/variables", "POST /orgs/octo/actions/variables"),
          (*listed("variables"), *mutations("createVariable"))),
    Reach("reach runners",
          (f"GET {R}/actions/runners", f"POST {R}/actions/runners/registration-token",
           f"POST {R}/actions/runners/remove-token", f"POST {R}/actions/runners/generate-jitconfig",
           "POST /orgs/octo/actions/runners/registration-token"),
          (*listed("runners"), *mutations("createRunner"))),
    Reach("reach environments and deployments",
          (f"GET {R}/environments", f"PUT {R}/environments/prod", f"POST {R}/deployments",
           f"POST {R}/deployments/1/statuses", f"POST {R}/actions/runs/1/pending_deployments", f"PUT {R}/pages",
           f"POST {R}/pages/builds"),
          (*listed("environments", "deployments"),
           *mutations("createEnvironment", "updateEnvironment", "createDeployment", "createDeploymentStatus",
                      "approveDeployments", "rejectDeployments"))),
    Reach("give people access",
          (f"GET {R}/collaborators", f'PUT {R}/collaborators/dev {{"permission":"admin"}}', f"GET {R}/invitations",
           f"PATCH {R}/invitations/1", "PUT /orgs/octo/memberships/dev", f"PUT /orgs/octo/teams/x/repos/{REPOSITORY}",
           "PATCH /user/repository_invitations/1"),
          (*listed("collaborators"),
           *mutations("updateTeamsRepository", "inviteEnterpriseAdmin", "addEnterpriseOrganizationMember",
                      "grantMigratorRole", "updateOrganizationAllowPrivateRepositoryForkingSetting"))),
    Reach("mint tokens",
          ("POST /app/installations/1/access_tokens", "POST /applications/x/token", "POST /authorizations",
           "PATCH /applications/x/token", f"GET {R}/installation", "POST /app-manifests/x/conversions",
           f"PUT {R}/actions/oidc/customization/sub", "POST /login/oauth/access_token"),
          mutations("regenerateVerifiableDomainToken", "regenerateEnterpriseIdentityProviderRecoveryCodes",
                    "createAttributionInvitation")),
    Reach("start workflows",
          (f'POST {R}/dispatches {{"event_type":"x"}}', f'POST {R}/actions/workflows/ci.yml/dispatches {{"ref":"x"}}',
           f"POST {R}/actions/runs/1/rerun", f"POST {R}/actions/jobs/1/rerun", f"POST {R}/actions/runs/1/approve",
           f"POST {R}/actions/runs/1/cancel", f"PUT {R}/actions/workflows/1/enable", f"PUT {R}/actions/permissions",
           f"POST {R}/check-suites/1/rerequest"),
          mutations("rerequestCheckSuite", "createCheckSuite", "createWorkflowDispatch")),
    Reach("make checks and statuses look good",
          (f'POST {R}/statuses/abcd {{"state":"success"}}', f"POST {R}/check-runs", f"PATCH {R}/check-runs/1",
           f"POST {R}/check-suites"),
          mutations("createCheckRun", "updateCheckRun")),
    Reach("read logs, artifacts and archives",
          (f"GET {R}/actions/runs/1/logs", f"GET {R}/actions/jobs/1/logs", f"GET {R}/actions/artifacts/1/zip",
           f"GET {R}/actions/artifacts", f"GET {R}/zipball/main", f"GET {R}/tarball/main",
           f"GET {R}/releases/assets/1", f"GET {R}/actions/caches", f"GET {R}/traffic/clones"),
          listed("packages", "vulnerabilityAlerts")),
    Reach("change the repository",
          (f'PATCH {R} {{"private":false}}', f'POST {R}/transfer {{"new_owner":"x"}}', f"PUT {R}/topics",
           f"PUT {R}/vulnerability-alerts", f"PUT {R}/interaction-limits", f"POST {R}/releases",
           f"POST {R}/labels", f"POST {R}/milestones"),
          mutations("updateRepository", "archiveRepository", "unarchiveRepository", "updateTopics", "createLabel",
                    "createRelease", "setRepositoryInteractionLimit")),
    Reach("make repositories",
          (f"POST {R}/forks", f"POST {R}/generate", "POST /user/repos", "POST /orgs/octo/repos"),
          mutations("createRepository", "cloneTemplateRepository", "createProjectV2", "createDiscussion")),
    Reach("delete anything",
          (f"DELETE {R}", f"DELETE {R}/issues/comments/1", f"DELETE {R}/pulls/comments/1", f"DELETE {R}/labels/bug",
           f"DELETE {R}/issues/1/labels/bug", f"DELETE {R}/issues/1/labels", f"DELETE {R}/milestones/1",
           f"DELETE {R}/releases/1", f"DELETE {R}/releases/assets/1", f"DELETE {R}/actions/runs/1",
           f"DELETE {R}/actions/runs/1/logs", f"DELETE {R}/actions/artifacts/1", f"DELETE {R}/actions/caches/1",
           f"DELETE {R}/keys/1", f"DELETE {R}/hooks/1", f"DELETE {R}/collaborators/dev",
           f"DELETE {R}/environments/prod", f"DELETE {R}/deployments/1", f"DELETE {R}/issues/1/assignees",
           f"DELETE {R}/pulls/1/requested_reviewers", f"DELETE {R}/subscription", "DELETE /user/keys/1"),
          mutations("deleteIssue", "deleteIssueComment", "deletePullRequestReview", "deletePullRequestReviewComment",
                    "deleteLabel", "deleteDeployment", "deleteEnvironment", "deletePackageVersion",
                    "deleteDiscussion", "deleteProjectV2", "minimizeComment", "unmarkIssueAsDuplicate")),
)
# fmt: on


class Ground:
    """One broker and one upstream for the file; requests go over one connection for as long as it is kept open."""

    def __init__(self, wire: Wire, github: StandIn) -> None:
        self.wire = wire
        self.github = github
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def refused(self, line: str, *headers: str, host: str = API_HOST, body: bytes = b"") -> None:
        """Sends a request, which the broker must refuse itself."""
        framed = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
        length = () if framed else (f"Content-Length: {len(body)}",)
        answer = await self._exchange(self.wire.head(line, *headers, *length, host=host) + body)
        assert 400 <= answer.status < 500, (line, headers, answer)
        assert answer.headers["server"] == "Gitward", (line, headers, answer)

    async def _exchange(self, data: bytes) -> Answer:
        for kept in (True, False):
            if self._connection is None:
                self._connection = await self.wire.connect()
            reader, writer = self._connection
            writer.write(data)
            async with asyncio.timeout(20):
                answer = await read_answer(reader)
            if answer.headers.get("connection", "").lower() == "close" or not answer.status:
                await self.close()
            if answer.status or not kept:
                return answer
        raise AssertionError("unreachable")

    async def close(self) -> None:
        if self._connection is not None:
            self._connection[1].transport.abort()
            with contextlib.suppress(OSError):
                await self._connection[1].wait_closed()
            self._connection = None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with (
        populated(tmp_path_factory.mktemp("github")) as github,
        wired(github.url, github.api_url, new_grant(), TOKEN) as wire,
    ):
        ground = Ground(wire, github)
        yield ground
        await ground.close()


@pytest_asyncio.fixture(loop_scope="module")
async def ground(shared: Ground) -> AsyncIterator[Ground]:
    shared.github.requests.clear()
    yield shared
    await shared.close()


def in_disguise(line: str) -> Iterator[str]:
    """The request line in every spelling that another reader could take for the same path."""
    method, _, path = line.partition(" ")
    path, question, query = path.partition("?")
    behind = question + query
    last = path.rfind("/")
    first = path.index("/", 1) if "/" in path[1:] else len(path)
    yield f"{method} {path}{behind}"
    yield f"{method} /{path}{behind}"
    yield f"{method} {path}/{behind}"
    yield f"{method} {path}.{behind}"
    yield f"{method} {path}/.{behind}"
    yield f"{method} {path};x{behind}"
    yield f"{method} {path}%20{behind}"
    yield f"{method} {path}%00{behind}"
    yield f"{method} {path}%3Fx=1"
    yield f"{method} {path}#x"
    yield f"{method} {path}?access_token=x"
    yield f"{method} {path.upper()}{behind}"
    yield f"{method} {path[:last]}%2f{path[last + 1 :]}{behind}"
    yield f"{method} {path[:last]}%5c{path[last + 1 :]}{behind}"
    yield f"{method} {path[:last]}//{path[last + 1 :]}{behind}"
    yield f"{method} {path[:first]}/./{path[first + 1 :]}{behind}"
    yield f"{method} {R}/../../..{path}{behind}"
    yield f"{method} {R}/%2e%2e/%2e%2e/%2e%2e{path}{behind}"
    yield f"{method} {R}/..%2f..%2f..{path}{behind}"
    yield f"{method} /user/..{path}{behind}"
    yield f"{method} https://{API_HOST}{path}{behind}"
    yield f"{method.lower()} {path}{behind}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("reach", TABLE, ids=lambda reach: reach.sentence)
async def test_by_rest(ground: Ground, reach: Reach) -> None:
    for attempt in reach.rest:
        method, path, *body = attempt.split(" ", 2)
        content = body[0].encode() if body else b""
        for line in in_disguise(f"{method} {path}"):
            await ground.refused(line, JSON, body=content)
        line = f"{method} {path}"
        await ground.refused(line, host=GIT_HOST)
        await ground.refused(line, "X-HTTP-Method-Override: GET")
        for headers in (
            [f"Host: {GIT_HOST}"],
            ["Content-Length: 0", "Content-Length: 5"],
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Authorization: token x"],
        ):
            await ground.refused(line, *headers)
            await ground.close()
        old = ground.wire.head(line).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n")
        assert (await ground.wire.send(old)).status == 400
    assert ground.github.requests == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_request_in_the_body_of_an_allowed_one_stays_there(ground: Ground) -> None:
    """Whatever a second reader could cut the bytes into: upstream sees the first request only."""
    wire = ground.wire
    hidden = wire.head(f"DELETE {R}")
    for body in (hidden, b"0\r\n\r\n" + hidden, b"\r\n" + hidden):
        assert (await wire.ask("GET /user", body=body)).status == 200
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        assert (await wire.ask("GET /user", "Transfer-Encoding: chunked", body=chunked)).status == 200
        await wire.ask("GET /user", f"Content-Length: {len(body)}", "Transfer-Encoding: identity", body=body)
    assert {(request.method, request.path, request.body) for request in ground.github.requests} == {
        ("GET", "/api/v3/user", b"")
    }


def dressed(attempt: str) -> Iterator[dict[str, object]]:
    """The same selection plainly, under another name, in fragments, beside something allowed, by a variable."""
    kind, _, selection = attempt.partition(" ")
    root = {"query": "Query", "mutation": "Mutation"}[kind]
    harmless = "viewer{login}" if kind == "query" else 'addComment(input:{subjectId:"x",body:"x"}){clientMutationId}'
    yield {"query": f"{kind}{{{selection}}}"}
    yield {"query": f"{kind} viewer{{viewer:{selection}}}", "operationName": "viewer"}
    yield {"query": f"{kind}{{...on {root}{{...on {root}{{{selection}}}}}}}"}
    yield {"query": f"{kind}{{...f}} fragment g on {root}{{x:{selection}}} fragment f on {root}{{...g}}"}
    yield {"query": f"{kind}{{ok:{harmless} no:{selection}}}"}
    yield {"query": f"{kind}($x:Boolean=true){{...@include(if:$x){{{selection}}}}}"}
    literal = re.search(r'"([^"]+)"', selection)
    if literal:
        text = selection.replace(literal[0], "$v", 1)
        of = "ID!" if "id" in selection[: literal.start()].lower()[-14:] else "String!"
        yield {"query": f"{kind}($v:{of}){{{text}}}", "variables": {"v": literal[1]}}
        yield {"query": f'{kind}($v:{of}="demo"){{{text}}}', "variables": {"v": literal[1]}}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("reach", TABLE, ids=lambda reach: reach.sentence)
async def test_by_graphql(ground: Ground, reach: Reach) -> None:
    other = encode("Repository", ground.github.repository("octo/other").id)
    for attempt in reach.graphql:
        for document in dressed(attempt):
            body = json.dumps(document).replace("{other}", other).encode()
            await ground.refused("POST /graphql", JSON, body=body)
    asked = [json.loads(request.body)["query"] for request in ground.github.requests]
    assert set(asked) <= {QUERY}, "nothing but the broker's own question about a node id"
    assert bool(asked) == any("{other}" in attempt for attempt in reach.graphql)


def test_the_table_is_whole() -> None:
    """Each sentence is tried both ways, and none is about something that the policy allows."""
    assert all(reach.rest and reach.graphql for reach in TABLE)
    tried = {re.match(r"mutation (\w+)", each)[1] for reach in TABLE for each in reach.graphql if each[0] == "m"}  # type: ignore[index]
    allowed = set(VIEWS["Mutation"].fields)
    assert tried & allowed == {"createIssue", "addComment", "createPullRequest", "updatePullRequest"}
