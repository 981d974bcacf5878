"""Step `authenticate`: gh and git work inside the sandbox: `gh auth login`, `gh auth setup-git`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from gitward.errors import Reason, RunFailure
from gitward.github.credentials import login_input
from gitward.github.preflight import Facts
from gitward.repositories.git import CommandResult
from gitward.runs.access.gh_login import QUIET
from gitward.runs.attempt import Attempt
from gitward.runs.commands.retrying import run_with_retries
from gitward.runs.commands.runner import HOME, CommandRunner
from gitward.secrets import Secret
from gitward.sessions.model import HOST, StepName


async def authenticate(attempt: Attempt, commands: CommandRunner, facts: Facts, credential: Secret) -> None:
    """After it, gh and git work inside, on the session's repository.

    :param credential: what `gh auth login` stores: the run credential, or in `login` mode the token.
    :raises RunFailure: `token_rejected`, although preflight could use the token; `sandbox_failed`: no room, or gh could
        not write git's configuration, for which it asks nobody.
    """
    host = urlsplit(attempt.services.settings.server_url).netloc
    config = git_config(name=_name(attempt, facts), email=_email(attempt, facts), host=host)
    login = ["gh", "auth", "login", "--with-token", "--hostname", host, "--git-protocol", "https"]

    async def log_in(_again: bool) -> CommandResult:
        return await commands.run(StepName.AUTHENTICATE, login, cwd=HOME, env=QUIET, stdin=login_input(credential))

    def failed(ended: CommandResult) -> RunFailure:
        return RunFailure(Reason.TOKEN_REJECTED, f"gh auth login failed: {ended.tail}")

    try:
        async with asyncio.TaskGroup() as both:  # when one fails or is cancelled, the other is ended and awaited
            both.create_task(run_with_retries(attempt, commands, StepName.AUTHENTICATE, log_in, failed=failed))
            both.create_task(commands.sandbox.write(f"{HOME}/.gitconfig", config.encode(), mode=0o644))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    setup = ["gh", "auth", "setup-git", "--hostname", host]
    ended = await commands.run(StepName.AUTHENTICATE, setup, cwd=HOME, env=QUIET)
    if ended.exit_code != 0:
        raise RunFailure(Reason.SANDBOX_FAILED, f"gh auth setup-git failed: {ended.tail}")
    if attempt.run.environment != HOST and attempt.run.instruction.works:
        await _set_up_image(attempt, commands, setup)


async def _set_up_image(attempt: Attempt, commands: CommandRunner, setup: Sequence[str]) -> None:
    """The environment's own gh, wherever it lies, becomes git's credential helper."""
    ended = await commands.run(StepName.AUTHENTICATE, setup, cwd=HOME, env=QUIET, in_image=True)
    if ended.exit_code != 0:
        raise RunFailure(Reason.SANDBOX_FAILED, f"gh of the environment {attempt.run.environment} failed: {ended.tail}")


def _name(attempt: Attempt, facts: Facts) -> str:
    return attempt.services.settings.commit_name or facts.identity.name


def _email(attempt: Attempt, facts: Facts) -> str:
    return attempt.services.settings.commit_email or facts.identity.email


def git_config(*, name: str, email: str, host: str) -> str:
    """The sandbox user's ~/.gitconfig: who commits, a plain `git push` that goes to the session's branch, and ssh
    addresses of submodules that are fetched by https, for there is no ssh out of a sandbox."""
    return (
        f"[user]\n\tname = {_quoted(name)}\n\temail = {_quoted(email)}\n"
        "[push]\n\tdefault = current\n\tautoSetupRemote = true\n"
        "[init]\n\tdefaultBranch = main\n"
        f'[url "https://{host}/"]\n\tinsteadOf = git@{host}:\n\tinsteadOf = ssh://git@{host}/\n'
        "[advice]\n\tdetachedHead = false\n"
    )


def _quoted(value: str) -> str:
    """A value in git-config's own quoting; line breaks cannot occur, they are cut out before."""
    one_line = "".join(character for character in value if character.isprintable())
    return '"' + one_line.replace("\\", "\\\\").replace('"', '\\"') + '"'
