"""No secret reaches the log by any part of a record, and a record is one line."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gitward.secrets import Secret
from gitward.telemetry.logs import LineFormatter
from gitward.telemetry.redaction import RedactingFilter

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
SECRET = "a-secret-without-a-shape"


class Log:
    """A logger as `setup_logging` makes them, into a string."""

    def __init__(self) -> None:
        self._written = io.StringIO()
        self.filter = RedactingFilter()
        self.filter.know([Secret(SECRET)])
        handler = logging.StreamHandler(self._written)
        handler.addFilter(self.filter)
        handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
        self.logger = logging.Logger("test")
        self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        return self._written.getvalue()


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    assert SECRET not in log.text
    assert TOKEN not in log.text


def fail() -> None:
    try:
        raise KeyError(f"inner {SECRET}")
    except KeyError as error:
        raise ValueError(f"outer {TOKEN}") from error


def test_the_message_and_its_arguments_are_masked(log: Log) -> None:
    log.logger.info(f"in the message: {SECRET}")
    log.logger.info("as an argument: %s, in a list: %s, by name", TOKEN, [SECRET])
    log.logger.info("by name: %(token)s", {"token": TOKEN})
    assert log.text.count("***") == 4


def test_tracebacks_are_masked_with_their_causes(log: Log) -> None:
    try:
        fail()
    except ValueError:
        log.logger.exception("It failed")
    assert "ValueError: outer ***" in log.text
    assert "KeyError: 'inner ***'" in log.text


def test_stacks_are_masked(log: Log) -> None:
    """The stack quotes the line of source that logs."""
    log.logger.warning("Where?", stack_info=True)  # ghp_0123456789abcdefghijABCDEFGHIJ012345
    assert "Stack (most recent call last)" in log.text
    assert "# ***" in log.text


def test_a_call_that_cannot_be_formatted_does_not_fail_its_caller(log: Log) -> None:
    class Unshowable:
        def __str__(self) -> str:
            raise RuntimeError(TOKEN)

    calls: list[tuple[str, object]] = [
        ("too few: %s %s", "one"),
        ("too many", "one"),
        ("%d", "x"),
        ("%s", Unshowable()),
    ]
    for message, argument in calls:
        log.logger.info(message, argument)
    assert log.text.count("its arguments cannot be shown") == 4


def test_a_record_cannot_be_forged_by_a_line_break_in_a_name(log: Log) -> None:
    log.logger.info("GET %s failed", "/x\nINFO all is well\r\x1b[2J\u2028")
    assert log.text == "INFO GET /x\\nINFO all is well\\r\\x1b[2J\\u2028 failed\n"


def test_a_new_secret_replaces_the_old_ones(log: Log) -> None:
    log.filter.know([Secret("another-secret")])
    log.logger.info("another-secret")
    assert log.text == "INFO ***\n"


PROGRAM = """
import logging, sys
from gitward.secrets import Secret
from gitward.telemetry.logs import mask_secrets, setup_logging
setup_logging(secrets=[Secret("the-first-secret")])
logging.getLogger("gitward.x").info("hello the-first-secret")
logging.getLogger("gitward.x").debug("not shown")
logging.getLogger("httpx2").info("not shown")
logging.getLogger("alembic").warning("shown the-first-secret")
mask_secrets([Secret("the-second-secret")])
logging.getLogger().error("the-second-secret")
"""


def test_the_whole_process_logs_to_standard_error_through_the_mask() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == ""
    lines = [line.split(maxsplit=2)[2] for line in ended.stderr.splitlines()]
    assert lines == ["INFO    gitward.x: hello ***", "WARNING alembic: shown ***", "ERROR   root: ***"]
