"""A service with the small agents of `agent_rig`, whose model is the stand-in."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent_rig import agent_rig
from gitward_standin.language_model import StandInModel, endless
from gitward_standin.language_model.server import GOOGLE, Asked
from rig import Json, Rig

KEY = "sk-CANARY-of-a-model-0123456789"
PRICES = {
    "date": "2026-11-29",
    "models": {"m-*": {"input": 100, "cached": 10, "output": 1000}, "dear": {"input": 10**6, "output": 10**6}},
}
# For a prompt: asks the model by one of the four APIs; its status.
HELPERS = """
import urllib.error, urllib.request
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GEMINI = "/v1beta/models/m-g:"
def model(path=CHAT, model="m-1", stream=True, seconds=60, read=None):
    words = [{"role": "user", "content": "Hello"}]
    body = {"model": model, "stream": stream, "messages": words, "input": "Hello", "max_tokens": 9}
    if path == CHAT and stream:
        body["stream_options"] = {"include_usage": True}
    if "/models/" in path:
        body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    host = "api.anthropic.com" if path == MESSAGES else "api.openai.com"
    host = "generativelanguage.googleapis.com" if "/models/" in path else host
    asked = urllib.request.Request(f"https://{host}{path}", json.dumps(body).encode())
    asked.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=seconds) as answer:
            answer.read(read)
            return answer.status
    except urllib.error.HTTPError as error:
        global refusal
        refusal = json.loads(error.read())
        return error.code
"""


@dataclass(frozen=True, kw_only=True)
class ModelHouse:
    service: Rig
    model: StandInModel

    def calm(self) -> None:
        """The model has been asked nothing, and answers."""
        self.model._plans.clear()
        self.model.asked.clear()
        self.model.more.clear()
        self.model.delay = 0
        self.model.script = endless
        self.model._numbers = itertools.count(1)


@asynccontextmanager
async def model_rig(*, warm: bool = False, **settings: str) -> AsyncIterator[ModelHouse]:
    """:param warm: as `agent_rig` takes it."""
    folder = Path(tempfile.mkdtemp(prefix="gitward-test-model-"))
    model = StandInModel(folder=folder, script=endless, key=KEY)
    await model.start()
    (folder / "prices.json").write_text(json.dumps(PRICES))
    try:
        around = {
            **{"GITWARD_INJECT": f"{GOOGLE} = x-goog-api-key: GEMINI_API_KEY", "GEMINI_API_KEY": KEY},
            **{"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY, "GITWARD_PRICES": str(folder / "prices.json")},
            **{"HTTPS_PROXY": model.proxy_url, "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": str(model.ca_file)},
        }
        async with agent_rig(None, warm=warm, **around, **settings) as service:
            yield ModelHouse(service=service, model=model)
    finally:
        await model.stop()
        shutil.rmtree(folder, ignore_errors=True)


def sent(asked: Sequence[Asked]) -> Json:
    """What the stand-in's answers said they used, as a run tells it."""
    usages = [each.usage for each in asked if each.usage is not None]
    return {
        "requests": sum(each.question is not None for each in asked),
        "input_tokens": sum(each.input for each in usages),
        "cached_tokens": sum(each.cached for each in usages),
        "output_tokens": sum(each.output for each in usages),
    }


def told(usage: Json) -> Json:
    """The same numbers of a run."""
    return {name: usage[name] for name in ("requests", "input_tokens", "cached_tokens", "output_tokens")}
