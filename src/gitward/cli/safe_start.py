"""What `serve` and `worker` check before anything of them starts: an unsafe place is refused, with what to do.

All of it looks at files alone, and takes a few milliseconds. The sandbox is tried out by its engine.
"""

from __future__ import annotations

from gitward.cli.data_folder import check_way_to, prepare_data_dir
from gitward.cli.open_files import exposed_database, exposed_secrets
from gitward.cli.programs import check_programs
from gitward.errors import SettingsError
from gitward.settings.fields import Settings


def prepare_start(settings: Settings, *, with_worker: bool) -> None:
    """Makes the data folder, should there be none.

    :raises SettingsError: others could get at what the service keeps, or no run could succeed here.
    """
    prepare_data_dir(settings.data_dir)
    problems = [*exposed_secrets(settings), *exposed_database(settings)]
    if problems:
        raise SettingsError(problems)
    if with_worker:
        check_programs(settings)
        check_way_to(settings.data_dir)
