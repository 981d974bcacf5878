"""What the service keeps: its folder, database, reserve, mirrors and environments. All of it stays as it is."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from gitward.cli.data_folder import check_way_to, prepare_data_dir, user_name
from gitward.cli.doctor.findings import Finding, fail, ok, warn
from gitward.cli.doctor.images import examine_environment
from gitward.cli.doctor.parts import Findings, in_thread
from gitward.cli.open_files import exposed_database, exposed_secrets, secret_files
from gitward.environments.store import Store
from gitward.repositories.mirrors.collection import MirrorCollection
from gitward.settings.fields import Settings
from gitward.settings.values import MiB
from gitward.store import disk
from gitward.store.database import Database
from gitward.store.disk_reserve import Reserve
from gitward.store.file_systems import file_system_of
from gitward.store.revisions import newest, revision_of

ANSWER_SECONDS = 10.0
_NETWORKS = ("nfs", "cifs", "smb", "fuse.", "9p", "ceph", "glusterfs", "lustre")  # beginnings of their types' names


async def look_at_folder(settings: Settings) -> Findings:
    """As a start would: it is made when there is none."""
    folder = settings.data_dir
    await in_thread(lambda: prepare_data_dir(folder))
    await in_thread(lambda: check_way_to(folder))
    kind = await in_thread(lambda: file_system_of(folder))
    free = await in_thread(lambda: disk.free(folder))
    if fault := await in_thread(lambda: disk.refusal(folder)):
        yield fail("data folder", f"the disk of {folder} {fault}", "make room on it, or make it writable")
    elif kind.startswith(_NETWORKS):
        detail = f"{folder} is on a network file system ({kind}), whose locks and hard links may not hold"
        yield warn("data folder", detail, "set GITWARD_DATA_DIR to a folder on a local disk")
    elif free < settings.disk_mib * MiB:
        detail = f"{folder} has {free // MiB} MiB left; one workspace may take {settings.disk_mib} (GITWARD_DISK)"
        yield warn("data folder", detail, "make room on its disk, or set GITWARD_DISK lower")
    else:
        yield ok("data folder", f"{folder} belongs to this user alone; {free // MiB} MiB are free ({kind})")


async def look_at_secret_files(settings: Settings) -> Findings:
    """Who else may read or change them."""
    exposed = await in_thread(lambda: exposed_secrets(settings))
    problems = await in_thread(lambda: exposed_database(settings))
    for each in exposed:
        yield (fail if each.is_refused else warn)("secret files", each.detail, each.remedy)
    for problem in problems:
        yield fail("secret files", problem)
    named = [str(path) for _, path in secret_files(settings)]
    if not exposed and not problems:
        yield ok("secret files", f"no other user may read {', '.join(named) or 'the database'}")


async def look_at_database(settings: Settings) -> Findings:
    """Whether it answers, and which tables it has."""
    file = settings.sqlite_file
    if file is not None and not await in_thread(file.exists):
        yield ok("database", f"there is none yet; the first start makes {file}")
        return
    if file is not None and (owner := await in_thread(lambda: file.stat().st_uid)) != os.geteuid():
        detail = f"not opened: {file} belongs to {user_name(owner)}, whom files of ours beside it would lock out"
        yield fail("database", detail, f"run the doctor as {user_name(owner)}")
        return
    database = Database(settings.effective_database_url)
    try:
        yield _schema(await database.read(revision_of, seconds=ANSWER_SECONDS), database)
    except sa.exc.DBAPIError as error:
        lines = str(error.orig).strip().splitlines()
        yield _silent(lines[0] if lines else type(error).__name__)
    except (TimeoutError, sa.exc.SQLAlchemyError) as error:
        yield _silent(f"no answer ({type(error).__name__})")
    finally:
        database.sever()
        await database.stop()


def _schema(found: str | None, database: Database) -> Finding:
    kind, wanted = "SQLite" if database.is_sqlite else "Postgres", newest()
    if found == wanted:
        return ok("database", f"{kind} answers; its schema is {found}, the newest")
    if found is not None and found > wanted:
        detail = f"{kind} answers; its schema {found} is newer than this program's {wanted}"
        return fail("database", detail, "install the version of Gitward that was used last")
    detail = f"{kind} answers; its schema is {found or 'empty'}, this program's is {wanted}"
    return warn("database", detail, "nothing, if you start serve next: it migrates; or run: gitward migrate")


def _silent(why: str) -> Finding:
    remedy = "see that it runs, and that GITWARD_DATABASE_URL leads to it"
    return fail("database", f"the database cannot be used: {why}", remedy)


async def look_at_reserve(settings: Settings) -> Findings:
    """Room for the ends of runs on a full disk."""
    file = settings.sqlite_file
    if file is None:
        yield ok("disk reserve", "not needed: Postgres keeps its own disk")
        return
    free = await in_thread(lambda: disk.free(file.parent))
    room = f"{free // MiB} MiB of its disk are free"
    if settings.reserve_mib == 0:
        remedy = "set GITWARD_RESERVE_MB to 32, so that runs can end truthfully on a full disk"
        yield warn("disk reserve", f"there is none (GITWARD_RESERVE_MB=0); {room}", remedy)
    elif await in_thread(lambda: disk.is_low(file.parent)):
        yield fail("disk reserve", f"the disk of the database is full: {room}", f"make room for {file.parent}")
    elif not await in_thread(file.exists):
        yield ok("disk reserve", f"the first start takes {settings.reserve_mib} MiB; {room}")
    elif (held := await in_thread(lambda: Reserve(file, settings.reserve_mib * MiB).held())) < MiB:
        remedy = f"have more than {settings.reserve_mib} MiB free: a running service takes it by itself"
        yield warn("disk reserve", f"it is not there; {room}", remedy)
    else:
        yield ok("disk reserve", f"{held // MiB} MiB are held for the ends of runs; {room}")


async def look_at_mirrors(settings: Settings) -> Findings:
    """Whether runs can borrow from mirrors here: by hard links, which do not leave a file system."""
    if settings.mirror_mib == 0:
        yield ok("mirrors", "off (GITWARD_MIRROR_MB=0): every run clones")
        return
    folder = settings.data_dir / "mirrors"
    if not await in_thread(folder.exists):
        folder = settings.data_dir
    if fault := await in_thread(lambda: _linking(folder, settings.data_dir / "workspaces")):
        remedy = f"keep {settings.data_dir} on one local disk; until then every run copies what it could borrow"
        yield warn("mirrors", fault, remedy)
        return
    stored = await in_thread(lambda: MirrorCollection(settings.data_dir / "mirrors").all())
    free, used = await in_thread(lambda: disk.free(folder)), sum(each.size for each in stored)
    for each in stored:
        if each.meta is None:
            yield warn("mirrors", f"the mirror {each.key} is damaged; the next run makes it anew", "none is needed")
    detail = f"{len(stored)} with {used // MiB} of {settings.mirror_mib} MiB; {free // MiB} MiB are free"
    if used + free < settings.mirror_mib * MiB:
        remedy = f"set GITWARD_MIRROR_MB to at most {(used + free) // MiB // 2}, or make room"
        yield warn("mirrors", f"{detail}: less than they may take", remedy)
    else:
        yield ok("mirrors", f"{detail}; hard links to the workspaces work")


def _linking(mirrors: Path, workspaces: Path) -> str | None:
    """Why a file of one folder cannot be lent to the other; None: it can."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="doctor-", dir=mirrors) as lender,
            tempfile.TemporaryDirectory(prefix="doctor-", dir=workspaces) as borrower,
        ):
            (Path(lender) / "file").touch()
            os.link(Path(lender) / "file", Path(borrower) / "file")
    except OSError as error:
        return f"a file of {mirrors} cannot be linked into {workspaces} ({error.strerror})"
    return None


async def look_at_environments(settings: Settings) -> Findings:
    """Each that was added, or that sessions may name."""
    store, allowed = Store(settings.environments_dir), settings.allowed_environments
    names = dict.fromkeys([*allowed, *await in_thread(store.names)])
    for name in names:
        yield await in_thread(partial(examine_environment, store, name, allowed))
    if not names:
        yield ok("environments", "this machine alone; to add one: gitward environments add NAME SOURCE")
