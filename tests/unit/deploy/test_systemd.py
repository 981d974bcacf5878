"""The systemd unit: directives that systemd documents, settings that exist, and nothing that a sandbox cannot have."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gitward.settings.fields import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
UNIT, SETTINGS, COMMAND = DEPLOY / "gitward.service", DEPLOY / "settings", DEPLOY / "gitward"
# What we use of systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5) and systemd.resource-control(5).
DOCUMENTED = {
    "Unit": {"Description", "Wants", "After"},
    "Install": {"WantedBy"},
    "Service": {
        *("Type", "User", "Group", "ExecStart", "Environment", "EnvironmentFile", "StateDirectory"),
        *(
            "StateDirectoryMode",
            "RuntimeDirectory",
            "RuntimeDirectoryMode",
            "UMask",
            "Restart",
            "RestartSec",
            "RestartPreventExitStatus",
            "KillMode",
            "TimeoutStopSec",
            "LimitNOFILE",
        ),
        *("Delegate", "DelegateSubgroup", "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities"),
        *("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectClock", "ProtectKernelModules"),
        *("RestrictAddressFamilies", "RestrictRealtime", "LockPersonality", "SystemCallArchitectures"),
        *("SystemCallFilter", "SystemCallErrorNumber"),
    },
}
NOT_WITH_A_SANDBOX = {
    *("RestrictNamespaces", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc"),
    *("ProcSubset", "ProtectControlGroups", "MemoryDenyWriteExecute", "RestrictSUIDSGID", "PrivateUsers"),
    "PrivateNetwork",
}


def directives() -> dict[str, list[tuple[str, str]]]:
    """Of each section; a directive may stand there several times."""
    found: dict[str, list[tuple[str, str]]] = {}
    section = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            found[section] = []
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, line
            found[section].append((name, value))
    return found


def values(name: str) -> list[str]:
    return [value for each, value in directives()["Service"] if each == name]


def test_every_directive_is_documented() -> None:
    for section, lines in directives().items():
        assert {name for name, _ in lines} <= DOCUMENTED[section], section


def test_what_a_sandbox_needs_is_left_and_named() -> None:
    assert {name for name, _ in directives()["Service"]}.isdisjoint(NOT_WITH_A_SANDBOX)
    comment = UNIT.read_text().partition("# These stay as they are by default")[2]
    assert set(re.findall(r"\b[A-Z]\w+[A-Z]\w+\b", comment)) >= NOT_WITH_A_SANDBOX
    families = set(values("RestrictAddressFamilies")[0].split())
    assert families == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}  # those that a sandbox may open


def test_the_environment_has_settings_only() -> None:
    lines = [line.removeprefix("#") for line in SETTINGS.read_text().splitlines() if re.match(r"#?[A-Z_]+=", line)]
    names = [line.partition("=")[0] for line in lines]
    assert len(names) == 3
    [environment] = values("Environment")
    names += [each.partition("=")[0] for each in environment.split()]
    assert set(names) <= {str(field.alias) for field in Settings.model_fields.values()}
    assert f"GITWARD_DATA_DIR=%S/{values('StateDirectory')[0]}" in environment.split()


def test_commands_run_as_the_service_does() -> None:
    [file], [user], [group] = values("EnvironmentFile"), values("User"), values("Group")
    program = values("ExecStart")[0].partition(" ")[0]
    [command] = re.findall(r"^exec systemd-run (.*?)$", COMMAND.read_text().replace("\\\n", ""), re.MULTILINE)
    words = command.split()
    assert {f"--uid={user}", f"--gid={group}", f"--property=EnvironmentFile={file}"} <= set(words)
    assert {f"--property=UMask={values('UMask')[0]}", "--wait", "--pipe", "--pty", "--collect"} <= set(words)
    assert f"--setenv=GITWARD_DATA_DIR=/var/lib/{values('StateDirectory')[0]}" in words
    assert words[-3:] == ["--", program, '"${@//\\$/\\$\\$}"']
    assert COMMAND.stat().st_mode & 0o111 == 0o111


def test_a_stop_leaves_runs_their_time() -> None:
    """systemd's default would end the sandboxes first, in the middle of their work."""
    assert values("KillMode") == ["mixed"]
    assert int(values("TimeoutStopSec")[0]) > int(Settings.model_fields["grace_seconds"].default) + 30


@pytest.mark.slow  # it wants systemd's own tool, which a machine for writing may lack
def test_systemd_itself_accepts_it(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is needed: scripts/setup systemd-analyze:systemd"
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/gitward/bin/gitward", "/bin/true"))
    done = subprocess.run(
        (analyze, "verify", "--man=no", "--recursive-errors=no", str(unit)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if "'DelegateSubgroup'" not in line]  # new in systemd 254
    assert told == []
