"""Where the service's tokens come from: a GitHub App, if one is named, else the operator's own token."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from gitward.errors import SettingsError
from gitward.github.apps import AppTokens, GitHubApp, KeyUnreadable
from gitward.github.client import GitHub
from gitward.github.tokens import OperatorToken, TokenSource
from gitward.settings.fields import Settings
from gitward.settings.token_reader import TokenReader

log = logging.getLogger(__name__)


def github_of(settings: Settings) -> GitHub:
    return GitHub(
        api_url=settings.effective_upstream_api_url,
        server_url=settings.effective_upstream_url,
        ca_file=settings.ssl_cert_file,
        public_host=urlsplit(settings.github_server_url).hostname or "",
        route=settings.route,
    )


def app_of(settings: Settings, github: GitHub) -> GitHubApp | None:
    if settings.github_app_id is None or settings.github_app_private_key_file is None:
        return None
    return GitHubApp(github, app_id=settings.github_app_id, key_file=settings.github_app_private_key_file)


def token_source(settings: Settings, reader: TokenReader, github: GitHub) -> TokenSource:
    """:raises SettingsError: the App's private key cannot be used."""
    app = app_of(settings, github)
    if app is None:
        return OperatorToken(reader)
    try:
        app.read_key()
    except KeyUnreadable as error:
        raise SettingsError([str(error).replace(" ", ": ", 1)]) from None
    if reader.is_exported:
        log.warning("GITHUB_TOKEN is not used: tokens come from the GitHub App that GITHUB_APP_ID names")
    return AppTokens(app, github)
