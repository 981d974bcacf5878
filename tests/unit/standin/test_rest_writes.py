"""Merges and refs over REST: the ways to write to git without a push."""

from __future__ import annotations

from gitward_standin import StandIn
from gitward_standin.example import Example

from .conftest import Api

World = tuple[StandIn, Example]
REPO = "/repos/octo-org/demo"


class TestWrites:
    async def test_merge(self, rest: Api, example: World) -> None:
        draft = await rest("PUT", f"{REPO}/pulls/1/merge")
        assert (draft.status, draft.json["message"]) == (422, "Pull Request is still a draft")
        example[1].repository.pulls[0].draft = False
        merged = await rest("PUT", f"{REPO}/pulls/1/merge")
        assert merged.json["sha"] == await example[1].repository.head("main")
        shown = (await rest("GET", f"{REPO}/pulls/1")).json
        assert (shown["state"], shown["merged"], shown["merge_commit_sha"]) == ("closed", True, merged.json["sha"])

    async def test_a_conflict_is_not_merged(self, rest: Api, example: World) -> None:
        repository = example[1].repository
        repository.pulls[0].draft = False
        await repository.commit("main", {"topic.txt": "another"})
        refused = await rest("PUT", f"{REPO}/pulls/1/merge")
        assert (refused.status, refused.json["message"]) == (422, "Pull Request has merge conflicts")

    async def test_refs(self, rest: Api, example: World) -> None:
        repository = example[1].repository
        sha = await repository.head("topic")
        made = await rest("POST", f"{REPO}/git/refs", json={"ref": "refs/heads/made", "sha": sha})
        assert (made.status, await repository.head("made")) == (201, sha)
        again = await rest("POST", f"{REPO}/git/refs", json={"ref": "refs/heads/made", "sha": sha})
        assert (again.status, again.json["message"]) == (422, "Reference already exists")
        main = await repository.head("main")
        assert (await rest("PATCH", f"{REPO}/git/refs/heads/made", json={"sha": main, "force": True})).status == 200
        assert await repository.head("made") == main
        assert (await rest("DELETE", f"{REPO}/git/refs/heads/made")).status == 204
        assert (await rest("PATCH", f"{REPO}/git/refs/heads/made", json={"sha": main})).status == 422
