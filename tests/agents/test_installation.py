"""Programs are put in place whole, by their hash, or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitward.agents.built_in import BUILT_IN
from gitward.agents.catalogue import NODE, Agent, Package
from gitward.agents.installation import Installation, InstallationFailed
from gitward.settings.environment import installers_environment

from .stage import PROGRAMS

LOCKS = Path(__file__).parents[2] / "src" / "gitward" / "agents" / "locks"
TINY = "isexe"  # a package of npm without others, which an agent's lock has too


class Site:
    """A folder of programs with a Node.js in it, and the lock of one small program."""

    def __init__(self, root: Path, machine: str = platform.machine()) -> None:
        self.root, self.told = root, list[str]()
        self.locks = root / "locks"
        shutil.copytree(LOCKS / NODE, self.locks / NODE)
        (root / "programs").mkdir()
        (root / "programs" / NODE).symlink_to(PROGRAMS / NODE)
        self.installation = Installation(
            folder=root / "programs",
            environment=installers_environment(),
            tell=self.told.append,
            locks=self.locks,
            machine=machine,
        )
        known = json.loads((LOCKS / "codex" / "package-lock.json").read_text())["packages"][f"node_modules/{TINY}"]
        self.version = known["version"]
        self.agent = Agent(name="tiny", title="Tiny", argv=("x",), package=Package(name=TINY, version=self.version))
        self.lock(known["integrity"])

    def lock(self, integrity: str, **more: str) -> None:
        own = {"name": "tiny", "dependencies": {TINY: self.version}, **more}
        entry = {"version": self.version, "integrity": integrity}
        document = {"name": "tiny", "lockfileVersion": 3, "packages": {"": own, f"node_modules/{TINY}": entry}}
        place = self.locks / "tiny"
        place.mkdir(exist_ok=True)
        (place / "package.json").write_text(json.dumps(own))
        (place / "package-lock.json").write_text(json.dumps(document))

    @property
    def current(self) -> Path:
        return (self.root / "programs" / "tiny" / "current").resolve()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_program_is_installed_once(site: Site) -> None:
    assert site.installation.install([site.agent]) == ["tiny"]
    assert (site.current / "node_modules" / TINY / "package.json").is_file()
    assert site.installation.install([site.agent]) == []


def test_everybody_may_read_it_and_nobody_else_change_it(site: Site) -> None:
    before = os.umask(0o077)  # as it is in the service
    try:
        site.installation.install([site.agent])
    finally:
        os.umask(before)
    for path in [site.current, *site.current.rglob("*")]:
        mode = path.stat().st_mode
        assert mode & 0o022 == 0
        assert mode & 0o004
        assert not path.is_dir() or mode & 0o001


def test_one_that_is_not_what_was_locked_leaves_the_old(site: Site) -> None:
    site.installation.install([site.agent])
    before = site.current
    site.lock("sha512-" + "A" * 86 + "==", license="MIT")
    with pytest.raises(InstallationFailed, match="EINTEGRITY"):
        site.installation.install([site.agent])
    assert site.current == before
    assert (before / "node_modules" / TINY / "package.json").is_file()


def test_a_new_lock_is_a_new_version_and_the_old_stays_for_runs_that_use_it(site: Site) -> None:
    site.installation.install([site.agent])
    before = site.current
    lock = json.loads((site.locks / "tiny" / "package-lock.json").read_text())
    site.lock(lock["packages"][f"node_modules/{TINY}"]["integrity"], license="MIT")
    assert site.installation.install([site.agent]) == ["tiny"]
    assert site.current != before
    assert before.is_dir()


def test_what_an_interrupted_installation_left_is_no_obstacle(site: Site) -> None:
    site.installation.install([site.agent])
    whole = site.current
    (whole / "gitward-complete").unlink()
    part = whole.parent / f".{whole.name}.part"
    part.mkdir()
    (part / "half").write_text("x")
    assert site.installation.install([site.agent]) == ["tiny"]
    assert not part.exists()


@pytest.mark.parametrize(
    ("machine", "agent", "sentence"),
    [
        ("riscv64", "claude", "Node.js is locked for x86_64 and aarch64; this machine is riscv64."),
        ("aarch64", "opencode", "opencode is locked for x86_64; this machine is aarch64."),
    ],
)
def test_another_machine_is_refused_before_anything_is_fetched(
    tmp_path: Path, machine: str, agent: str, sentence: str
) -> None:
    site = Site(tmp_path, machine)
    with pytest.raises(InstallationFailed, match=re.escape(sentence)):
        site.installation.install([BUILT_IN["codex"], BUILT_IN[agent]])
    assert sorted(os.listdir(tmp_path / "programs")) == [NODE]
    assert site.told == []


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_lock_has_the_programs_of_each_machine_that_it_names(name: str, machine: str) -> None:
    package = BUILT_IN[name].package
    assert package is not None
    lock = json.loads((LOCKS / name / "package-lock.json").read_text())
    cpu = {"x86_64": "x64", "aarch64": "arm64"}[machine]
    built = [
        place
        for place, each in lock["packages"].items()
        if cpu in each.get("cpu", []) and "linux" in each.get("os", []) and "musl" not in each.get("libc", [])
    ]
    assert bool(built) == (machine in package.machines), built


def test_claude_is_installed_on_a_machine_without_node(tmp_path: Path) -> None:
    """By the command itself: Node.js comes from PyPI's wheel, and npm with it."""
    environment = {**installers_environment(), "PATH": "/nowhere", "GITWARD_AGENTS_DIR": str(tmp_path / "agents")}
    argv = (sys.executable, "-m", "gitward", "agents", "install", "claude")
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    node = tmp_path / "agents" / NODE / "current" / "bin" / "node"
    program = tmp_path / "agents" / "claude" / "current" / "node_modules" / "@agentclientprotocol/claude-agent-acp"
    package = json.loads((program / "package.json").read_text())
    said = subprocess.run((node, "--version"), env={}, capture_output=True, text=True, timeout=60, check=True)
    assert (said.stdout.strip(), package["version"]) == ("v24.19.0", "0.101.0")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_package_of_a_lock_has_its_hash_and_none_runs_a_script(name: str) -> None:
    lock = json.loads((LOCKS / name / "package-lock.json").read_text())
    packages = {place: each for place, each in lock["packages"].items() if place}
    package = BUILT_IN[name].package
    assert package is not None
    assert packages[f"node_modules/{package.name}"]["version"] == package.version
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert not [place for place, each in packages.items() if each.get("hasInstallScript")]
    assert not [place for place, each in packages.items() if "resolved" in each]
