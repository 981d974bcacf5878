"""The real service with the real agents, beside a stand-in GitHub and a stand-in model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gitward.repositories.checkout import CHECKOUT_DIR
from gitward_standin.language_model import StandInModel, edit_and_answer
from rig import Client, Rig, rig

from .stage import KEY, PROGRAMS

IDLE_SECONDS = 300  # longer than any start on a busy machine
_QWEN = f"""
[agents.qwen]
title = "Qwen Code"
program = "{PROGRAMS}/qwen"
needs_node = true
argv = ["{{node}}", "{{program}}/node_modules/@qwen-code/qwen-code/cli.js", "--acp", "--auth-type", "openai"]
env = {{ QWEN_HOME = "{{folder}}", OPENAI_BASE_URL = "https://api.openai.com/v1", OPENAI_MODEL = "{{model}}" }}
hosts = ["api.openai.com"]
conversation = ["projects/**/chats/*.jsonl"]
mode = "yolo"
model = "qwen3-coder"
model_setting = "start"
"""


@dataclass(frozen=True, kw_only=True)
class House:
    service: Rig
    caller: Client
    model: StandInModel

    def calm(self) -> None:
        """The model does what it does at first, and has been asked nothing."""
        self.model._plans.clear()
        self.model.asked.clear()
        self.model.more.clear()
        self.model.delay = 0
        self.model.script = edit_and_answer(CHECKOUT_DIR)


@asynccontextmanager
async def house(idle_seconds: int = IDLE_SECONDS, *, default: str = "") -> AsyncIterator[House]:
    """All agents, ready.

    :param default: the agent for prompts that name none.
    """
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-model-"))
    folder.chmod(0o755)
    (folder / "agents.toml").write_text(f'default = "{default}"\n{_QWEN}' if default else _QWEN)
    model = StandInModel.demo(folder, checkout=CHECKOUT_DIR, key=KEY)
    await model.start()
    try:
        settings = {
            **{"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY, "GITWARD_AGENTS_DIR": str(PROGRAMS)},
            **{"HTTPS_PROXY": model.proxy_url, "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": str(model.ca_file)},
            **{"GITWARD_AGENTS_FILE": str(folder / "agents.toml"), "GITWARD_AGENT_IDLE_SECONDS": str(idle_seconds)},
            "GITWARD_AGENT_START_SECONDS": str(IDLE_SECONDS),
        }
        async with rig(None, None, **settings) as service, service.client() as caller:
            yield House(service=service, caller=caller, model=model)
    finally:
        await model.stop()
        shutil.rmtree(folder, ignore_errors=True)
