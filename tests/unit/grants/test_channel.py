"""Messages arrive whole, with their descriptors, or not at all; a descriptor is never leaked."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitward.grants import channel
from gitward.grants.channel import MAX_FDS, MAX_MESSAGE, ChannelClosed

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = channel.pair()
    with one, other:
        yield one, other


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_message_arrives_as_it_was_sent(ends: Ends) -> None:
    message = {"text": "grün\0\n", "list": [1, None, {"deep": True}]}
    channel.send(ends[0], message)
    assert channel.receive(ends[1]) == (message, [])


def test_messages_keep_their_order_and_their_bounds(ends: Ends) -> None:
    for number in range(3):
        channel.send(ends[0], {"number": number})
    assert [channel.receive(ends[1])[0] for _ in range(3)] == [{"number": number} for number in range(3)]


def test_descriptors_arrive_and_close_on_exec(ends: Ends, tmp_path: Path) -> None:
    files = []
    for number in range(MAX_FDS):
        path = tmp_path / str(number)
        path.write_text(str(number))
        files.append(os.open(path, os.O_RDONLY))
    channel.send(ends[0], {}, files)
    channel.close_all(files)  # the sender keeps and closes its own
    _, received = channel.receive(ends[1])
    assert [os.read(fd, 10) for fd in received] == [str(number).encode() for number in range(MAX_FDS)]
    assert not any(os.get_inheritable(fd) for fd in received)
    channel.close_all(received)


def test_what_is_too_long_is_refused_before_it_is_sent(ends: Ends) -> None:
    with pytest.raises(ValueError, match="at most"):
        channel.send(ends[0], {"text": "x" * MAX_MESSAGE})
    with pytest.raises(ValueError, match="at most 16"):
        channel.send(ends[0], {}, [0] * (MAX_FDS + 1))
    channel.send(ends[0], {"text": "x" * (MAX_MESSAGE - 11)})
    assert len(channel.receive(ends[1])[0]["text"]) == MAX_MESSAGE - 11


@pytest.mark.parametrize("data", [b"[]", b"1", b"{", b"\xff", b"{" + b" " * MAX_MESSAGE + b"}"])
def test_what_is_no_message_is_an_error_and_leaks_no_descriptor(ends: Ends, data: bytes) -> None:
    before = open_descriptors()
    socket.send_fds(ends[0], [data], [0, 1])
    with pytest.raises((ValueError, TypeError)):
        channel.receive(ends[1])
    assert open_descriptors() == before


def test_an_end_that_is_gone_is_told_to_both_sides(ends: Ends) -> None:
    ends[1].close()
    with pytest.raises(ChannelClosed):
        channel.send(ends[0], {"to": "nobody"})
    with pytest.raises(ChannelClosed):
        channel.receive(ends[0])


def test_what_was_sent_before_the_end_still_arrives(ends: Ends) -> None:
    channel.send(ends[0], {"last": 1})
    ends[0].close()
    assert channel.receive(ends[1])[0] == {"last": 1}
    with pytest.raises(ChannelClosed):
        channel.receive(ends[1])


def test_closing_what_is_no_descriptor_does_nothing() -> None:
    channel.close_all([1_000_000_000])


def test_what_was_said_before_the_end_is_heard(ends: Ends) -> None:
    """Although the other end did not read all that it was sent, which the kernel tells as an error first."""
    channel.send(ends[0], {"unread": True})
    channel.send(ends[1], {"said": True})
    ends[1].close()
    assert channel.receive(ends[0])[0] == {"said": True}
    with pytest.raises(ChannelClosed):
        channel.receive(ends[0])
