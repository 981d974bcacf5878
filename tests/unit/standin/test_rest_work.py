"""What REST tells of the work in a repository: commits, differences, checks, workflow runs, releases, refs, others."""

from __future__ import annotations

import base64
import io
import zipfile

import aiohttp
import pytest

from gitward_standin import StandIn, Token, TokenKind
from gitward_standin.example import Example

from .conftest import Api

World = tuple[StandIn, Example]
REPO = "/repos/octo-org/demo"
SECOND = "second-token"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestPullRequests:
    @pytest.mark.parametrize("form", ["diff", "patch"])
    async def test_media_types(self, read: Api, form: str) -> None:
        for accept in (f"application/vnd.github.v3.{form}", f"application/vnd.github.{form}"):
            answer = await read("GET", f"{REPO}/pulls/1", headers={"Accept": accept})
            assert answer.headers["Content-Type"] == f"application/vnd.github.v3.{form}; charset=utf-8"
            assert "+topic\n" in answer.text
            assert answer.text.startswith("diff --git" if form == "diff" else "From ")

    async def test_files_commits_and_reviews(self, read: Api) -> None:
        (file,) = (await read("GET", f"{REPO}/pulls/1/files")).json
        assert (file["filename"], file["status"], file["additions"]) == ("topic.txt", "added", 1)
        assert file["patch"] == "@@ -0,0 +1 @@\n+topic"
        (commit,) = (await read("GET", f"{REPO}/pulls/1/commits")).json
        assert commit["commit"]["message"] == "Add topic"
        (review,) = (await read("GET", f"{REPO}/pulls/1/reviews")).json
        assert (review["user"]["login"], review["state"], review["body"]) == ("hubot", "COMMENTED", "One question")
        assert (await read("GET", f"{REPO}/pulls/1/comments")).json == []


class TestContents:
    async def test_commits(self, read: Api, world: World) -> None:
        listed = (await read("GET", f"{REPO}/commits?sha=topic")).json
        assert [commit["commit"]["message"] for commit in listed] == ["Add topic", "Initial commit"]
        one = (await read("GET", f"{REPO}/commits/topic")).json
        assert one["sha"] == await world[1].repository.head("topic")
        assert [file["filename"] for file in one["files"]] == ["topic.txt"]
        missing = await read("GET", f"{REPO}/commits/none")
        assert (missing.status, missing.json["message"]) == (422, "No commit found for SHA: none")

    async def test_compare(self, read: Api) -> None:
        for range_, status, ahead in (
            ("main...topic", "ahead", 1),
            ("topic...done", "diverged", 1),
            ("topic...main", "behind", 0),
        ):
            compared = (await read("GET", f"{REPO}/compare/{range_}")).json
            assert (compared["status"], compared["ahead_by"]) == (status, ahead)
        headers = {"Accept": "application/vnd.github.diff"}
        assert (await read("GET", f"{REPO}/compare/main...topic", headers=headers)).text.startswith("diff --git")
        assert (await read("GET", f"{REPO}/compare/main...none")).status == 404

    async def test_files(self, read: Api) -> None:
        readme = (await read("GET", f"{REPO}/readme")).json
        assert base64.b64decode(readme["content"]).startswith(b"# Demo")
        raw = await read("GET", f"{REPO}/readme", headers={"Accept": "application/vnd.github.raw"})
        assert raw.text.startswith("# Demo")
        assert (await read("GET", f"{REPO}/contents/topic.txt?ref=topic")).json["size"] == 6
        listed = (await read("GET", f"{REPO}/contents")).json
        assert {(entry["name"], entry["type"]) for entry in listed} >= {("README.md", "file"), ("src", "dir")}
        assert (await read("GET", f"{REPO}/contents/src/app.py")).json["path"] == "src/app.py"
        assert (await read("GET", f"{REPO}/contents/none")).status == 404


class TestChecks:
    async def test_of_a_commit(self, read: Api) -> None:
        runs = (await read("GET", f"{REPO}/commits/topic/check-runs")).json
        assert runs["total_count"] == 3
        assert {(run["name"], run["conclusion"]) for run in runs["check_runs"]} == {
            ("test 1", "failure"),
            ("test 2", "success"),
            ("lint", "success"),
        }
        assert (await read("GET", f"{REPO}/commits/topic/check-runs?check_name=lint")).json["total_count"] == 1
        status = (await read("GET", f"{REPO}/commits/topic/status")).json
        assert (status["state"], status["statuses"][0]["context"]) == ("success", "ci/outside")
        assert len((await read("GET", f"{REPO}/commits/topic/statuses")).json) == 1
        assert (await read("GET", f"{REPO}/commits/main/status")).json["state"] == "pending"

    async def test_one(self, read: Api, world: World) -> None:
        failed = next(check for check in world[1].repository.check_runs if check.conclusion == "failure")
        shown = (await read("GET", f"{REPO}/check-runs/{failed.id}")).json
        assert (shown["name"], shown["output"]["annotations_count"]) == ("test 1", 1)
        (remark,) = (await read("GET", f"{REPO}/check-runs/{failed.id}/annotations")).json
        assert (remark["path"], remark["annotation_level"]) == ("src/app.py", "failure")
        assert (await read("GET", f"{REPO}/check-runs/1")).status == 404


class TestActions:
    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("", 2),
            ("?status=failure", 1),
            ("?status=completed", 2),
            ("?branch=main", 0),
            ("?event=push", 2),
            ("?actor=x", 0),
        ],
    )
    async def test_runs(self, read: Api, query: str, count: int) -> None:
        runs = (await read("GET", f"{REPO}/actions/runs{query}")).json
        assert (runs["total_count"], len(runs["workflow_runs"])) == (count, count)

    async def test_workflows(self, read: Api) -> None:
        (workflow,) = (await read("GET", f"{REPO}/actions/workflows")).json["workflows"]
        for name in ("ci.yml", str(workflow["id"])):
            assert (await read("GET", f"{REPO}/actions/workflows/{name}")).json == workflow
            assert (await read("GET", f"{REPO}/actions/workflows/{name}/runs")).json["total_count"] == 2
        assert (await read("GET", f"{REPO}/actions/workflows/none.yml")).status == 404

    async def test_a_run_and_its_jobs(self, read: Api, world: World) -> None:
        run = world[1].repository.runs[0]
        path = f"{REPO}/actions/runs/{run.id}"
        shown = (await read("GET", path)).json
        assert (shown["conclusion"], shown["head_branch"], shown["name"]) == ("failure", "topic", "CI")
        assert (await read("GET", f"{path}/attempts/1")).json == shown
        assert (await read("GET", f"{path}/attempts/2")).status == 404
        (job,) = (await read("GET", f"{path}/jobs")).json["jobs"]
        assert (await read("GET", f"{REPO}/actions/jobs/{job['id']}")).json == job
        assert [step["name"] for step in job["steps"]] == ["Run tests"]
        assert (await read("GET", f"{path}/artifacts")).json == {"total_count": 0, "artifacts": []}

    async def test_logs_are_elsewhere_under_a_signed_address(self, read: Api, world: World) -> None:
        run = world[1].repository.runs[0]
        (job,) = run.jobs
        async with aiohttp.ClientSession() as session:
            for path in (f"/actions/runs/{run.id}/logs", f"/actions/jobs/{job.id}/logs"):
                headers = {"Authorization": "token ghp_octocat0000000000000000000000000000"}
                url = f"{read.standin.api_url}{REPO}{path}"
                async with session.get(url, headers=headers, allow_redirects=False) as answer:
                    assert answer.status == 302
                async with session.get(answer.headers["Location"]) as answer:
                    content = await answer.read()
                if path.endswith(f"{run.id}/logs"):
                    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
                    assert names == ["0_test 1.txt", "test 1/1_Run tests.txt"]
                else:
                    assert content.endswith(b"test 1: failure\n")
            async with session.get(f"{read.standin.url}/_downloads/guess") as answer:
                assert answer.status == 403


class TestReleases:
    async def test_drafts_are_for_writers(self, read: Api, world: World) -> None:
        assert [release["tag_name"] for release in (await read("GET", f"{REPO}/releases")).json] == [
            "v2.0.0",
            "v1.0.0",
        ]
        reader = Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False)
        world[0].add_token(SECOND, reader)
        listed = (await read("GET", f"{REPO}/releases", token=SECOND)).json
        assert [release["tag_name"] for release in listed] == ["v1.0.0"]

    async def test_one(self, read: Api) -> None:
        newest = (await read("GET", f"{REPO}/releases/latest")).json
        assert (newest["tag_name"], newest["name"], newest["draft"]) == ("v1.0.0", "Release v1.0.0", False)
        assert (await read("GET", f"{REPO}/releases/tags/v1.0.0")).json == newest
        assert (await read("GET", f"{REPO}/releases/{newest['id']}")).json == newest
        for path in ("tags/v2.0.0", "tags/none", "1"):
            assert (await read("GET", f"{REPO}/releases/{path}")).status == 404


class TestOthers:
    """The ways from the token to everything else that it reaches."""

    async def test_a_repository_has_a_number_too(self, read: Api, world: World) -> None:
        number = world[1].repository.id
        assert (await read("GET", f"/repositories/{number}")).json["full_name"] == "octo-org/demo"
        assert (await read("GET", f"/repositories/{number}/pulls/1")).json["number"] == 1
        hidden = world[0].repository("stranger/hidden").id
        assert (await read("GET", f"/repositories/{hidden}")).status == 404
        assert (await read("GET", "/repositories/1")).status == 404

    @pytest.mark.parametrize(
        ("path", "names"),
        [
            ("/user/repos", {"octo-org/demo", "octo-org/secret", "octo-org/open", "octocat/own"}),
            ("/users/octocat/repos", {"octocat/own"}),
            ("/users/stranger/repos", set()),
            ("/orgs/octo-org/repos", {"octo-org/demo", "octo-org/secret", "octo-org/open"}),
        ],
    )
    async def test_lists(self, read: Api, path: str, names: set[str]) -> None:
        assert {repository["full_name"] for repository in (await read("GET", path)).json} == names

    async def test_organizations(self, read: Api) -> None:
        assert [each["login"] for each in (await read("GET", "/user/orgs")).json] == ["octo-org"]
        assert (await read("GET", "/orgs/octo-org")).json["name"] == "The Octo Organization"
        assert (await read("GET", "/orgs/octocat")).status == 404

    async def test_search(self, read: Api) -> None:
        found = (await read("GET", "/search/issues?q=CANARY+is:issue")).json
        assert found["total_count"] == 3  # all but the stranger's own
        assert (await read("GET", "/search/repositories?q=secret")).json["items"][0]["full_name"] == "octo-org/secret"
