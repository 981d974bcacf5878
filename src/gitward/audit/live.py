"""A service that already runs on this machine, as its operator sees it: its settings, files and processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitward.audit.channels import Channel
from gitward.audit.needles import SHORTEST_HALF
from gitward.audit.stage import Stage
from gitward.errors import GitwardError, SettingsError
from gitward.identity.keys import load_or_make_key, mint
from gitward.secrets import Secret, spellings
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader
from gitward.settings.values import Credentials

_LONG = 2 * SHORTEST_HALF  # bytes
_LISTENING = "0A"  # a state, as /proc/net/tcp spells it


def live(
    settings: Settings,
    tokens: TokenReader,
    *,
    repository: str,
    log: Path | None,
    jwt_file: Path | None,
    keys: Mapping[str, Secret],
) -> Stage:
    """The service that these settings describe. Raises GitwardError when it cannot be audited from here.

    :param keys: secrets for other hosts, so far as this command was given them as the service was.
    """
    if settings.github_app_id is not None:
        raise SettingsError(
            ["GITHUB_APP_ID: the service itself makes an App's tokens, so the audit cannot search for them"]
        )
    found = tokens.read()
    if found is None:
        raise SettingsError(["GITHUB_TOKEN: set the service's token, or GITHUB_TOKEN_FILE; the audit searches for it"])
    pid = _listener(settings.port)
    if pid is None:
        raise GitwardError(
            f"No process that you may inspect listens on this machine's port {settings.port}. Run this where the "
            "service runs, as its user or as root, with its settings."
        )
    _same_token(pid, found[0])
    return Stage(
        url=f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{settings.port}",
        jwt=_jwt(settings, jwt_file),
        token=found[0],
        keys=_long(keys),
        repository=repository,
        pid=pid,
        data=settings.data_dir,
        database_url=settings.effective_database_url,
        log=log,
        login_mode=settings.credentials is Credentials.LOGIN,
    )


def announcement(stage: Stage) -> Iterator[str]:
    """What will be done, and what cannot be seen."""
    yield f"This audit searches for the token of the running service (process {stage.pid}, {stage.mode} mode)"
    keys = f"and the secrets for {', '.join(sorted(stage.keys))}" if stage.keys else "and for no other secret"
    yield f"  {keys}. It will"
    yield f"  - post one session on {stage.repository} to {stage.url}, with publish mode dry_run: it reads from GitHub"
    yield "    what the session may read, tries to read what it may not, and pushes and changes nothing there;"
    yield "  - look at the arguments, environment and memory of processes, at the data folder and every row of the"
    yield "    database, and at temporary files that are new; it puts a file with two random values beside them and"
    yield "    takes it away again, and appends a line with these values to the log, if you name one;"
    yield "  - archive the session at the end. Its events and its workspace stay, as those of any session."
    log = " (--log names its file)" if Channel.LOG in stage.hidden else ""
    yield f"It cannot see: {'; '.join(stage.hidden)}{log}."


def _long(keys: Mapping[str, Secret]) -> dict[str, Secret]:
    """A short one is left out: it could not be told from chance."""
    return {name: key for name, key in keys.items() if len(spellings(key)["plain"]) >= _LONG}


def _jwt(settings: Settings, jwt_file: Path | None) -> str:
    if jwt_file is not None:
        try:
            return jwt_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise GitwardError(f"{jwt_file} cannot be read ({type(error).__name__})") from None
    if settings.issuers:
        raise SettingsError(
            ["GITWARD_OIDC_ISSUERS: the service accepts only its issuers' JWTs; name one by --jwt-file"]
        )
    return mint(load_or_make_key(settings.data_dir), subject="audit", audience=settings.oidc_audience)


def _same_token(pid: int, token: Secret) -> None:
    """The service may have been given another one than this command; then nothing could be found."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        raise GitwardError(f"Process {pid} may not be inspected: run this as the service's user, or as root.") from None
    for variable in variables:
        name, _, value = variable.partition(b"=")
        if name == b"GITHUB_TOKEN" and value.strip() and Secret(value.decode("utf-8", "surrogateescape")) != token:
            raise GitwardError("The service has another GITHUB_TOKEN than this command: set the same one.")


def _listener(port: int) -> int | None:
    """The process that listens on a TCP port of this machine."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if any(os.readlink(link) in sockets for link in (folder / "fd").iterdir()):
                    return int(folder.name)
    return None


def _listening(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield inode
