"""The steps of deploy/Containerfile without a container engine: see scripts/container."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import minimal_machines

ROOT = Path(__file__).parents[1]
FILE = ROOT / "deploy" / "Containerfile"
# What `--cap-drop ALL --security-opt no-new-privileges` leaves.
_NO_RIGHTS = ("--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all", "--bounding-set=-all")
_UNSAID = {"EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "VOLUME"}  # they do nothing while an image is built


class Stage:
    """A root file system, and where its steps stand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder, self.user = "/", "0"
        self.variables: dict[str, str] = {}
        self.entrypoint: list[str] = []
        minimal_machines.make(root, "base-files")

    def run(self, *argv: str, user: str | None = None, rights: tuple[str, ...] = ()) -> None:
        become = ("setpriv", f"--reuid={user or self.user}", f"--regid={user or self.user}", "--clear-groups", *rights)
        line = ("env", f"--chdir={self.folder}", *become, *argv)
        variables = {**minimal_machines.environment("/root"), "DEBIAN_FRONTEND": "noninteractive", **self.variables}
        subprocess.run(minimal_machines.inside(self.root, *line), env=variables, check=True, stdin=subprocess.DEVNULL)


def carry_out(stages: dict[str, Stage], stage: Stage, name: str, rest: str) -> None:
    """One line of the file, which is not FROM."""
    if name == "RUN":
        stage.run("bash", "-euc", rest)
        if "ca-certificates" in rest:
            minimal_machines.trust(stage.root)
    elif name == "COPY":
        _copy(stages, stage, rest.split())
    elif name == "WORKDIR":
        stage.folder = rest
    elif name == "ENV":
        stage.variables |= dict(word.split("=", 1) for word in rest.split())
    elif name == "USER":
        stage.user = rest
    elif name in {"ENTRYPOINT", "CMD"}:
        stage.entrypoint += json.loads(rest)
    else:
        assert name in _UNSAID, name


def _copy(stages: dict[str, Stage], stage: Stage, words: list[str]) -> None:
    *options, source, target = words
    if options:
        origin = stages[options[0].removeprefix("--from=")].root / source.lstrip("/")
        shutil.copytree(origin, stage.root / target.lstrip("/"), symlinks=True)
    else:  # the context: what a clone has, with its .git
        subprocess.run(("git", "clone", "--quiet", str(ROOT), str(stage.root / target.lstrip("/"))), check=True)


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="gitward-container-", dir="/var/tmp"))
    began = time.monotonic()
    try:
        stages: dict[str, Stage] = {}
        stage: Stage | None = None
        for line in FILE.read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            print(f"container: {time.monotonic() - began:6.1f} s  {line}", flush=True)
            name, _, rest = line.partition(" ")
            if name == "FROM":
                label = rest.partition(" AS ")[2] or "last"
                stage = stages[label] = Stage(folder / label)
            else:
                assert stage is not None
                carry_out(stages, stage, name, rest)
        assert stage is not None
        assert stage.entrypoint == ["gitward", "serve"]
        stage.run("gitward", "--version", rights=_NO_RIGHTS)
        stage.run("gitward", "demo", rights=_NO_RIGHTS)
    finally:
        shutil.rmtree(folder)
    print(f"container: {time.monotonic() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
