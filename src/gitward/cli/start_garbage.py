"""One search for garbage among what a service loads at its start, before it is ready, and none later.

Modules, models and routes live as long as the process. The searches that Python makes meanwhile took a tenth of the
start, and one that came later, some 2 seconds after the first callers, held every answer up for 80 ms
(`scripts/bench posts`). Without any, 2 MB of what nobody needs would stay for good.
"""

from __future__ import annotations

import gc


def pause_collection() -> None:
    """From the first line of a command until `resume_collection`."""
    gc.disable()


def resume_collection() -> None:
    """When the service is ready: what is there now is never searched again."""
    gc.collect()
    gc.freeze()
    gc.enable()
