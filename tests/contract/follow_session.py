"""What a user of a generated client writes: create a session, follow it to its end, read what came of it.

Run by the generated client's own Python, where nothing of Gitward is installed. Reads {url, token, repo, command} from
standard input; writes what it saw, as JSON, to standard output.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx

# Made by the test, in the folder where this runs.
from gitward_client import AuthenticatedClient  # type: ignore[import-not-found]
from gitward_client.api.artifacts import bundle, diff, patch  # type: ignore[import-not-found]
from gitward_client.api.events import events  # type: ignore[import-not-found]
from gitward_client.api.sessions import create_session, get_run, get_session  # type: ignore[import-not-found]
from gitward_client.models import Problem, SessionIn, SessionOut  # type: ignore[import-not-found]


def follow(client: Any, session_id: str, run_id: str) -> int:
    """Waits for the run's end on the live stream, which ends with it; how many events came."""
    address, accept = f"/sessions/{session_id}/events", {"Accept": "text/event-stream"}
    with client.get_httpx_client().stream("GET", address, params={"run_id": run_id}, headers=accept) as stream:
        return sum(line.startswith("data: ") for line in stream.iter_lines())


def main(url: str, token: str, repo: str, command: str) -> dict[str, Any]:
    patience = httpx.Timeout(60)  # a stream is silent for up to 15 s
    made = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True, timeout=patience)
    with made as client:
        session = create_session.sync(client=client, body=SessionIn(repo=repo, command=command))
        assert isinstance(session, SessionOut), session
        run_id = session.runs[0].id
        streamed = follow(client, session.id, run_id)
        page = events.sync(session.id, client=client, run_id=run_id)
        unknown = get_session.sync("ses_0000000000000000", client=client)
        assert isinstance(unknown, Problem), unknown
        return {
            "session": get_session.sync(session.id, client=client).to_dict(),
            "run": get_run.sync(session.id, run_id, client=client).to_dict(),
            "events": [event.to_dict() for event in page.items],
            "streamed": streamed,
            "diff": diff.sync(session.id, client=client),
            "patch": patch.sync(session.id, client=client).payload.read().decode(),
            "bundle": bundle.sync(session.id, client=client).payload.read(12).decode(),
            "unknown": unknown.to_dict(),
        }


if __name__ == "__main__":
    print(json.dumps(main(**json.load(sys.stdin))))
