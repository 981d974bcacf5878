"""Notes the commit in what hatchling builds. A wheel that is made of a source archive keeps the archive's."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Writes nothing into the checkout: a stale note there would be believed at run time."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # it asks git when it is asked
            return
        source = Path(self.root) / "src"
        sys.path.insert(0, str(source))
        try:
            from gitward.commit import FILE_NAME, of_checkout
        finally:
            sys.path.remove(str(source))
        if (source / "gitward" / FILE_NAME).exists():
            return
        self._folder = tempfile.TemporaryDirectory(prefix="gitward-build-")
        note = Path(self._folder.name) / FILE_NAME
        note.write_text(f"{of_checkout(Path(self.root))}\n")
        inside = f"gitward/{FILE_NAME}" if self.target_name == "wheel" else f"src/gitward/{FILE_NAME}"
        build_data["force_include"][str(note)] = inside

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()
