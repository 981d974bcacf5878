"""A GitHub App, made by an operator in the browser: from the form to the key in the data folder."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gitward.errors import GitwardError
from gitward.github.app_key_files import AppKeyFiles
from gitward.github.app_manifest import LONGEST_NAME, MadeApp, NotMade, exchange, form_address, is_code, manifest
from gitward.github.client import GitHub
from gitward.store.database import uninterrupted

_NO_PART = re.compile(r"[^a-z0-9]+")


class NotAllowed(GitwardError):
    """Nobody may bring a key with this state. The text is a sentence."""


@dataclass(frozen=True, kw_only=True)
class RegistrationForm:
    """What a browser posts to GitHub."""

    address: str
    manifest: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class AppRegistration:
    """:param server_url: GitHub's pages, GITHUB_SERVER_URL.
    :param connect: a connection to its API.
    :param used_id: GITHUB_APP_ID of this server.
    """

    files: AppKeyFiles
    server_url: str
    connect: Callable[[], GitHub]
    may_change_workflows: bool = True
    used_id: str | None = None

    async def begin(
        self, holder: str, *, home: str, returns_to: str, organization: str, workflows: bool
    ) -> RegistrationForm:
        """:param holder: what only this sign-in has.
        :param home: our address in the person's browser.
        :param organization: whose the App will be; empty: the person's.
        :raises NoRoom: the data folder cannot be written to.
        """
        state = await asyncio.to_thread(self.files.permit, holder)
        asked = workflows and self.may_change_workflows
        return RegistrationForm(
            address=form_address(self.server_url, organization, state),
            manifest=manifest(name=_name(home), home=home, returns_to=returns_to, workflows=asked),
        )

    async def finish(self, holder: str, *, state: str, code: str) -> MadeApp:
        """Exchanges the code and keeps the key. The state is used up, unless there is no room.

        :raises NotAllowed: the state is not this sign-in's, was used, or is too old.
        :raises NoRoom: there is a key already, or the disk has no room; told before GitHub is asked, where possible.
        :raises NotMade: GitHub has no App for the code.
        """
        with ExitStack() as stack:
            # Without interruption: what the thread still fills must not be removed under it.
            room = await uninterrupted(asyncio.to_thread(stack.enter_context, self.files.room()))
            await self._check(holder, state=state, code=code)
            made = await self._exchange(code)
            await uninterrupted(asyncio.to_thread(room.keep, made))
        return made

    async def _check(self, holder: str, *, state: str, code: str) -> None:
        if not await asyncio.to_thread(self.files.take, state, holder):
            raise NotAllowed(
                "This answer of GitHub belongs to no form that you sent from this sign-in within the last ten minutes. "
                "If GitHub made an App: delete the App on GitHub, then begin again."
            )
        if not is_code(code):
            raise NotMade(
                "GitHub's answer has no code of a GitHub App. If it made one: delete the App on GitHub, then begin "
                "again."
            )

    async def _exchange(self, code: str) -> MadeApp:
        github = await asyncio.to_thread(self.connect)  # it reads the trusted certificates
        try:
            return await exchange(github, code, server_url=self.server_url)
        finally:
            await github.stop()


def _name(home: str) -> str:
    """One that nobody else has taken, because names of Apps are GitHub's whole."""
    host = _NO_PART.sub("-", (urlsplit(home).hostname or "").lower()).strip("-")
    end = f"-{secrets.token_hex(2)}"
    return f"gitward-{host}"[: LONGEST_NAME - len(end)].rstrip("-") + end
