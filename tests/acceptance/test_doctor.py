"""The doctor as an operator runs it: every fault is planted for real, beside a stand-in GitHub."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app_keys import app_key
from command_line import gitward
from gitward_standin import StandIn, Token
from gitward_standin.accounts import TokenKind

TOKEN = "ghp_" + "D0c7" * 9
Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="session")
async def github(tmp_path: Path) -> AsyncIterator[StandIn]:
    made = StandIn(tmp_path / "github")
    await made.start()
    made.add_user("octocat")
    made.add_token(TOKEN, Token(login="octocat"))
    yield made
    await made.stop()


class Patient:
    """An operator's machine, with its settings."""

    def __init__(self, folder: Path, github: StandIn) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.settings = {
            "GITWARD_DATA_DIR": str(self.data),
            "GITWARD_UPSTREAM_URL": github.url,
            "GITWARD_UPSTREAM_API_URL": github.api_url,
            "GITHUB_TOKEN": TOKEN,
            "GITWARD_DISK": "1024",  # whatever room the disk of this machine has
            "GITWARD_MIRROR_MB": "1024",
        }

    async def __call__(self, *options: str, code: int = 0, **settings: str) -> dict[str, list[Json]]:
        """What was found, by part."""
        given = {name: value for name, value in {**self.settings, **settings}.items() if value}
        exit_code, out, err = await gitward("doctor", "--json", *options, cwd=self.folder, **given)
        assert (exit_code, err) == (code, ""), (exit_code, out, err)
        assert TOKEN not in out
        found: dict[str, list[Json]] = {}
        for line in out.splitlines():
            document = json.loads(line)
            assert set(document) == {"part", "verdict", "detail", "remedy"}
            assert document["verdict"] == "ok" or document["remedy"] or len(document["detail"]) > 40
            found.setdefault(document["part"], []).append(document)
        return found


@pytest.fixture
def patient(open_folder: Path, github: StandIn) -> Patient:
    return Patient(open_folder, github)


def verdicts(found: dict[str, list[Json]]) -> dict[str, str]:
    return {part: each[-1]["verdict"] for part, each in found.items()}


@asynccontextmanager
async def http_server(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[str]:
    """A real server that answers what the test wants."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_sound_machine_needs_nothing(patient: Patient) -> None:
    found = await patient(GITWARD_LIMITS="best-effort")
    told = verdicts(found)
    limits = {part for part in told if part.startswith("limit: ")}
    assert {each for part, each in told.items() if part not in limits and part != "gh"} == {"ok"}, found
    assert told["gh"] in {"ok", "warn"}  # as old as Debian's is
    wanted = "token GitHub proxy clock issuers environments agents mirrors database webhooks listening sandbox git"
    assert set(wanted.split()) <= set(told)
    assert {"data folder", "secret files", "disk reserve", "injected keys", "other hosts"} <= set(told)
    code, out, _ = await gitward("doctor", cwd=patient.folder, **patient.settings)
    assert code == 0
    assert "ok   clock              agrees with http://127.0.0.1" in out


async def test_every_fault_has_its_own_verdict_and_hides_no_other(patient: Patient, tmp_path: Path) -> None:
    await patient()
    with closing(sqlite3.connect(patient.data / "gitward.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()
    (patient.data / "gitward.db").chmod(0o644)
    (patient.data / "mirrors").mkdir(mode=0o700)
    agents = tmp_path / "agents.toml"
    agents.write_text('default = "claude"\n')
    found = await patient(
        code=1,
        GITWARD_ENVIRONMENTS="host,go-1.22",
        GITWARD_AGENTS_FILE=str(agents),
        GITWARD_INJECT="api.model.test = x-api-key: SET_KEY; other.model.test = x-api-key: UNSET_KEY",
        SET_KEY="sk-0123456789abcdef",
        HTTPS_PROXY="http://person:s3cret-word@127.0.0.1:9",
        GITWARD_OIDC_ISSUERS="http://127.0.0.1:9/realm",
        GITWARD_REPOS="acme/*",
        GITWARD_RESERVE_MB="0",
        GITWARD_MIRROR_MB=str(2**40),
        GITWARD_HOST="0.0.0.0",
        GITWARD_EGRESS="localhost",
    )
    told = verdicts(found)
    whole = json.dumps(found)
    assert "s3cret-word" not in whole
    assert "sk-0123456789" not in whole
    failing = ("database", "secret files", "environment: go-1.22", "agent: claude", "key: other.model.test", "proxy")
    assert {part: told[part] for part in failing} == dict.fromkeys(failing, "fail")
    assert told["issuer: http://127.0.0.1:9/realm"] == told["other hosts"] == "fail"
    assert [told[part] for part in ("disk reserve", "mirrors", "listening")] == ["warn"] * 3
    assert [told[part] for part in ("git", "sandbox", "token", "GitHub", "clock")] == ["ok"] * 5
    assert "9999 is newer" in found["database"][0]["detail"]
    assert "chmod 600" in found["secret files"][0]["detail"]
    assert found["environment: go-1.22"][0]["remedy"].startswith("gitward environments add go-1.22 SOURCE")
    assert "agents install claude" in found["agent: claude"][0]["detail"]
    assert "UNSET_KEY" in found["key: other.model.test"][0]["remedy"]
    assert "127.0.0.1:9 cannot be reached" in found["proxy"][0]["detail"]
    assert "GITWARD_PUBLIC_URL" in found["listening"][0]["remedy"]


async def test_what_never_answers_is_bounded_and_hides_no_other(patient: Patient) -> None:
    """A port that accepts and says nothing: GitHub, proxy, issuer and Postgres at once."""
    opened: list[asyncio.StreamWriter] = []

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        found = await patient(
            code=1,
            GITWARD_UPSTREAM_URL=url,
            GITWARD_UPSTREAM_API_URL=url,
            GITWARD_OIDC_ISSUERS=url,
            GITWARD_REPOS="acme/*",
            GITWARD_DATABASE_URL=f"postgresql://gitward:pa55-word@{url.removeprefix('http://')}/gitward",
        )
    finally:
        for writer in opened:
            writer.close()
        server.close()
        await server.wait_closed()
    told = verdicts(found)
    assert [told[part] for part in ("GitHub", f"issuer: {url}", "database")] == ["fail"] * 3
    assert [told[part] for part in ("clock", "token")] == ["warn", "warn"]
    assert [told[part] for part in ("sandbox", "data folder", "mirrors", "listening")] == ["ok"] * 4
    assert "pa55-word" not in json.dumps(found)


@pytest.mark.parametrize(("ahead", "verdict"), [(0, "ok"), (30, "warn"), (-30, "warn"), (3600, "fail")])
async def test_the_clock_is_compared_with_githubs(patient: Patient, ahead: int, verdict: str) -> None:
    def answer(_request: web.Request) -> web.Response:
        return web.json_response({}, headers={"Date": formatdate(time.time() - ahead, usegmt=True)})

    async with http_server(answer) as url:
        found = await patient(code=int(verdict == "fail"), GITWARD_UPSTREAM_API_URL=url)
    clock = found["clock"][0]
    assert clock["verdict"] == verdict
    if ahead:
        assert ("ahead of" if ahead > 0 else "behind") in clock["detail"]


async def test_an_issuer_that_is_well_is_told_and_one_without_sign_in_too(patient: Patient) -> None:
    key: Json = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key()))

    def answer(request: web.Request) -> web.Response:
        base = f"http://{request.host}"
        if request.path.endswith("openid-configuration"):
            return web.json_response({"issuer": base, "jwks_uri": f"{base}/keys"})
        return web.json_response({"keys": [{**key, "kid": "one", "use": "sig"}]})

    async with http_server(answer) as url:
        settings: Json = {"GITWARD_OIDC_ISSUERS": url, "GITWARD_REPOS": "acme/*"}
        [well] = (await patient(**settings))[f"issuer: {url}"]
        found = await patient(code=1, GITWARD_OIDC_CLIENT_ID="web", **settings)
    assert (well["verdict"], well["detail"]) == ("ok", "answers, with 1 signing key")
    assert "browsers cannot sign in there" in found[f"issuer: {url}"][0]["detail"]


async def rights(patient: Patient, name: str, *, code: int = 0, **settings: str) -> dict[str, Json]:
    """What the token may do with a repository, by right."""
    found = await patient("--repo", name, code=code, **settings)
    return {part.removeprefix(f"repo: {name}").removeprefix(": "): each[0] for part, each in found.items()}


async def test_a_classic_token_is_told_what_it_may_do(patient: Patient, github: StandIn) -> None:
    repository = await github.add_repository("acme/widgets", permissions={"octocat": "admin"})
    before = len(repository.pulls)
    told = await rights(patient, "acme/widgets")
    names = ("", "token", "read", "push", "pull requests", "branches")
    assert [told[name]["verdict"] for name in names] == ["ok"] * 6, told
    assert "a classic token, with the scopes repo, user:email" in told["token"]["detail"]
    assert (told["workflows"]["verdict"], "scope `workflow`" in told["workflows"]["remedy"]) == ("warn", True)
    assert len(repository.pulls) == before
    github.add_token(TOKEN, Token(login="octocat", scopes=("repo", "workflow")))
    assert (await rights(patient, "acme/widgets"))["workflows"]["verdict"] == "ok"


async def test_a_token_that_may_only_read_is_told_what_it_lacks(patient: Patient, github: StandIn) -> None:
    await github.add_repository("acme/widgets", permissions={"octocat": "admin"})
    github.add_token(TOKEN, Token(login="octocat", kind=TokenKind.FINE_GRAINED, push=False))
    told = await rights(patient, "acme/widgets", code=1)
    assert [told[name]["verdict"] for name in ("read", "push", "pull requests")] == ["ok", "fail", "fail"]
    assert "Contents: read and write" in told["push"]["remedy"]
    assert "Pull requests: read and write" in told["pull requests"]["remedy"]
    assert told["workflows"]["verdict"] == "warn"
    assert "GitHub does not tell" in told["workflows"]["detail"]


async def test_a_repository_that_runs_cannot_use_is_told_with_its_reason(patient: Patient, github: StandIn) -> None:
    rights_of = {"octocat": "admin"}
    await github.add_repository("acme/old", permissions=rights_of, archived=True)
    await github.add_repository("acme/empty", permissions=rights_of, files={})
    await github.add_repository("acme/first", permissions=rights_of)
    github.rename_repository("acme/first", "acme/second")
    assert "unarchive" in (await rights(patient, "acme/old", code=1))["state"]["remedy"]
    assert "empty" in (await rights(patient, "acme/empty", code=1))["read"]["detail"]
    assert "acme/second" in (await rights(patient, "acme/first"))[""]["detail"]
    assert "fine-grained" in (await rights(patient, "acme/none", code=1))[""]["remedy"]
    assert "GITWARD_REPOS" in (await rights(patient, "acme/second", code=1, GITWARD_REPOS="other/*"))[""]["remedy"]
    assert "owner/name" in (await rights(patient, "nonsense", code=1))[""]["remedy"]


async def test_a_token_that_github_does_not_take_is_told_once(patient: Patient, github: StandIn) -> None:
    await github.add_repository("acme/widgets", permissions={"octocat": "admin"})
    github.revoke_token(TOKEN)
    assert "401" in (await rights(patient, "acme/widgets", code=1))[""]["detail"]
    assert (await patient(code=1))["token"][0]["verdict"] == "fail"
    github.add_token(TOKEN, Token(login="octocat", sso_required=True))
    assert "single sign-on" in (await rights(patient, "acme/widgets", code=1))[""]["detail"]


async def test_rules_and_names_that_block_the_sessions_branch_are_told(patient: Patient, github: StandIn) -> None:
    repository = await github.add_repository("acme/widgets", permissions={"octocat": "admin"})
    rule = {"type": "required_signatures", "ruleset_id": 7, "ruleset_source": "acme", "parameters": {}}
    creation = {"type": "creation", "ruleset_id": 8, "ruleset_source": "acme", "parameters": {}}
    github.fault(path="*/rules/branches/*", status=200, body=json.dumps([rule, creation]).encode())
    github.fault(
        path="*/rulesets/*", status=200, body=json.dumps({"current_user_can_bypass": "never"}).encode(), times=9
    )
    found = await patient("--repo", "acme/widgets", code=1)
    told = {each["verdict"]: each["detail"] for each in found["repo: acme/widgets: branches"]}
    assert "signed" in told["warn"]
    assert "may create it" in told["fail"]
    await repository.commit("gitward", {"a.txt": "a"})
    blocked = (await rights(patient, "acme/widgets", code=1))["branches"]
    assert "has a branch gitward" in blocked["detail"]


async def test_an_app_is_told_what_its_installation_may_do(patient: Patient, github: StandIn, tmp_path: Path) -> None:
    private, public = app_key()
    key = tmp_path / "app.pem"
    key.write_bytes(private)
    app = github.add_app("widget-bot", public_key=public)
    await github.add_repository("acme/widgets")
    settings: Json = {"GITHUB_APP_ID": app.client_id, "GITHUB_APP_PRIVATE_KEY_FILE": str(key), "GITHUB_TOKEN": ""}
    missing = await rights(patient, "acme/widgets", code=1, **settings)
    assert "not installed" in missing[""]["detail"]
    some = {"contents": "write", "pull_requests": "write", "metadata": "read"}
    github.install_app(app, "acme", permissions=some)
    told = await rights(patient, "acme/widgets", **settings)
    assert [told[name]["verdict"] for name in ("read", "push", "pull requests")] == ["ok"] * 3, told
    assert told["token"]["detail"] == "a GitHub App's installation token"
    assert (told["workflows"]["verdict"], "Workflows: write" in told["workflows"]["remedy"]) == ("warn", True)
