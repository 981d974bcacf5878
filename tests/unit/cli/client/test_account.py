"""Where a JWT goes, and where it lies."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gitward.cli.client import account
from gitward.cli.client.errors import ClientError
from gitward.cli.client.git_here import repository_of


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (account.URL_VARIABLE, account.JWT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "gitward" / "login.json"


def test_a_login_is_for_its_owner_alone(file: Path) -> None:
    account.store("https://g.example", "a.b.c", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.parent.iterdir()] == ["login.json"]
    found = account.current(file)
    assert (found.url, found.jwt) == ("https://g.example", "a.b.c")
    assert account.forget(file)
    assert not account.forget(file)


def test_a_stored_jwt_goes_to_no_other_service(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account.store("https://g.example", "a.b.c", file)
    monkeypatch.setenv("GITWARD_URL", "https://evil.example")
    assert account.current(file).jwt is None
    monkeypatch.setenv("GITWARD_URL", "https://g.example/")
    assert account.current(file).jwt == "a.b.c"


def test_the_environment_comes_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account.store("https://g.example", "a.b.c", file)
    monkeypatch.setenv("GITWARD_JWT", "d.e.f")
    assert account.current(file).jwt == "d.e.f"


@pytest.mark.parametrize(
    "url",
    [
        "http://gitward.example.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "https://user:pass@g.example",
        "ftp://g.example",
        "https://",
        "https://g.example:x",
        "https://g.example?x=1",
        "http://127.evil.example",
    ],
)
def test_a_jwt_does_not_go_there(url: str) -> None:
    with pytest.raises(ClientError, match=r"is not the address|by https only"):
        account.checked_url(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "http://127.0.0.1:1", "http://[::1]:8000", "https://g.example"]
)
def test_a_jwt_may_go_there(url: str) -> None:
    assert account.checked_url(f"{url}/") == url


@pytest.mark.parametrize("content", ["{", "[]", '{"url": 1, "jwt": "x"}', "\ud800".encode("utf-8", "surrogatepass")])
def test_a_broken_login_is_told(file: Path, content: str | bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ClientError, match="gitward login"):
        account.current(file)


def test_the_jwt_stands_in_the_file_alone(file: Path) -> None:
    account.store("https://g.example", "a.b.c", file)
    assert json.loads(file.read_text()) == {"url": "https://g.example", "jwt": "a.b.c"}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/octo-org/site.git", "octo-org/site"),
        ("https://user:token@github.com/octo-org/site", "octo-org/site"),
        ("git@github.com:octo-org/site.git", "octo-org/site"),
        ("ssh://git@github.com:22/octo-org/site.dot.git/", "octo-org/site.dot"),
        ("https://ghe.example:8443/octo-org/site", "octo-org/site"),
        ("/srv/git/site.git", None),
        ("https://github.com/site", None),
        ("https://gitlab.com/group/sub/site", None),
        ("", None),
    ],
)
def test_a_remote_names_a_repository(url: str, name: str | None) -> None:
    assert repository_of(url) == name
