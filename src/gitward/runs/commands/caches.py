"""Where tools keep what they downloaded, for the session's next run: single caches, and no tool's whole home."""

from __future__ import annotations

from gitward.repositories.checkout import CACHE_DIR

CACHES = {
    "XDG_CACHE_HOME": f"{CACHE_DIR}/xdg",
    "PIP_CACHE_DIR": f"{CACHE_DIR}/pip",
    "npm_config_cache": f"{CACHE_DIR}/npm",
    "GOCACHE": f"{CACHE_DIR}/go-build",
}
