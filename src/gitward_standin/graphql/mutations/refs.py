"""Mutations that write to git without a push."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gitward_standin import history, merging
from gitward_standin.graphql.mutations.change import Change, Mutation
from gitward_standin.graphql.refusals import unprocessable
from gitward_standin.graphql.types.git import Branch
from gitward_standin.model import Repository


async def _create(change: Change) -> dict[str, Any]:
    repository = change.write(await change.node("repositoryId", Repository))
    name, sha = change.input["name"], change.input["oid"]
    await merging.create_ref(repository, name, sha)
    return {"ref": Branch(repository=repository, ref=name, sha=sha)}


async def _update(change: Change) -> dict[str, Any]:
    ref = await change.node("refId", Branch)
    repository, sha = change.write(ref.repository), change.input["oid"]
    await merging.update_ref(repository, ref.ref, sha)
    return {"ref": Branch(repository=repository, ref=ref.ref, sha=sha)}


async def _delete(change: Change) -> dict[str, Any]:
    ref = await change.node("refId", Branch)
    await merging.delete_ref(change.write(ref.repository), ref.ref)
    return {}


async def _commit(change: Change) -> dict[str, Any]:
    repository, branch = await _branch(change)
    files = change.input.get("fileChanges") or {}
    message = change.input["message"]
    sha = await merging.commit(
        change.write(repository),
        branch,
        "\n\n".join(filter(None, (message["headline"], message.get("body")))),
        additions={each["path"]: _decoded(each["contents"]) for each in files.get("additions") or ()},
        deletions=[each["path"] for each in files.get("deletions") or ()],
        expected_head=change.input["expectedHeadOid"],
    )
    ref = Branch(repository=repository, ref=f"refs/heads/{branch}", sha=sha)
    return {"commit": await history.commit(repository, sha), "ref": ref}


async def _branch(change: Change) -> tuple[Repository, str]:
    """Named by its id, or by the repository's and its own name."""
    branch = change.input["branch"]
    if branch.get("id"):
        ref = await Change(visit=change.visit, name=change.name, input=branch).node("id", Branch)
        return ref.repository, ref.name
    repository = change.visit.repository(branch.get("repositoryNameWithOwner") or "")
    return repository, (branch.get("branchName") or "").removeprefix("refs/heads/")


def _decoded(contents: str) -> bytes:
    try:
        return base64.b64decode(contents, validate=True)
    except binascii.Error as error:
        raise unprocessable("contents is not valid base64") from error


MUTATIONS = {
    "createRef": Mutation(_create, takes="repositoryId name oid", gives="ref"),
    "updateRef": Mutation(_update, takes="refId oid force", gives="ref"),
    "deleteRef": Mutation(_delete, takes="refId"),
    "createCommitOnBranch": Mutation(_commit, takes="branch message fileChanges expectedHeadOid", gives="commit ref"),
}
