"""A foreign tree is copied without following anything out of it, and arrives as what a sandbox may see."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gitward.environments import copying
from gitward.environments.copying import Copied
from gitward.environments.etc import furnish, is_wanted
from gitward.environments.store import Unusable


def copy(source: Path, target: Path, path: str = "usr", limit: int = 10**6) -> Copied:
    target.mkdir(exist_ok=True)
    copied = Copied(limit_bytes=limit)
    copying.copy(source, target, path, copied, is_wanted)
    return copied


def test_links_are_copied_and_never_followed(system: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("host")
    (system / "usr/out").symlink_to(tmp_path / "host")
    (system / "usr/up").symlink_to("../../../../etc")
    copy(system, tmp_path / "copy")
    assert os.readlink(tmp_path / "copy/usr/out") == str(tmp_path / "host")
    assert (tmp_path / "copy/usr/up").is_symlink()
    assert not [path for path in (tmp_path / "copy").rglob("secret") if not path.parent.is_symlink()]


def test_a_folder_on_the_way_that_is_a_link_is_refused(system: Path, tmp_path: Path) -> None:
    (tmp_path / "host/lib").mkdir(parents=True)
    (system / "var").symlink_to(tmp_path / "host")
    with pytest.raises(OSError, match="Not a directory"):
        copy(system, tmp_path / "copy", "var/lib")


def test_nothing_arrives_with_rights_beyond_reading(system: Path, tmp_path: Path) -> None:
    for name, mode in (("su", 0o4755), ("group", 0o2755), ("open", 0o666), ("closed", 0o700)):
        (system / "usr" / name).write_text(name)
        (system / "usr" / name).chmod(mode)
    before = os.umask(0o077)
    try:
        copy(system, tmp_path / "copy")
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / "copy/usr" / name).stat().st_mode) for name in os.listdir(system / "usr")}
    assert modes == {"su": 0o555, "group": 0o555, "open": 0o444, "closed": 0o555, "bin": 0o755, "lib": 0o755}
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (tmp_path / "copy").rglob("*")} == {
        (os.geteuid(), os.getegid())
    }


def test_what_is_no_file_is_left_out_and_named(system: Path, tmp_path: Path) -> None:
    for number in range(8):
        os.mkfifo(system / f"usr/pipe{number}")
    copied = copy(system, tmp_path / "copy")
    assert copied.left_out_count == 8
    assert copied.left_out[0] == "usr/pipe0 (no file, folder or link)"
    assert len(copied.left_out) == 5


def test_hard_links_inside_stay_links_and_cost_once(system: Path, tmp_path: Path) -> None:
    (system / "usr/lib/git-add").write_bytes(b"x" * 1000)
    for number in range(50):
        os.link(system / "usr/lib/git-add", system / f"usr/lib/git-{number}")
    copied = copy(system, tmp_path / "copy", limit=5000)
    assert copied.size < 5000
    assert (tmp_path / "copy/usr/lib/git-7").stat().st_nlink == 51


def test_a_hard_link_to_what_others_may_not_read_is_left_out(system: Path, tmp_path: Path) -> None:
    """Whoever may write to the folder can link a file of the operator's into it."""
    (tmp_path / "key").write_text("private")
    (tmp_path / "key").chmod(0o600)
    os.link(tmp_path / "key", system / "usr/lib/harmless")
    copied = copy(system, tmp_path / "copy")
    assert not (tmp_path / "copy/usr/lib/harmless").exists()
    assert "hard link" in copied.left_out[0]


def test_an_image_beyond_the_limit_is_refused_before_it_is_whole(system: Path, tmp_path: Path) -> None:
    with (system / "usr/huge").open("wb") as file:
        file.truncate(1 << 40)  # it has no blocks; a copy would have
    with pytest.raises(Unusable, match=r"larger than 2 MiB.*GITWARD_ENVIRONMENT_MB"):
        copy(system, tmp_path / "copy", limit=2 << 20)


def test_folders_without_an_end_are_refused(system: Path, tmp_path: Path) -> None:
    (system / "usr" / "/".join("d" for _ in range(210))).mkdir(parents=True)
    with pytest.raises(Unusable, match="deep"):
        copy(system, tmp_path / "copy")


def test_the_digest_is_of_the_content(system: Path, tmp_path: Path) -> None:
    first = copy(system, tmp_path / "one").digest()
    (system / "usr/bin/git").touch()
    assert copy(system, tmp_path / "two").digest() == first
    (system / "usr/bin/git").chmod(0o644)
    assert copy(system, tmp_path / "three").digest() != first
    (system / "usr/bin/git").chmod(0o755)
    (system / "usr/bin/zz").symlink_to("git")
    assert copy(system, tmp_path / "four").digest() != first


@pytest.mark.parametrize(
    ("name", "mode"), [("shadow", 0o644), ("ssh", 0o755), ("krb5.keytab", 0o600), ("profile", 0o644)]
)
def test_accounts_and_what_etc_keeps_private_stay_out(system: Path, tmp_path: Path, name: str, mode: int) -> None:
    """And /etc/profile: a login shell would set PATH anew by it."""
    if name == "ssh":
        (system / "etc/ssh").mkdir()
        (system / "etc/ssh/key").write_text("key")
    else:
        (system / "etc" / name).write_text("secret")
        (system / "etc" / name).chmod(mode)
    (system / "etc/maven.conf").write_text("kept")
    copy(system, tmp_path / "copy", "etc")
    assert sorted(os.listdir(tmp_path / "copy/etc")) == ["maven.conf", "ssl"]


def test_nothing_is_written_through_a_link_of_the_image(system: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hosts").write_text("host")
    (system / "etc/hosts").symlink_to(outside / "hosts")
    (system / "etc/passwd").symlink_to(outside / "passwd")
    (system / "etc/ssl/certs").rename(outside / "certs")
    (system / "etc/ssl/certs").symlink_to(outside / "certs")
    (system / "etc/gitconfig").mkdir()
    furnish(system / "etc", {"passwd": "ours", "gitconfig": "ours"}, b"roots")
    assert (system / "etc/passwd").read_text() == "ours"
    assert (system / "etc/gitconfig").read_text() == "ours"
    assert (system / "etc/ssl/certs/ca-certificates.crt").read_bytes() == b"roots"
    assert (outside / "hosts").read_text() == "host"
    assert not (outside / "passwd").exists()
    assert "BEGIN" in (outside / "certs/ca-certificates.crt").read_text()
