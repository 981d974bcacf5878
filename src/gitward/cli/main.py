"""The command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitward import __version__
from gitward.cli.client.commands import add_to
from gitward.cli.client.errors import ClientError
from gitward.cli.start_garbage import pause_collection
from gitward.errors import EXIT_CODE, Exit, GitwardError, SettingsError

app = typer.Typer(
    name="gitward",
    help="Background work on GitHub repositories, in a sandbox that never sees the token.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from gitward.commit import commit

        print(f"gitward {__version__} (commit {commit()})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and its commit.")
    ] = False,
) -> None:
    pass


mirrors = typer.Typer(no_args_is_help=True, help="The copies of repositories that runs on this machine share.")
app.add_typer(mirrors, name="mirrors")
agents = typer.Typer(no_args_is_help=True, help="The coding agents that take prompts.")
app.add_typer(agents, name="agents")
audit_log = typer.Typer(no_args_is_help=True, help="The log of who did what.")
app.add_typer(audit_log, name="audit-log")
environments = typer.Typer(no_args_is_help=True, help="The images whose tools runs can find in place of the host's.")
app.add_typer(environments, name="environments")
add_to(app)


@app.command()
def serve(
    with_worker: Annotated[
        bool,
        typer.Option("--worker/--no-worker", help="Run a worker inside, or leave that to `gitward worker`."),
    ] = True,
) -> None:
    """Serve the API, with a worker inside, until SIGTERM. Settings come from the environment; .env may hold secrets."""
    pause_collection()  # before the imports: they are most of what a search would look at
    from gitward.cli import serve as command
    from gitward.settings.loading import load_settings
    from gitward.settings.token_reader import TokenReader
    from gitward.telemetry.logs import setup_logging

    setup_logging()
    settings = load_settings()
    command.run(settings, TokenReader(settings.github_token_file), with_worker=with_worker)


@app.command()
def worker() -> None:
    """Execute runs, without an API, until SIGTERM. Any number of workers may share one Postgres."""
    pause_collection()
    from gitward.cli import worker as command
    from gitward.settings.loading import load_settings
    from gitward.settings.token_reader import TokenReader
    from gitward.telemetry.logs import setup_logging

    setup_logging()
    settings = load_settings()
    command.run(settings, TokenReader(settings.github_token_file))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file; its folder must exist.", metavar="FILE")],
) -> None:
    """Copy the database (SQLite) to a file, while the service runs. For Postgres use pg_dump."""
    from gitward.cli.backup import run
    from gitward.settings.loading import load_settings

    run(load_settings(), file)


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date. Safe to run twice, and from two machines at once."""
    from gitward.cli.migrate import run
    from gitward.settings.loading import load_settings

    run(load_settings())


@app.command()
def token(
    subject: Annotated[
        str | None, typer.Option(help="The subject (`sub`) of the token. Default: GITWARD_LOCAL_SUBJECT.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How many hours it is valid.")] = 12,
) -> None:
    """Mint a JWT for the API with the local key of the data folder, and print it.

    Refused with GITWARD_OIDC_ISSUERS: the API then accepts only their tokens.
    """
    from gitward.cli.local_token import mint_local

    print(mint_local(subject, hours=hours))


@app.command(name="stop-owner")
def stop_owner(
    subject: Annotated[str, typer.Argument(help="The subject (`sub`) of the owner.", metavar="SUBJECT")],
    issuer: Annotated[
        str | None, typer.Option(help="The owner's issuer. Needed when GITWARD_OIDC_ISSUERS names several.")
    ] = None,
) -> None:
    """Cancel all unfinished runs of an owner and pause their schedules, for an operator on the machine.

    Prints how much that was, and not what it was. The audit log notes it.
    """
    from gitward.cli.stop_owner import run
    from gitward.settings.loading import load_settings

    run(load_settings(), subject, issuer)


@app.command(name="sign-in")
def sign_in(
    subject: Annotated[str | None, typer.Option(help="Whom the link signs in. Default: GITWARD_LOCAL_SUBJECT.")] = None,
) -> None:
    """Print a link that signs a browser in, once, within 10 minutes.

    Refused with GITWARD_OIDC_ISSUERS: people then sign in at the issuer.
    """
    from gitward.cli.sign_in import run
    from gitward.settings.loading import load_settings

    run(load_settings(), subject)


@app.command()
def doctor(
    repo: Annotated[
        str | None, typer.Option(help="Ask GitHub instead what the token may do with this repository: owner/name.")
    ] = None,
    with_agents: Annotated[
        bool, typer.Option("--agents", help="Also start each agent in a sandbox, without a model.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on each line.")] = False,
) -> None:
    """Give a verdict on each part that runs need, and what to do about it. Run it as the service's own user.

    Exit code 0: runs can succeed here, though a line with `warn` is worth a look; 1: something must be mended.
    """
    from gitward.cli.doctor.command import run
    from gitward.settings.loading import load_settings
    from gitward.settings.token_reader import TokenReader
    from gitward.telemetry.logs import setup_logging

    setup_logging(level="ERROR")
    settings = load_settings()
    tokens = TokenReader(settings.github_token_file)
    raise typer.Exit(run(settings, tokens, repo=repo, with_agents=with_agents, as_json=as_json))


@app.command()
def demo(
    command: Annotated[
        str | None,
        typer.Option("--command", help="The command to run in the demo repository, instead of a small change."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Give an installed agent a prompt instead: claude, codex or opencode.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="With --agent: the prompt; a stand-in for the model answers.")
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Stay after the pull request, to look at it in the page, until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Run the main job end to end on this machine, against a stand-in GitHub, up to its pull request."""
    from gitward.cli.demo import run, wish_of

    raise typer.Exit(run(wish_of(command, agent, prompt, stays=stay), as_json=as_json))


@app.command(name="audit-token")
def audit_token(
    repo: Annotated[
        str | None,
        typer.Option(
            help="Audit the service on this machine, with one session on this small repository. Default: the demo."
        ),
    ] = None,
    log: Annotated[Path | None, typer.Option(help="With --repo: the file that has the service's log.")] = None,
    jwt_file: Annotated[
        Path | None, typer.Option(help="With --repo: a JWT of an issuer; needed with GITWARD_OIDC_ISSUERS.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --repo: do not ask before the audit begins.")] = False,
    login: Annotated[
        bool, typer.Option("--login", help="In the demo: use login mode, and allow what the docs name.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Search for the token in every channel, while a hostile command runs in a sandbox.

    Exit code 0: the token is in no forbidden place, and planted values show that the search sees every channel.
    """
    from gitward.audit.command import run_on, run_on_demo
    from gitward.audit.live import live
    from gitward.cli.egress import secret_sources
    from gitward.settings.loading import load_settings
    from gitward.settings.token_reader import TokenReader

    if repo is None:
        raise typer.Exit(run_on_demo(login_mode=login, as_json=as_json))
    settings = load_settings()
    tokens = TokenReader(settings.github_token_file)
    keys = secret_sources(settings).read()
    stage = live(settings, tokens, repository=repo, log=log, jwt_file=jwt_file, keys=keys)
    raise typer.Exit(run_on(stage, asks=not yes, as_json=as_json))


@mirrors.command(name="list")
def list_mirrors(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show every mirror with its size, the least recently used first. A worker may be running."""
    from gitward.cli.mirrors import show
    from gitward.settings.loading import load_settings

    show(load_settings(), as_json=as_json)


@mirrors.command(name="drop")
def drop_mirrors(
    name: Annotated[str | None, typer.Argument(help="The repository: owner/name.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every mirror.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Remove mirrors; the next run creates them afresh. A worker may be running; its runs continue."""
    from gitward.cli.mirrors import drop
    from gitward.settings.loading import load_settings

    raise typer.Exit(drop(load_settings(), name, everything=everything, as_json=as_json))


@agents.command(name="list")
def list_agents(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show every agent, whether it is ready, and what to do where it is not."""
    from gitward.cli.agents import show
    from gitward.settings.loading import load_settings

    show(load_settings(), as_json=as_json)


@agents.command(name="install")
def install_agents(
    names: Annotated[list[str], typer.Argument(help="claude, codex, opencode; or node alone.", metavar="NAME...")],
) -> None:
    """Install agents, each in the version that is locked by hash, with a Node.js beside them. Safe to run again."""
    from gitward.cli.agents import install
    from gitward.settings.loading import load_settings

    install(load_settings(), names)


@audit_log.command(name="export")
def export_audit_log() -> None:
    """Print the log as JSON lines, the oldest first. The service may be running."""
    from gitward.cli.audit_log import export
    from gitward.settings.loading import load_settings

    export(load_settings())


@environments.command(name="list")
def list_environments(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show every environment that sessions may name, the default first."""
    from gitward.cli.environments import show
    from gitward.settings.loading import load_settings

    show(load_settings(), as_json=as_json)


@environments.command(name="add")
def add_environment(
    name: Annotated[str, typer.Argument(help="What sessions call it: lower case, such as `go-1.22`.", metavar="NAME")],
    source: Annotated[
        str,
        typer.Argument(
            help="oci:DIR:TAG, docker-archive:FILE, docker://registry/image:tag, or a folder with an unpacked system.",
            metavar="SOURCE",
        ),
    ],
    env: Annotated[
        list[str] | None,
        typer.Option("--env", help="NAME=VALUE for commands in it; may be repeated. PATH is put before the image's."),
    ] = None,
) -> None:
    """Unpack, check and try an image, then give it the name. Replaces one of this name; runs in it go on."""
    from gitward.cli.environments import add
    from gitward.settings.loading import load_settings

    add(load_settings(), name, source, env or [])


@environments.command(name="remove")
def remove_environment(
    name: Annotated[str, typer.Argument(help="The environment's name.", metavar="NAME")],
) -> None:
    """Remove an environment. Refused while a run uses it."""
    from gitward.cli.environments import remove
    from gitward.settings.loading import load_settings

    remove(load_settings(), name)


def main() -> None:
    """The entry point: errors of ours become sentences on standard error and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal, or file, can hold what a command wrote
    try:
        app()
    except SettingsError as error:
        for line in error.problems:
            print(f"gitward: {line}", file=sys.stderr)
        sys.exit(EXIT_CODE[Exit.USAGE])
    except ClientError as error:
        print(f"gitward: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE[error.exit])
    except GitwardError as error:
        print(f"gitward: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE[Exit.FAILED])
