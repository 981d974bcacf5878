"""The command: which parts are examined, and how the findings are told."""

from __future__ import annotations

import asyncio
from functools import partial

from gitward.broker.client.injected_secrets import SecretSources
from gitward.broker.policy.inject.rules import Injection
from gitward.cli.child_processes import mask_proxy_login
from gitward.cli.client_secret import forget_client_secret
from gitward.cli.doctor import data, hosts, machine, network, token
from gitward.cli.doctor.findings import Finding, Verdict, fail
from gitward.cli.doctor.parts import Findings, Part, examine
from gitward.cli.egress import injections_of
from gitward.errors import EXIT_CODE, Exit, SettingsError
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader

_SANDBOX_SECONDS = 60.0  # on a busy machine
_AGENTS = 10  # at most, of which each may take its whole time to start


def run(settings: Settings, tokens: TokenReader, *, repo: str | None, with_agents: bool, as_json: bool) -> int:
    """The exit code: 0 when nothing must be mended.

    :param repo: what the token may do there is asked, and nothing else.
    """
    mask_proxy_login(settings)
    forget_client_secret()
    parts = _of_repository(settings, tokens, repo) if repo else _of_machine(settings, tokens, with_agents=with_agents)
    return asyncio.run(_report(parts, as_json=as_json))


async def _report(parts: list[Part], *, as_json: bool) -> int:
    """The first part may make what the others look at; those are examined at the same time, and told in their order."""
    verdicts = set()
    first = asyncio.create_task(examine(parts[0]))
    await asyncio.wait([first])
    for examination in [first, *(asyncio.create_task(examine(part)) for part in parts[1:])]:
        for finding in await examination:
            verdicts.add(finding.verdict)
            print(finding.document() if as_json else "\n".join(finding.lines()), flush=True)
    return EXIT_CODE[Exit.FAILED if Verdict.FAIL in verdicts else Exit.SUCCEEDED]


def _of_repository(settings: Settings, tokens: TokenReader, repo: str) -> list[Part]:
    return [Part(name=f"repo: {repo}", look=partial(token.look_at_repository, settings, tokens, repo), seconds=60.0)]


def _of_machine(settings: Settings, tokens: TokenReader, *, with_agents: bool) -> list[Part]:
    injections, wrong = _injections(settings)
    sources = SecretSources(injections)  # here, before anything starts: it takes them out of the environment
    keys = hosts.injected_places(injections)
    seconds = _AGENTS * settings.agent_start_seconds if with_agents else _SANDBOX_SECONDS
    return [
        Part(name="data folder", look=partial(data.look_at_folder, settings)),
        Part(name="programs", look=partial(machine.look_at_programs, settings)),
        Part(name="sandbox", look=partial(machine.look_at_sandbox, settings), seconds=_SANDBOX_SECONDS),
        Part(name="secret files", look=partial(data.look_at_secret_files, settings)),
        Part(name="database", look=partial(data.look_at_database, settings)),
        Part(name="disk reserve", look=partial(data.look_at_reserve, settings)),
        Part(name="mirrors", look=partial(data.look_at_mirrors, settings)),
        Part(name="environments", look=partial(data.look_at_environments, settings)),
        Part(name="agents", look=partial(machine.look_at_agents, settings, keys, starts=with_agents), seconds=seconds),
        Part(name="token", look=partial(token.look_at_token, settings, tokens)),
        Part(name="GitHub", look=partial(network.look_at_github, settings)),
        Part(name="proxy", look=partial(network.look_at_proxy, settings)),
        Part(name="clock", look=partial(network.look_at_clock, settings)),
        Part(name="issuers", look=partial(network.look_at_issuers, settings)),
        Part(name="other hosts", look=partial(hosts.look_at_egress, settings)),
        Part(name="injected keys", look=partial(_look_at_keys, settings, sources, wrong)),
        Part(name="webhooks", look=partial(hosts.look_at_webhooks, settings)),
        Part(name="listening", look=partial(hosts.look_at_listening, settings)),
    ]


def _injections(settings: Settings) -> tuple[list[Injection], list[Finding]]:
    """What can be understood of GITWARD_INJECT, and what is wrong with it."""
    try:
        return injections_of(settings), []
    except SettingsError as error:
        return [], [fail("injected keys", problem) for problem in error.problems]


async def _look_at_keys(settings: Settings, sources: SecretSources, wrong: list[Finding]) -> Findings:
    for finding in wrong:
        yield finding
    if not wrong:
        async for finding in hosts.look_at_keys(settings, sources):
            yield finding
