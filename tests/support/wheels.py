"""The wheel of this checkout, and a folder of wheels with all that it needs: an installation without a network.

The others' wheels are made of what scripts/setup installed by the lock file, so they hold the very same files.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitward.settings.environment import clean_environment

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools" / "bin" / "uv"
LOCK = ROOT / "deploy" / "requirements.lock"
_OF_AN_INSTALLATION = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Where a wheel lies, with those that it needs beside it, and where it is installed."""

    wheel: Path
    house: Path
    program: Path
    folder: Path  # every user can pass through


@contextlib.contextmanager
def installed() -> Iterator[Installed]:
    """The wheel in a clean environment that every user can read, installed by pip."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-installed-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        house = folder / "house"
        house.mkdir()
        add_dependencies(house)
        wheel = build(house)
        python = folder / "clean" / "bin" / "python"
        checked(str(UV), "venv", "--quiet", "--python", os.path.realpath(sys.executable), str(folder / "clean"))
        pip = (sys.executable, "-m", "pip", "--isolated", "--python", str(python), "install", "--quiet", "--no-compile")
        checked(*pip, "--no-index", "--find-links", str(house), "gitward")
        yield Installed(wheel=wheel, house=house, program=python.with_name("gitward"), folder=folder)
    finally:
        shutil.rmtree(folder)


def checked(*argv: str) -> None:
    done = subprocess.run(argv, env=clean_environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)


def build(folder: Path, *, root: Path = ROOT, target: str = "wheel") -> Path:
    """By the build back end itself, which scripts/setup installed: a front end would fetch another one."""
    before = set(folder.iterdir()) if folder.exists() else set()
    argv = (sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder))
    done = subprocess.run(
        argv, cwd=root, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    [made] = set(folder.iterdir()) - before
    return made


def locked() -> dict[str, str]:
    """Name and version of every package that an installation may need; some are for other systems."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))


def add_dependencies(folder: Path) -> None:
    """A wheel for each package of the lock file that is for this system."""
    for name in locked():
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system; whatever is missing stops the installation
        _pack(distribution, folder)


def _pack(distribution: importlib.metadata.Distribution, folder: Path) -> None:
    record, told = distribution.read_text("RECORD"), distribution.read_text("WHEEL")
    assert record is not None
    assert told is not None
    rows = [row for row in csv.reader(io.StringIO(record)) if _belongs(row[0])]
    [of_record] = [row[0] for row in csv.reader(io.StringIO(record)) if row[0].endswith(".dist-info/RECORD")]
    tag = next(each for each in re.findall(r"^Tag: (\S+)", told, re.MULTILINE) if not each.startswith("py2-"))
    name = re.sub(r"[-_.]+", "_", distribution.metadata["Name"])
    with zipfile.ZipFile(folder / f"{name}-{distribution.version}-{tag}.whl", "w") as wheel:
        for path, _, _ in rows:
            wheel.write(str(distribution.locate_file(path)), path)
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([*rows, [of_record, "", ""]])
        wheel.writestr(of_record, out.getvalue())


def _belongs(path: str) -> bool:
    """Not what an installation adds: bytecode, and programs that are made of entry points."""
    outside = path.startswith(("../", "/"))
    return not (outside or path.endswith(".pyc") or path.rpartition("/")[2] in _OF_AN_INSTALLATION)
