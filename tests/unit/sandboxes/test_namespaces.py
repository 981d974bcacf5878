"""The calls a supervisor makes, each tried in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

IS_ROOT = os.geteuid() == 0
START = """
import json, os, signal, socket, sys
from gitward.sandboxes import namespaces
"""


def python(source: str) -> Any:
    """What a program prints, as JSON; without arguments or environment, as the launcher is."""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", START + source], capture_output=True, check=False, env={}, timeout=20
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


DROP = "namespaces.drop_to(61149)\n" if IS_ROOT else ""


def test_the_ids_map_to_themselves_and_to_nobody_else() -> None:
    maps = python(
        DROP
        + "namespaces.own_namespaces(network=True)\n"
        + "print(json.dumps([open(f'/proc/self/{n}').read().split() for n in ('uid_map', 'gid_map', 'setgroups')]))"
    )
    uid, gid = (61149, 61149) if IS_ROOT else (os.getuid(), os.getgid())
    assert maps == [[str(uid), str(uid), "1"], [str(gid), str(gid), "1"], ["deny"]]


def test_the_loopback_of_a_new_network_works_and_is_alone() -> None:
    source = """
namespaces.own_namespaces(network=True)
listener = namespaces.listen_on_loopback(443)
with socket.create_connection(('127.0.0.1', 443), timeout=5) as connection:
    print(json.dumps([[name for _, name in socket.if_nameindex()], connection.getpeername()[1]]))
"""
    assert python(DROP + source) == [["lo"], 443]


def test_the_network_can_be_left_as_it_is() -> None:
    source = """
before = os.stat('/proc/self/ns/net').st_ino
namespaces.own_namespaces(network=False)
print(json.dumps(os.stat('/proc/self/ns/net').st_ino == before))
"""
    assert python(DROP + source) is True


@pytest.mark.parametrize("attempt", ["os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "os.seteuid(0)"])
def test_who_has_dropped_does_not_come_back(attempt: str) -> None:
    source = f"""
try:
    {attempt}
except PermissionError:
    print(json.dumps([os.getresuid()[0] != 0, open('/proc/self/uid_map', 'r+') is not None]))
"""
    assert python(DROP + source) == [True, True]


def test_a_process_that_follows_a_parent_which_is_gone_does_not_go_on() -> None:
    source = """
try:
    namespaces.follow_parent(signal.SIGKILL, 1 if os.getppid() != 1 else 2)
except ProcessLookupError as error:
    print(json.dumps(str(error)))
"""
    assert "has ended" in python(source)


def test_a_port_can_be_taken_once() -> None:
    source = """
namespaces.own_namespaces(network=True)
first = namespaces.listen_on_loopback(443)
try:
    namespaces.listen_on_loopback(443)
except OSError as error:
    print(json.dumps(error.strerror))
"""
    assert python(DROP + source) == "Address already in use"
