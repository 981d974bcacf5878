"""What one test leaves behind is told of that test, by name, and disturbs no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[2] / "support"

CONFTEST = """
pytest_plugins = ["leftovers", "warm_services"]

def pytest_sessionstart():
    import leftovers
    leftovers.SETTLE_SECONDS = 0.2
"""

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

IMPORTS = """
import asyncio, os, socket, subprocess, sys, tempfile, threading
from pathlib import Path
import pytest, pytest_asyncio
"""

TIDY = """
def test_tidy(): pass

async def test_tidy_too():
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await asyncio.to_thread(os.getpid)
    writer.close()
    server.close()
    await server.wait_closed()
    asyncio.create_task(asyncio.sleep(0.01))
"""

UNTIDY = {
    "process": ("def test_untidy(): made.append(subprocess.Popen(['sleep', '600']))", "process NUMBER: sleep 600"),
    "child that nobody waited for": (
        "def test_untidy(): made.append(os.posix_spawnp('true', ['true'], {}))",
        "ended, and nobody waited for it",
    ),
    "thread": (
        "def test_untidy(): threading.Thread(target=threading.Event().wait, name='left over', daemon=True).start()",
        "thread left over",
    ),
    "task": (
        "async def test_untidy(): made.append(asyncio.create_task(asyncio.sleep(600), name='left over'))",
        "task left over: sleep",
    ),
    "task on a shared loop": (
        "@pytest.mark.asyncio(loop_scope='session')\n"
        "async def test_untidy(): made.append(asyncio.create_task(asyncio.sleep(600), name='left over'))",
        "task left over: sleep",
    ),
    "transport": (
        "async def test_untidy():\n"
        "    one, other = socket.socketpair()\n"
        "    await asyncio.open_connection(sock=one)\n"
        "    other.close()",
        "unclosed transport",
    ),
    "socket in a ring": (
        "def test_untidy():\n    one, other = socket.socketpair()\n    ring = [one, other]\n    ring.append(ring)",
        "unclosed <socket.socket",
    ),
    "file": ("def test_untidy(): Path('work.bundle').write_bytes(b'x')", "file work/work.bundle"),
    "temporary folder": ("def test_untidy(): tempfile.mkdtemp(prefix='left-')", "file tmp/left-"),
    "umask": ("def test_untidy(): os.umask(0o077)", "umask 0077"),
    "mount": (
        "def test_untidy():\n"
        "    Path('here').mkdir()\n"
        "    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', 'here'], check=True)",
        "mount ",
    ),
}
if os.geteuid() != 0:  # an ordinary user mounts in a namespace of its own, which ends with its processes
    del UNTIDY["mount"]

SHARED = """
@pytest.fixture(scope="session")
def process():
    made = [subprocess.Popen(["sleep", "600"])]
    yield made
    made[0].kill()
    made[0].wait()

@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as made:
        yield made

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def task():
    made = [asyncio.create_task(asyncio.sleep(600))]
    yield made
    made[0].cancel()

def test_shared(request):
    request.getfixturevalue("process"), request.getfixturevalue("folder")

@pytest.mark.asyncio(loop_scope="session")
async def test_shared_loop(task):
    await asyncio.to_thread(os.getpid)

def test_successor(process):
    process[0].kill()
    process[0].wait()
    process[0] = subprocess.Popen(["sleep", "600"])

@pytest.mark.asyncio(loop_scope="session")
async def test_successor_of_a_task(task):
    task[0].cancel()
    await asyncio.wait(task)
    task[0] = asyncio.create_task(asyncio.sleep(600))

class RequestHandler:
    async def start(self):  # as a shared server's connection, which ends its process when its client has left
        process = subprocess.Popen(["sleep", "600"])
        for _ in range(3):
            await asyncio.sleep(0.005)
        process.kill()
        process.wait()

@pytest.mark.asyncio(loop_scope="session")
async def test_connection_of_a_shared_server(task):
    task.append(asyncio.create_task(RequestHandler().start()))
    await asyncio.sleep(0)

@pytest.mark.asyncio(loop_scope="session")
async def test_after(process, folder, task):
    assert process[0].poll() is None
    assert not task[0].done()
"""


def run(folder: Path, program: str) -> tuple[int, str]:
    """Exit status and output of pytest."""
    (folder / "pytest.ini").write_text(SETTINGS)
    tests = folder / "tests"  # as here: what lies beside a conftest.py is not all that there is
    tests.mkdir()
    (tests / "conftest.py").write_text(CONFTEST)
    (tests / "test_it.py").write_text(f"{IMPORTS}{program}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", "tests"],
        env={**os.environ, "PYTHONPATH": str(SUPPORT), "PYTEST_ADDOPTS": ""},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


AFTER = "def test_NAME_is_gone(): assert os.listdir('.') == [] and os.listdir(tempfile.gettempdir()) == []"


def name_of(kind: str) -> str:
    return kind.replace(" ", "_")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of one run of all untidy tests, each with another one after it."""
    tests = [
        f"{untidy.replace('test_untidy', f'test_{name_of(kind)}')}\n{AFTER.replace('NAME', name_of(kind))}\n"
        for kind, (untidy, _) in UNTIDY.items()
    ]
    status, output = run(tmp_path_factory.mktemp("untidy"), "\n".join(["made = []", *tests, TIDY]))
    assert status == 1, output
    return output


@pytest.mark.parametrize("kind", UNTIDY)
def test_a_leftover_fails_its_own_test_by_name_and_the_next_begins_without_it(kind: str, output: str) -> None:
    test = f"test_{name_of(kind)}"
    told = output.partition(f"ERROR at teardown of {test} _")[2].partition("_____ ")[0]
    assert UNTIDY[kind][1].split("NUMBER")[-1] in told.partition("The test left behind:")[2], output
    assert f"ERROR tests/test_it.py::{test} - " in output
    assert f"PASSED tests/test_it.py::{test}_is_gone\n" in output, output


def test_no_other_test_fails(output: str) -> None:
    assert f"{2 * len(UNTIDY) + 2} passed, {len(UNTIDY)} errors" in output, output


def test_a_file_in_the_repository_itself_fails_the_run(tmp_path: Path) -> None:
    """Each test has another working folder, so whoever wrote it named the place; two tests may have run by then."""
    program = "def test_it(pytestconfig): (pytestconfig.rootpath / 'work.bundle').touch()"
    status, output = run(tmp_path, program)
    assert status == 1, output
    assert "The tests wrote into the repository: work.bundle" in output


def test_what_tests_share_is_no_leftover(tmp_path: Path) -> None:
    status, output = run(tmp_path, SHARED + TIDY)
    assert status == 0, output


WARM = """
from gitward.settings.environment import clean_environment
import warm_services
made = []

async def start(folder, *arguments):
    (folder / "sleeper.py").write_text("import sys, time; time.sleep(float(sys.argv[1]))")
    environment = clean_environment()
    return await warm_services.start(*arguments, module="sleeper", environment=environment, folder=folder, stderr=2)

async def test_tidy(tmp_path):
    service = await start(tmp_path, "0")
    assert await service.wait() == 0

async def test_untidy(tmp_path):
    made.append(await start(tmp_path, "600"))

def test_after(): pass
"""


def test_a_warm_service_is_a_leftover_and_its_nursery_is_none(tmp_path: Path) -> None:
    status, output = run(tmp_path, WARM)
    assert status == 1, output
    told = output.partition("ERROR at teardown of test_untidy _")[2].partition("The test left behind:")[2]
    assert "service_nursery.py" in told, output
    assert "3 passed, 1 error" in output, output
