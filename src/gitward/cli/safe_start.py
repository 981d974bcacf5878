"""What `serve` and `worker` check before anything of them starts: an unsafe place is refused, with what to do.

All of it looks at files alone, and takes a few milliseconds. The sandbox is tried out by its engine.
"""

from __future__ import annotations

import logging

from gitward.cli.data_folder import check_way_to, prepare_data_dir
from gitward.cli.open_files import exposed_database, exposed_secrets
from gitward.cli.programs import check_programs
from gitward.errors import SettingsError
from gitward.settings.fields import Settings

log = logging.getLogger(__name__)


def prepare_start(settings: Settings, *, with_worker: bool) -> None:
    """Makes the data folder, should there be none. Warns of mounted secrets that others may read.

    :raises SettingsError: others could get at what the service keeps, or no run could succeed here.
    """
    prepare_data_dir(settings.data_dir)
    exposed = exposed_secrets(settings)
    problems = [f"{each.detail}; {each.remedy}" for each in exposed if each.is_refused]
    problems += exposed_database(settings)
    if problems:
        raise SettingsError(problems)
    for each in exposed:
        log.warning("%s; %s", each.detail, each.remedy)
    if with_worker:
        check_programs(settings)
        check_way_to(settings.data_dir)
