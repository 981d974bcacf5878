"""Where an image may come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitward.environments import sources
from gitward.environments.sources import Kind
from gitward.environments.store import Unusable


def test_each_kind_is_told_by_its_form(tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    (tmp_path / "image.tar").touch()
    parsed = [
        sources.parse(text)
        for text in (
            f"oci:{tmp_path}/layout:v1",
            f"oci:{tmp_path}/layout",
            f"docker-archive:{tmp_path}/image.tar",
            f"docker-archive:{tmp_path}/image.tar:team/go:1.22",
            "docker://registry.example:5000/team/go:1.22@sha256:abc",
            str(tmp_path / "layout"),
        )
    ]
    assert [(each.kind, each.reference) for each in parsed] == [
        (Kind.OCI, "v1"),
        (Kind.OCI, ""),
        (Kind.ARCHIVE, ""),
        (Kind.ARCHIVE, "team/go:1.22"),
        (Kind.REGISTRY, "registry.example:5000/team/go:1.22@sha256:abc"),
        (Kind.FOLDER, ""),
    ]
    assert parsed[3].path == tmp_path / "image.tar"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/nowhere", "does not exist. Give oci:DIR:TAG, docker-archive:FILE"),
        ("/", "This machine itself is the environment `host`"),
        ("/etc/passwd", "say docker-archive:/etc/passwd"),
        ("oci:/nowhere:tag", "there is no such folder with an OCI layout"),
        ("docker-archive:/nowhere", "there is no such file"),
        ("docker://", "wants an image's name"),
        ("docker://--help", "wants an image's name"),
        ("oci:/tmp:-x", "is no tag"),
    ],
)
def test_what_cannot_be_one_is_refused_with_what_can(text: str, told: str) -> None:
    with pytest.raises(Unusable, match=told):
        sources.parse(text)


def test_only_plain_files_of_a_layout_are_taken(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text("{}")
    (layout / "index.json").write_text("{}")
    (layout / f"blobs/sha256/{'a' * 64}").write_text("blob")
    (layout / "blobs/sha256/strange").write_text("strange")
    (layout / "blobs/linked").symlink_to("/etc")
    source = sources.parse(f"oci:{layout}")
    sources.bring_in(source, tmp_path / "taken", limit=1000)
    assert sorted(str(path.relative_to(tmp_path / "taken")) for path in (tmp_path / "taken").rglob("*")) == [
        "blobs",
        "blobs/sha256",
        f"blobs/sha256/{'a' * 64}",
        "index.json",
        "oci-layout",
    ]
    (layout / f"blobs/sha256/{'b' * 64}").symlink_to("/etc/passwd")
    with pytest.raises(Unusable, match="cannot be read"):
        sources.bring_in(source, tmp_path / "again", limit=1000)
    (layout / f"blobs/sha256/{'b' * 64}").unlink()
    (layout / f"blobs/sha256/{'b' * 64}").write_bytes(bytes(2000))
    with pytest.raises(Unusable, match="larger than"):
        sources.bring_in(source, tmp_path / "third", limit=1000)


def test_of_several_images_one_must_be_named(tmp_path: Path) -> None:
    names = [{"annotations": {"org.opencontainers.image.ref.name": name}} for name in ("one", "two")]
    (tmp_path / "index.json").write_text(json.dumps({"manifests": names}))
    with pytest.raises(Unusable, match=r"has 2 images; name one, as in oci:DIR:TAG\. There are: one, two"):
        sources.only_tag(tmp_path, sources.parse(f"oci:{tmp_path}"))
    assert sources.only_tag(tmp_path, sources.parse(f"oci:{tmp_path}:two")) == "two"
    (tmp_path / "index.json").write_text(json.dumps({"manifests": names[:1]}))
    assert sources.only_tag(tmp_path, sources.parse(f"oci:{tmp_path}")) == "one"
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(Unusable, match=r"index\.json is none"):
        sources.only_tag(tmp_path, sources.parse(f"oci:{tmp_path}"))
