"""What bubblewrap is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitward.sandboxes import Limits
from gitward.sandboxes.plan import CA_BUNDLE, CA_VARIABLES, Plan
from gitward.sandboxes.supervisor_requests import Build, PrepareRequest, StartRequest
from gitward.sandboxes.walls import ALL_WALLS, Wall


def plan(*, without: frozenset[Wall] = frozenset(), tools: tuple[Path, ...] = ()) -> Plan:
    return Plan(
        work=Path("/data/work"),
        home=Path("/data/home"),
        etc=Path("/data/etc"),
        etc_bound=(Path("/etc/alternatives"),),
        limits=Limits(tmp_bytes=12345678, processes=77, file_bytes=999),
        tool_paths=tools,
        walls=ALL_WALLS - without,
    )


def options(**more: object) -> list[str]:
    return list(plan(**more).options())  # type: ignore[arg-type]  # test shorthand


def after(found: list[str], *sought: str) -> int:
    """Where a run of options stands."""
    for place in range(len(found)):
        if tuple(found[place : place + len(sought)]) == sought:
            return place
    raise AssertionError(f"{sought} is not in {found}")


@pytest.mark.parametrize(
    "sought",
    [
        ("--unshare-user", "--uid", "1000", "--gid", "1000"),
        ("--disable-userns",),
        ("--unshare-pid",),
        ("--unshare-ipc",),
        ("--unshare-uts", "--hostname", "sandbox"),
        ("--unshare-cgroup-try",),
        ("--new-session",),
        ("--die-with-parent",),
        ("--cap-drop", "ALL"),
        ("--ro-bind", "/usr", "/usr"),
        ("--ro-bind", "/data/etc", "/etc"),
        ("--ro-bind", "/etc/alternatives", "/etc/alternatives"),
        ("--proc", "/proc"),
        ("--dev", "/dev"),
        ("--perms", "1777", "--size", "12345678", "--tmpfs", "/tmp"),
        ("--perms", "1777", "--size", "12345678", "--tmpfs", "/dev/shm"),
        ("--perms", "0755", "--size", "12345678", "--tmpfs", "/run"),
        ("--bind", "/data/work", "/workspace"),
        ("--bind", "/data/home", "/home/gitward"),
        ("--remount-ro", "/dev", "--remount-ro", "/"),
        ("--clearenv",),
        ("--setenv", "USER", "gitward"),
        ("--chdir", "/"),
    ],
    ids=" ".join,
)
def test_every_sandbox_asks_for(sought: tuple[str, ...]) -> None:
    after(options(), *sought)


def test_nothing_is_bound_writable_but_the_two_folders() -> None:
    found = options(tools=(Path("/opt/tool"),))
    assert [found[place + 2] for place, option in enumerate(found) if option == "--bind"] == [
        "/workspace",
        "/home/gitward",
    ]
    assert not {"--dev-bind", "--share-net", "--cap-add", "--bind-try"} & set(found)


def test_what_is_mounted_later_hides_nothing() -> None:
    """A tool folder below /tmp stands on the tmpfs, and the root is sealed when everything is in place."""
    found = options(tools=(Path("/tmp/tools"),))
    assert after(found, "--tmpfs", "/tmp") < after(found, "--ro-bind", "/tmp/tools", "/tmp/tools")
    assert after(found, "--dev", "/dev") < after(found, "--tmpfs", "/dev/shm")
    sealed = after(found, "--remount-ro", "/")
    assert not {"--bind", "--ro-bind", "--tmpfs", "--dir", "--symlink"} & set(found[sealed:])


@pytest.mark.parametrize("wall", Wall)
def test_each_wall_is_seen_in_what_is_asked_for(wall: Wall) -> None:
    """Those of bubblewrap in its options, the kernel's in the limits; the rest belong to the supervisor."""
    whole, less = plan(), plan(without=frozenset({wall}))
    supervisors = {
        *(Wall.UNPRIVILEGED_USER, Wall.NETWORK, Wall.OPTIONS_HIDDEN, Wall.DESCRIPTORS_CLOSED),
        *(Wall.KEYS_FORGOTTEN, Wall.SYSTEM_CALLS),
        *(Wall.ENDS_ALL, Wall.TIME, Wall.MEMORY_LIMIT, Wall.DISK_LIMIT),
    }
    changed = whole.options() != less.options() or whole.rlimits() != less.rlimits()
    assert changed is (wall not in supervisors)


def test_tool_folders_come_first_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "with/bin").mkdir(parents=True)
    (tmp_path / "without").mkdir()
    path = plan(tools=(tmp_path / "with", tmp_path / "without")).environment()["PATH"]
    assert path.split(":")[:2] == [str(tmp_path / "with/bin"), str(tmp_path / "without")]


def test_every_tool_finds_the_ca() -> None:
    environment = plan().environment()
    assert {environment[name] for name in CA_VARIABLES} == {CA_BUNDLE}


def test_limits_of_the_kernel() -> None:
    assert dict(plan().rlimits()) == {"NPROC": 77, "FSIZE": 999, "NOFILE": 8192, "CORE": 0}


def test_requests_survive_the_channel() -> None:
    build = Build(bwrap="/usr/bin/bwrap", rlimits=(("CORE", 0),))
    prepare = PrepareRequest(uid=61000, cgroup="/c", network=True, ports=(443, 80), build=build, follows=True)
    start = StartRequest(
        claim="/claim",
        timeout_seconds=1.5,
        memory_bytes=None,
        disk_bytes=7,
        disk_paths=("/a",),
        ends_all=False,
    )
    assert PrepareRequest.of(json.loads(json.dumps(prepare.message()))) == prepare
    assert StartRequest.of(json.loads(json.dumps(start.message()))) == start
