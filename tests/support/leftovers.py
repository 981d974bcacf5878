"""What a test leaves behind fails that test, and no other.

Looked for: child processes, threads, tasks, transports and sockets that nobody closed, files in the working folder and
the folder of temporary files (each process of pytest has its own), mounts below it, and another umask. What a fixture
of a wider scope makes is known. What is left is named, then removed as far as possible, so that the next test begins
without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

SETTLE_SECONDS = 10.0  # for what has been told to end; most of it has ended when it is looked at
_REPLACED = frozenset({"process", "thread"})  # kinds of what a shared service starts again when it ends
_CONNECTIONS = frozenset({"RequestHandler.start"})  # tasks of a shared server, for connections that stay open

_UMASK = 0o022  # not the machine's: with 077 what a test makes for a sandbox's user is closed to it

parents: set[int] = set()  # processes that last as long as pytest; what they have forked is a test's all the same

Key = tuple[str, str]  # kind, and what tells it from others of its kind
Names = dict[Key, str]


class Leftovers:
    """Of one process of pytest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared: dict[str, asyncio.Runner] = {}  # loops that outlive a test, by their scope
        self._known: Names = {}
        self._known_tasks: set[asyncio.Task[Any]] = set()
        self._tasks: list[str] = []  # that the test left on a loop of its own
        self._vacant: Counter[str] = Counter()  # what was shared and ended right before the test: a successor may come

    def begin(self) -> None:
        self._tasks.clear()
        present, tasks = _present(self.folder), self._shared_tasks()
        gone = [name for key, name in self._known.items() if key not in present]
        came = [name for key, name in present.items() if key not in self._known]
        gone += [_coroutine(task) for task in self._known_tasks if task.done()]
        came += [_coroutine(task) for task in tasks - self._known_tasks]
        self._vacant = Counter(map(_command, gone)) - Counter(map(_command, came))
        self._known, self._known_tasks = present, tasks

    @contextlib.contextmanager
    def makes_what_stays(self) -> Iterator[None]:
        """What appears in this block belongs to no single test."""
        before, tasks = _present(self.folder), self._shared_tasks()
        yield
        after = _present(self.folder)
        self._known |= {key: name for key, name in after.items() if key not in before}
        self._known_tasks |= self._shared_tasks() - tasks

    def look_at_tasks(self, runner: asyncio.Runner) -> None:
        """To be called right before the loop of one test is closed."""
        self._tasks += _unended(runner, set())

    def found(self) -> list[str]:
        """The names of what the test has left; none of it is there any more, but for threads."""
        left = list(self._tasks)
        for runner in self.shared.values():
            left += _unended(runner, self._known_tasks, self._vacant)
        left += _garbage() + _umask()
        new = self._settled()
        left += sorted(new.values())
        for key in sorted(new, key=lambda key: key[0] != "mount"):  # a mount is removed before the file below it
            _remove(key)
        gc.freeze()  # what is there now is looked through no more: the next collection is quick
        return left

    def _settled(self) -> Names:
        """What is new, after what is about to end had the time to."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            present = _present(self.folder)
            new = {key: name for key, name in present.items() if key not in self._known}
            new = self._without_shared(new, {key: name for key, name in self._known.items() if key not in present})
            if time.monotonic() > deadline or all(kind in {"file", "mount"} for kind, _ in new):
                return new
            self._wait_a_moment()

    def _wait_a_moment(self) -> None:
        """The loops that tests share run meanwhile: a shared server may be about to end what served a connection."""
        for runner in self.shared.values():
            if not runner.get_loop().is_closed():
                runner.run(asyncio.sleep(0))
        time.sleep(0.005)

    def _without_shared(self, new: Names, gone: Names) -> Names:
        """Without threads of a shared loop's pool, and successors of shared processes and threads that have ended."""
        pools = [getattr(runner.get_loop(), "_default_executor", None) for runner in self.shared.values()]
        threads = {str(thread.ident) for pool in pools if pool is not None for thread in pool._threads}
        ended = self._vacant + Counter(_command(name) for (kind, _), name in gone.items() if kind in _REPLACED)
        left: Names = {}
        for key, name in new.items():
            if key[0] in _REPLACED and ended[_command(name)] > 0:
                ended[_command(name)] -= 1
            elif key[0] != "thread" or key[1] not in threads:
                left[key] = name
        return left

    def _shared_tasks(self) -> set[asyncio.Task[Any]]:
        return {task for runner in self.shared.values() for task in asyncio.all_tasks(runner.get_loop())}


def _present(folder: Path) -> Names:
    """What there is now and can be left behind."""
    found: Names = {}
    for parent in ("self", *parents):
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for pid in children.read_text().split():
                    found |= _process(pid)
    for thread in threading.enumerate():
        found["thread", str(thread.ident)] = f"thread {thread.name}"
    for place in ("work", "tmp"):
        for name in os.listdir(folder / place):
            found["file", str(folder / place / name)] = f"file {place}/{name}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(folder) in line:
            where = line.split()[4]
            found["mount", where] = f"mount {where}"
    return found


def _process(pid: str) -> Names:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200].strip()
    except OSError:
        return {}
    return {("process", f"{pid} {stat[19]}"): f"process {pid}: {command or 'ended, and nobody waited for it'}"}


def _command(name: str) -> str:
    """Of a process or thread, without numbers: those of descriptors differ between two starts."""
    return re.sub(r"[0-9]+", "", name)


def _unended(runner: asyncio.Runner, known: set[asyncio.Task[Any]], vacant: Counter[str] | None = None) -> list[str]:
    """Names of the tasks of the loop that do not end by themselves; they are cancelled."""
    loop = runner.get_loop()
    if loop.is_closed():
        return []

    async def settle() -> list[str]:
        for _ in range(3):  # closed transports tell their protocols
            await asyncio.sleep(0)
        left = {task for task in asyncio.all_tasks() - known - {asyncio.current_task()} if not _is_connection(task)}
        left = _without_successors(left, known, vacant or Counter())
        if left:
            _, left = await asyncio.wait(left, timeout=SETTLE_SECONDS)
        names = [f"task {task.get_name()}: {_coroutine(task)}{_waiting_at(task)}" for task in left]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=SETTLE_SECONDS)
        return names

    return runner.run(settle())


def _without_successors(
    tasks: set[asyncio.Task[Any]], known: set[asyncio.Task[Any]], vacant: Counter[str]
) -> set[asyncio.Task[Any]]:
    """Without those that do what a shared task did that has ended, as for a broker in place of one that crashed."""
    ended = vacant + Counter(_coroutine(task) for task in known if task.done())
    left = set()
    for task in tasks:
        if ended[_coroutine(task)] > 0:
            ended[_coroutine(task)] -= 1
        else:
            left.add(task)
    return left


def _waiting_at(task: asyncio.Task[Any]) -> str:
    """The innermost line of the program at which the task waits."""
    where = ""
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            where = f", waiting at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return where


def _coroutine(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", coroutine))


def _is_connection(task: asyncio.Task[Any]) -> bool:
    return _coroutine(task) in _CONNECTIONS


def _garbage() -> list[str]:
    """What Python says of things that nobody closed, as it collects them."""
    told: list[str] = []

    def tell(unraisable: sys.UnraisableHookArgs) -> None:
        told.append(f"{unraisable.exc_value or unraisable.exc_type}")

    before, sys.unraisablehook = sys.unraisablehook, tell
    try:
        gc.collect()
    finally:
        sys.unraisablehook = before
    return told


def _umask() -> list[str]:
    """What the next test would make is open or closed to others by it."""
    found = os.umask(_UMASK)
    return [] if found == _UMASK else [f"umask {found:04o}"]


def _remove(key: Key) -> None:
    kind, which = key
    if kind == "process":
        with contextlib.suppress(OSError):
            os.kill(int(which.split()[0]), signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(int(which.split()[0]), 0)
    elif kind == "mount":
        subprocess.run(["umount", "--lazy", which], check=False, capture_output=True, timeout=30)
    elif kind == "file":
        if os.path.isdir(which) and not os.path.islink(which):
            shutil.rmtree(which, ignore_errors=True)
        else:
            os.unlink(which)


_here: list[Leftovers] = []  # of this process, when tests run in it


@contextlib.contextmanager
def stays() -> Iterator[None]:
    """What appears in this block belongs to no single test, although one begins it."""
    with contextlib.ExitStack() as stack:
        for each in _here:
            stack.enter_context(each.makes_what_stays())
        yield


_KEY = pytest.StashKey[Leftovers]()
_BEFORE = pytest.StashKey[set[str]]()


def _of(config: pytest.Config) -> Leftovers:
    return config.stash[_KEY]


def pytest_sessionstart(session: pytest.Session) -> None:
    """A working folder and a folder of temporary files for this process alone; others may pass through both."""
    os.umask(_UMASK)
    if not hasattr(session.config, "workerinput"):
        session.config.stash[_BEFORE] = _at_the_root(session)
    if session.config.pluginmanager.hasplugin("dsession"):
        return  # xdist's controller runs no test
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # `tmp_path` stays where it is
    folder = Path(tempfile.mkdtemp(prefix="gitward-tests-"))
    folder.chmod(0o711)
    for name in ("work", "tmp"):
        (folder / name).mkdir(mode=0o711)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    (folder / "gitconfig").touch()  # nobody's own: a test that needs a name or an address gives one
    os.environ["GIT_CONFIG_GLOBAL"], os.environ["GIT_CONFIG_NOSYSTEM"] = str(folder / "gitconfig"), "1"
    os.chdir(folder / "work")
    session.config.stash[_KEY] = Leftovers(folder)
    _here.append(session.config.stash[_KEY])


def _at_the_root(session: pytest.Session) -> set[str]:
    """Of the repository, without what tools keep there."""
    return {name for name in os.listdir(session.config.rootpath) if not name.startswith((".", "__"))}


def pytest_sessionfinish(session: pytest.Session) -> None:
    before: set[str] | None = session.config.stash.get(_BEFORE, None)
    written = set() if before is None else _at_the_root(session) - before
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if written and reporter is not None:
        reporter.write_line(f"The tests wrote into the repository: {', '.join(sorted(written))}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if _KEY not in session.config.stash:
        return
    os.chdir(session.config.rootpath)
    folder = _of(session.config).folder
    tempfile.tempdir = str(folder.parent)
    os.environ["TMPDIR"] = str(folder.parent)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    _of(item.config).begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    leftovers = _of(request.config)
    runner = re.fullmatch(r"_(\w+)_scoped_runner", fixturedef.argname)
    if fixturedef.scope == "function":
        made = yield
        if runner and isinstance(made, asyncio.Runner):
            fixturedef.addfinalizer(_caller(leftovers.look_at_tasks, made))
        return made
    with leftovers.makes_what_stays():
        made = yield
    if runner and isinstance(made, asyncio.Runner):
        leftovers.shared[fixturedef.argname] = made
        fixturedef.addfinalizer(_caller(leftovers.shared.pop, fixturedef.argname))
    return made


def _caller(call: Callable[[Any], object], value: object) -> Callable[[], object]:
    return lambda: call(value)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    try:
        yield
    except BaseException:
        _of(item.config).found()  # what failed is told; what it left is not, but it goes
        raise
    left = _of(item.config).found()
    if left:
        pytest.fail("The test left behind:\n  " + "\n  ".join(left), pytrace=False)
