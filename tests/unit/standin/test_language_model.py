"""What the stand-in takes for work, and what for a call beside it."""

from __future__ import annotations

import json
from typing import Any

from gitward_standin.language_model.questions import Api, read
from gitward_standin.language_model.scripts import SIDE_ANSWER, side_answer

TURN: dict[str, Any] = {
    "model": "gpt-6.1-sol",
    "input": [{"role": "user", "content": "Add NOTES.md."}],
    "tools": [{"type": "custom", "name": "exec"}],
    "text": {"verbosity": "low"},
}
TITLE = TURN | {
    "text": {
        "verbosity": "low",
        "format": {
            **{"type": "json_schema", "strict": True, "name": "codex_output_schema"},
            "schema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
        },
    }
}


def test_the_title_that_codex_asks_for_is_no_work() -> None:
    """It offers tools, as the turn does. As work it did the turn's work again, while the run came to its end."""
    title = read(Api.RESPONSES, TITLE)
    assert title.is_side
    assert json.loads(side_answer(title).text) == {"title": SIDE_ANSWER}
    assert not read(Api.RESPONSES, TURN).is_side


def test_a_call_without_tools_is_answered_by_a_text() -> None:
    title = read(Api.RESPONSES, TURN | {"tools": []})
    assert title.is_side
    assert side_answer(title).text == SIDE_ANSWER
