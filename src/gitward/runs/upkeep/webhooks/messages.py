"""What a target receives: the body in its format, signed by the rules of Standard Webhooks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from standardwebhooks import Webhook

from gitward.sessions.webhooks import Callback, Due, Format, MessageType

_MOST_TEXT = 1_000  # characters of a run's message in a chat


@dataclass(frozen=True, kw_only=True)
class Request:
    """A POST."""

    body: bytes
    headers: dict[str, str]


def request_for(due: Due, target: Callback, *, session_url: str, at: datetime) -> Request:
    """The message of a delivery, for its target, signed for this moment."""
    match target.format:
        case Format.STANDARD:
            kind, body = "application/json", _document(due, session_url)
        case Format.SLACK:
            kind, body = "application/json", _json({"text": _slack_text(due, session_url)})
        case Format.NTFY:
            kind, body = "text/plain; charset=utf-8", _sentence(due).encode()
    headers = {"Content-Type": kind, "User-Agent": "Gitward", **_signature(due, target, body, at)}
    if target.format is Format.NTFY:
        headers |= _ntfy_headers(due, session_url)
    return Request(body=body, headers=headers)


def _document(due: Due, session_url: str) -> bytes:
    """As Standard Webhooks wants it: type, timestamp, data."""
    delivery = due.delivery
    document = {
        "type": delivery.type,
        "timestamp": delivery.at.isoformat(),
        "data": {
            "session": {
                "id": delivery.session_id,
                "repo": due.repo,
                "branch": due.branch,
                "title": due.title,
                "url": f"{session_url}/{delivery.session_id}",
            },
            "run_id": delivery.run_id,
            **{name: value for name, value in delivery.data.items() if name != "run_id"},
        },
    }
    return _json(document)


def _signature(due: Due, target: Callback, body: bytes, at: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: `webhook-id` is the same for each try, so a receiver knows a second one."""
    headers = {"webhook-id": due.delivery.id, "webhook-timestamp": str(int(at.timestamp()))}
    if target.secret is not None:
        headers["webhook-signature"] = Webhook(target.secret).sign(due.delivery.id, at, body.decode())
    return headers


def _sentence(due: Due) -> str:
    data = due.delivery.data
    if due.delivery.type is MessageType.PULL_REQUEST_OPENED:
        return f"{due.repo}: pull request #{data.get('number')} for “{due.title}”"
    why = f" ({data['reason']})" if data.get("reason") else ""
    message = f": {data['message']}" if data.get("message") else ""
    return f"{due.repo}: “{due.title}” {data.get('state')}{why}{message}"[:_MOST_TEXT]


def _slack_text(due: Due, session_url: str) -> str:
    """Slack reads <…> as links and mentions; what came out of a run is text."""
    text = _sentence(due).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{text}\n<{_address(due, session_url)}|{'Pull request' if _pull_url(due) else 'Session'}>"


def _ntfy_headers(due: Due, session_url: str) -> dict[str, str]:
    failed = due.delivery.type is MessageType.NEEDS_ATTENTION
    return {
        "Title": "Gitward needs you" if failed else "Gitward",
        "Tags": "warning" if failed else "white_check_mark",
        "Click": _address(due, session_url),
    }


def _address(due: Due, session_url: str) -> str:
    return _pull_url(due) or f"{session_url}/{due.delivery.session_id}"


def _pull_url(due: Due) -> str | None:
    url = due.delivery.data.get("url")
    return url if isinstance(url, str) and url.startswith("https://") and url.isascii() and url.isprintable() else None


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
