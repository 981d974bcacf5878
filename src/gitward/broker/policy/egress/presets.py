"""The hosts of the word `packages` in GITWARD_EGRESS: the registries of the usual package managers."""

from __future__ import annotations

PRESETS: dict[str, tuple[str, ...]] = {
    "packages": (
        # Python
        "pypi.org",
        "files.pythonhosted.org",
        # Node.js
        "registry.npmjs.org",
        "registry.yarnpkg.com",
        # Go
        "proxy.golang.org",
        "sum.golang.org",
        # Rust
        "index.crates.io",
        "static.crates.io",
        "crates.io",
        # Java
        "repo.maven.apache.org",
        "repo1.maven.org",
        "plugins.gradle.org",
        "plugins-artifacts.gradle.org",
        # Debian; apt reads its signed lists over plain HTTP by default
        "deb.debian.org",
        "http://deb.debian.org",
        "security.debian.org",
        "http://security.debian.org",
    )
}
