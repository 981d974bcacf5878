"""The variables of an image that commands get."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitward.environments import variables
from gitward.environments.store import Unusable


def test_an_image_s_variables_are_kept_where_they_mean_something(system: Path) -> None:
    (system / "opt/go/bin").mkdir(parents=True)
    kept, dropped = variables.kept(
        [
            "PATH=/opt/go/bin:/root/.cargo/bin:usr/bin:/usr/bin",
            "GOPATH=/opt/go",
            "CARGO_HOME=/opt/cargo",
            "JAVA_HOME=/opt/go",
            "RUSTUP_HOME=/root/.rustup",
            "LANG=de_DE.UTF-8",
            "NODE_VERSION=22",
            "HOME=/root",
            "LD_PRELOAD=/opt/evil.so",
            "GIT_CONFIG_GLOBAL=/opt/evil",
            "https_proxy=http://evil",
            "BASH_ENV=/opt/evil",
            "WITH-HYPHEN=x",
            "NUL=a\0b",
            7,
        ],
        system,
    )
    assert kept == {"PATH": "/opt/go/bin:/usr/bin", "JAVA_HOME": "/opt/go", "LANG": "de_DE.UTF-8", "NODE_VERSION": "22"}
    assert dropped == ["GOPATH", "CARGO_HOME", "RUSTUP_HOME"]


def test_a_crowd_of_variables_is_bounded(system: Path) -> None:
    kept, _ = variables.kept([f"V{number}=x" for number in range(10_000)] + [f"LONG={'x' * 10**6}"], system)
    assert len(kept) == 200


def test_an_unpacked_system_says_them_in_etc_environment(system: Path) -> None:
    (system / "etc/environment").write_text('# comment\nPATH="/opt/x:/usr/bin"\nexport JAVA_HOME=/opt\n')
    assert variables.of_folder(system) == ["PATH=/opt/x:/usr/bin", "JAVA_HOME=/opt"]
    (system / "etc/environment").unlink()
    (system / "etc/environment").symlink_to("/etc/passwd")
    assert variables.of_folder(system) == []


@pytest.mark.parametrize("line", ["NOEQUALS", "HOME=/x", "GIT_DIR=/x", "A-B=c", "LD_LIBRARY_PATH=/x", "=x"])
def test_the_operator_s_own_must_be_fit_too(line: str) -> None:
    with pytest.raises(Unusable, match="must be NAME=VALUE"):
        variables.parse([line])


def test_the_operator_s_path_stands_before_the_image_s() -> None:
    given = variables.parse(["PATH=/opt/mine", "A=1"])
    assert variables.merged({"PATH": "/usr/bin", "A": "0", "B": "2"}, given) == {
        "PATH": "/opt/mine:/usr/bin",
        "A": "1",
        "B": "2",
    }
