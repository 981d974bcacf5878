"""One tree of errors, with one table to HTTP and one to exit codes.

GitwardError
├── SettingsError            the process cannot start: a setting is wrong
├── DatabaseUnavailable      the process cannot start now; later it may
├── RequestError             a caller's request is refused; `code` is part of the API
│   ├── Unauthenticated  Forbidden  NotFound  InvalidRequest  Conflict  IdempotencyKeyReused
│   └── TooLarge  TooManyRequests  Unavailable  Internal
├── RunFailure               a run ends `failed`; `reason` is part of the API
└── PolicyDenied             the broker refuses a request of the sandbox; `rule` names the rule
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """The `code` of a problem document (RFC 9457)."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    CONFLICT = "conflict"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    TOO_LARGE = "too_large"
    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


HTTP_STATUS: dict[Code, int] = {
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.INVALID_REQUEST: 422,
    Code.CONFLICT: 409,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_REQUESTS: 429,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}


class Reason(StrEnum):
    """Why a run failed."""

    TOKEN_MISSING = "token_missing"
    TOKEN_REJECTED = "token_rejected"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_LACKS_PERMISSION = "token_lacks_permission"
    SSO_REQUIRED = "sso_required"
    REPOSITORY_NOT_FOUND = "repository_not_found"
    REPOSITORY_ARCHIVED = "repository_archived"
    REPOSITORY_EMPTY = "repository_empty"
    BRANCH_NOT_FOUND = "branch_not_found"
    BRANCH_PROTECTED = "branch_protected"
    CLONE_FAILED = "clone_failed"
    SETUP_FAILED = "setup_failed"
    TASK_FAILED = "task_failed"
    WORK_NOT_ON_BRANCH = "work_not_on_branch"
    AGENT_UNAVAILABLE = "agent_unavailable"
    AGENT_FAILED = "agent_failed"
    MODEL_FAILED = "model_failed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    PUSH_REJECTED = "push_rejected"
    PULL_REQUEST_FAILED = "pull_request_failed"
    TIMED_OUT = "timed_out"
    RATE_LIMITED = "rate_limited"
    SANDBOX_FAILED = "sandbox_failed"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal"


class Exit(StrEnum):
    """Names of the exit codes of the command line; `EXIT_CODE` has their numbers."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    USAGE = "usage"
    CANCELLED = "cancelled"
    SERVER = "server"
    DETACHED = "detached"


EXIT_CODE: dict[Exit, int] = {
    Exit.SUCCEEDED: 0,
    Exit.FAILED: 1,
    Exit.USAGE: 2,
    Exit.CANCELLED: 3,
    Exit.SERVER: 4,
    Exit.DETACHED: 130,
}


class GitwardError(Exception):
    """Base of every error that Gitward raises on purpose. Its text is fit for a person and holds no secret."""


class SettingsError(GitwardError):
    """One line per wrong setting."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DatabaseUnavailable(GitwardError):
    """The database does not answer, or refuses. Unlike a wrong setting it may pass: a service manager tries again."""


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One rejected value of a request."""

    field: str  # dotted path into the body, or the name of the parameter or header
    message: str  # a sentence that says what is allowed


class RequestError(GitwardError):
    """A request is refused. `detail` is shown to the caller."""

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class Unauthenticated(RequestError):
    code = Code.UNAUTHENTICATED


class Forbidden(RequestError):
    code = Code.FORBIDDEN


class NotFound(RequestError):
    code = Code.NOT_FOUND


class InvalidRequest(RequestError):
    code = Code.INVALID_REQUEST


class Conflict(RequestError):
    code = Code.CONFLICT


class IdempotencyKeyReused(RequestError):
    code = Code.IDEMPOTENCY_KEY_REUSED


class TooLarge(RequestError):
    code = Code.TOO_LARGE


class TooManyRequests(RequestError):
    code = Code.TOO_MANY_REQUESTS


class Unavailable(RequestError):
    """The same request may succeed later."""

    code = Code.UNAVAILABLE

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), retry_after: int = 1) -> None:
        super().__init__(detail, errors=errors)
        self.retry_after = retry_after  # seconds


class Internal(RequestError):
    code = Code.INTERNAL


class RunFailure(GitwardError):
    """A run cannot succeed. `message` is one sentence that says what to do next."""

    def __init__(
        self, reason: Reason, message: str, *, exit_code: int | None = None, head_sha: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.exit_code = exit_code  # of the instruction's command
        self.head_sha = head_sha  # of work that was committed, though it could not be pushed


class PolicyDenied(GitwardError):
    """The broker refuses a request; `message` says what is allowed and lands in git's or gh's output."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
