"""What a push is judged by: the settings of the repository and its pusher, handed to git's `proc-receive` hook.

The hook (`push_hook`) answers `ng` for a refused ref, and hands every other one back to git ("fall-through"; see
githooks(5), proc-receive), so that git prints GitHub's reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from gitward_standin.accounts import Identity, Token
from gitward_standin.model import Repository
from gitward_standin.plumbing import Git
from gitward_standin.site import Links

VARIABLE = "STANDIN_PUSH_RULES"
_FOLDER = Path(__file__).with_name("push_hook")
_HOOK = """\
#!{python} -IS
import importlib.util
import sys

spec = importlib.util.spec_from_file_location("push_hook", {main!r}, submodule_search_locations=[{folder!r}])
sys.modules["push_hook"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["push_hook"])
from push_hook.proc_receive import main

main()
"""
_WATCHED = ("refs/heads", "refs/tags")


def install_hook(git: Git) -> None:
    """Writes the hook into the folder that the stand-in's git looks in."""
    hook = git.hooks / "proc-receive"
    hook.write_text(_HOOK.format(python=sys.executable, main=str(_FOLDER / "__init__.py"), folder=str(_FOLDER)))
    hook.chmod(0o755)


def _may_change_workflows(token: Token) -> bool:
    return token.has_scope("workflow") and token.may("workflows", "write")


def push_environment(repository: Repository, identity: Identity | None, links: Links) -> Mapping[str, str]:
    """git's environment for a push: which refs the hook decides on, and the rules it needs for that."""
    account = identity.account if identity else None
    private = [account.email] if account and account.email and account.blocks_private_email else []
    rules = {
        "largest_file": repository.largest_file,
        "lfs_objects": str(repository.path / "lfs" / "objects"),
        "private_addresses": [] if account and account.email_public else private,
        "protected": repository.protected,
        "protection": repository.protection,
        "rules": [
            {"type": rule.type, "branches": rule.branches, "parameters": dict(rule.parameters)}
            for rule in repository.rules
        ],
        "push_protection": repository.push_protection,
        "workflows": identity is None or _may_change_workflows(identity.token),
        "server": links.public_url,
        "page": links.html(repository.owner.login, repository.name),
    }
    settings = {f"GIT_CONFIG_KEY_{n}": "receive.procReceiveRefs" for n in range(len(_WATCHED))}
    settings |= {f"GIT_CONFIG_VALUE_{n}": ref for n, ref in enumerate(_WATCHED)}
    return {"GIT_CONFIG_COUNT": str(len(_WATCHED)), VARIABLE: json.dumps(rules), **settings}
