"""Images from every source, honest ones: what arrives, what is refused, what can be removed."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import command_line
from connect_proxy import connect_proxy
from gitward.environments.adding import Adder
from gitward.environments.store import Stored, Unusable
from gitward.grants.endpoint import Nowhere
from gitward.sandboxes import Command, Limits, SandboxEngine, Stream
from gitward.sandboxes.engine import BubblewrapEngine
from made_environments import unpacked

from .images import ARCHITECTURE, Entry, Layout, layer

pytestmark = pytest.mark.asyncio(loop_scope="session")


GH = layer([Entry("usr/bin/gh", b"#!/bin/sh\necho gh version 2.23.0\n")])  # the real one is as large as all the rest


@pytest.fixture(scope="module")
def packed() -> bytes:
    """Of an environment what is needed to be one, as one layer."""
    root = unpacked("python")
    left_out = ["share", "sbin", "lib/python3*", "lib/git-core", "lib/*/perl*", "lib/*/gconv", "lib/*/guile"]
    left_out += ["bin/gh", "bin/git-lfs", "bin/perl*", "bin/python3*"]
    argv = ["tar", "--create", f"--directory={root}", "--sort=name", *(f"--exclude=usr/{each}" for each in left_out)]
    done = subprocess.run([*argv, "usr", "etc", "bin", "lib", "lib64"], capture_output=True, check=True)
    return done.stdout


@pytest.fixture
def layout(place: Path) -> Layout:
    return Layout(place / "layout")


async def said_in(engine: SandboxEngine, place: Path, stored: Stored, script: str) -> str:
    """What a script says in an environment."""
    said = bytearray()

    async def keep(_stream: Stream, piece: bytes) -> None:
        said.extend(piece)

    sandbox = await engine.open(
        name="look", workspace=place / "look", endpoint=Nowhere(), limits=Limits(), image=stored.image
    )
    try:
        await sandbox.run(Command(argv=("/bin/bash", "-c", script), timeout_seconds=60, in_image=True), keep)
    finally:
        await sandbox.close()
    return said.decode()


async def test_an_oci_image_with_its_variables(adder: Adder, place: Path, layout: Layout, packed: bytes) -> None:
    env = ["PATH=/usr/games:/usr/bin:/root/.cargo/bin", "GOPATH=/go", "CARGO_HOME=/usr/local/cargo", "EDITION=7"]
    source = layout.tag(layout.image([packed, GH], env))
    stored = await adder.add("oci", source, ["PATH=/opt/mine", "MORE=yes"])
    said = await said_in(
        adder.engine,
        place,
        stored,
        'echo "$PATH"; echo $EDITION $MORE "<$GOPATH$CARGO_HOME>"; bash -lc \'echo "$PATH"\'',
    )
    path = "/opt/mine:/usr/games:/usr/bin:/usr/local/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    assert said.splitlines() == [path, "7 yes <>", path]  # a login shell, as codex has them, keeps it
    assert "left out: GOPATH, CARGO_HOME" in (place / "told").read_text()


async def test_the_same_content_is_one_image_whatever_it_comes_from(
    adder: Adder, place: Path, layout: Layout, packed: bytes
) -> None:
    one = await adder.add("one", layout.tag(layout.image([packed, GH])))
    two = await adder.add("two", layout.tag(layout.image([packed, GH]), "v2"))
    assert one.digest == two.digest
    assert len(os.listdir(adder.store.folder / "images")) == 1


async def test_layers_that_are_compressed_by_gzip_or_zstd(
    adder: Adder, place: Path, layout: Layout, packed: bytes
) -> None:
    """umoci reads no zstd; skopeo writes the image anew before."""
    plain = layout.tag(layout.image([packed, GH]))
    digests = {(await adder.add("plain", plain)).digest}
    for kind in ("gzip", "zstd"):
        argv = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-compress-format", kind, "--dest-compress"]
        subprocess.run([*argv, plain, f"oci:{place}/{kind}:v1"], check=True)
        digests.add((await adder.add(kind, f"oci:{place}/{kind}:v1")).digest)
    assert len(digests) == 1


async def test_of_an_index_for_many_machines_this_one_s_is_taken(adder: Adder, layout: Layout, packed: bytes) -> None:
    other = "arm64" if ARCHITECTURE == "amd64" else "amd64"
    index = layout.index([layout.image([b"\0" * 1024], machine=other), layout.image([packed, GH])])
    assert (await adder.add("many", layout.tag(index))).files > 500


async def test_an_archive_of_docker_save(adder: Adder, place: Path, layout: Layout, packed: bytes) -> None:
    """Also one with two images, and one that is compressed."""
    source = layout.tag(layout.image([packed, GH]))
    argv = ["skopeo", "--insecure-policy", "copy", "-q", source]
    subprocess.run([*argv, f"docker-archive:{place}/image.tar:team/tools:1"], check=True)
    first = await adder.add("archive", f"docker-archive:{place}/image.tar")
    assert (await adder.add("named", f"docker-archive:{place}/image.tar:team/tools:1")).digest == first.digest
    with (place / "image.tar").open("rb") as plain, gzip.open(place / "image.tgz", "wb", 1) as file:
        shutil.copyfileobj(plain, file)
    assert (await adder.add("packed", f"docker-archive:{place}/image.tgz")).digest == first.digest
    with pytest.raises(Unusable, match="skopeo cannot take this image"):
        await adder.add("wrong", f"docker-archive:{place}/image.tar:team/none:1")
    with tarfile.open(place / "no.tar", "w"):
        pass
    with pytest.raises(Unusable, match="skopeo cannot take this image"):
        await adder.add("wrong", f"docker-archive:{place}/no.tar")
    assert "wrong" not in adder.store.names()


async def gitward(*arguments: str, **settings: str) -> tuple[int, str]:
    """Exit code, and all that was said."""
    code, out, err = await command_line.gitward(*arguments, cwd=Path("/"), **settings)
    return code, out + err


@contextlib.asynccontextmanager
async def registry(place: Path) -> AsyncIterator[int]:
    """Debian's docker-registry on loopback: its port."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    config = place / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {place}/registry\n"
        f"http:\n  addr: 127.0.0.1:{port}\n"
    )
    process = await asyncio.create_subprocess_exec(
        "docker-registry", "serve", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.kill()
        await process.wait()


async def test_an_image_of_a_registry_directly_and_through_the_operator_s_proxy(
    adder: Adder, engine: BubblewrapEngine, place: Path, layout: Layout, packed: bytes
) -> None:
    async with registry(place) as port:
        source = layout.tag(layout.image([packed, GH]))
        pushed = f"docker://127.0.0.1:{port}/team/tools:1"
        argv = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", source, pushed]
        await asyncio.to_thread(subprocess.run, argv, check=True)
        direct = await adder.add("direct", pushed)
        with pytest.raises(Unusable, match=r"skopeo cannot fetch this image: .*unknown"):
            await adder.add("none", f"docker://127.0.0.1:{port}/team/tools:2")
        # A name that the proxy alone knows: its registry speaks no TLS, so this shows the way and no more.
        async with connect_proxy({"registry.corp.test:443": port}, login="dev:pr0xy-s3cret") as proxy:
            behind = Adder(
                store=adder.store,
                engine=engine,
                limit_bytes=adder.limit_bytes,
                environment={**adder.environment, "HTTPS_PROXY": f"http://dev:pr0xy-s3cret@127.0.0.1:{proxy.port}"},
                tell=adder.tell,
            )
            with pytest.raises(Unusable, match="skopeo cannot fetch this image") as refused:
                await behind.add("behind", "docker://registry.corp.test/team/tools:1")
            assert proxy.targets == {"registry.corp.test:443"}
            assert "s3cret" not in str(refused.value)
    assert direct.digest == (await adder.add("local", source)).digest
    assert adder.store.names() == ["direct", "local"]


async def test_what_a_run_uses_cannot_be_removed(
    adder: Adder, engine: BubblewrapEngine, place: Path, layout: Layout, packed: bytes
) -> None:
    stored = await adder.add("used", layout.tag(layout.image([packed, GH])))
    sandbox = await engine.open(
        name="user", workspace=place / "user", endpoint=Nowhere(), limits=Limits(), image=stored.image
    )
    settings = {"GITWARD_ENVIRONMENTS_DIR": str(adder.store.folder), "GITWARD_DATA_DIR": str(place / "data")}
    try:
        code, said = await gitward("environments", "remove", "used", **settings)
        assert code == 1
        assert "gitward: The environment used is in use by a run; remove it when the run has ended." in said
    finally:
        await sandbox.close()
    assert await gitward("environments", "remove", "used", **settings) == (0, "used is removed.\n")
    code, said = await gitward("environments", "remove", "used", **settings)
    assert (code, said) == (1, "gitward: There is no environment used; there are: none.\n")


async def test_the_command_line_adds_lists_and_refuses(
    place: Path, adder: Adder, layout: Layout, packed: bytes
) -> None:
    settings = {"GITWARD_ENVIRONMENTS_DIR": str(place / "shelf"), "GITWARD_DATA_DIR": str(place / "data")}
    settings["GITWARD_ENVIRONMENTS"] = "host"
    source = layout.tag(layout.image([packed, GH]))
    code, said = await gitward("environments", "add", "tools", source, "--env", "A=b", **settings)
    assert code == 0, said
    assert "tools is ready: " in said
    assert "add tools to GITWARD_ENVIRONMENTS and start Gitward again" in said
    del settings["GITWARD_ENVIRONMENTS"]
    code, said = await gitward("environments", "list", "--json", **settings)
    listed = json.loads(said)
    assert [each["name"] for each in listed["environments"]] == ["host", "tools"]
    code, said = await gitward("environments", "list", **settings)
    assert source in said
    for arguments, told in (
        (("host", source), "'host': an environment's name"),
        (("Up", source), "'Up': an environment's name"),
        (("x", "/nowhere"), "/nowhere does not exist"),
        (("x", source, "--env", "HOME=/x"), "--env HOME: must be NAME=VALUE"),
    ):
        code, said = await gitward("environments", "add", *arguments, **settings)
        assert code == 1
        assert told in said


async def test_an_image_whose_programs_do_not_run_is_refused(adder: Adder, place: Path, packed: bytes) -> None:
    (place / "system").mkdir()
    subprocess.run(["tar", "--extract", f"--directory={place}/system"], input=packed, check=True)
    (place / "system/usr/bin/gh").write_text("#!/nowhere\n")
    (place / "system/usr/bin/gh").chmod(0o755)
    with pytest.raises(Unusable, match=r"git and gh of the image do not run: .*bad interpreter"):
        await adder.add("broken", str(place / "system"))
    assert os.listdir(adder.store.folder / "images") == []
