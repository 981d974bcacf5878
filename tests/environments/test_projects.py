"""A small project of Go, Node.js and Python: built and tested in its environment, with a package of a registry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from gitward.repositories.checkout import CHECKOUT_DIR
from gitward_standin.language_model import Say, Shell, StandInModel, Write
from gitward_standin.language_model.questions import Question
from made_environments import STORE, unpacked
from rig import Client, Json, Rig, data_of, output, rig

from .packages import Registries, registries

pytestmark = pytest.mark.asyncio(loop_scope="session")
PROGRAMS = Path(__file__).parents[2] / ".tools" / "agents"
KEY = "sk-ant-api03-CANARYcanaryCANARYcanary0123456789"


@dataclass(frozen=True, kw_only=True)
class Project:
    environment: str
    files: dict[str, str]
    setup: str
    test: str
    packages: int  # that are fetched for it
    absent: str  # a program that the host has, and the environment has not


PROJECTS = [
    Project(
        environment="go",
        files={
            "go.mod": "module example.com/app\n\ngo 1.19\n\nrequire example.com/greeting v1.0.0\n",
            "app.go": 'package app\n\nimport "example.com/greeting"\n\nfunc Say() string { return greeting.Hello() }\n',
            "app_test.go": 'package app\n\nimport "testing"\n\nfunc TestSay(t *testing.T) {\n'
            '\tif Say() != "hi" {\n\t\tt.Fatal(Say())\n\t}\n}\n',
            ".gitignore": "go.sum\n",
        },
        setup="GONOSUMDB=* GONOSUMCHECK=1 GOFLAGS=-mod=mod GONOSUMDB=example.com GOSUMDB=off go mod download\n"
        "GOSUMDB=off GOFLAGS=-mod=mod go build ./...",
        test="GOSUMDB=off GOFLAGS=-mod=mod go test ./...",
        packages=1,
        absent="python3",
    ),
    Project(
        environment="node",
        files={
            "package.json": '{"name": "app", "version": "1.0.0", "scripts": {"test": "node test.js"},'
            ' "dependencies": {"greeting": "1.0.0"}}\n',
            "test.js": 'if (require("greeting")() !== "hi") process.exit(1)\nconsole.log("ok app")\n',
            ".gitignore": "node_modules\npackage-lock.json\n",
        },
        setup="npm install --no-audit --no-fund",
        test="npm test",
        packages=1,
        absent="go",
    ),
    Project(
        environment="python",
        files={
            "test_app.py": "import unittest\nimport greeting\n\n\nclass T(unittest.TestCase):\n"
            "    def test(self):\n        self.assertEqual(greeting.hello(), 'hi')\n        print('ok app')\n",
            ".gitignore": ".venv\n__pycache__\n",
        },
        setup="python3 -m venv .venv && .venv/bin/pip install --disable-pip-version-check greeting==1.0.0",
        test=".venv/bin/python -m unittest 2>&1",
        packages=1,
        absent="node",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Office:
    service: Rig
    client: Client
    registries: Registries


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    unpacked("python")
    folder = tmp_path_factory.mktemp("company")
    folder.chmod(0o755)
    async with AsyncExitStack() as stack:
        reached = await stack.enter_async_context(registries(folder))
        service = await stack.enter_async_context(
            rig(None, None, GITWARD_ENVIRONMENTS_DIR=str(STORE), **reached.settings)
        )
        yield Office(service=service, client=await stack.enter_async_context(service.client()), registries=reached)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.environment)
async def test_a_command_builds_and_tests_it(office: Office, project: Project) -> None:
    office.registries.served.clear()
    repository = await office.service.repository(files={**project.files, ".gitward/setup": project.setup})
    command = f"{project.test} && command -v {project.absent} || echo built > BUILT"
    _, run, events = await office.client.run(repository, command, environment=project.environment, setup=True)
    assert run["state"] == "succeeded", (run, output(events, "setup"), output(events))
    assert run["environment"] == project.environment
    assert "ok" in output(events)
    shown = (await office.client.http.get(f"/sessions/{run['session_id']}/diff")).text
    assert [line for line in shown.splitlines() if line.startswith("diff")] == ["diff --git a/BUILT b/BUILT"]
    fetched = [path for path in office.registries.served if path.endswith((".zip", ".tgz", ".whl"))]
    assert len(fetched) == project.packages, office.registries.served
    await again(office, run, fetched)


async def again(office: Office, first: Json, fetched: list[str]) -> None:
    """A follow-up finds what the first setup fetched in the session's caches."""
    run = await office.client.post(f"/sessions/{first['session_id']}/runs", {"command": "true"})
    run, events = await office.client.finished(first | {"id": first["session_id"]}, run["id"])
    assert (run["state"], run["environment"]) == ("succeeded", first["environment"]), (run, output(events, "setup"))
    assert [path for path in office.registries.served if path in fetched] == fetched


async def test_an_environment_is_the_run_s_alone(office: Office) -> None:
    """The host's tools are not in it; a follow-up may go back to them; what there is not is refused."""
    repository = await office.service.repository()
    session, _, events = await office.client.run(repository, "command -v go; cat /etc/os-release", environment="go")
    assert session["environment"] == "go"
    assert output(events).startswith("/usr/bin/go\n")
    run = await office.client.post(
        f"/sessions/{session['id']}/runs", {"command": "command -v python3", "environment": "python"}
    )
    run, events = await office.client.finished(session, run["id"])
    assert (run["environment"], output(events)) == ("python", "/usr/bin/python3\n")
    refused = await office.client.post(
        f"/sessions/{session['id']}/runs", {"command": "true", "environment": "rust"}, status=422
    )
    assert refused["errors"] == [{"field": "environment", "message": "must be one of host, go, node, python"}]
    listed = await office.client.get("/environments")
    assert [each["name"] for each in listed["environments"]] == ["host", "go", "node", "python"]


async def test_git_and_gh_work_in_it_as_on_the_host(office: Office) -> None:
    command = "gh api user --jq .login; git fetch -q origin && echo fetched; git config --get-all credential.https://github.com.helper"
    _, run, events = await office.client.run(await office.service.repository(), command, environment="go")
    assert run["state"] == "succeeded", output(events)
    assert output(events).split() == ["octocat", "fetched", "!/usr/bin/gh", "auth", "git-credential"]


async def test_nothing_in_it_can_be_written(office: Office) -> None:
    command = "for each in /usr/bin/x /etc/x /etc/hosts /lib/x /var/lib/x /x /opt/x; do touch $each 2>&1; done; id -u"
    _, run, events = await office.client.run(await office.service.repository(), command, environment="go")
    assert run["state"] == "succeeded"
    said = output(events)
    assert said.count("Read-only file system") + said.count("No such file") + said.count("Permission denied") == 7, said
    assert said.split()[-1] == "1000"


def builds_and_tests(project: Project, question: Question) -> Write | Shell | Say:
    """What a model does: a change, then the project's tests, then a word about them."""
    if question.done == 0:
        return Write(path=f"{CHECKOUT_DIR}/NOTES.md", text="notes\n")
    if question.done == 1:
        return Shell(command=f"{project.test} > {CHECKOUT_DIR}/RESULT; command -v {project.absent}; true")
    return Say(text="Tested.")


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.environment)
@pytest.mark.parametrize("agent", ["claude", "codex"])
async def test_an_agent_builds_and_tests_it(place: Path, project: Project, agent: str) -> None:
    """Its Node.js is the agent's own; the repository's setup runs before it, and fetches nothing here."""
    model = StandInModel.demo(place, checkout=CHECKOUT_DIR, key=KEY)
    model.script = lambda question: builds_and_tests(project, question)
    await model.start()
    try:
        settings = {
            **{"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY, "GITWARD_AGENTS_DIR": str(PROGRAMS)},
            **{"HTTPS_PROXY": model.proxy_url, "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": str(model.ca_file)},
            **{"GITWARD_ENVIRONMENTS_DIR": str(STORE), "GITWARD_ENVIRONMENTS": f"{project.environment},host"},
        }
        files = {**project.files, ".gitward/setup": f"echo ready > .ready\n{LOCAL[project.environment]}"}
        async with rig(None, None, **settings) as service, service.client() as client:
            _, run, events = await client.run(
                await service.repository(files=files), prompt="Add NOTES.md, and test.", agent=agent
            )
            assert run["state"] == "succeeded", (run, output(events, "setup"), events[-5:])
            assert run["environment"] == project.environment
            assert [each["name"] for each in run["steps"]][3:5] == ["setup", "execute"]
            shown = (await client.http.get(f"/sessions/{run['session_id']}/diff")).text
            changed = [line.split()[-1] for line in shown.splitlines() if line.startswith("diff")]
            assert changed == ["b/NOTES.md", "b/RESULT"]
            assert "+ok" in shown, shown
            assert data_of(events, "agent.ended")[0]["text"] == "Tested."
    finally:
        await model.stop()


# How each project finds its package without a registry.
LOCAL = {
    "go": "mkdir -p greeting && printf 'module example.com/greeting\\n\\ngo 1.19\\n' > greeting/go.mod\n"
    "printf 'package greeting\\n\\nfunc Hello() string { return \"hi\" }\\n' > greeting/greeting.go\n"
    "go mod edit -replace example.com/greeting=./greeting\n",
    "node": "mkdir -p node_modules/greeting && echo 'module.exports = () => \"hi\"' > node_modules/greeting/index.js\n",
    "python": "python3 -m venv --without-pip .venv\n"
    "printf 'def hello():\\n    return \"hi\"\\n' > $(echo .venv/lib/python3*/site-packages)/greeting.py\n",
}
