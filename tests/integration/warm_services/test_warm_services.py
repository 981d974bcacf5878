"""A warm service is what `python -m gitward` would be, as far as `warm_services` promises."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import warm_services
from gitward.settings.environment import clean_environment
from rig import START_SECONDS, Rig, rig, warm_rig
from warm_services import WarmService

Json = dict[str, Any]

# What a process finds when it starts; with "wait" it then waits, and with "fail" it fails.
REPORT = """
import gc, json, locale, logging, os, random, signal, stat, sys, tempfile, threading, time

def opened(number):
    return stat.S_IFMT(os.fstat(number).st_mode)

listed = sorted(int(name) for name in os.listdir("/proc/self/fd"))
umask = os.umask(0)
report = {
    "environment": dict(os.environ),
    "descriptors": [number for number in listed if os.path.lexists(f"/proc/self/fd/{number}")],
    "kinds": [opened(number) for number in (0, 1, 2)],
    "input": sys.stdin.read(),
    "arguments": sys.argv,
    "path": sys.path[0],
    "folder": os.getcwd(),
    "umask": umask,
    "handlers": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "temporary": tempfile.gettempdir(),
    "zone": [time.tzname, time.localtime(0).tm_hour],
    "locale": locale.setlocale(locale.LC_ALL),
    "streams": [
        (each.encoding, each.errors, each.line_buffering, each.fileno(), each.closed)
        for each in (sys.stdin, sys.stdout, sys.stderr)
    ],
    "originals": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "collects": gc.isenabled(),
    "threads": threading.active_count(),
    "logging": [str(each) for each in logging.getLogger().handlers] + [logging.getLogger().level],
    "main": [__name__, __spec__.name, __package__],
}
print(json.dumps([report, random.random()]), flush=True)
print("to standard error", file=sys.stderr)
if "wait" in sys.argv:
    time.sleep(600)
if "fail" in sys.argv:
    raise ValueError("as it was told")
if "leave" in sys.argv:
    print("not flushed")
    sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "report.py").write_text(REPORT)
    return tmp_path


async def warm(
    folder: Path,
    *arguments: str,
    module: str = "report",
    log: str = "log",
    environment: Mapping[str, str] | None = None,
) -> WarmService:
    given = clean_environment() if environment is None else environment
    with (folder / log).open("ab") as errors:
        return await warm_services.start(
            *arguments, module=module, environment=given, folder=folder, stderr=errors.fileno()
        )


async def real(folder: Path, *arguments: str, environment: Mapping[str, str]) -> bytes:
    with (folder / "real.log").open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "report", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=environment,
            cwd=folder,
        )
        out, _ = await process.communicate()
    return out


async def output_of(service: WarmService) -> bytes:
    async with asyncio.timeout(START_SECONDS):
        out = await service.stdout.read()
        await service.wait()
    return out


def opened(pid: int) -> dict[str, str]:
    """Descriptors of a process, and what is behind them."""
    return {each.name: os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}


async def test_it_finds_what_a_process_finds_that_was_started(folder: Path) -> None:
    """All of it, but for what is different by chance."""
    (folder / "tmp").mkdir()
    environment = {**clean_environment(), "TZ": "Asia/Kolkata", "TMPDIR": str(folder / "tmp"), "GIVEN": "=ünïcode= "}
    os.umask(0o027)
    try:
        expected, chance = json.loads(await real(folder, "a", "b c", environment=environment))
        found, another = json.loads(await output_of(await warm(folder, "a", "b c", environment=environment)))
    finally:
        os.umask(0o022)
    assert found == expected
    assert found["environment"].items() >= environment.items()
    assert found["descriptors"] == [0, 1, 2]
    assert (folder / "log").read_text() == (folder / "real.log").read_text() == "to standard error\n"
    third, fourth = [json.loads(await output_of(await warm(folder))) for _ in range(2)]
    assert len({chance, another, third[1], fourth[1]}) == 4


async def test_nothing_of_the_nursery_is_open(folder: Path) -> None:
    """Nor of a service that it forked before."""
    before = await warm(folder, "wait")
    await before.stdout.readline()
    service = await warm(folder, "wait")
    await service.stdout.readline()
    [nursery] = warm_services._running
    held = set(opened(nursery.process.pid).values()) - {os.devnull}
    there = opened(service.pid)
    assert sorted(there) == ["0", "1", "2"]
    assert there["0"] == os.devnull
    assert not held & {there["1"], there["2"]}
    assert there["1"] != opened(before.pid)["1"]
    for each in (before, service):
        each.kill()
        assert await each.wait() == -signal.SIGKILL


async def test_it_ends_as_a_process_does(folder: Path) -> None:
    for status in (0, 3):
        service = await warm(folder, "leave", str(status))
        assert (await output_of(service)).endswith(b"not flushed\n")
        assert await service.wait() == service.returncode == status
    service = await warm(folder, "fail")
    await output_of(service)
    assert service.returncode == 1
    told = (folder / "log").read_text()
    assert "Traceback (most recent call last)" in told
    assert told.endswith("ValueError: as it was told\n")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_ends_it(folder: Path, sig: signal.Signals) -> None:
    service = await warm(folder, "wait")
    await service.stdout.readline()
    service.send_signal(sig)
    assert await service.wait() == service.returncode == -sig
    assert not Path(f"/proc/{service.pid}").exists(), "nobody waited for it"
    with pytest.raises(ProcessLookupError):
        service.send_signal(sig)


async def test_two_at_once_do_not_mix(folder: Path) -> None:
    names = [f"log-{number}" for number in range(8)]
    services = await asyncio.gather(
        *(warm(folder, name, log=name, environment={**clean_environment(), "WHO": name}) for name in names)
    )
    found = [json.loads(out)[0] for out in await asyncio.gather(*map(output_of, services))]
    assert [report["environment"]["WHO"] for report in found] == names
    assert [report["arguments"][1] for report in found] == names
    assert [(folder / name).read_text() for name in names] == ["to standard error\n"] * 8
    assert len({service.pid for service in services}) == 8


async def test_a_setting_that_is_wrong_is_told_as_by_a_real_start(folder: Path) -> None:
    service = await warm(folder, "serve", module="gitward", environment={**clean_environment(), "GITWARD_PORTS": "1"})
    assert await output_of(service) == b""
    assert service.returncode == 2
    assert (folder / "log").read_text() == "gitward: GITWARD_PORTS: there is no such setting; see docs/settings.md\n"


@pytest.mark.parametrize(("variable", "value"), [("PYTHONUTF8", "1"), ("LC_ALL", "tlh_QO")])
async def test_what_is_read_when_python_starts_is_refused(folder: Path, variable: str, value: str) -> None:
    with pytest.raises(AssertionError, match=f"{variable} is read when Python starts"):
        await warm(folder, environment={**clean_environment(), variable: value})


@pytest.fixture
async def own_nursery(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Any]]:
    """One that the test may kill: the tests of a process share the other."""
    own: list[Any] = []
    monkeypatch.setattr(warm_services, "_running", own)
    yield own
    warm_services.stop()


async def test_a_nursery_that_dies_fails_who_uses_it_and_the_next_has_another(
    folder: Path, own_nursery: list[Any]
) -> None:
    service = await warm(folder, "wait")
    await service.stdout.readline()
    [nursery] = own_nursery
    nursery.process.kill()
    with pytest.raises(AssertionError, match=r"the nursery of warm services ended \(exit status -9\)"):
        await service.wait()
    assert await service.stdout.read() == b"", "what it forked ended with it"
    assert service.returncode == -signal.SIGKILL
    nursery.process.wait()
    assert json.loads(await output_of(await warm(folder)))


async def in_order(service: Rig) -> None:
    """A session from its beginning to its end, then an end in order."""
    async with service.client() as client:
        session, run, _ = await client.run(await service.repository(), "echo changed > file.txt")
        assert (run["state"], run["changed"]) == ("succeeded", True), run
        assert (await client.get(f"/sessions/{session['id']}"))["state"] == "succeeded"
    assert await service.stop() == 0


# Read by every start of Python that has its folder in PYTHONPATH.
TELLS_ITS_MODULES = """
import atexit, pathlib, sys

def tell():
    if "gitward.cli.main" in sys.modules:
        pathlib.Path(__file__).with_name("modules").write_text("\\n".join(sys.modules))

atexit.register(tell)
"""


async def test_a_service_does_a_session_and_ends_in_order(folder: Path) -> None:
    """As one that was really started, which loads nothing more."""
    (folder / "sitecustomize.py").write_text(TELLS_ITS_MODULES)
    async with rig(PYTHONPATH=str(folder)) as started, warm_rig() as service:
        await asyncio.gather(in_order(started), in_order(service))
        assert "Traceback" not in service.log.read_text()
    loaded = {*(folder / "modules").read_text().split("\n")} - {"sitecustomize"}
    (folder / "report.py").write_text("import sys; print('\\n'.join(sys.modules))")
    assert loaded - {*(await output_of(await warm(folder))).decode().split("\n")} == set()
