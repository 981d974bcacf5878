"""`gitward stop-owner`: an operator on the machine ends another's work."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gitward.cli.data_folder import prepare_data_dir
from gitward.cli.storage import open_storage
from gitward.errors import GitwardError, SettingsError
from gitward.identity.keys import LOCAL_ISSUER
from gitward.sessions.model import Owner
from gitward.sessions.stopping import Stopped, stop_owner
from gitward.settings.fields import Settings
from gitward.store.database import Database


def run(settings: Settings, subject: str, issuer: str | None) -> None:
    """Prints how much was stopped.

    :raises SettingsError: it is not clear whose subject is meant, or there is no database.
    :raises GitwardError: nobody is stopped, or not for long.
    """
    owner = Owner(issuer=_issuer(settings, issuer), subject=subject)
    asyncio.run(_require_database(settings))
    prepare_data_dir(settings.data_dir)
    stopped = asyncio.run(_stop(settings, owner))
    whom = f"{subject} at {owner.issuer}"
    if not stopped.known:
        raise GitwardError(f"stop-owner: {whom} has no session and no schedule here; the audit log has the subjects")
    print(f"{whom}: sessions cancelled: {stopped.sessions}; schedules paused: {stopped.schedules}")
    print("Workers end running commands within seconds")
    if stopped.goes_on:
        raise GitwardError(
            f"stop-owner: {whom} goes on posting: let no rule name them (GITWARD_AUTHORIZE), or block them at the "
            "issuer; restart, then stop them again"
        )


async def _require_database(settings: Settings) -> None:
    """Or the name of another one would make an empty one, in which nobody has anything to stop."""
    database = Database(settings.effective_database_url)
    await database.stop()
    if database.is_sqlite and not Path(str(database.url.database)).is_file():
        where = database.url.database
        raise SettingsError([f"GITWARD_DATABASE_URL: there is no database at {where}; is that the service's?"])


async def _stop(settings: Settings, owner: Owner) -> Stopped:
    async with open_storage(settings) as storage:
        return await stop_owner(storage.database, storage.sessions, owner)


def _issuer(settings: Settings, named: str | None) -> str:
    known = settings.issuers or (LOCAL_ISSUER,)
    if named is None and len(known) == 1:
        return known[0]
    if named in (*known, LOCAL_ISSUER):
        return str(named)
    raise SettingsError([f"gitward stop-owner: name the issuer by --issuer: {', '.join(known)}"])
