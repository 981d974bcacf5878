"""Links that sign a browser in on a machine without an issuer."""

from __future__ import annotations

import asyncio

from gitward.cli.data_folder import prepare_data_dir
from gitward.errors import SettingsError
from gitward.identity import sign_ins
from gitward.identity.keys import LOCAL_ISSUER
from gitward.sessions import audit_log
from gitward.sessions.audit_log import Act
from gitward.sessions.model import Owner, now
from gitward.settings.fields import Settings
from gitward.store.database import Database, Transaction
from gitward.workers.migrate import migrate_all


async def local_link(settings: Settings, database: Database, base_url: str, subject: str | None = None) -> str:
    """A link, which works once within 10 minutes."""
    chosen = subject or settings.local_subject

    def offer(tx: Transaction) -> str:
        audit_log.note(tx, Act.SIGN_IN_LINK, Owner(issuer=LOCAL_ISSUER, subject=chosen))
        return sign_ins.offer_link(tx, chosen, now())

    secret = await database.write(offer)
    return f"{settings.public_url or base_url}/sign-in?link={secret}"


def run(settings: Settings, subject: str | None) -> None:
    """Prints a link of the service on this machine, which may be running.

    :raises SettingsError: people sign in at an issuer.
    """
    if settings.issuers:
        raise SettingsError(
            [
                "gitward sign-in: GITWARD_OIDC_ISSUERS is set, so people sign in there: open the address of this "
                "service in a browser"
            ]
        )
    prepare_data_dir(settings.data_dir)
    print(asyncio.run(_offer(settings, subject)))


async def _offer(settings: Settings, subject: str | None) -> str:
    database = Database(settings.effective_database_url)
    try:
        await migrate_all(database)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return await local_link(settings, database, f"http://{host}:{settings.port}", subject)
    finally:
        await database.stop()
