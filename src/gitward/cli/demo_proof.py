"""Compares what the service reports with what happened in the stand-in's repository."""

from __future__ import annotations

import asyncio
import codecs
import re
from dataclasses import dataclass
from typing import Any

import httpx2

from gitward.audit.local_service import REPOSITORY, World

# The sandbox's own credential, as the default command prints it: turned by 13 letters, since output that looks
# like a token is masked.
CREDENTIAL_LINE = re.compile(r"^credential: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One thing that was looked at."""

    claim: str
    holds: bool


async def prove(world: World, session: dict[str, Any], output: str) -> list[Proof]:
    """Compares the session with the stand-in's repository."""
    run = session["runs"][-1]
    repository = world.github.repository(REPOSITORY)
    head = await _head(str(repository.path), session["branch"])
    pulls = [pull for pull in repository.pulls if pull.head == session["branch"]]
    proofs = [
        Proof(claim=f"branch {session['branch']} stands at {run['head_sha'][:12]}", holds=head == run["head_sha"]),
        Proof(claim="there is exactly one pull request for it", holds=len(pulls) == 1),
    ]
    found = CREDENTIAL_LINE.search(output)
    if found:
        status = await _ask_directly(world, codecs.decode(found[1], "rot13"))
        claim = f"the credential that the sandbox held is worthless: GitHub answers it with {status}"
        proofs.append(Proof(claim=claim, holds=status == 401))
    return proofs


async def _head(path: str, branch: str) -> str | None:
    argv = ("git", "-C", path, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(10):
        out, _ = await process.communicate()
    return out.decode().strip() if process.returncode == 0 else None


async def _ask_directly(world: World, credential: str) -> int:
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as http:
        answer = await http.get(f"{world.github.api_url}/user", headers={"Authorization": f"Bearer {credential}"})
    return answer.status_code
