"""What a sandbox is given before its command is known: standard streams, and the files that will tell."""

from __future__ import annotations

import contextlib
import os

from gitward.sandboxes.protocol import Stream


class StandardStreams:
    """The worker's ends of a sandbox's pipes, and the files of its first program. Close it in the end."""

    def __init__(self, owner: int | None) -> None:
        self._owner = owner  # the uid that pipes belong to, so that /dev/stdout can be opened inside
        self._theirs = contextlib.ExitStack()
        self._ours = contextlib.ExitStack()
        try:
            reader, self._stdin = self._pipe(read_by=self._theirs, written_by=self._ours)
            self.outputs: dict[Stream, int] = {}
            writers = []
            for stream in (Stream.STDOUT, Stream.STDERR):
                self.outputs[stream], writer = self._pipe(read_by=self._ours, written_by=self._theirs)
                writers.append(writer)
            self._script = self._file("script", self._ours)
            self._input = self._file("input", self._ours)
        except BaseException:
            self.close()
            raise
        for descriptor in (self._stdin, *self.outputs.values()):
            os.set_blocking(descriptor, False)
        self._given = (reader, *writers)

    def given(self, options: tuple[str, ...]) -> tuple[int, ...]:
        """What bubblewrap gets, until `hand_over`: see `Descriptors`."""
        listed = self._file("options", self._theirs)
        _write_all(listed, b"".join(os.fsencode(option) + b"\0" for option in options))
        os.lseek(listed, 0, os.SEEK_SET)
        return (*self._given, listed, self._script, self._input)

    def hand_over(self) -> None:
        """Closes what is bubblewrap's by now."""
        self._theirs.close()

    def tell(self, script: bytes, data: bytes = b"") -> None:
        """Writes what the first program does, before it may go on; `data` is the input of a command in series."""
        for descriptor, content in ((self._script, script), (self._input, data)):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            _write_all(descriptor, content)

    def forget(self) -> None:
        """Empties both files: the command has ended."""
        self.tell(b"")

    @property
    def stdin(self) -> int:
        """Where the command's input is written, until `end_input`."""
        return self._stdin

    def end_input(self) -> None:
        """The command's input ends here. Safe to call again."""
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def close(self) -> None:
        self._theirs.close()
        self.end_input()
        self._ours.close()

    def _pipe(self, *, read_by: contextlib.ExitStack, written_by: contextlib.ExitStack) -> tuple[int, int]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        read_by.callback(os.close, reader)
        if written_by is not self._ours:  # ours is closed by `end_input`
            written_by.callback(os.close, writer)
        if self._owner is not None:
            os.fchown(writer, self._owner, self._owner)
        return reader, writer

    def _file(self, name: str, held: contextlib.ExitStack) -> int:
        """A nameless file."""
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
        held.callback(os.close, descriptor)
        return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
