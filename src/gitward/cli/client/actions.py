"""What each command of the client does. The exit code tells how it, or the run that it followed, ended."""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitward.cli.client import account, browser_login, git_here, output
from gitward.cli.client.choice import chosen, latest_run, short_id
from gitward.cli.client.device_login import sign_in
from gitward.cli.client.errors import ClientError, refused
from gitward.cli.client.following import EXITS, follow
from gitward.cli.client.requests import Wish, new_key, session_body
from gitward.cli.client.service import Service
from gitward.cli.client.texts import plain
from gitward.errors import EXIT_CODE, Exit

Json = dict[str, Any]
_OK = EXIT_CODE[Exit.SUCCEEDED]


def connect() -> Service:
    """:raises ClientError: nobody has signed in, and there is no local key."""
    found = account.current()
    if found.jwt is None:
        raise refused(f"nobody is signed in at {found.url}; run `gitward login`, or set {account.JWT_VARIABLE}")
    return Service(found)


def run(repo: str | None, wish: Wish, *, following: bool, as_json: bool, **more: Any) -> int:
    """Posts a session; without a repository for the clone in this folder."""
    wanted = repo or git_here.repository()
    if wanted is None:
        raise refused("name a repository (owner/repo), or run this in a clone of one")
    with connect() as service:
        session = service.post("/sessions", session_body(wish, wanted, **more), key=new_key())
        return _posted(service, session, latest_run(session), following=following, as_json=as_json)


def follow_up(name: str | None, wish: Wish, *, following: bool, as_json: bool) -> int:
    """Posts another run of a session."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        made = service.post(f"/sessions/{session['id']}/runs", wish.instruction())
        return _posted(service, session, made, following=following, as_json=as_json)


def retry(name: str | None, *, following: bool, as_json: bool) -> int:
    """Runs the latest run's instruction again."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        made = service.post(f"/sessions/{session['id']}/runs/{latest_run(session)['id']}/retry")
        return _posted(service, session, made, following=following, as_json=as_json)


def publish(name: str | None, *, mode: str | None, following: bool, as_json: bool) -> int:
    """Pushes what the newest run with a change kept."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        kept = [run for run in session["runs"] if run["ended_at"] and run["changed"] is not False]
        if not kept:
            raise refused(f"no run of {short_id(session)} has ended with a change")
        newest = max(kept, key=lambda run: int(run["number"]))
        body = {"publish": {"mode": mode}} if mode else {}
        made = service.post(f"/sessions/{session['id']}/runs/{newest['id']}/publish", body)
        return _posted(service, session, made, following=following, as_json=as_json)


def _posted(service: Service, session: Json, made: Json, *, following: bool, as_json: bool) -> int:
    if as_json and not following:
        output.document(made)
    elif not as_json:
        name = short_id(session)
        hint = "" if following else f"    gitward logs -f {name}"
        output.console().print(f"{session['id']} {plain(session['repo'])} {plain(session['branch'])}{hint}")
    return follow(service, session, made, as_json=as_json) if following else _OK


def sessions(*, repo: str | None, state: str | None, label: str | None, most: int, as_json: bool) -> int:
    """The caller's sessions, newest first."""
    with connect() as service:
        found = list(service.sessions(most=most, repo=repo, state=state, label=label))
    if as_json:
        for each in found:
            output.document(each)
    elif found:
        output.session_table(found)
    else:
        output.console().print("no session yet; begin one with `gitward run --command …`")
    return _OK


def show(name: str | None, *, as_json: bool) -> int:
    """The exit code is that of the session's latest run; 0 while it goes on."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        if as_json:
            output.document(session)
        else:
            output.session_page(session)
        return EXIT_CODE[EXITS.get(session["state"], Exit.SUCCEEDED)]


def logs(name: str | None, *, live: bool, as_json: bool) -> int:
    """The latest run's output; live it goes on until the run's end."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        run = latest_run(session)
        if live:
            return follow(service, session, run, as_json=as_json)
        after = 0
        while True:
            page = service.get(f"/sessions/{session['id']}/events", run_id=run["id"], after=after, limit=200)
            for event in page["items"]:
                if as_json:
                    output.document(event)
                elif event["type"] in ("output", "agent.message"):
                    output.raw_output(event["data"]["text"])
            if page["next"] is None:
                return _OK
            after = page["next"]


def diff(name: str | None, *, patch: bool) -> int:
    """The newest change, to read or as a mailbox."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        content = service.content(f"/sessions/{session['id']}/{'patch' if patch else 'diff'}")
    if sys.stdout.isatty():
        output.raw_output(content.decode(errors="replace"))
    else:
        sys.stdout.buffer.write(content)  # for `git apply` and `git am`: byte for byte
        sys.stdout.buffer.flush()
    return _OK


def checkout(name: str | None) -> int:
    """Switches this clone to the session's work: its branch as it was pushed, or what is kept of it."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        remote = git_here.required(session["repo"])
        branch = session["branch"]
        commit = git_here.remote_branch(remote, branch)
        if commit is None:
            with tempfile.TemporaryDirectory(prefix="gitward-") as folder:
                file = Path(folder) / "work.bundle"
                file.write_bytes(service.content(f"/sessions/{session['id']}/bundle"))
                commit = git_here.fetch_bundle(remote, file)
        git_here.switch(branch, commit)
        output.console().print(f"on {plain(branch)} at {commit[:12]}")
    return _OK


def apply(name: str | None) -> int:
    """Lays the session's change on the tree as it is here, without a commit."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        git_here.required(session["repo"])
        git_here.apply(service.content(f"/sessions/{session['id']}/diff"))
        output.console().print(f"applied the change of {short_id(session)}; see `git diff --cached`")
    return _OK


def cancel(name: str | None, *, as_json: bool) -> int:
    """Ends what has not ended of a session; its work is kept."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        after = service.post(f"/sessions/{session['id']}/cancel")
        if as_json:
            output.document(after)
        else:
            output.console().print(f"{short_id(after)} is {plain(after['state'])}")
    return _OK


def open_page(name: str | None, *, pull_request: bool) -> int:
    """Opens the session's page, or its pull request, in a browser; prints the address as well."""
    with connect() as service:
        session = chosen(service, name, git_here.repository)
        url = f"{service.url}/sessions/{session['id']}"
        if pull_request:
            if session["pull_request"] is None:
                raise refused(f"{short_id(session)} has no pull request")
            url = account.checked_url(session["pull_request"]["url"])
    output.console().print(plain(url))
    webbrowser.open(url)
    return _OK


def login(
    url: str | None,
    *,
    issuer: str | None,
    client_id: str,
    with_token: bool,
    local_jwt: Callable[[], str],
    browser: bool = False,
) -> int:
    """Stores a JWT after the service accepted it.

    :param local_jwt: makes one by the local key of this machine, for want of another.
    """
    address = account.checked_url(url or account.current().url)
    if browser and issuer is None:
        raise refused("--browser needs the service's issuer: --issuer https://id.example.com")
    if issuer is not None and browser:
        jwt = browser_login.sign_in(issuer, client_id=client_id, show=_show_page)
    elif issuer is not None:
        jwt = sign_in(issuer, client_id=client_id, show=_show_code)
    elif with_token:
        jwt = _read_jwt()
    elif account.is_local(address):
        jwt = local_jwt()
    else:
        raise refused(f"name the issuer of {address} (--issuer), or pipe a JWT of it to `gitward login --with-token`")
    with Service(account.Account(url=address, jwt=jwt, source="gitward login")) as service:
        service.get("/sessions", limit=1)
    file = account.store(address, jwt)
    output.console().print(f"signed in at {address}; the JWT is in {file} (0600)")
    if account.current().source == account.JWT_VARIABLE:
        output.console().print(f"{account.JWT_VARIABLE} is set, and comes before it: unset it to use this sign-in")
    return _OK


def _show_code(address: str, code: str) -> None:
    output.console().print(f"Open {plain(address)} and enter the code {code}")
    webbrowser.open(address)


def _show_page(address: str) -> None:
    output.console().print(f"Sign in in the browser that opens, or open {plain(address)}")
    webbrowser.open(address)


def logout() -> int:
    """Removes the stored JWT."""
    output.console().print("signed out" if account.forget() else "nobody was signed in")
    return _OK


def whoami(*, as_json: bool) -> int:
    """Who the service takes the caller for."""
    found = account.current()
    with connect() as service:
        me = service.get("/me")
    if as_json:
        output.document({"url": found.url, "source": found.source, **me})
    else:
        who = f"{plain(str(me.get('subject')))} of {plain(str(me.get('issuer')))}"
        output.console().print(f"{who} at {found.url} (by {found.source})")
    return _OK


def _read_jwt() -> str:
    """:raises ClientError: standard input has none."""
    jwt = sys.stdin.readline().strip()
    if jwt.count(".") != 2:
        raise ClientError("standard input has no JWT (three parts with dots between them)", exit=Exit.USAGE)
    return jwt
