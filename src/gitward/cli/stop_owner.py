"""`gitward stop-owner`: an operator on the machine ends another's work."""

from __future__ import annotations

import asyncio

from gitward.cli.data_folder import prepare_data_dir
from gitward.cli.storage import open_storage
from gitward.errors import SettingsError
from gitward.identity.keys import LOCAL_ISSUER
from gitward.sessions.model import Owner
from gitward.sessions.stopping import Stopped, stop_owner
from gitward.settings.fields import Settings


def run(settings: Settings, subject: str, issuer: str | None) -> None:
    """Prints how much was stopped.

    :raises SettingsError: it is not clear whose subject is meant.
    """
    owner = Owner(issuer=issuer or _only_issuer(settings), subject=subject)
    prepare_data_dir(settings.data_dir)
    stopped = asyncio.run(_stop(settings, owner))
    print(
        f"{subject} at {owner.issuer}: sessions cancelled: {stopped.sessions}; schedules paused: {stopped.schedules}. "
        "Running commands end within seconds"
    )
    if stopped.goes_on:
        raise SettingsError(
            [f"{subject} goes on posting sessions: take them out of GITWARD_AUTHORIZE, restart, then stop them again"]
        )


async def _stop(settings: Settings, owner: Owner) -> Stopped:
    async with open_storage(settings) as storage:
        return await stop_owner(storage.database, storage.sessions, owner)


def _only_issuer(settings: Settings) -> str:
    known = settings.issuers or (LOCAL_ISSUER,)
    if len(known) > 1:
        raise SettingsError([f"gitward stop-owner: name the issuer by --issuer: {', '.join(known)}"])
    return known[0]
