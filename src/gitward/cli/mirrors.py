"""`gitward mirrors`: the copies of repositories in the data folder, also while a worker uses them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from gitward.errors import EXIT_CODE, Exit, SettingsError
from gitward.repositories.mirrors.collection import MirrorCollection, StoredMirror
from gitward.repositories.mirrors.source import MirrorUnusable
from gitward.settings.fields import Settings
from gitward.settings.values import MiB

_WIDTH = 120  # of a table that is no terminal's


def show(settings: Settings, *, as_json: bool) -> None:
    mirrors = sorted(_mirrors(settings), key=lambda mirror: mirror.used_at)
    if as_json:
        print(
            json.dumps({"limit_mib": settings.mirror_mib, "mirrors": [_document(each) for each in mirrors]}, indent=1)
        )
        return
    print_table(mirrors)
    total = sum(each.size for each in mirrors)
    print(f"{len(mirrors)} mirrors, {total // MiB} of {settings.mirror_mib} MiB (GITWARD_MIRROR_MB)")


def drop(settings: Settings, name: str | None, *, everything: bool, as_json: bool) -> int:
    """Removes the mirrors of a repository, or all; the exit code.

    :raises SettingsError: nothing, or two things, are named.
    """
    if (name is None) == (not everything):
        raise SettingsError(["mirrors drop: name one repository (owner/name), or give --all"])
    mirrors = _mirrors(settings)
    if name is not None:
        mirrors = [each for each in mirrors if each.is_of(name)]
    shelf = MirrorCollection(settings.data_dir / "mirrors")
    failed = {}
    for each in mirrors:
        try:
            shelf.mirror(each.key).drop()
        except (MirrorUnusable, OSError) as error:
            failed[each.key] = str(error)
    dropped = [each for each in mirrors if each.key not in failed]
    if as_json:
        print(json.dumps({"dropped": [_document(each) for each in dropped], "failed": failed}, indent=1))
    else:
        for each in dropped:
            print(f"dropped {_title(each)} ({each.size // MiB} MiB)")
        for key, why in failed.items():
            print(f"{key} could not be dropped: {why}")
        if not mirrors:
            print(f"there is no mirror of {name}" if name else "there is no mirror")
    return EXIT_CODE[Exit.FAILED if failed or (name is not None and not mirrors) else Exit.SUCCEEDED]


def _mirrors(settings: Settings) -> list[StoredMirror]:
    folder = settings.data_dir / "mirrors"
    try:
        return MirrorCollection(folder).all()
    except PermissionError:
        raise SettingsError([f"GITWARD_DATA_DIR: only the service's own user may read {folder}"]) from None


def print_table(mirrors: Sequence[StoredMirror]) -> None:
    table = Table("repository", "MiB", "packs", "made", "used", box=None, pad_edge=False, header_style="")
    for each in mirrors:
        meta = each.meta
        if meta is None:
            table.add_row(_title(each), "", "", "damaged", "")
        else:
            times = (_time(meta.made_at), _time(meta.used_at))
            table.add_row(_title(each), str(each.size // MiB), str(meta.packs), *times)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=_WIDTH)
    if mirrors:
        console.print(table)


def _title(mirror: StoredMirror) -> str:
    return mirror.key if mirror.meta is None else mirror.meta.names[-1]


def _document(mirror: StoredMirror) -> dict[str, object]:
    meta = mirror.meta
    if meta is None:
        return {"key": mirror.key, "damaged": True}
    return {
        "key": mirror.key,
        "damaged": False,
        "server_url": meta.server_url,
        "repository_id": meta.repository_id,
        "names": list(meta.names),
        "bytes": mirror.size,
        "lfs_bytes": mirror.lfs_bytes,
        "packs": meta.packs,
        "made_at": _time(meta.made_at),
        "refreshed_at": _time(meta.refreshed_at),
        "used_at": _time(meta.used_at),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
