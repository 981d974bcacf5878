"""No search for garbage among what a service loads at its start, neither then nor later.

Modules, models and routes live as long as the process. A search through them took a tenth of the start, and each one
that came later, some 2 seconds after the first callers, held every answer up for 80 ms (`scripts/bench posts`).
"""

from __future__ import annotations

import gc


def pause_collection() -> None:
    """From the first line of a command until `resume_collection`."""
    gc.disable()


def resume_collection() -> None:
    """When the service is ready: what is there now is never searched."""
    gc.freeze()
    gc.enable()
