"""/repos/{owner}/{repo}/git/refs: one ref, and the calls that set refs without a push."""

from __future__ import annotations

from gitward_standin import merging
from gitward_standin.model import Repository
from gitward_standin.node_ids import encode
from gitward_standin.rest.body import text
from gitward_standin.rest.call import Answer, ApiError, Call, Json, not_found

EMPTY = "Git Repository is empty."


async def get(call: Call) -> Answer:
    """git/ref/{ref}: the one ref of exactly this name."""
    repository, name = call.repository(), f"refs/{call.params['ref']}"
    if not await repository.branches():
        raise ApiError(409, EMPTY)
    sha = await repository.resolve(name)
    if sha is None or not name.startswith(("refs/heads/", "refs/tags/", "refs/pull/")):
        raise not_found()
    return Answer(payload=_ref(call, repository, name, sha))


async def matching(call: Call) -> Answer:
    """git/matching-refs/{ref}: every ref whose name begins so, not in pages; none is no error."""
    repository, prefix = call.repository(), f"refs/{call.params.get('ref', '')}"
    if not await repository.branches():
        raise ApiError(409, EMPTY)
    shown = ("refs/heads/", "refs/tags/", "refs/pull/")
    refs = {name: sha for name, sha in (await repository.refs("refs")).items() if name.startswith(shown)}
    return Answer(payload=[_ref(call, repository, n, sha) for n, sha in sorted(refs.items()) if n.startswith(prefix)])


async def create(call: Call) -> Answer:
    repository, body = call.writable_repository(), call.body()
    name, sha = text(body, "ref") or "", text(body, "sha") or ""
    if not await repository.branches():
        raise ApiError(409, EMPTY)
    await merging.create_ref(repository, name, sha)
    return Answer(status=201, payload=_ref(call, repository, name, sha))


async def update(call: Call) -> Answer:
    repository, name = call.writable_repository(), f"refs/{call.params['ref']}"
    sha = text(call.body(), "sha") or ""
    await merging.update_ref(repository, name, sha)
    return Answer(payload=_ref(call, repository, name, sha))


async def delete(call: Call) -> Answer:
    await merging.delete_ref(call.writable_repository(), f"refs/{call.params['ref']}")
    return Answer(status=204, empty=True)


def _ref(call: Call, repository: Repository, name: str, sha: str) -> Json:
    base = ("repos", repository.owner.login, repository.name, "git")
    return {
        "ref": name,
        "node_id": encode("Ref", repository.id, name),
        "url": call.site.links.api(*base, name),
        "object": {"sha": sha, "type": "commit", "url": call.site.links.api(*base, "commits", sha)},
    }
