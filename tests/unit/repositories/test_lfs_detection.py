"""Whether a checkout has LFS files is seen without git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitward.repositories.lfs import detection

LFS = "*.psd filter=lfs -text\n"
LONG = "/".join(["d" * 90] * 4)


def checkout(folder: Path, files: dict[str, str], *options: str) -> Path:
    repo = folder / "repo"
    for name, text in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text)
    repo.mkdir(exist_ok=True)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    for command in (("init", "-q"), (*options, "add", "-A", ".")):
        subprocess.run(("git", "-c", "filter.lfs.clean=cat", *command), cwd=repo, env=environment, check=True)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {".gitattributes": LFS},
        {".gitattributes": "[attr]large filter=lfs\n*.psd large\n"},
        {"a": "", ".gitattributes": "* text\n", "b/c/.gitattributes": LFS, "z": ""},
        {f"{LONG}/.gitattributes": LFS},
        {f"{LONG}/x.gitattributes": "no\n", "z/.gitattributes": LFS},
    ],
    ids=["root", "macro", "below", "long path", "beside a long path"],
)
def test_it_is_seen(tmp_path: Path, files: dict[str, str]) -> None:
    assert detection.is_used(checkout(tmp_path, files))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": LFS},
        {".gitattributes": "*.txt text\n", "a/.gitattributes": "* filter=other\n"},
        {"my.gitattributes": LFS, ".gitattributes.d/x": LFS, "a.gitattributesx": LFS},
    ],
    ids=["no files", "no attributes", "other attributes", "other names"],
)
def test_nothing_is_seen_where_nothing_is(tmp_path: Path, files: dict[str, str]) -> None:
    assert not detection.is_used(checkout(tmp_path, files))


def test_a_link_is_no_attributes_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(LFS)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/.gitattributes").symlink_to(tmp_path / "elsewhere")
    assert not detection.is_used(checkout(tmp_path, {}))


def test_an_index_of_another_version_is_left_to_git(tmp_path: Path) -> None:
    assert detection.is_used(checkout(tmp_path, {".gitattributes": "* text\n"}, "-c", "index.version=4"))


def test_a_commit_without_files(tmp_path: Path) -> None:
    (tmp_path / "repo/.git").mkdir(parents=True)
    assert not detection.is_used(tmp_path)
