"""The data folder: whose it is, and who may pass through it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gitward.errors import SettingsError


def prepare_data_dir(data_dir: Path) -> None:
    """Makes the data folder: its owner writes, others may only pass through (a sandbox's own uid must).

    :raises SettingsError: it cannot be made, or others may read or write it.
    """
    try:
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        mode = stat.S_IMODE(data_dir.stat().st_mode)
        if mode & 0o066:
            raise SettingsError(
                [f"GITWARD_DATA_DIR: others may read {data_dir} (mode {mode:04o}); run: chmod 711 {data_dir}"]
            )
        for name in ("workspaces", "pushes", "making"):
            (data_dir / name).mkdir(mode=0o711, exist_ok=True)
            (data_dir / name).chmod(0o711)  # whatever the umask
        data_dir.chmod(0o711)
    except OSError as error:
        raise SettingsError([f"GITWARD_DATA_DIR: {data_dir} cannot be used: {error.strerror}"]) from None
    os.umask(0o077)  # the database and its journals are for their owner only
