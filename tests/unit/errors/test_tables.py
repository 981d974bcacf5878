"""The tables from errors to HTTP and to exit codes are whole, and their words are the contract's."""

from __future__ import annotations

import pytest

from gitward import errors
from gitward.errors import EXIT_CODE, HTTP_STATUS, Code, Exit, Reason, RequestError


def subclasses(kind: type[RequestError]) -> set[type[RequestError]]:
    return {kind} | {each for child in kind.__subclasses__() for each in subclasses(child)}


def test_every_code_has_a_status_and_an_error_of_its_own() -> None:
    assert set(HTTP_STATUS) == set(Code)
    ours = [kind for kind in subclasses(RequestError) - {RequestError} if kind.__module__ == errors.__name__]
    assert sorted(kind.code for kind in ours) == sorted(Code)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("unauthenticated", 401),
        ("forbidden", 403),
        ("not_found", 404),
        ("invalid_request", 422),
        ("conflict", 409),
        ("idempotency_key_reused", 422),
        ("too_large", 413),
        ("too_many_requests", 429),
        ("unavailable", 503),
        ("internal", 500),
    ],
)
def test_the_codes_of_the_api_never_change(code: str, status: int) -> None:
    assert HTTP_STATUS[Code(code)] == status


def test_the_exit_codes_never_change() -> None:
    numbers = {Exit.SUCCEEDED: 0, Exit.FAILED: 1, Exit.USAGE: 2, Exit.CANCELLED: 3, Exit.SERVER: 4, Exit.DETACHED: 130}
    assert numbers == EXIT_CODE


def test_the_reasons_never_change() -> None:
    documented = """
        token_missing token_rejected token_expired token_lacks_permission sso_required repository_not_found
        repository_archived repository_empty branch_not_found branch_protected clone_failed setup_failed task_failed
            work_not_on_branch agent_unavailable agent_failed model_failed budget_exhausted push_rejected
        pull_request_failed timed_out rate_limited sandbox_failed worker_lost internal
    """
    assert set(documented.split()) == set(Reason)
    assert max(len(reason) for reason in Reason) <= 32  # the column's size


def test_one_line_of_a_settings_error_for_each_problem() -> None:
    error = errors.SettingsError(["A: is wrong", "B: is wrong too"])
    assert str(error).splitlines() == ["A: is wrong", "B: is wrong too"]
    assert error.problems == ("A: is wrong", "B: is wrong too")
