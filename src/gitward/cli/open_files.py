"""Files that hold secrets, and who else on this machine may read or change them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitward.broker.policy.inject.rules import parse_injections
from gitward.settings.environment import is_container
from gitward.settings.fields import Settings

HANDED_IN = Path("/run/secrets")  # where podman and docker put them, readable by all: a container has no other users
_FILE = "file:"


def secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files that the settings name, each with its setting."""
    named = {
        "GITHUB_TOKEN_FILE": settings.github_token_file,
        "GITHUB_APP_PRIVATE_KEY_FILE": settings.github_app_private_key_file,
        "GITWARD_OIDC_CLIENT_SECRET_FILE": settings.oidc_client_secret_file,
        "GITWARD_WEBHOOKS_FILE": settings.webhooks_file,
        **{f"{variable}_FILE": path for variable, path in settings.model_key_files.items()},
    }
    yield from ((name, path) for name, path in named.items() if path is not None)
    try:
        injections = parse_injections(settings.inject)
    except ValueError:
        return  # whoever reads the setting says what is wrong with it
    for each in injections:
        if each.source.startswith(_FILE):
            yield "GITWARD_INJECT", Path(each.source.removeprefix(_FILE))


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """A file with a secret that every user of this machine gets at."""

    setting: str
    path: Path
    mode: int
    is_mounted: bool  # where nobody can give it another mode, or there is nobody else

    @property
    def is_refused(self) -> bool:
        """Whether nothing starts with it; who changes a secret puts theirs in the place of ours."""
        return self._may_change or not self.is_mounted

    @property
    def _may_change(self) -> bool:
        return bool(self.mode & stat.S_IWOTH)

    @property
    def detail(self) -> str:
        may = "change" if self._may_change else "read"
        return f"{self.setting}: every user of this machine may {may} {self.path} (mode {self.mode:04o})"

    @property
    def remedy(self) -> str:
        mounted = ", or give the mount of a container's secret the mode 0400 or 0440" if self.is_mounted else ""
        return f"run: chmod 600 {self.path}{mounted}"


def exposed_secrets(settings: Settings) -> list[Exposed]:
    """Those that the settings name. Blocks."""
    return [found for name, path in secret_files(settings) if (found := _exposure(name, path)) is not None]


def _exposure(setting: str, path: Path) -> Exposed | None:
    try:
        real = path.resolve(strict=True)
        mode = stat.S_IMODE(real.stat().st_mode)
        is_mounted = is_container() or bool(os.statvfs(real).f_flag & os.ST_RDONLY)
        is_reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    except OSError:
        return None  # whoever reads it says so
    if not is_reached or not mode & (stat.S_IROTH | stat.S_IWOTH):
        return None
    if real.is_relative_to(HANDED_IN) and not mode & stat.S_IWOTH:
        return None
    return Exposed(setting=setting, path=path, mode=mode, is_mounted=is_mounted)


def exposed_database(settings: Settings) -> list[str]:
    """One sentence for each file of a SQLite database that others than its owner may use. Blocks."""
    found = settings.sqlite_file
    if found is None:
        return []
    problems = []
    for path in (found, Path(f"{found}-wal"), Path(f"{found}-shm")):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # there is none yet, or whoever opens it says why that fails
        if mode & 0o077:
            problems.append(
                f"GITWARD_DATABASE_URL: others may use {path} (mode {mode:04o}), which has every session's output; "
                f"run: chmod 600 {path}"
            )
    return problems
