"""The name of a session's folder on this machine. Code inside a sandbox reads it in its list of mounts.

So it is a digest of the session's id, and says nothing to whoever does not know that. The id stands in a file beside
what a sandbox sees.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_SESSION = "session"  # the file
_LONGEST_ID = 200


def workspace_of(workspaces: Path, session_id: str) -> Path:
    """Where the workspace of a session is, or would be."""
    return workspaces / hashlib.blake2b(session_id.encode(), digest_size=16).hexdigest()


def prepare(workspaces: Path, session_id: str) -> None:
    """Makes the folder and notes whose it is; one that has the session's id as its name, as once, is renamed. Blocks.

    Without room on the disk nothing is noted: what needs the folder will tell.
    """
    folder = workspace_of(workspaces, session_id)
    try:
        if not folder.exists() and (workspaces / session_id).is_dir():
            os.rename(workspaces / session_id, folder)
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        if session_of(folder) != session_id:
            (folder / _SESSION).write_text(session_id)
    except OSError as error:
        log.warning("The workspace %s cannot be made ready: %s", folder.name, error)


def session_of(workspace: Path) -> str:
    """The id of the session that a folder belongs to; the folder's own name when it has none noted."""
    try:
        with (workspace / _SESSION).open() as file:
            return file.read(_LONGEST_ID) or workspace.name
    except (FileNotFoundError, NotADirectoryError):
        return workspace.name
