"""A sealed value is never shown by accident, and every usual spelling of it can be found in output."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.secrets import MASK, SHORTEST, Secret, masked_forms, reveal

VALUE = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=SHORTEST, max_size=100)


@dataclasses.dataclass
class Holder:
    token: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        "{}".format,
        "{!r}".format,
        "{:>20}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 -- the old way is tested too
        lambda secret: f"{secret} {secret!r} {secret:s}",
        lambda secret: repr([secret, {"token": secret}, Holder(secret)]),
        lambda secret: repr(ValueError(secret)),
        lambda secret: str(KeyError(secret)),
    ],
)
def test_nothing_that_prints_a_secret_shows_it(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(VALUE))
    assert MASK in shown
    assert VALUE[4:12] not in shown


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, dataclasses.asdict])
def test_a_secret_is_not_pickled_copied_or_serialized(take: Callable[[object], object]) -> None:
    """The attempt fails, and its error does not show the value either."""
    taken = Holder(Secret(VALUE)) if take is dataclasses.asdict else Secret(VALUE)
    with pytest.raises(TypeError) as raised:
        take(taken)
    assert VALUE not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda secret: secret + "x",
        lambda secret: "x" + secret,
        lambda secret: "".join([secret]),
        lambda secret: secret[0],
        list,
        bytes,
        int,
        lambda secret: {secret: 1},
        len,
        lambda secret: "ghp" in secret,
    ],
)
def test_a_secret_is_no_text_and_says_so_without_telling_it(misuse: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as raised:
        misuse(Secret(VALUE))
    assert VALUE not in "".join(traceback.format_exception(raised.value))


def test_a_log_call_with_a_secret_shows_the_mask() -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "token %s %r", (Secret(VALUE), Secret(VALUE)), None)
    assert record.getMessage() == "token *** ***"


def test_secrets_compare_by_value_with_secrets_only() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE + "6")
    assert Secret(VALUE) != VALUE
    assert Secret("schlüssel-\udcff") == Secret("schlüssel-\udcff")


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("x")


def test_reveal_gives_the_value() -> None:
    assert reveal(Secret(VALUE)) == VALUE


def shows(secret: str, text: bytes) -> bool:
    return any(form in text for form in masked_forms(Secret(secret)))


@given(secret=printable, before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_base64_of_a_text_that_holds_the_secret_shows_one_of_its_forms(
    secret: str, before: bytes, after: bytes
) -> None:
    """Whatever stands before and after it, at each of the three offsets, in both alphabets."""
    text = before + secret.encode() + after
    assert shows(secret, base64.b64encode(text))
    assert shows(secret, base64.urlsafe_b64encode(text))
    assert shows(secret, base64.b64encode(text).rstrip(b"="))


@given(secret=printable, before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_hex_and_url_encoding_show_one_of_its_forms(secret: str, before: bytes, after: bytes) -> None:
    text = before + secret.encode() + after
    assert shows(secret, text)
    assert shows(secret, text.hex().encode())
    assert shows(secret, text.hex().upper().encode())
    assert shows(secret, quote(text, safe="").encode())


def test_git_s_own_header_is_a_form_of_its_own() -> None:
    """So that the whole of `Authorization: Basic …` is masked, not only its inner part."""
    sent = base64.b64encode(b"x-access-token:" + VALUE.encode()).rstrip(b"=")
    assert sent in masked_forms(Secret(VALUE))


def test_forms_come_longest_first_and_once() -> None:
    forms = masked_forms(Secret(VALUE))
    assert list(forms) == sorted(set(forms), key=lambda form: (-len(form), form))


def test_a_value_too_short_to_be_a_secret_has_no_forms() -> None:
    """Masking it would garble ordinary text."""
    assert masked_forms(Secret("x" * (SHORTEST - 1))) == ()
    assert masked_forms(Secret("x" * SHORTEST)) != ()


def test_a_value_with_bytes_that_are_no_utf_8_has_forms() -> None:
    """The environment gives such bytes as lone surrogates."""
    assert b"passwort-\xff" in masked_forms(Secret("passwort-\udcff"))
