"""Variables that Gitward gives to setup and instruction.

Where tools keep what they downloaded, for the session's next run: single caches, and no tool's whole home. And how a
setup hands variables on: it adds lines to $GITWARD_ENV, which every bash of the instruction reads as it starts.
"""

from __future__ import annotations

from gitward.repositories.checkout import CACHE_DIR
from gitward.sandboxes import HOME_DIR

CACHES = {
    "XDG_CACHE_HOME": f"{CACHE_DIR}/xdg",
    "PIP_CACHE_DIR": f"{CACHE_DIR}/pip",
    "npm_config_cache": f"{CACHE_DIR}/npm",
    "GOCACHE": f"{CACHE_DIR}/go-build",
    "GOMODCACHE": f"{CACHE_DIR}/go-mod",
}

_HANDED_ON = f"{HOME_DIR}/.gitward-env"
OF_SETUP = {"GITWARD_ENV": _HANDED_ON}
AFTER_SETUP = {**OF_SETUP, "BASH_ENV": _HANDED_ON}
