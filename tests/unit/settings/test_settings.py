"""Settings are read once, by the names that are documented; each wrong one is told in one line."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

import pytest

from gitward.errors import SettingsError
from gitward.settings import (
    Credentials,
    LimitsMode,
    Settings,
    clean_environment,
    exported_token,
    load_settings,
)

Environment = MutableMapping[str, str]
PORT = (
    "must have no port, because gh takes none: give the host alone here, and the address with its port in "
    "GITWARD_UPSTREAM_URL and GITWARD_UPSTREAM_API_URL"
)

WRONG = [
    ("GITHUB_SERVER_URL", "http://github.com", "must begin with https:// because gh speaks nothing else"),
    ("GITHUB_SERVER_URL", "github.com", "must begin with https:// because gh speaks nothing else"),
    ("GITHUB_SERVER_URL", "https://ghe.example.com:8443", PORT),
    ("GITHUB_API_URL", "https://ghe.example.com:8443/api/v3", PORT),
    (
        "GITHUB_SERVER_URL",
        "https://ghe.example.com/git",
        "must have no path: gh and git look for repositories right below the host",
    ),
    (
        "GITHUB_API_URL",
        "https://ghe.example.com/rest",
        "must end with the host, or with /api/v3 on Enterprise Server: gh looks nowhere else",
    ),
    (
        "GITHUB_SERVER_URL",
        "https://WWW.github.com/",
        "must be https://github.com: gh and git do not take www.github.com",
    ),
    ("GITHUB_API_URL", "https://www.github.com", "must be https://api.github.com"),
    (
        "HTTPS_PROXY",
        "socks5://dev:s3cretpass@proxy:1080",
        "must begin with http://; SOCKS, and TLS to the proxy itself, are not supported",
    ),
    ("HTTPS_PROXY", "http://dev:s3cretpass@proxy:port", "must be an address such as http://proxy.example:3128"),
    ("HTTPS_PROXY", "http://dev:s3cretpass@\u2100:1", "must be an address such as http://proxy.example:3128"),
    ("GITHUB_API_URL", "https://", "must be an address such as https://github.com"),
    ("GITHUB_API_URL", "https://github.com/ x", "must be an address such as https://github.com"),
    ("GITHUB_API_URL", "https://[::1", "invalid IPv6 URL"),
    ("GITWARD_UPSTREAM_URL", "ftp://x", "must be an address such as https://github.com"),
    (
        "GITWARD_UPSTREAM_URL",
        "https://user:secret@x",
        "must be an address without user name, password, query or fragment",
    ),
    ("GITWARD_UPSTREAM_API_URL", "https://x/?q", "must be an address without user name, password, query or fragment"),
    ("GITWARD_UPSTREAM_API_URL", "https://x:70000", "must have a port between 1 and 65535, or none"),
    ("GITWARD_UPSTREAM_API_URL", "https://x:port", "must have a port between 1 and 65535, or none"),
    ("GITWARD_PORT", "70000", "input should be less than or equal to 65535"),
    ("GITWARD_PORT", "http", "input should be a valid integer, unable to parse string as an integer"),
    ("GITWARD_CREDENTIALS", "both", "input should be 'broker' or 'login'"),
    ("GITWARD_LIMITS", "lax", "input should be 'strict' or 'best-effort'"),
    ("GITWARD_SANDBOX", "none", "input should be 'bubblewrap'"),
    ("GITWARD_SANDBOX_PATHS", "/nowhere", "/nowhere must be an absolute path of a folder that exists"),
    ("GITWARD_SANDBOX_PATHS", "bin", "bin must be an absolute path of a folder that exists"),
    ("GITWARD_MEMORY", "1", "input should be greater than or equal to 64"),
    ("GITWARD_PROCESSES", "1", "input should be greater than or equal to 16"),
    ("GITWARD_DISK", "-5", "input should be greater than or equal to 64"),
    ("GITWARD_MAX_RUNS", "0", "input should be greater than or equal to 1"),
    ("GITWARD_MAX_RUNS_PER_USER", "1.5", "input should be a valid integer, unable to parse string as an integer"),
    ("GITWARD_RUN_TIMEOUT_SECONDS", "0", "input should be greater than or equal to 1"),
    ("GITWARD_COMMIT_NAME", "two\nlines", "must be one line of printable characters"),
    ("GITWARD_COMMIT_EMAIL", " ", "must be one line of printable characters"),
    ("SSL_CERT_FILE", "/nowhere.pem", "must be a file that exists"),
    ("GITHUB_APP_ID", "my app", "must be the App's id (a number) or its client id (Iv…)"),
    ("GITHUB_APP_ID", "12", "set GITHUB_APP_PRIVATE_KEY_FILE too"),
    ("GITHUB_APP_PRIVATE_KEY_FILE", "/key.pem", "set GITHUB_APP_ID too"),
    ("GITWARD_PROT", "8000", "there is no such setting; see docs/settings.md"),
]


def test_without_any_setting_the_documented_defaults_hold(environment: Environment) -> None:
    settings = load_settings()
    assert (settings.github_server_url, settings.github_api_url) == ("https://github.com", "https://api.github.com")
    assert settings.effective_upstream_url == "https://github.com"
    assert settings.effective_upstream_api_url == "https://api.github.com"
    assert (settings.host, settings.port, settings.oidc_audience) == ("localhost", 8000, "gitward")
    assert settings.credentials is Credentials.BROKER
    assert settings.limits is LimitsMode.BEST_EFFORT
    assert (settings.max_runs, settings.max_runs_per_user, settings.run_timeout_seconds) == (4, 4, 3600)
    assert settings.repo_globs == ()
    assert settings.tool_paths == ()


def test_an_app_and_a_token_file_exclude_each_other(environment: Environment) -> None:
    environment.update({"GITHUB_APP_ID": "Iv23liABC.1", "GITHUB_APP_PRIVATE_KEY_FILE": "/key.pem"})
    assert load_settings().github_app_id == "Iv23liABC.1"
    environment["GITHUB_TOKEN_FILE"] = "/token"
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert raised.value.problems == ("GITHUB_TOKEN_FILE: there is a GitHub App (GITHUB_APP_ID); set one of the two",)


def test_data_lies_where_the_user_s_data_lies(environment: Environment, tmp_path: Path) -> None:
    """As root /var/lib/gitward, else the XDG data folder."""
    environment["XDG_DATA_HOME"] = str(tmp_path / "share")
    expected = Path("/var/lib/gitward") if os.geteuid() == 0 else tmp_path / "share" / "gitward"
    assert load_settings().data_dir == expected
    assert load_settings().effective_database_url == f"sqlite:///{expected}/gitward.db"


def test_a_data_folder_is_made_absolute(environment: Environment, folder: Path) -> None:
    """A relative one would move with the working folder; `~` in .env is no shell's business."""
    environment["GITWARD_DATA_DIR"] = "data"
    assert load_settings().data_dir == folder / "data"
    environment["GITWARD_DATA_DIR"] = "~/data"
    assert load_settings().data_dir == Path.home() / "data"


def test_an_empty_variable_is_no_variable(environment: Environment) -> None:
    environment.update({"GITWARD_PORT": "", "GITWARD_UPSTREAM_URL": "", "SSL_CERT_FILE": ""})
    assert load_settings().port == 8000


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if "_" not in name])
def test_a_variable_of_another_program_is_not_read(environment: Environment, name: str) -> None:
    """Many a shell exports HOST, PORT or REPOS; they are not ours."""
    environment.update({name: "999999", name.upper(): "999999"})
    assert load_settings() == load_settings_without(environment, name)


def load_settings_without(environment: Environment, name: str) -> Settings:
    del environment[name], environment[name.upper()]
    return load_settings()


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_a_wrong_value_is_told_in_one_line_that_does_not_quote_it(
    environment: Environment, name: str, value: str, sentence: str
) -> None:
    environment[name] = value
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert raised.value.problems == (f"{name}: {sentence}",)
    assert "secret" not in str(raised.value)


def test_all_wrong_values_are_told_at_once(environment: Environment) -> None:
    environment.update({"GITWARD_PORT": "x", "GITWARD_HOTS": "x", "GITWARD_CREDENTIALS": "x"})
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert sorted(line.partition(":")[0] for line in str(raised.value).splitlines()) == [
        "GITWARD_CREDENTIALS",
        "GITWARD_HOTS",
        "GITWARD_PORT",
    ]


@pytest.mark.parametrize("content", [b"GITWARD_HOST=\xff\xfe\n"])
def test_a_file_that_is_no_text_is_told(environment: Environment, folder: Path, content: bytes) -> None:
    (folder / ".env").write_bytes(content)
    with pytest.raises(SettingsError, match=r"^\.env: cannot be read"):
        load_settings()


def test_every_setting_has_a_name_of_github_s_or_ours_and_a_description() -> None:
    for field in Settings.model_fields.values():
        assert str(field.alias).startswith(
            ("GITWARD_", "GITHUB_", "ANTHROPIC_", "OPENAI_", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY")
        )
        assert field.description


def test_settings_cannot_be_changed(environment: Environment) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]  # what is tested


def test_lists_are_taken_apart(environment: Environment, tmp_path: Path) -> None:
    environment["GITWARD_SANDBOX_PATHS"] = f"{tmp_path}::/usr/bin"
    environment["GITWARD_REPOS"] = "Acme/*, octo/demo,,"
    settings = load_settings()
    assert settings.tool_paths == (tmp_path, Path("/usr/bin"))
    assert settings.repo_globs == ("acme/*", "octo/demo")


def test_a_child_inherits_no_credential(environment: Environment) -> None:
    environment.update({"GITHUB_TOKEN": "x", "AWS_SECRET_ACCESS_KEY": "x", "LANG": "C.UTF-8"})
    inherited = clean_environment(EXTRA="1")
    assert inherited["LANG"] == "C.UTF-8"
    assert inherited["EXTRA"] == "1"
    assert set(inherited) <= {"PATH", "LANG", "LC_ALL", "TZ", "HOME", "EXTRA"}


def test_the_demo_sees_the_exported_token(environment: Environment) -> None:
    assert exported_token() is None
    environment["GITHUB_TOKEN"] = " ghp_x\n"
    assert exported_token() == "ghp_x"


@pytest.mark.parametrize(
    ("server", "api", "read"),
    [
        ("https://GHE.Example.com/", "HTTPS://ghe.EXAMPLE.com/api/v3/", ("https://ghe.example.com", "/api/v3")),
        ("https://ghe.example.com:443", "https://ghe.example.com:443/api/v3", ("https://ghe.example.com", "/api/v3")),
    ],
)
def test_addresses_of_an_enterprise_server_as_people_paste_them(
    environment: Environment, server: str, api: str, read: tuple[str, str]
) -> None:
    environment.update({"GITHUB_SERVER_URL": server, "GITHUB_API_URL": api})
    settings = load_settings()
    assert (settings.github_server_url, settings.github_api_url) == (read[0], "".join(read))


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_proxys_login_is_sealed(environment: Environment, name: str) -> None:
    environment.update({name: "http://dev:s3cret%40pass@proxy.corp:3128", "no_proxy": "corp.example"})
    settings = load_settings()
    assert str(settings.https_proxy) == "proxy.corp:3128"
    assert "s3cret" not in repr(settings)
    assert settings.route.proxy_for_url("https://github.com") is settings.https_proxy
    assert settings.route.proxy_for_url("https://ghe.corp.example") is None


def test_a_wrong_proxy_is_told_without_its_login(environment: Environment) -> None:
    environment["HTTPS_PROXY"] = "http://dev:s3cretpass@proxy:port"
    with pytest.raises(SettingsError) as told:
        load_settings()
    assert "s3cret" not in str(told.value)
