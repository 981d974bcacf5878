"""A grant is a plain value without a secret; its credential is worthless anywhere else."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from gitward.grants.endpoint import Address
from gitward.grants.grant import Grant, new_run_credential

GRANT = Grant(run_id="run_1", repository="octo/demo", push_ref="refs/heads/gitward/1", expires_at=0.0)


def test_a_grant_is_frozen_and_can_be_sent_as_json() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GRANT.push_ref = "refs/heads/main"  # type: ignore[misc]  # what is tested
    assert Grant(**json.loads(json.dumps(dataclasses.asdict(GRANT)))) == dataclasses.replace(
        GRANT,
        readable=[],  # type: ignore[arg-type]  # JSON has lists only
        issues=[],  # type: ignore[arg-type]  # on purpose: a list
    )


def test_a_grant_allows_nothing_that_it_does_not_say() -> None:
    assert (GRANT.readable, GRANT.allow_workflows, GRANT.repository_id) == ((), False, None)


def test_a_run_credential_looks_like_a_token_and_is_never_the_same() -> None:
    """gh looks at the prefix; GitHub's own tokens have this alphabet and length."""
    made = {new_run_credential() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"ghp_[A-Za-z0-9]{36}", credential) for credential in made)


def test_an_address_names_host_and_port() -> None:
    assert dataclasses.asdict(Address(host="github.com", port=443)) == {"host": "github.com", "port": 443}
