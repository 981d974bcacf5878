"""Which session a command is about."""

from __future__ import annotations

from collections.abc import Callable

from gitward.cli.client.errors import refused
from gitward.cli.client.service import Json, Service

PREFIX = "ses_"
_WHOLE = 20  # characters of an id from which on it is taken as a whole one
_SEARCHED = 2_000  # sessions


def short_id(session: Json) -> str:
    """Enough to name it again."""
    return str(session["id"]).removeprefix(PREFIX)[:8]


def chosen(service: Service, name: str | None, here: Callable[[], str | None]) -> Json:
    """The session with this id, or whose id begins so; without a name the newest of this folder's repository.

    :raises ClientError: there is none, or there are several.
    """
    if name is None:
        return _newest(service, here())
    wanted = name.removeprefix(PREFIX)
    if len(wanted) + len(PREFIX) >= _WHOLE:
        return service.get(f"/sessions/{PREFIX}{wanted}")
    if len(wanted) < 4 or not wanted.isalnum():
        raise refused(f"{name!r} names no session; give at least four characters of its id (`gitward sessions`)")
    found = [each for each in service.sessions(most=_SEARCHED) if each["id"].startswith(PREFIX + wanted)]
    if not found:
        raise refused(f"no session's id begins with {name}; `gitward sessions` lists yours")
    if len(found) > 1:
        raise refused(f"several sessions begin with {name}: {', '.join(each['id'] for each in found[:5])}")
    return found[0]


def _newest(service: Service, repository: str | None) -> Json:
    if repository is None:
        raise refused("this folder is not a clone of a repository; name a session (`gitward sessions` lists yours)")
    for session in service.sessions(most=1, repo=repository):
        return session
    raise refused(f"there is no session for {repository} yet; begin one with `gitward run --command …`")


def latest_run(session: Json) -> Json:
    """The newest run of a session."""
    run: Json = max(session["runs"], key=lambda each: int(each["number"]))
    return run
