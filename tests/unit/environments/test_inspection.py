"""What an image has, seen without leaving it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from gitward.environments import inspection
from gitward.environments.store import Unusable

from .conftest import MACHINES, elf


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("usr/bin", "usr/bin"),
        ("/usr/bin", "usr/bin"),
        ("../../../../usr/bin", "usr/bin"),  # `..` at the root stays there
        ("/etc/../usr/bin", "usr/bin"),
        ("one", None),  # to itself
        ("/nowhere", None),
    ],
)
def test_links_are_followed_inside_the_image_alone(system: Path, target: str, leads_to: str | None) -> None:
    (system / "one").symlink_to(target)
    assert inspection.resolve(system, "/one") == leads_to


def test_an_absolute_link_never_leads_to_the_host(system: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("host")
    (system / "usr/bin/secret").symlink_to(tmp_path / "secret")
    assert inspection.resolve(system, "/usr/bin/secret") is None


def test_the_top_of_an_ordinary_image(system: Path) -> None:
    (system / "opt/tool").mkdir()
    assert inspection.top_names(system) == (["opt", "usr"], {"bin": "usr/bin", "lib": "usr/lib"})


@pytest.mark.parametrize("target", ["/proc/1/root", "/nowhere", "home/dev", "..", "/", "lib64"])
def test_a_link_at_the_top_that_leads_out_of_the_system_is_refused(system: Path, target: str) -> None:
    (system / "lib64").symlink_to(target)
    with pytest.raises(Unusable, match=r"The link /lib64 leads to .*must lead to a folder of its system"):
        inspection.top_names(system)


@pytest.mark.parametrize("name", ["usr", "etc"])
def test_a_tree_whose_usr_or_etc_is_a_link_is_no_system(system: Path, name: str) -> None:
    (system / name).rename(system / "elsewhere")
    (system / name).symlink_to("elsewhere")
    if name == "usr":
        (system / "bin").unlink()
        (system / "lib").unlink()
    with pytest.raises(Unusable, match=f"This is no image of a system: /{name} is no folder"):
        inspection.top_names(system)


def test_a_whole_image_passes(system: Path) -> None:
    inspection.check_parts(system, {})


def test_missing_parts_are_named_together_with_the_remedy(system: Path) -> None:
    for name in ("usr/bin/gh", "usr/bin/bash", "etc/ssl/certs/ca-certificates.crt"):
        (system / name).unlink()
    with pytest.raises(Unusable) as refused:
        inspection.check_parts(system, {})
    assert str(refused.value) == (
        "The image has no bash, gh and certificates, which every run needs. Install them in the image; on Debian: "
        "apt-get install bash gh ca-certificates"
    )


def test_programs_are_found_where_the_image_says(system: Path) -> None:
    (system / "opt/gh/bin").mkdir(parents=True)
    (system / "usr/bin/gh").rename(system / "opt/gh/bin/gh")
    with pytest.raises(Unusable, match="no gh"):
        inspection.check_parts(system, {})
    inspection.check_parts(system, {"PATH": "/opt/gh/bin:/usr/bin"})


def test_musl_is_refused_before_what_is_missing(system: Path) -> None:
    (system / "usr/bin/bash").unlink()
    (system / "usr/bin/sh").write_bytes(elf(MACHINES[platform.machine()], b"/lib/ld-musl-x86_64.so.1"))
    with pytest.raises(Unusable, match=r"uses musl \(as Alpine does\)"):
        inspection.check_parts(system, {})


def test_an_image_for_another_machine_is_refused(system: Path) -> None:
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    (system / "usr/bin/sh").write_bytes(elf(MACHINES[other], b"/lib/ld-linux.so"))
    with pytest.raises(Unusable, match=f"The image is for {other}, and this machine is {platform.machine()}"):
        inspection.check_parts(system, {})


@pytest.mark.parametrize("cut", [0, 4, 20, 63, 70, 119])
def test_a_program_with_a_broken_head_raises_nothing_of_its_own(system: Path, cut: int) -> None:
    program = elf(MACHINES[platform.machine()], b"/lib/ld-musl-x86_64.so.1")
    (system / "usr/bin/sh").write_bytes(program[:cut])
    inspection.check_parts(system, {})


def test_an_image_without_a_shell_is_refused(system: Path) -> None:
    (system / "usr/bin/sh").unlink()
    with pytest.raises(Unusable, match="no /bin/sh"):
        inspection.check_parts(system, {})
