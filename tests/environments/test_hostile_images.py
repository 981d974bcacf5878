"""What a hostile image tries when it is unpacked: nothing of it reaches the host, and no file arrives with rights."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tarfile
from pathlib import Path

import pytest

from gitward.environments import copying, etc, inspection, sources, unpacking
from gitward.environments.adding import Adder
from gitward.environments.copying import Copied
from gitward.environments.store import Unusable
from gitward.sandboxes.engine import BubblewrapEngine

from .images import Entry, Layout, folder, layer, link

pytestmark = pytest.mark.asyncio(loop_scope="session")

BASE = [
    *(folder(name) for name in ("usr", "usr/bin", "usr/lib", "etc")),
    Entry("usr/bin/tool", b"#!/bin/sh\n"),
    link("bin", "usr/bin"),
]
LIMIT = 64 << 20


async def taken(engine: BubblewrapEngine, place: Path, *layers: list[Entry], limit: int = LIMIT) -> Path:
    """Unpacked and copied, as `add` does it before it checks the parts."""
    layout = Layout(place / "layout")
    source = sources.parse(layout.tag(layout.image([layer(each) for each in layers])))
    unpacked = await unpacking.unpack(engine, place / "unpacking", source, limit=limit, fetch=None)
    folders, _ = inspection.top_names(unpacked.root)
    tree = place / "tree"
    tree.mkdir()
    for each in (*folders, "etc"):
        copying.copy(unpacked.root, tree, each, Copied(limit_bytes=limit), etc.is_wanted)
    return tree


def files(root: Path) -> set[str]:
    return {str(Path(folder, name).relative_to(root)) for folder, _, names in os.walk(root) for name in names}


async def test_links_out_and_writes_through_them(engine: BubblewrapEngine, place: Path) -> None:
    victim = place / "victim"
    victim.mkdir(mode=0o777)
    victim.chmod(0o777)
    first = [*BASE, link("usr/lib/out", str(victim)), link("usr/lib/up", "../../../../../../.." + str(victim))]
    second = [Entry("usr/lib/out/one", b"x"), Entry("usr/lib/up/two", b"x")]
    tree = await taken(engine, place, first, second)
    assert os.listdir(victim) == []
    assert "usr/bin/tool" in files(tree)


@pytest.mark.parametrize("name", ["../../escaped", "usr/../../../escaped", "/../escaped"])
async def test_dots_in_names(engine: BubblewrapEngine, place: Path, name: str) -> None:
    try:
        tree = await taken(engine, place, [*BASE, Entry(name, b"x")])
    except Unusable:
        return
    assert [path for path in place.rglob("escaped") if tree not in path.parents and "unpacking" not in path.parts] == []
    assert not (place / "unpacking/work/escaped").exists()


async def test_hard_links_out(engine: BubblewrapEngine, place: Path) -> None:
    (place / "secret").write_text("host")
    (place / "secret").chmod(0o644)
    stolen = [
        Entry("usr/lib/stolen", kind=tarfile.LNKTYPE, target=str(place / "secret")),
        Entry("usr/lib/passwd", kind=tarfile.LNKTYPE, target="../../../../../../../etc/passwd"),
    ]
    try:
        tree = await taken(engine, place, [*BASE, *stolen])
    except Unusable:
        return
    assert b"host" not in b"".join((tree / name).read_bytes() for name in files(tree) if (tree / name).is_file())


async def test_devices_pipes_and_set_user_ids(engine: BubblewrapEngine, place: Path) -> None:
    strange = [
        Entry("usr/lib/null", kind=tarfile.CHRTYPE, mode=0o666),
        Entry("usr/lib/disk", kind=tarfile.BLKTYPE, mode=0o666),
        Entry("usr/lib/pipe", kind=tarfile.FIFOTYPE, mode=0o666),
        Entry("usr/bin/su", b"x", mode=0o6755),
        folder("usr/lib/sticky", 0o7777),
    ]
    tree = await taken(engine, place, [*BASE, *strange])
    for path in tree.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), path
        assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX), path
        assert path.lstat().st_uid == os.geteuid()


async def test_whiteouts(engine: BubblewrapEngine, place: Path) -> None:
    (place / "kept").write_text("host")
    lower = [*BASE, folder("usr/share"), Entry("usr/share/one", b"1"), Entry("usr/share/two", b"2")]
    upper = [Entry("usr/share/.wh.one", b""), Entry("usr/lib/.wh..wh..opq", b"")]
    tree = await taken(engine, place, lower, upper)
    assert files(tree) == {"usr/bin/tool", "usr/share/two"}
    assert (place / "kept").exists()


@pytest.mark.parametrize("name", [".wh...", ".wh..", "usr/.wh.../x", "../.wh.kept"])
async def test_whiteouts_of_folders_above(engine: BubblewrapEngine, place: Path, name: str) -> None:
    (place / "kept").write_text("host")
    with contextlib.suppress(Unusable, OSError):
        await taken(engine, place, BASE, [Entry(name, b"")])
    assert (place / "kept").read_text() == "host"
    assert (place / "unpacking/work").is_dir()


async def test_a_root_that_is_a_link(engine: BubblewrapEngine, place: Path) -> None:
    """As one release of umoci followed it (CVE-2021-29136)."""
    victim = place / "victim"
    victim.mkdir(mode=0o777)
    victim.chmod(0o777)
    for number, name in enumerate(("/", ".", "./")):
        with contextlib.suppress(Unusable):
            await taken(engine, place / str(number), [link(name, str(victim))], BASE)
        assert os.listdir(victim) == []


async def test_folders_and_files_that_their_owner_may_not_read(engine: BubblewrapEngine, place: Path) -> None:
    """Fedora's /root is 0555 and its shadow 0000; a later layer writes both again."""
    closed = [
        *BASE,
        folder("usr/closed", 0o555),
        Entry("usr/closed/one", b"1", mode=0),
        Entry("etc/gshadow", b"x", mode=0),
    ]
    again = [
        Entry("usr/closed/one", b"2", mode=0),
        Entry("usr/closed/two", b"2", mode=0o400),
        Entry("etc/gshadow", b"y"),
    ]
    tree = await taken(engine, place, closed, again)
    assert "usr/closed/two" in files(tree)
    assert not (tree / "etc/gshadow").exists()


async def test_an_image_that_grows_when_it_is_unpacked(adder: Adder, engine: BubblewrapEngine, place: Path) -> None:
    layout = Layout(place / "layout")
    bomb = layer([*BASE, *(Entry(f"usr/lib/{number}", bytes(32 << 20)) for number in range(12))])
    source = layout.tag(layout.image([bomb]))
    small = Adder(
        store=adder.store, engine=engine, limit_bytes=16 << 20, environment=adder.environment, tell=adder.tell
    )
    with pytest.raises(Unusable, match=r"larger than|larger, than|limit"):
        await small.add("bomb", source)
    assert adder.store.names() == []
    assert os.listdir(adder.store.folder / "images") == []


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b'{"manifests": [{}]}', b'{"manifests": [7]}'])
async def test_a_broken_layout_is_a_sentence(adder: Adder, place: Path, content: bytes) -> None:
    layout = Layout(place / "layout")
    layout.tag(layout.image([layer(BASE)]))
    (layout.place / "index.json").write_bytes(content)
    with pytest.raises(Unusable, match=r"index\.json|skopeo cannot take this image"):
        await adder.add("broken", f"oci:{layout.place}")
    assert os.listdir(adder.store.folder / "images") == []


async def test_a_blob_that_is_not_what_it_says(adder: Adder, place: Path) -> None:
    layout = Layout(place / "layout")
    source = layout.tag(layout.image([layer(BASE)]))
    for blob in (layout.place / "blobs/sha256").iterdir():
        if blob.read_bytes().startswith(b"\x1f\x8b"):
            blob.write_bytes(gzip.compress(layer([*BASE, Entry("usr/bin/other", b"x")])))
    with pytest.raises(Unusable, match="skopeo cannot take this image"):
        await adder.add("forged", source)
