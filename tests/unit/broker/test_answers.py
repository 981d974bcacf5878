"""In which form an answer may be asked for, and what of an answer reaches the sandbox."""

from __future__ import annotations

import json

import pytest

from gitward.broker.policy.accept import Accepted, accepted, is_json
from gitward.broker.policy.answers import MAX_REWRITTEN, Form, Screen, UnfitAnswer
from gitward.errors import PolicyDenied

JSON = Form(content_type="application/json", charset="utf-8")
RAW = Form(content_type="application/vnd.github.raw")
SIGNED = {"download_url": "https://raw.githubusercontent.com/o/r/main/x?token=ABC", "name": "x"}


@pytest.mark.parametrize(
    ("sent", "header", "plain"),
    [
        ([], "application/vnd.github+json", False),
        (["*/*"], "*/*", False),
        (["application/json; q=0.5, */*;q=0.1"], "application/json, */*", False),
        (["Application/VND.github.V3+JSON"], "application/vnd.github+json", False),
        (["application/vnd.github.v3.diff; charset=utf-8"], "application/vnd.github.diff", True),
        (["application/vnd.github.v3.raw+json"], "application/vnd.github.raw+json", True),
        (["application/vnd.github.raw", "text/html"], "application/vnd.github.raw", True),
        # what gh 2.23 sends with every request
        (
            ["application/vnd.github.merge-info-preview+json, application/vnd.github.nebula-preview"],
            "application/vnd.github+json",
            False,
        ),
        (
            ["application/vnd.github.patch, application/vnd.github.corsair-preview"],
            "application/vnd.github.patch",
            True,
        ),
    ],
)
def test_what_is_asked_for(sent: list[str], header: str, plain: bool) -> None:
    assert accepted(sent) == Accepted(header=header, plain=plain)


@pytest.mark.parametrize(
    "sent",
    [
        "application/vnd.github.html",
        "application/vnd.github.v3.html+json",
        "application/vnd.github.full+json",
        "application/vnd.github.v4.idl",
        "application/vnd.github.x-preview.raw",
        "text/html",
        "application/octet-stream",
        'application/"json"',
        "application/vnd.github.raw\u00a0",
    ],
)
def test_other_forms_are_refused_with_those_that_are_allowed(sent: str) -> None:
    with pytest.raises(PolicyDenied) as denied:
        accepted([sent])
    assert denied.value.rule == "rest.accept"
    assert denied.value.message == (
        "answers are available as JSON, or as raw, diff, patch or sha (Accept: application/vnd.github.raw), not as "
        f"{sent}"
    )


def test_no_preview_goes_on_whatever_is_written_around_it() -> None:
    for sent in ("application/vnd.github.nebula-preview", "*/*, application/vnd.github.a-preview+json;q=1", "a,b, */*"):
        assert "preview" not in accepted([sent]).header


@pytest.mark.parametrize(
    ("content_type", "known"),
    [
        ("application/json", True),
        ("application/vnd.github+json", True),
        ("application/vnd.git-lfs+json", True),
        ("application/vnd.github.raw+json", False),  # a file as it is
        ("application/vnd.github.v3.raw+json", False),
        ("application/json-seq", False),
        ("application/x-ndjson", False),
        ("text/json", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_what_is_json(content_type: str, known: bool) -> None:
    assert is_json(content_type) is known


def test_an_answer_has_one_content_type() -> None:
    assert Form.of(['Application/JSON; Charset="UTF-8"']) == JSON
    assert Form.of([]) == Form(content_type="")
    with pytest.raises(UnfitAnswer):
        Form.of(["application/json", "text/plain"])


@pytest.mark.parametrize(
    "text",
    [
        'url = entry["download_url"]\n',
        'token = "temp_clone_token": "x"',
        '{"download_url": null, "temp_clone_token": ""}',
        '{"download_url": "https://example.org/x.zip"}  // no token in it',
        '[1, "download_url"',
        '{"download_url": "https://example.org/?token=1"',
        "\ufeff{}",
    ],
)
def test_a_text_is_passed_on_byte_by_byte(text: str) -> None:
    """Whatever it speaks of."""
    assert Screen([]).body(text.encode(), RAW) == text.encode()


def test_credentials_in_json_are_blanked_and_nothing_else_changes() -> None:
    text = (
        '{ "temp_clone_token" : "A\\"BC", "n": 1.50, "body": "\\"download_url\\": \\"x\\"", '
        '"of":\n[{"download_url":null}]}'
    )
    shown = Screen([]).body(text.encode(), JSON).decode()
    assert shown == text.replace('"A\\"BC"', '""').replace("null", '""')
    assert json.loads(shown)["body"] == '"download_url": "x"'
    plain = '{"body": "download_url, \\\\u0064", "browser_download_url": "https://x"}'
    assert Screen([]).body(plain.encode(), JSON) == plain.encode()


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"", JSON),
        (b'{"temp_clone_token": "AB', JSON),
        (b'{"temp_clone_token": "A"}\n{"temp_clone_token": "B"}', JSON),  # one value a line
        (b'\xef\xbb\xbf{"temp_clone_token": "A"}', JSON),
        (json.dumps(SIGNED).encode("utf-16"), JSON),
        (json.dumps(SIGNED).encode("utf-32-le"), JSON),
        (json.dumps(SIGNED).encode(), Form(content_type="application/json", charset="utf-7")),
        (b'{"download\\u005furl": "x"}', JSON),
        (b'{"x": "\\\\", "download\\u005Furl": "x"}', JSON),
        (b'{"temp_clone_token": "A", "more": "' + b"x" * MAX_REWRITTEN + b'"}', JSON),
        # a folder, where a file was asked for
        (json.dumps([SIGNED]).encode(), RAW),
        (b"  " + json.dumps({"temp_clone_token": "A"}).encode(), Form(content_type="text/plain")),
    ],
)
def test_what_cannot_be_passed_on_is_an_error(data: bytes, form: Form) -> None:
    """Never an empty success."""
    with pytest.raises(UnfitAnswer, match="GitHub's answer"):
        Screen([]).body(data, form)
