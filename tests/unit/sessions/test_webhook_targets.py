"""Which addresses and secrets a webhook may have, and the server's file of them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gitward.errors import SettingsError
from gitward.sessions.webhook_targets import check_secret, check_url, host_of, read_targets

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
URL = "https://hooks.example/path-that-is-secret"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "https://",
        "https:///x",
        "https://user@hooks.example/x",
        "https://user:pass@hooks.example/",
        "https://hooks.example/#x",
        "https://hooks.example/ x",
        "https://hooks.example/\n",
        "https://höoks.example/",
        "https://hooks.example:0x/",
        "https://hooks.example:99999/",
        "https://[fe80::1%25eth0]/",
        "javascript:alert(1)",
        "https://hooks.example/" + "x" * 2048,
        "https://hooks_.example/",
    ],
)
def test_an_address_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as refused:
        check_url(url)
    assert "hooks" not in str(refused.value)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_"), SECRET + "!", "x" * 40]
)
def test_a_secret_has_the_standards_form(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^must be whsec_"):
        check_secret(secret)


def test_a_log_shows_the_host_alone() -> None:
    assert host_of(URL) == "hooks.example"
    assert host_of("https://Hooks.example:443/x") == "hooks.example"
    assert host_of("https://[2001:db8::1]:8443/x") == "[2001:db8::1]:8443"


def test_the_file_names_targets_by_digests(tmp_path: Path) -> None:
    file = tmp_path / "webhooks"
    file.write_text(f"# ours\n\n{URL} standard {SECRET}  # on call\nhttps://slack.example/T0/B0 slack\n")
    targets = read_targets(file)
    assert [target.format for target in targets.values()] == ["standard", "slack"]
    assert all(name.startswith("server-") and "example" not in name for name in targets)
    assert read_targets(file) == targets
    assert read_targets(None) == {}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (URL, "a standard target needs a secret"),
        (f"{URL} xml", "the second word must be"),
        (f"{URL} standard nothing", "must be whsec_"),
        (f"{URL} standard {SECRET} more", "must be an address, a format"),
        ("ftp://hooks.example/ slack", "must be an address that begins with https://"),
    ],
)
def test_a_wrong_line_is_told_without_what_it_holds(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "webhooks"
    file.write_text(f"# first\n{line}\n")
    with pytest.raises(SettingsError, match=why) as refused:
        read_targets(file)
    assert "GITWARD_WEBHOOKS_FILE, line 2" in str(refused.value)
    assert "path-that-is-secret" not in str(refused.value)
    assert "hooks.example" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GITWARD_WEBHOOKS_FILE: cannot be read"):
        read_targets(tmp_path / "none")
