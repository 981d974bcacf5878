"""The bounds of a check: it ends in time, and whatever it meets becomes a finding of its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from gitward.cli.doctor.findings import Verdict, ok
from gitward.cli.doctor.images import examine_environment
from gitward.cli.doctor.parts import Findings, Part, examine, in_thread
from gitward.environments.store import Store
from gitward.errors import SettingsError
from gitward.store.file_systems import file_system_of


async def _breaks() -> Findings:
    yield ok("part", "begun")
    raise RuntimeError("a bug")


async def _refused() -> Findings:
    for problems in (["A: is wrong", "B: is wrong too"],):
        raise SettingsError(problems)
    yield ok("part", "not reached")


async def _hangs() -> Findings:
    yield ok("part", "begun")
    await asyncio.Event().wait()


async def test_a_check_that_breaks_keeps_what_it_found() -> None:
    first, last = await examine(Part(name="part", look=_breaks))
    assert (first.verdict, last.verdict) == (Verdict.OK, Verdict.FAIL)
    assert last.detail == "could not be examined (RuntimeError)"


async def test_each_refusal_of_a_setting_is_a_finding() -> None:
    found = await examine(Part(name="part", look=_refused))
    assert [each.detail for each in found] == ["A: is wrong", "B: is wrong too"]


async def test_a_check_that_hangs_ends_in_time() -> None:
    first, last = await examine(Part(name="part", look=_hangs, seconds=0.05))
    assert first.detail == "begun"
    assert last.detail == "was not examined within 0.05 s"


async def test_a_call_that_blocks_for_ever_holds_nobody() -> None:
    """As on a network disk that is away; not even the end of the program waits for it."""
    release = threading.Event()

    async def look() -> Findings:
        yield ok("part", str(await in_thread(release.wait)))

    [found] = await examine(Part(name="part", look=look, seconds=0.05))
    assert found.verdict is Verdict.FAIL
    [left] = [each for each in threading.enumerate() if each.name == "doctor"]
    assert left.daemon
    release.set()
    await asyncio.to_thread(left.join)


def _store(folder: Path) -> tuple[Store, Path]:
    """With one environment `go` that has a shell."""
    store = Store(folder)
    with store.changing():
        part = store.new_part()
        (part / "tree" / "usr" / "bin").mkdir(parents=True)
        (part / "tree" / "usr" / "bin" / "bash").touch()
        (part / "tree" / "bin").symlink_to("usr/bin")
        about = {"folders": ["usr"], "links": {"bin": "usr/bin"}, "variables": {}, "bytes": 1, "files": 3}
        store.put(part, "d" * 64, about)
        store.name("go", "d" * 64, source="oci:x:y", added_at="2026-01-01T00:00:00Z")
    return store, folder / "images" / ("d" * 64) / "tree"


def test_an_image_that_is_whole_is_told_and_one_that_nobody_may_name(tmp_path: Path) -> None:
    store, _ = _store(tmp_path)
    assert examine_environment(store, "go", ()).verdict is Verdict.OK
    hidden = examine_environment(store, "go", ("host",))
    assert (hidden.verdict, hidden.remedy) == (Verdict.WARN, "add go to GITWARD_ENVIRONMENTS")


def test_an_image_that_lost_something_is_told_with_its_remedy(tmp_path: Path) -> None:
    store, tree = _store(tmp_path)
    (tree / "usr" / "bin" / "bash").unlink()
    gone = examine_environment(store, "go", ())
    assert (gone.verdict, gone.detail) == (Verdict.FAIL, "its /bin/bash is gone: runs in it fail")
    assert gone.remedy == "gitward environments add go oci:x:y"
    (tree / "bin").unlink()
    (tree / "bin").mkdir()
    (tree / "bin" / "bash").touch()
    (tree / "usr" / "bin").rmdir()
    (tree / "usr").rmdir()
    assert examine_environment(store, "go", ()).detail == "its folder /usr is gone: runs in it fail"
    (tmp_path / "names" / "go.json").write_text("{}")
    assert "cannot be read" in examine_environment(store, "go", ()).detail


def test_files_that_are_missing_are_counted(tmp_path: Path) -> None:
    store, tree = _store(tmp_path)
    about = tree.parent / "about.json"
    about.write_text(about.read_text().replace('"files": 3', '"files": 900'))
    assert "has 4 files instead of 900" in examine_environment(store, "go", ()).detail


def test_the_file_system_of_a_folder_is_known() -> None:
    assert file_system_of(Path("/proc")) == "proc"
