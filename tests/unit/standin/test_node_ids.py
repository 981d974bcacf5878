"""Node ids have GitHub's form, lead back to what they were made from, and nothing else passes for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward_standin.node_ids import PREFIXES, Key, decode, encode

parts = st.lists(st.one_of(st.integers(0, 2**63), st.text(min_size=1, max_size=60)), min_size=1, max_size=3)


@given(st.sampled_from(sorted(PREFIXES)), parts)
def test_an_id_leads_back_to_its_parts(typename: str, given_parts: list[int | str]) -> None:
    assert decode(encode(typename, *given_parts)) == Key(typename=typename, parts=tuple(given_parts))


@given(st.text(max_size=80))
def test_no_text_makes_it_fail(text: str) -> None:
    decode(text)


def test_the_form_is_githubs() -> None:
    assert encode("Repository", 1_296_269) == "R_kgDOABPHjQ"  # as documented for octocat/Hello-World
    assert encode("PullRequest", 1, 2).startswith("PR_kwDO")
    assert encode("Commit", 1, "a" * 40).startswith("C_kwDO")


def test_ids_of_the_old_form_are_known() -> None:
    old = base64.b64encode(b"010:Repository1296269").decode()
    assert old == "MDEwOlJlcG9zaXRvcnkxMjk2MjY5"
    assert decode(old) == Key(typename="Repository", parts=(1_296_269,))


@pytest.mark.parametrize("text", ["", "R_", "R_!!", "X_kgDOABPHjQ", "R_kgDOABPHjQAA", "MDA6", "_kgDOABPHjQ", "R_AAAA"])
def test_others_are_none(text: str) -> None:
    assert decode(text) is None
