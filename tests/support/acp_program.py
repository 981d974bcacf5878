"""A small program that speaks the Agent Client Protocol, and does what its prompt says: good things and bad ones.

It runs in the sandbox, with nothing but Python's own library. Its prompt is Python, with the functions below.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

Json = dict[str, Any]
SESSION = "conversation-1"
VERSION = "1.0"
forgotten: list[str] = []  # conversations that this program only says it resumed


def send(message: Json) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def receive() -> Json:
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message: Json = json.loads(line)
    return message


def update(name: str, /, **more: Any) -> None:
    tell({"sessionUpdate": name, **more})


def tell(value: Any, session: Any = SESSION) -> None:
    send({"method": "session/update", "params": {"sessionId": session, "update": value}})


def say(text: str, **more: Any) -> None:
    update("agent_message_chunk", content={"type": "text", "text": text}, **more)


def think(text: str) -> None:
    update("agent_thought_chunk", content={"type": "text", "text": text})


def edit(path: str, text: str) -> None:
    """Writes a file, and tells it as a tool call."""
    call = {"toolCallId": f"edit-{path}", "title": f"Edit {path}", "kind": "edit", "locations": [{"path": path}]}
    update("tool_call", **call, status="in_progress", rawInput={"path": path, "text": text})
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    content = [{"type": "diff", "path": path, "oldText": None, "newText": text}]
    update("tool_call_update", toolCallId=call["toolCallId"], status="completed", content=content)


def run(*argv: str) -> str:
    """Runs a command, and tells it as a tool call."""
    name = f"run-{time.monotonic_ns()}"
    update("tool_call", toolCallId=name, title=" ".join(argv), kind="execute", status="in_progress")
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    update(
        "tool_call_update",
        toolCallId=name,
        status="failed" if ended.returncode else "completed",
        content=[{"type": "content", "content": {"type": "text", "text": said}}],
    )
    return said


def ask(method: str, **params: Any) -> Json:
    """A request to the client; its answer."""
    send({"id": "asked", "method": method, "params": {"sessionId": SESSION, **params}})
    while "method" in (message := receive()):
        pass
    return message


def plan(*entries: str) -> None:
    update("plan", entries=[{"content": each, "priority": "high", "status": "pending"} for each in entries])


def until_cancelled() -> None:
    """Reads until `session/cancel` comes."""
    while receive().get("method") != "session/cancel":
        pass


def memory_file(session: str = SESSION) -> str:
    """Where an agent that remembers keeps the prompts of a conversation."""
    return os.path.join(os.environ["REMEMBERING_HOME"], "talks", f"{session}.jsonl")


def remembered() -> list[str]:
    """The prompts of this conversation, before this one."""
    with open(memory_file(), encoding="utf-8") as file:
        return [json.loads(line) for line in file][:-1]


def is_first(name: str) -> bool:
    """Whether nothing in this run has asked so before."""
    try:
        os.close(os.open(f"/workspace/{name}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def remember_late(text: str) -> None:
    """Answers first, and remembers a moment later; when the input ends before that, it is lost."""

    def write_down() -> None:
        time.sleep(0.1)
        with open(memory_file(), "a", encoding="utf-8") as file:
            file.write(json.dumps(text) + "\n")

    threading.Thread(target=write_down, daemon=True).start()


def resume(message: Json) -> None:
    session = message["params"]["sessionId"]
    if "locked" in sys.argv and is_first("locked"):
        send({"id": message["id"], "error": {"code": -32603, "message": "Internal error: the storage is locked"}})
        return
    if "replaces" in sys.argv:
        send({"id": message["id"], "result": {"sessionId": "conversation-2"}})
        return
    if "pretends" in sys.argv:
        forgotten.append(session)
        send({"id": message["id"], "result": {}})
        return
    if not os.path.exists(memory_file(session)):
        send({"id": message["id"], "error": {"code": -32602, "message": f"no conversation {session}"}})
        return
    if message["method"] == "session/load":
        tell({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "said before"}}, session)
    send({"id": message["id"], "result": {}})


def answer(prompt: Json) -> None:
    if forgotten:
        send({"id": prompt["id"], "result": {"stopReason": "refusal"}})
        return
    *notes, text = [block["text"] for block in prompt["params"]["prompt"]]
    if "REMEMBERING_HOME" in os.environ:
        os.makedirs(os.path.dirname(memory_file()), exist_ok=True)
        with open(memory_file(), "a", encoding="utf-8") as file:
            file.write(json.dumps(text) + "\n")
    names: Json = {**globals(), "stop": "end_turn", "id": prompt["id"], "note": "\n".join(notes)}
    exec(text, names)
    if names["stop"] is not None:
        send({"id": prompt["id"], "result": {"stopReason": names["stop"]}})


def main() -> None:
    while True:
        message = receive()
        match message.get("method"):
            case "initialize":
                if "hang" in sys.argv:
                    time.sleep(1000)
                result: Json = {"protocolVersion": 1, "agentInfo": {"name": "small", "version": VERSION}}
                can: Json = {"sessionCapabilities": {"resume": {}}} if "resumes" in sys.argv else {}
                can |= {"loadSession": "loads" in sys.argv}
                send({"id": message["id"], "result": {**result, "agentCapabilities": can}})
            case "session/resume" | "session/load":
                resume(message)
            case "session/new" if "signed-out" in sys.argv:
                send({"id": message["id"], "error": {"code": -32000, "message": "Authentication required"}})
            case "session/new":
                options = [{"id": "model", "category": "model", "type": "select", "currentValue": "m", "options": []}]
                send({"id": message["id"], "result": {"sessionId": SESSION, "configOptions": options}})
            case "session/prompt":
                answer(message)
            case "session/cancel":
                pass
            case _:
                if "id" in message:
                    send({"id": message["id"], "result": {}})


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main()
