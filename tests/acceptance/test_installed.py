"""The wheel, installed in a clean environment without a network: all of it is there, and it works up to a pull request.

As root and as an ordinary user; a suite that an ordinary user runs has the second alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

import pytest

import wheels
from gitward import __version__
from gitward.commit import commit
from gitward.sandboxes.uids import has_account
from gitward.settings.environment import clean_environment
from wheels import Installed

SECONDS = 300.0  # bounds a hang
ORDINARY = next(uid for uid in range(34567, 35567) if not has_account(uid))
USERS = [os.geteuid(), ORDINARY] if os.geteuid() == 0 else [os.geteuid()]
PACKAGES = ("gitward", "gitward_standin")


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    with wheels.installed() as made:
        yield made


async def run(
    installed: Installed, *arguments: str, uid: int, program: tuple[str, ...] | None = None
) -> tuple[int | None, str]:
    """Exit code and all that was printed, as that user with a home of its own."""
    home = installed.folder / f"home-{uid}"
    if not home.exists():
        home.mkdir(mode=0o711)
        os.chown(home, uid, uid)
    token = "ghp_" + "1nsta11ed" * 4
    become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--")
    process = await asyncio.create_subprocess_exec(
        *(() if uid == os.geteuid() else become),
        *(program or (str(installed.program),)),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=home,
        env=clean_environment(HOME=str(home), GITWARD_DATA_DIR=str(home / "data"), GITHUB_TOKEN=token),
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


def test_every_file_of_the_packages_is_in_the_wheel(installed: Installed) -> None:
    """Templates, assets, migrations, locks of agents, schemas, scripts: and nothing else, but the commit."""
    source = wheels.ROOT / "src"
    here = {
        str(path.relative_to(source))
        for name in PACKAGES
        for path in (source / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in zipfile.ZipFile(installed.wheel).namelist() if ".dist-info/" not in name}
    assert inside - here == {"gitward/commit.txt"}
    assert here - inside == set()
    kinds = {Path(name).suffix for name in inside}
    assert {".html", ".css", ".js", ".svg", ".json", ".graphql", ".sh", ".mako", ".txt", ".typed"} <= kinds


def test_version_and_needs_are_those_of_the_project(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        [name] = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
        told = HeaderParser().parsestr(wheel.read(name).decode())
    assert told["Version"] == __version__
    needed = {re.split(r"[^\w-]", line)[0].lower() for line in told.get_all("Requires-Dist") or []}
    assert needed <= set(wheels.locked())


@pytest.mark.parametrize("uid", USERS)
async def test_it_tells_its_commit(installed: Installed, uid: int) -> None:
    code, out = await run(installed, "--version", uid=uid)
    assert (code, out) == (0, f"gitward {__version__} (commit {commit()})\n")
    assert zipfile.ZipFile(installed.wheel).read("gitward/commit.txt").decode() == f"{commit()}\n"


@pytest.mark.parametrize("uid", USERS)
async def test_the_doctor_finds_the_machine_fit(installed: Installed, uid: int) -> None:
    """What an ordinary user cannot have is told, with what would help. GitHub itself may be out of reach of tests."""
    _, out = await run(installed, "doctor", uid=uid)
    assert set(re.findall(r"^FAIL +(.+?)  ", out, re.MULTILINE)) <= {"GitHub"}, out
    assert "a command ran in bubblewrap" in out
    memory = re.search(r"^ok +limit: memory +(\w+): (.+)$", out, re.MULTILINE)
    assert memory is not None, out
    if memory[1] != "hard":
        assert memory[2].endswith(
            "(Run the worker as root where the memory cgroup is writable, or under systemd with `Delegate=memory` and "
            "`DelegateSubgroup=worker`.)"
        )


@pytest.mark.parametrize("uid", USERS)
async def test_the_demo_opens_its_pull_request(installed: Installed, uid: int) -> None:
    code, out = await run(installed, "demo", uid=uid)
    assert code == 0, out
    assert "Pull request: https://github.example/octocat/hello-world/pull/1" in out
    assert "NOT TRUE" not in out


async def test_uvx_runs_the_demo_without_an_installation(installed: Installed) -> None:
    uvx: tuple[str, ...] = (
        str(wheels.UV),
        "tool",
        "run",
        "--quiet",
        "--offline",
        "--no-index",
        "--find-links",
        str(installed.house),
    )
    uvx += ("--cache-dir", str(installed.folder / "cache"), "--python", os.path.realpath(sys.executable), "gitward")
    code, out = await run(installed, "demo", uid=os.geteuid(), program=uvx)
    assert code == 0, out
    assert "Pull request: https://github.example/octocat/hello-world/pull/1" in out


def test_a_wheel_of_the_source_archive_keeps_the_commit(installed: Installed, tmp_path: Path) -> None:
    """`uv build` makes its wheel so, where there is no git any more."""
    archive = wheels.build(tmp_path / "archive", target="sdist")
    wheels.checked("tar", "-xf", str(archive), "-C", str(tmp_path))
    [unpacked] = tmp_path.glob("gitward-*")
    again = wheels.build(tmp_path / "wheel", root=unpacked)
    assert zipfile.ZipFile(again).read("gitward/commit.txt").decode() == f"{commit()}\n"
    assert _names(again) == _names(installed.wheel)


def _names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())
