"""What the description says of values and addresses is what the service does with them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api import make_api
from gitward.api import patterns
from gitward.api.field_types import Branch, Repository, Reviewer, Title
from gitward.api.request_shapes import InstructionIn
from gitward.sessions.model import Owner, is_id, new_id
from names_table import ILLEGAL_BRANCHES, ILLEGAL_REPOSITORIES, LEGAL_BRANCHES, LEGAL_REPOSITORIES
from tests_support import Backend

SHORT = 100  # characters; how long a text may be is said beside its pattern


def described(pattern: str, value: str) -> bool:
    """Whether an ECMA-262 pattern matches: its `$` is the very end."""
    return re.search(pattern.replace("$", r"\Z"), value) is not None


def accepted(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", [name for name in (*LEGAL_BRANCHES, *ILLEGAL_BRANCHES) if len(name) <= SHORT])
def test_the_pattern_of_branches_agrees_with_the_rule_on_nasty_names(name: str) -> None:
    assert described(patterns.BRANCH, name) == accepted(Branch, name)


@pytest.mark.parametrize("name", [*LEGAL_REPOSITORIES, *ILLEGAL_REPOSITORIES])
def test_the_pattern_of_repositories_agrees_with_the_rule_on_nasty_names(name: str) -> None:
    assert described(patterns.REPOSITORY, name) == accepted(Repository, name)


@given(st.text("aD.-_/@{~^:\\ \n\x00\x7fé0", max_size=12) | st.from_regex(r"(a|/|\.|\.lock|refs|@|\{|HEAD|-){1,6}"))
def test_the_pattern_of_branches_is_the_rule(value: str) -> None:
    assert described(patterns.BRANCH, value) == accepted(Branch, value)


@given(st.text("aZ0-_./", max_size=8) | st.from_regex(r"(a|-|_|/|\.|\.git|\.WIKI){1,6}"))
def test_the_pattern_of_repositories_is_the_rule(value: str) -> None:
    assert described(patterns.REPOSITORY, value) == accepted(Repository, value)


@given(st.text("aZ0-_./\n", max_size=8))
def test_the_pattern_of_reviewers_is_the_rule(value: str) -> None:
    assert described(patterns.REVIEWER, value) == accepted(Reviewer, value)


@given(st.sampled_from(["", "GIT_", "gh_", "GITHUB_", "Ld_", "GITX"]), st.text("aZ0_-=\n", max_size=6))
def test_the_pattern_of_variable_names_is_the_rule(prefix: str, rest: str) -> None:
    name = prefix + rest
    assert described(patterns.ENV_NAME, name) == accepted(InstructionIn, {"env": {name: "x"}})


@given(st.text(min_size=1, max_size=SHORT))
def test_a_title_that_is_accepted_is_described(value: str) -> None:
    """Not the other way round: characters that do not show are too many to list."""
    assert described(patterns.LINE, value) or not accepted(Title, value)


@pytest.mark.parametrize(("pattern", "prefix"), [(patterns.SESSION_ID, "ses"), (patterns.RUN_ID, "run")])
def test_the_patterns_of_ids_are_those_that_are_made(pattern: str, prefix: str) -> None:
    assert all(described(pattern, new_id(prefix)) for _ in range(100))
    for wrong in ("", "ses_", "x" * 20, f"{prefix}_{'i' * 16}", f"{prefix}_{'0' * 15}", f"{prefix}_{'0' * 17}"):
        assert not described(pattern, wrong)
        assert not is_id(wrong, prefix)


@pytest.mark.parametrize(
    ("seconds", "is_accepted"), [(60.0, True), (60.5, False), (float("inf"), False), (1e300, False)]
)
def test_a_whole_number_is_an_integer_however_it_is_written(seconds: float, is_accepted: bool) -> None:
    assert accepted(InstructionIn, {"timeout_seconds": seconds}) == is_accepted


async def test_a_refused_method_names_all_that_are_described(backend: Backend, alice: Owner) -> None:
    async with make_api(backend).client(alice) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        for path, operations in paths.items():
            answer = await client.put(path.format(session_id="x", run_id="y", schedule_id="z"))
            assert answer.status_code == 405
            assert answer.headers["Allow"].lower().split(", ") == sorted(operations, key=_order), path


async def test_links_lead_to_operations_and_fill_in_their_path(backend: Backend) -> None:
    async with make_api(backend).client() as client:
        paths: dict[str, Any] = (await client.get("/openapi.json")).json()["paths"]
    operations = {each["operationId"]: path for path, methods in paths.items() for each in methods.values()}
    created = [m["post"]["responses"]["201"] for m in paths.values() if "201" in m.get("post", {}).get("responses", {})]
    assert len(created) == 5
    for answer in created:
        assert answer["links"]
        for link in answer["links"].values():
            assert set(re.findall(r"{(\w+)}", operations[link["operationId"]])) == set(link["parameters"])


def _order(method: str) -> int:
    return ("get", "head", "post", "put", "patch", "delete").index(method)
