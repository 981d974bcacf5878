"""The options of the client's commands. Each imports what it does only when it is called: `--help` stays fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gitward.cli.client.requests import Wish

SESSION = typer.Argument(
    help="A session's id, or how it begins. Default: the newest of this clone's repository.", metavar="[SESSION]"
)
Session = Annotated[str | None, SESSION]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one document on each line, and nothing else.")]
Follow = Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Show the run until it ends.")]
Command = Annotated[str | None, typer.Option("--command", "-c", help="Given to bash in the checkout.")]
Prompt = Annotated[str | None, typer.Option("--prompt", "-p", help="For a coding agent, instead of a command.")]
File = Annotated[Path | None, typer.Option("--file", help="A file with the command; - reads standard input.")]
Agent = Annotated[str | None, typer.Option(help="The agent that gets the prompt.")]
Model = Annotated[str | None, typer.Option(help="The agent's model.")]
Environment = Annotated[str | None, typer.Option(help="The environment whose tools the run finds.")]
Setup = Annotated[str | None, typer.Option(help="A command that makes the checkout ready, before the work.")]
Publish = Annotated[str | None, typer.Option(help="draft (default), ready, branch or dry_run.", metavar="MODE")]
Timeout = Annotated[int | None, typer.Option(min=1, help="Seconds that the run may take.")]
Env = Annotated[list[str] | None, typer.Option("--env", help="A variable of the command.", metavar="NAME=VALUE")]

_EXITS = (
    "Exit code: 0 the run succeeded, 1 it failed, 2 the request is wrong, 3 it was cancelled, 4 the service does not "
    "answer, 130 you left with Ctrl-C (the run goes on)."
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands in the order in which `--help` lists them."""
    app.command(epilog=_EXITS)(run)
    app.command()(sessions)
    app.command()(show)
    app.command(epilog=_EXITS)(logs)
    app.command()(diff)
    app.command()(checkout)
    app.command()(apply)
    app.command(epilog=_EXITS)(publish)
    app.command()(cancel)
    app.command(epilog=_EXITS)(retry)
    app.command(name="follow-up", epilog=_EXITS)(follow_up)
    app.command(name="open")(open_page)
    app.command()(login)
    app.command()(logout)
    app.command()(whoami)


def run(
    repo: Annotated[
        str | None, typer.Argument(help="owner/repo. Default: that of this clone's remote.", metavar="[OWNER/REPO]")
    ] = None,
    command: Command = None,
    prompt: Prompt = None,
    file: File = None,
    agent: Agent = None,
    model: Model = None,
    environment: Environment = None,
    setup: Setup = None,
    target: Annotated[str | None, typer.Option(help="The branch that the pull request goes to.")] = None,
    branch: Annotated[str | None, typer.Option(help="The session's own branch.")] = None,
    title: Annotated[str | None, typer.Option(help="Of the session.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Of the session; may be repeated.")] = None,
    env: Env = None,
    publish: Publish = None,
    timeout: Timeout = None,
    repos: Annotated[
        Path | None, typer.Option(help="A file with one owner/repo on each line: one session for each.")
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, max=100, help="With --repos: sessions that may be unfinished.")] = 5,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Begin a session: a command or a prompt for one repository, or with --repos for many.

    gitward run -c 'make fix' -f

    gitward run octo-org/site --prompt 'Fix the typo in README.md' --follow

    gitward run --repos repos.txt --label bump-node --file bump.sh
    """
    from gitward.cli.client import actions, many

    wish = _wish(command, prompt, file, agent, model, environment, setup, publish, timeout, env)
    more = {"target_branch": target, "branch": branch, "title": title, "labels": label}
    if repos is None:
        raise typer.Exit(actions.run(repo, wish, following=follow, as_json=as_json, **more))
    raise typer.Exit(many.run(repos, repo, wish, at_once=at_once, as_json=as_json, **more))


def sessions(
    repo: Annotated[str | None, typer.Option(help="Only of this repository.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state, for example failed.")] = None,
    label: Annotated[str | None, typer.Option(help="Only with this label.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=5_000, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List your sessions, the newest first."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.sessions(repo=repo, state=state, label=label, most=limit, as_json=as_json))


def show(session: Session = None, as_json: AsJson = False) -> None:
    """Show a session: its state and why, its steps, its pull request, what to do next."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.show(session, as_json=as_json))


def logs(
    session: Session = None,
    live: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the latest run's output."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.logs(session, live=live, as_json=as_json))


def diff(
    session: Session = None,
    patch: Annotated[bool, typer.Option("--patch", help="As a mailbox, for `git am`.")] = False,
) -> None:
    """Print what a session changed."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.diff(session, patch=patch))


def checkout(session: Session = None) -> None:
    """Switch this clone to a session's work, pushed or not."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.checkout(session))


def apply(session: Session = None) -> None:
    """Apply a session's change to the working tree here, without a commit."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.apply(session))


def publish(session: Session = None, mode: Publish = None, follow: Follow = False, as_json: AsJson = False) -> None:
    """Push work that was kept, and open its pull request."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.publish(session, mode=mode, following=follow, as_json=as_json))


def cancel(session: Session = None, as_json: AsJson = False) -> None:
    """End a session's unfinished runs; their work is kept."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.cancel(session, as_json=as_json))


def retry(session: Session = None, follow: Follow = False, as_json: AsJson = False) -> None:
    """Run the latest instruction again."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.retry(session, following=follow, as_json=as_json))


# typer reads options from the signature alone, so each command lists its own, though `run` has most of them too.
def follow_up(
    session: Session = None,
    command: Command = None,
    prompt: Prompt = None,
    file: File = None,
    agent: Agent = None,
    model: Model = None,
    environment: Environment = None,
    setup: Setup = None,
    publish: Publish = None,
    timeout: Timeout = None,
    env: Env = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Give a session more to do, on the same branch."""
    from gitward.cli.client import actions

    wish = _wish(command, prompt, file, agent, model, environment, setup, publish, timeout, env)
    raise typer.Exit(actions.follow_up(session, wish, following=follow, as_json=as_json))


def open_page(
    session: Session = None,
    pull_request: Annotated[bool, typer.Option("--pr", help="Its pull request instead.")] = False,
) -> None:
    """Open a session's page in a browser."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.open_page(session, pull_request=pull_request))


def login(
    url: Annotated[str | None, typer.Argument(help="The service. Default: the one of this machine.")] = None,
    issuer: Annotated[str | None, typer.Option(help="The service's issuer: sign in there, in a browser.")] = None,
    client_id: Annotated[str, typer.Option(help="With --issuer: the client that it knows.")] = "gitward",
    with_token: Annotated[bool, typer.Option("--with-token", help="Read a JWT from standard input.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="With --issuer: in a browser on this machine, without a code to type.")
    ] = False,
) -> None:
    """Sign in at a service: at its issuer, with a JWT from standard input, or on its machine with its own key."""
    from gitward.cli.client import actions

    raise typer.Exit(
        actions.login(
            url, issuer=issuer, client_id=client_id, with_token=with_token, local_jwt=_local_jwt, browser=browser
        )
    )


def logout() -> None:
    """Forget the stored JWT."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.logout())


def whoami(as_json: AsJson = False) -> None:
    """Show who you are for the service."""
    from gitward.cli.client import actions

    raise typer.Exit(actions.whoami(as_json=as_json))


def _local_jwt() -> str:
    from gitward.cli.local_token import mint_local  # the service's half, on its machine

    return mint_local(None, hours=24 * 7, command="login")


def _wish(
    command: str | None,
    prompt: str | None,
    file: Path | None,
    agent: str | None,
    model: str | None,
    environment: str | None,
    setup: str | None,
    publish: str | None,
    timeout: int | None,
    env: list[str] | None,
) -> Wish:
    from gitward.cli.client.requests import Wish

    return Wish(
        command=command,
        prompt=prompt,
        file=file,
        agent=agent,
        model=model,
        environment=environment,
        setup=setup,
        publish=publish,
        timeout=timeout,
        env=tuple(env or ()),
    )
