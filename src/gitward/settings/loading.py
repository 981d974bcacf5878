"""Reads the settings of this process, and says all that is wrong with them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gitward.errors import SettingsError
from gitward.settings import env_file
from gitward.settings.environment import variables
from gitward.settings.fields import Settings

_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")

log = logging.getLogger(__name__)

OF_CLIENTS = ("GITWARD_URL", "GITWARD_JWT")  # a person's shell may have them for `gitward run` and the like


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process.

    :param overrides: by their names in the environment; they come before all else.
    :raises SettingsError: one line for each wrong or unknown setting.
    """
    try:
        problems = [f"{name}: there is no such setting; see docs/settings.md" for name in _unknown_names()]
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [_problem(detail["loc"], detail["msg"]) for detail in error.errors(include_input=False)]
        raise SettingsError(problems) from None
    problems += [
        f"GITWARD_SANDBOX_PATHS: {path} must be an absolute path of a folder that exists"
        for path in settings.tool_paths
        if not path.is_absolute() or not path.is_dir()
    ]
    if settings.issuers and not settings.repo_globs and not settings.authorize.strip():
        problems.append(
            "GITWARD_OIDC_ISSUERS: set GITWARD_REPOS or GITWARD_AUTHORIZE too, "
            "or everybody with an account there could use the token on everything"
        )
    problems += _sign_in_problems(settings)
    problems += [
        f"GITWARD_ENVIRONMENTS: {name!r} is not a name that an environment can have"
        for name in settings.allowed_environments
        if not _ENVIRONMENT.fullmatch(name)
    ]
    problems += _app_problems(settings)
    problems += _file_problems(settings)
    if problems:
        raise SettingsError(problems)
    if names := env_file.used(variables()):
        log.info("Read from %s in %s: %s", env_file.NAME, Path.cwd(), ", ".join(names))
    return settings


def _sign_in_problems(settings: Settings) -> list[str]:
    """What is wrong with the sign-in of browsers."""
    chosen, problems = settings.oidc_sign_in_issuer, []
    if settings.oidc_client_id is not None and not settings.issuers:
        problems.append("GITWARD_OIDC_CLIENT_ID: set GITWARD_OIDC_ISSUERS too")
    if chosen is not None and chosen not in settings.issuers:
        problems.append("GITWARD_OIDC_SIGN_IN_ISSUER: must be one of GITWARD_OIDC_ISSUERS, spelled as there")
    if settings.asks_collaborators and settings.login_claim is None:
        problems.append("GITWARD_AUTHORIZE: with `collaborator`, set GITWARD_LOGIN_CLAIM too")
    if "openid" not in settings.oidc_scopes.split():
        problems.append("GITWARD_OIDC_SCOPES: must contain `openid`")
    return problems


def _file_problems(settings: Settings) -> list[str]:
    """What is wrong with `.env`."""
    try:
        return env_file.problems(settings.inject)
    except (OSError, UnicodeDecodeError) as error:
        return [f"{env_file.NAME}: cannot be read ({type(error).__name__})"]
    except env_file.NotTrusted as error:
        return [f"{env_file.NAME}: {error}"]


def _app_problems(settings: Settings) -> list[str]:
    """What is wrong with how the tokens are to be had."""
    app_id, key_file = settings.github_app_id, settings.github_app_private_key_file
    if app_id is None and key_file is None:
        return []
    if app_id is None:
        return ["GITHUB_APP_PRIVATE_KEY_FILE: set GITHUB_APP_ID too"]
    if key_file is None:
        return ["GITHUB_APP_ID: set GITHUB_APP_PRIVATE_KEY_FILE too"]
    if settings.github_token_file is not None:
        return ["GITHUB_TOKEN_FILE: there is a GitHub App (GITHUB_APP_ID); set one of the two"]
    return []


def _problem(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{'.'.join(str(part) for part in location)}: {message[:1].lower()}{message[1:]}"


def _unknown_names() -> list[str]:
    """Names of ours in the environment that no setting reads: usually a slip of the pen."""
    known = {*(str(field.alias) for field in Settings.model_fields.values()), *env_file.SECRETS, *OF_CLIENTS}
    return sorted(name for name in variables() if name.startswith("GITWARD_") and name not in known)
