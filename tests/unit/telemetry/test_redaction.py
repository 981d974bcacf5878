"""What a stream shows does not depend on how it was cut, and a secret is never in it."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitward.secrets import MASK, Secret, masked_forms
from gitward.telemetry.redaction import RedactedStream, Redactor

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
REPEATING = "xyzxyzxyzxyz"  # overlaps with itself
REDACTOR = Redactor([Secret(TOKEN), Secret(REPEATING), Secret("not-like-a-token")])

pieces_of_text = st.lists(
    st.sampled_from(
        [
            *(form for secret in (TOKEN, REPEATING) for form in masked_forms(Secret(secret))),
            TOKEN[:7].encode(),
            TOKEN[-7:].encode(),
            b"xyz",
            b"not-like-a-",
            b"not-like-a-token",
            b"ghp_",
            b"github_pat_",
            b"gho_" + b"A" * 30,
            b"github_pat_" + b"B_" * 40,
            b"ghs_1_" + b"aB-_." * 100,
            b"ghu_" + b"A.." * 10,
            b"...",
            b"-",
            b"C" * 300,
            b" ",
            b"\n",
            b"\r\t",
            b"word",
            b"=",
            b"\xff\x00",
        ]
    )
    | st.binary(max_size=5),
    max_size=12,
).map(b"".join)
# Where the text is cut, and whether the stream falls silent after each piece.
cuts = st.lists(st.tuples(st.integers(0, 2000), st.booleans()), max_size=8)


def streamed(text: bytes, places: list[tuple[int, bool]], redactor: Redactor = REDACTOR) -> bytes:
    """What a stream shows in all, when `text` comes in pieces."""
    stream = RedactedStream(redactor)
    ordered = sorted((min(place, len(text)), silent) for place, silent in places)
    bounds = [(0, False), *ordered, (len(text), False)]
    shown = []
    for (start, _), (end, silent) in pairwise(bounds):
        shown.append(stream.feed(text[start:end]))
        if silent:
            shown.append(stream.pause())
    return b"".join([*shown, stream.flush()])


@given(text=pieces_of_text, places=cuts)
@example(text=b"xyzxyzxyzxyzxyzxyz", places=[(15, True)])
@example(text=b"x" + TOKEN.encode(), places=[(4, True)])
@example(text=b"C" * 3000 + TOKEN.encode() + b"C" * 3000, places=[(3010, True)])
def test_any_cut_and_any_silence_shows_the_same(text: bytes, places: list[tuple[int, bool]]) -> None:
    assert streamed(text, places) == REDACTOR.mask(text)


@given(text=pieces_of_text, places=cuts)
def test_no_spelling_of_a_secret_is_ever_shown(text: bytes, places: list[tuple[int, bool]]) -> None:
    shown = streamed(text, places)
    for secret in (TOKEN, REPEATING, "not-like-a-token"):
        assert secret.encode() not in shown


@pytest.mark.parametrize("form", masked_forms(Secret(TOKEN)))
def test_every_spelling_is_masked_byte_by_byte_and_with_silence_after_each(form: bytes) -> None:
    for silent in (False, True):
        places = [(place, silent) for place in range(1, len(form) + 12)]
        assert streamed(b"before " + form + b" after", places) == b"before *** after"


@given(words=st.lists(st.text("abc-_./:=0", max_size=30), max_size=30), places=cuts)
def test_plain_text_passes_unchanged(words: list[str], places: list[tuple[int, bool]]) -> None:
    text = " ".join(words).encode()
    assert streamed(text, places) == text


@given(data=st.lists(st.binary(max_size=3000) | st.just(b"C" * 3000), max_size=10))
def test_what_is_held_back_stays_bounded(data: list[bytes]) -> None:
    """However long a word without end becomes, no more is held than two secrets may be long."""
    stream, fed, shown = RedactedStream(REDACTOR), 0, 0
    for piece in data:
        fed += len(piece)
        shown += len(stream.feed(piece.replace(b"xyz", b"...")))
        assert fed - shown <= 2 * REDACTOR.longest


def test_a_line_is_shown_when_it_ends() -> None:
    stream = RedactedStream(REDACTOR)
    assert stream.feed(b"one\ntwo\nthr") == b"one\ntwo\n"
    assert stream.feed(b"ee\n") == b"three\n"


def test_a_prompt_is_shown_when_the_stream_falls_silent() -> None:
    """But not what may become a secret."""
    stream = RedactedStream(REDACTOR)
    assert stream.feed(b"Password:") == b""
    assert stream.pause() == b"Password:"
    assert stream.feed(b"token=" + TOKEN[:20].encode()) == b""
    assert stream.pause() == b"token="
    assert stream.pause() == b""
    assert stream.feed(TOKEN[20:].encode()) + stream.flush() == b"***"


@pytest.mark.parametrize("prefix", ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"])
def test_a_token_that_nobody_told_us_is_masked_by_its_shape(prefix: str) -> None:
    text = f"url https://{prefix}{'a1B2' * 9}@github.com and x{prefix}{'a1B2' * 9}"
    assert Redactor().text(text) == "url https://***@github.com and x***"


def test_the_long_tokens_of_an_app_are_masked_to_their_end() -> None:
    """Since 2026: `ghs_`, the App's id, and something like a JWT."""
    token = f"ghs_300001_{'eyJ-' * 9}.{'x_Y-' * 100}.{'sig-' * 21}9"
    assert Redactor().text(f"It is {token}. Next: x{token}") == "It is ***. Next: x***"


def test_one_more_secret_is_masked_from_then_on_in_a_stream_that_has_begun() -> None:
    redactor = Redactor([Secret(TOKEN)])
    stream = RedactedStream(redactor)
    assert stream.feed(b"a new-secret-value ") == b"a new-secret-value "
    redactor.add(Secret("new-secret-value"))
    assert stream.feed(f"new-secret-value {TOKEN} ".encode()) == b"*** *** "


def test_words_that_only_resemble_a_token_stay() -> None:
    text = "ghp_short github_pat_ ghp-0123456789abcdefghij highlight ghx_0123456789abcdefghij"
    assert Redactor().text(text) == text


@given(secret=st.text("abcdefghij0123456789", min_size=8, max_size=60), before=st.binary(max_size=5))
def test_a_secret_inside_base64_is_masked(secret: str, before: bytes) -> None:
    shown = Redactor([Secret(secret)]).mask(base64.b64encode(before + secret.encode() + b"tail"))
    assert MASK.encode() in shown
    assert base64.b64encode(secret.encode())[4:-4] not in shown


def test_text_that_is_no_utf_8_is_kept_as_it_is() -> None:
    assert Redactor().text("a\ud800b") == "a\ud800b"


def test_a_redactor_without_secrets_takes_the_empty_secret() -> None:
    assert Redactor([Secret("")]).text("plain") == "plain"
