"""Starts an agent, gives it one prompt over ACP, and prints what it says; as a program of its own, also in a sandbox.

Argument: a JSON object with `argv`, `cwd`, `mode`, `prompt`, `strict` where an error ends it, and `linger`, the seconds
that the agent may go on after its turn. Each line of output is a JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

_WISH = json.loads(sys.argv[1])
_AGENT = subprocess.Popen(_WISH["argv"], cwd=_WISH["cwd"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if message.get("id") == number and "method" not in message:
            answer = {"result": message.get("result"), "error": message.get("error")}
            print(json.dumps({"method": method, **answer}), flush=True)
            if answer["error"] is not None and _WISH.get("strict"):
                sys.exit(4)
            return message.get("result") or {}
        print(json.dumps({"told": message}), flush=True)
        if "id" in message:
            _reply(message)
    print(json.dumps({"method": method, "ended": _AGENT.wait()}), flush=True)
    sys.exit(3)


def _reply(message: dict[str, Any]) -> None:
    if message["method"] == "session/request_permission":
        options = message["params"]["options"]
        chosen = next(each["optionId"] for each in options if each["kind"].startswith("allow"))
        _send({"id": message["id"], "result": {"outcome": {"outcome": "selected", "optionId": chosen}}})
    else:
        _send({"id": message["id"], "error": {"code": -32601, "message": "method not found"}})


_call(
    "initialize",
    {
        "protocolVersion": 1,
        "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
        "clientInfo": {"name": "gitward", "version": "0"},
    },
)
_session = _call("session/new", {"cwd": _WISH["cwd"], "mcpServers": []})["sessionId"]
if _WISH["mode"]:
    _call("session/set_mode", {"sessionId": _session, "modeId": _WISH["mode"]})
_call("session/prompt", {"sessionId": _session, "prompt": [{"type": "text", "text": _WISH["prompt"]}]})
time.sleep(_WISH.get("linger", 0))
_AGENT.kill()
