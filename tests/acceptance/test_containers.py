"""What a container must allow a worker: with it sandboxes work, without it a sentence names what is missing.

The container here is what the pod of a worker is: a user namespace of its own in which its user is the only one, a PID
namespace with a /proc of its own, no capability, and no way to one. Seccomp and AppArmor profiles are not here.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import wheels
from gitward.sandboxes.uids import has_account
from gitward.settings.environment import clean_environment
from wheels import Installed

SECONDS = 300.0  # bounds a hang
USER = 10001  # of deploy/Containerfile
NO_RIGHTS = ("setpriv", "--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all", "--bounding-set=-all")


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """In a folder that the container's user can read."""
    with wheels.installed() as made:
        yield made


@pytest.fixture
def folder(installed: Installed) -> Path:
    """The user's own."""
    made = Path(tempfile.mkdtemp(dir=installed.folder))
    if os.geteuid() == 0:
        os.chown(made, USER, USER)
    return made


async def in_a_container(
    installed: Installed, folder: Path, *arguments: str, first: str = "true"
) -> tuple[int | None, str]:
    """Exit code and output of gitward.

    :param first: what the container's maker does in it, with all rights there.
    """
    become: tuple[str, ...] = ()
    if os.geteuid() == 0:
        assert not has_account(USER)
        become = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    spaces = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--pid", "--fork", "--kill-child")
    prepared = ("bash", "-euc", f'{first}; exec "$@"', "-", *NO_RIGHTS, str(installed.program), *arguments)
    process = await asyncio.create_subprocess_exec(
        *(*become, *spaces, "--mount-proc", *prepared),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=clean_environment(
            HOME=str(folder), GITWARD_DATA_DIR=str(folder / "data"), GITHUB_TOKEN="ghp_" + "C0nta1ner" * 4
        ),
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_a_worker_in_a_container_as_the_manifests_make_it_opens_a_pull_request(
    installed: Installed, folder: Path
) -> None:
    code, out = await in_a_container(installed, folder, "demo")
    assert code == 0, out
    assert "Pull request: https://github.example/octocat/hello-world/pull/1" in out


async def test_a_proc_that_is_covered_in_part_is_told(installed: Installed, folder: Path) -> None:
    """As container engines do by default."""
    code, out = await in_a_container(installed, folder, "doctor", first="mount -t tmpfs tmpfs /proc/fs")
    assert code == 1
    [line] = [line for line in out.splitlines() if line.startswith("FAIL sandbox")]
    assert "In a container it must be allowed to mount /proc" in line
    assert "--security-opt systempaths=unconfined" in line


async def test_user_namespaces_that_are_refused_are_told(installed: Installed, folder: Path) -> None:
    code, out = await in_a_container(installed, folder, "doctor", first="echo 0 > /proc/sys/user/max_user_namespaces")
    assert code == 1
    [line] = [line for line in out.splitlines() if line.startswith("FAIL sandbox")]
    assert "User namespaces are closed" in line
    assert "--security-opt seccomp=unconfined" in line
