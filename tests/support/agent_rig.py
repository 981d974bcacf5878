"""A service that has small agents of the tests' own, which do what a prompt says: see `acp_program`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import acp_program
from rig import Rig, rig, warm_rig

AGENTS = """
default = "small"

[agents.small]
title = "Small"
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py"]
mode = "everything"
model_setting = "option"

[agents.remembering]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "resumes"]
env = { REMEMBERING_HOME = "{own}" }
files = { "settings.json" = "ours" }
conversation = ["talks/*.jsonl"]

[agents.loading]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "loads"]
env = { REMEMBERING_HOME = "{own}" }
conversation = ["talks/*.jsonl"]

[agents.locked]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "resumes", "locked"]
env = { REMEMBERING_HOME = "{own}" }
conversation = ["talks/*.jsonl"]

[agents.replacing]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "resumes", "replaces"]
env = { REMEMBERING_HOME = "{own}" }
conversation = ["talks/*.jsonl"]

[agents.pretending]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "resumes", "pretends"]
env = { REMEMBERING_HOME = "{own}" }
conversation = ["talks/*.jsonl"]

[agents.hanging]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "hang"]

[agents.signed-out]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py", "signed-out"]

[agents.broken]
program = "{folder}"
argv = ["/usr/bin/python3", "-c", "import sys; sys.exit('no such module: left-pad')"]

[agents.absent]
program = "{folder}"
argv = ["{program}/no-such-program"]

[agents.keyed]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py"]
hosts = ["api.openai.com"]

[agents.keyless]
program = "{folder}"
argv = ["/usr/bin/python3", "{program}/acp_program.py"]
hosts = ["api.anthropic.com"]

[agents.gone]
program = "{folder}/no-such-folder"
argv = ["{program}/x"]
"""


@contextmanager
def agents_file() -> Iterator[Path]:
    """A file for GITWARD_AGENTS_FILE, in a folder that a sandbox's own user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-agents-"))
    try:
        folder.chmod(0o755)
        shutil.copy(acp_program.__file__, folder)
        (folder / "agents.toml").write_text(AGENTS.replace("{folder}", str(folder)).replace("{own}", "{folder}"))
        yield folder / "agents.toml"
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def agent_rig(
    disks: Mapping[str, int | str] | None = None, *, warm: bool = False, **settings: str
) -> AsyncIterator[Rig]:
    """:param disks: as `rig` takes them.
    :param warm: as `warm_rig`; without disks, then.
    """
    with agents_file() as path:
        around = {"GITWARD_AGENTS_FILE": str(path), **settings}
        async with warm_rig(None, **around) if warm else rig(None, disks, **around) as made:
            yield made
