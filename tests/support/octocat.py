"""A stand-in of GitHub with one user, the user's token and one repository."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from gitward_standin import StandIn, Token

TOKEN = "ghp_octocat0000000000000000000000000000"
REPOSITORY = "octo-org/demo"


@contextlib.asynccontextmanager
async def octocat(folder: Path) -> AsyncIterator[StandIn]:
    """Started, with its data in this folder."""
    github = StandIn(folder / "github")
    github.add_user("octocat", id=583231, name="Mona Lisa", email="mona@example.org")
    github.add_token(TOKEN, Token(login="octocat"))
    await github.add_repository(REPOSITORY, permissions={"octocat": "push"})
    await github.start()
    yield github
    await github.stop()
