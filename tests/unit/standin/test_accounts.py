"""Who a token stands for, and what it may do with which repository."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitward_standin.access import may_write, visible
from gitward_standin.accounts import APP_LOGIN, Accounts, Identity, Role, Token, TokenKind
from gitward_standin.credentials import UNKNOWN, identify
from gitward_standin.model import Repository
from gitward_standin.plumbing import Git

MakeRepository = Callable[..., Repository]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def accounts() -> Accounts:
    register = Accounts(now=lambda: NOW)
    register.add_token("ghp_good", Token(login="octocat"))
    return register


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TestTokens:
    def test_a_token_stands_for_its_owner(self, accounts: Accounts) -> None:
        identity = accounts.identify("ghp_good")
        assert identity is not None
        assert identity.login == "octocat"

    def test_unknown_and_revoked_tokens_stand_for_nobody(self, accounts: Accounts) -> None:
        assert accounts.identify("ghp_other") is None
        accounts.revoke_token("ghp_good")
        accounts.revoke_token("ghp_good")
        assert accounts.identify("ghp_good") is None

    def test_a_token_ends_at_its_expiry(self, accounts: Accounts) -> None:
        accounts.add_token("ghp_past", Token(login="octocat", expires_at=NOW))
        accounts.add_token("ghp_soon", Token(login="octocat", expires_at=NOW + timedelta(seconds=1)))
        assert accounts.identify("ghp_past") is None
        assert accounts.identify("ghp_soon") is not None

    def test_an_app_acts_as_its_bot(self, accounts: Accounts) -> None:
        accounts.add_token("ghs_app", Token(login=None, kind=TokenKind.APP))
        identity = accounts.identify("ghs_app")
        assert identity is not None
        assert identity.login == APP_LOGIN

    @pytest.mark.parametrize(
        ("login", "kind"), [(None, TokenKind.CLASSIC), (None, TokenKind.FINE_GRAINED), ("octocat", TokenKind.APP)]
    )
    def test_only_an_app_has_no_login(self, login: str | None, kind: TokenKind) -> None:
        with pytest.raises(ValueError, match="no login"):
            Token(login=login, kind=kind)

    def test_logins_compare_without_case_and_keep_their_number(self, accounts: Accounts) -> None:
        first = accounts.get("Octocat")
        again = accounts.add("OCTOCAT", name="Mona")
        assert (again.id, again.created_at) == (first.id, first.created_at)
        assert accounts.get("octocat").name == "Mona"


class TestCredentials:
    @pytest.mark.parametrize(
        "header",
        [
            "token ghp_good",
            "Token  ghp_good",
            "bearer ghp_good",
            "Bearer ghp_good",
            basic("anyone", "ghp_good"),
            basic("ghp_good", ""),
        ],
    )
    def test_what_the_api_accepts(self, accounts: Accounts, header: str) -> None:
        identity = identify(accounts, header, git=False)
        assert isinstance(identity, Identity)

    @pytest.mark.parametrize(
        "header", [basic("x-access-token", "ghp_good"), basic("ghp_good", ""), basic("ghp_good", "x-oauth-basic")]
    )
    def test_what_git_accepts(self, accounts: Accounts, header: str) -> None:
        assert isinstance(identify(accounts, header, git=True), Identity)

    @pytest.mark.parametrize("header", ["token ghp_good", "Bearer ghp_good"])
    def test_git_takes_basic_only(self, accounts: Accounts, header: str) -> None:
        assert identify(accounts, header, git=True) is UNKNOWN

    @pytest.mark.parametrize(
        "header",
        ["", "token", "token ", "token ghp_bad", "ghp_good", "Basic", "Basic !", "Basic /w==",
         basic("ghp_good", "wrong"), basic("", "")],
    )  # fmt: skip
    def test_anything_else_is_unknown(self, accounts: Accounts, header: str) -> None:
        assert identify(accounts, header, git=False) is UNKNOWN

    def test_no_header_is_nobody(self, accounts: Accounts) -> None:
        assert identify(accounts, None, git=False) is None


class TestAccess:
    """`visible` and `may_write` over kinds of token, roles and kinds of repository."""

    @pytest.fixture
    def make(self, accounts: Accounts, tmp_path: Path) -> MakeRepository:
        def make(*, private: bool = True, **roles: Role) -> Repository:
            return Repository(
                id=1,
                owner=accounts.find("octo-org") or accounts.add("octo-org", type="Organization"),
                name="Demo",
                path=tmp_path,
                default_branch="main",
                private=private,
                archived=False,
                drafts=True,
                protected=(),
                permissions=dict(roles),
                git=Git(tmp_path),
            )

        return make

    def access(self, accounts: Accounts, repository: Repository, token: Token | None) -> tuple[bool, bool]:
        identity = None
        if token is not None:
            accounts.add_token("value", token)
            identity = accounts.identify("value")
        return visible(repository, identity), may_write(repository, identity)

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            (None, (False, False)),
            (Token(login="writer"), (True, True)),
            (Token(login="reader"), (True, False)),
            (Token(login="stranger"), (False, False)),
            (Token(login="octo-org"), (True, True)),
            (Token(login="writer", scopes=()), (False, False)),
            (Token(login="writer", scopes=("public_repo",)), (False, False)),
            (Token(login="writer", push=False), (True, False)),
            (Token(login="writer", kind=TokenKind.FINE_GRAINED, scopes=()), (True, True)),
            (Token(login="writer", kind=TokenKind.FINE_GRAINED, repositories=("OCTO-org/demo",)), (True, True)),
            (Token(login="writer", kind=TokenKind.FINE_GRAINED, repositories=("octo-org/x",)), (False, False)),
            (Token(login=None, kind=TokenKind.APP), (True, True)),
            (Token(login=None, kind=TokenKind.APP, repositories=()), (False, False)),
            (Token(login=None, kind=TokenKind.APP, push=False), (True, False)),
        ],
    )
    def test_private(
        self, accounts: Accounts, make: MakeRepository, token: Token | None, expected: tuple[bool, bool]
    ) -> None:
        repository = make(writer=Role.PUSH, reader=Role.PULL)
        assert self.access(accounts, repository, token) == expected

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            (None, (True, False)),
            (Token(login="stranger"), (True, False)),
            (Token(login="writer", scopes=()), (True, False)),
            (Token(login="writer", scopes=("public_repo",)), (True, True)),
            (Token(login="writer", kind=TokenKind.FINE_GRAINED, repositories=("octo-org/x",)), (True, False)),
        ],
    )
    def test_public(
        self, accounts: Accounts, make: MakeRepository, token: Token | None, expected: tuple[bool, bool]
    ) -> None:
        repository = make(private=False, writer=Role.PUSH)
        assert self.access(accounts, repository, token) == expected
