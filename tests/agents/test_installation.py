"""Programs are put in place whole, by their hash, or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from gitward.agents.built_in import BUILT_IN
from gitward.agents.catalogue import NODE, Agent, Package
from gitward.agents.installation import Installation, InstallationFailed
from gitward.settings import installers_environment

from .stage import PROGRAMS

LOCKS = Path(__file__).parents[2] / "src" / "gitward" / "agents" / "locks"
TINY = "isexe"  # a package of npm without others, which an agent's lock has too


class Site:
    """A folder of programs with a Node.js in it, and the lock of one small program."""

    def __init__(self, root: Path) -> None:
        self.root, self.told = root, list[str]()
        self.locks = root / "locks"
        shutil.copytree(LOCKS / NODE, self.locks / NODE)
        (root / "programs").mkdir()
        (root / "programs" / NODE).symlink_to(PROGRAMS / NODE)
        self.installation = Installation(
            folder=root / "programs", environment=installers_environment(), tell=self.told.append, locks=self.locks
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
