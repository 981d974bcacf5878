"""A mirror is made once, brought up to date for each run, and never decides whether a run works."""

from __future__ import annotations

from gitward.repositories.mirrors import Mirrors
from mirror_world import World


async def test_the_first_makes_it_and_the_next_brings_it_up_to_date(world: World, mirrors: Mirrors) -> None:
    refs, objects = await world.take(mirrors)
    await world.require_whole(refs, objects)
    assert refs.get("refs/heads/main") == await world.repository.head("main")
    await world.repository.commit("main", {"b.txt": "b"})
    await world.repository.commit("side", {"c.txt": "c"})
    refs, objects = await world.take(mirrors)
    await world.require_whole(refs, objects)
    assert world.told == []
    assert world.figure('gitward_mirror_takes_total{how="miss"}') == 1
    assert world.figure('gitward_mirror_takes_total{how="hit"}') == 1


async def test_refs_follow_upstream(world: World, mirrors: Mirrors) -> None:
    """Also where a branch takes the place of a folder of branches, and history was rewritten."""
    upstream = world.repository
    head = await upstream.commit("topic", {"a": "1"})
    await upstream.run_git("-c", "user.name=d", "-c", "user.email=d@e", "tag", "-a", "-m", "v1", "v1", head)
    await upstream.run_git("update-ref", "refs/pull/1/head", head)
    await world.require_whole(*await world.take(mirrors))
    await upstream.run_git("update-ref", "-d", "refs/heads/topic")
    await upstream.run_git("update-ref", "-d", "refs/tags/v1")
    await upstream.commit("topic/one", {"a": "2"})
    await upstream.run_git("update-ref", "-d", "refs/heads/main")
    await upstream.commit("main", {"new": "history"})
    await world.require_whole(*await world.take(mirrors))
    await upstream.run_git("update-ref", "-d", "refs/heads/topic/one")
    await upstream.run_git("update-ref", "refs/heads/topic", head)
    await world.require_whole(*await world.take(mirrors))
    assert world.told == []
