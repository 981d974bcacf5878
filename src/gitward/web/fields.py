"""Fields of a form as the body that the API would get: what is empty is left out."""

from __future__ import annotations

from typing import Any

from gitward.sessions.model import Budget
from gitward.web.signing_in.forms import Form

Json = dict[str, Any]
BUDGET = ("requests", "tokens", "usd", "seconds")


def session_fields(form: Form) -> Json:
    """Of a new session."""
    body: Json = {"repo": form.get("repo", "").strip(), **run_fields(form)}
    for name in ("target_branch", "branch", "title", "environment"):
        if form.get(name, "").strip():
            body[name] = form.get(name, "").strip()
    if form.get("setup", "").strip():
        body["setup"] = form.get("setup", "").replace("\r\n", "\n")
    if form.get("allow_workflows", ""):
        body["allow_workflows"] = True
    return body


def run_fields(form: Form) -> Json:
    """Of an instruction. Of a prompt only what belongs to one, and the same of a command."""
    body: Json = {}
    text = form.get("text", "").replace("\r\n", "\n")
    kind = "prompt" if form.get("kind", "") == "prompt" else "command"
    if text.strip():
        body[kind] = text
    if "prompt" in body:
        for name in ("agent", "model"):
            if form.get(name, "").strip():
                body[name] = form.get(name, "").strip()
        budget = _budget(form)
        if budget:
            body["budget"] = budget
    minutes = _number(form.get("timeout_minutes", ""))
    if minutes is not None:
        body["timeout_seconds"] = minutes * 60 if isinstance(minutes, int) else minutes
    if form.get("mode", ""):
        body["publish"] = {"mode": form.get("mode", "")}
    return body


def budget_texts(form: Form) -> dict[str, str]:
    """What was written into the fields of a budget."""
    return {name: form.get(f"budget_{name}", "") for name in BUDGET}


def budget_of(budget: Budget | None) -> dict[str, str]:
    """The fields of a budget as they stand before somebody writes."""
    values = {name: None if budget is None else getattr(budget, name) for name in BUDGET}
    return {
        name: "" if value is None else f"{value:g}" if name == "usd" else str(value) for name, value in values.items()
    }


def _budget(form: Form) -> Json:
    found = {name: _number(form.get(f"budget_{name}", "")) for name in BUDGET}
    return {name: value for name, value in found.items() if value is not None}


def _number(text: str) -> int | float | str | None:
    """The number that is meant; what is none stays as it is, for the refusal to name."""
    text = text.strip().replace(",", "").replace(" ", "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
