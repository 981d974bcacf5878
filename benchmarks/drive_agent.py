"""Gives one agent one prompt over ACP, by hand. Argument: a JSON object with `argv`, `mode` and `prompt`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

_WISH = json.loads(sys.argv[1])
_AGENT = subprocess.Popen(_WISH["argv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
_numbers = iter(range(1, 1000))


def _send(message: dict[str, Any]) -> None:
    assert _AGENT.stdin is not None
    _AGENT.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    _AGENT.stdin.flush()


def _call(method: str, params: dict[str, Any]) -> dict[str, Any]:
    number = next(_numbers)
    _send({"id": number, "method": method, "params": params})
    assert _AGENT.stdout is not None
    for line in _AGENT.stdout:
        message = json.loads(line) if line.startswith(b"{") else {}
        if message.get("id") == number and "method" not in message:
            if "error" in message:
                sys.exit(f"{method}: {message['error']}")
            result: dict[str, Any] = message["result"]
            return result
        if "id" in message:
            options = message["params"].get("options", [])
            allowed = next((each["optionId"] for each in options if each["kind"].startswith("allow")), None)
            _send({"id": message["id"], "result": {"outcome": {"outcome": "selected", "optionId": allowed}}})
    sys.exit(f"{method}: the agent ended with {_AGENT.wait()}")


def main() -> None:
    capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
    _call("initialize", {"protocolVersion": 1, "clientCapabilities": capabilities})
    session = _call("session/new", {"cwd": os.getcwd(), "mcpServers": []})["sessionId"]
    if _WISH["mode"]:
        _call("session/set_mode", {"sessionId": session, "modeId": _WISH["mode"]})
    _call("session/prompt", {"sessionId": session, "prompt": [{"type": "text", "text": _WISH["prompt"]}]})
    _AGENT.kill()
    _AGENT.wait()


main()
