"""The worker's half: reads secrets of GITWARD_INJECT and models' keys for each run, for its broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from gitward.broker.policy.inject.rules import Injection
from gitward.broker.wire.config import InjectConfig
from gitward.secrets import Secret
from gitward.settings.secret_reader import SecretReader, SecretUnreadable
from gitward.telemetry.logs import mask_secrets

log = logging.getLogger(__name__)


class SecretSources:
    """Where the secrets come from. Those of variables that are exported are sealed when this is made."""

    def __init__(self, injections: Sequence[Injection] = ()) -> None:
        self._injections = tuple(injections)
        self._reader = SecretReader([each.variable for each in injections if each.variable is not None])

    @property
    def targets(self) -> tuple[InjectConfig, ...]:
        return tuple(each.target for each in self._injections)

    def problems(self) -> list[str]:
        """One sentence for each secret that cannot be read now. Blocks on small files."""
        return [problem for _, problem in self.checked() if problem is not None]

    def checked(self) -> list[tuple[Injection, str | None]]:
        """Each of them, with a sentence where its secret cannot be read now. Blocks on small files."""
        found: list[tuple[Injection, str | None]] = []
        for number, injection in enumerate(self._injections, start=1):
            problem = None
            try:
                self._reader.read(injection.source)
            except SecretUnreadable as error:
                problem = f"{_name(number, injection)} {error}"
            found.append((injection, problem))
        return found

    def read(self) -> dict[str, Secret]:
        """Those that can be read now, by host. Blocks on small files."""
        found = {each.target.host: self._read(each) for each in self._injections}
        return {host: secret for host, secret in found.items() if secret is not None}

    async def take(self) -> tuple[Secret | None, ...]:
        """The secrets of this moment, in the order of `targets`; None for one that cannot be read, which is logged."""
        secrets = await asyncio.to_thread(lambda: [self._read(each) for each in self._injections])
        mask_secrets([secret for secret in secrets if secret is not None], of="GITWARD_INJECT")
        return tuple(secrets)

    def _read(self, injection: Injection) -> Secret | None:
        try:
            return self._reader.read(injection.source)
        except SecretUnreadable as error:
            log.warning("GITWARD_INJECT: the secret for %s %s", injection.target.host, error)
            return None


def _name(number: int, injection: Injection) -> str:
    """A secret, by what the operator wrote; those of GITWARD_INJECT come first."""
    if injection.target.agents_only:
        return f"{injection.source}: the key for {injection.target.host}"
    return f"GITWARD_INJECT: entry {number} names a secret that"
