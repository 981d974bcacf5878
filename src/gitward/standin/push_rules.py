"""Refusals of single refs in a push, by git's own `proc-receive` hook, so that git prints GitHub's reason.

Only pushes that could break a rule go through the hook. It answers `ng` for a refused ref and hands every
other one back to git ("fall-through"; see githooks(5), proc-receive).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from gitward.standin.accounts import Identity, Token
from gitward.standin.plumbing import Git
from gitward.standin.repositories import Repository

VARIABLE = "STANDIN_PUSH_RULES"
_HOOK = Path(__file__).with_name("proc_receive.py")


def install_hook(git: Git) -> None:
    """Writes the hook into the folder that the stand-in's git looks in."""
    hook = git.hooks / "proc-receive"
    hook.write_text(f"#!{sys.executable} -IS\n{_HOOK.read_text()}")
    hook.chmod(0o755)


def _may_change_workflows(token: Token) -> bool:
    return token.has_scope("workflow") and token.may("workflows", "write")


def push_environment(repository: Repository, identity: Identity | None) -> Mapping[str, str]:
    """git's environment for a push: which refs the hook decides on, and the rules it needs for that."""
    workflows = identity is None or _may_change_workflows(identity.token)
    if workflows and not repository.protected:
        return {}
    refs = [f"refs/heads/{branch}" for branch in repository.protected]
    watched = refs if workflows else ["refs/heads"]
    settings = {f"GIT_CONFIG_KEY_{n}": "receive.procReceiveRefs" for n in range(len(watched))}
    settings |= {f"GIT_CONFIG_VALUE_{n}": ref for n, ref in enumerate(watched)}
    rules = {"protected": refs, "workflows": workflows}
    return {"GIT_CONFIG_COUNT": str(len(watched)), VARIABLE: json.dumps(rules), **settings}
