"""Git LFS: the command sees content, the branch gets pointers, and the server gets the objects that they name."""

from __future__ import annotations

from typing import Any

import pytest

from gitward.runs.storage.workspace_names import workspace_of
from gitward_standin import Repository
from lfs_files import ATTRIBUTES, batches, is_stored, pointer_of, store, stored, transfers
from rig import Client, Rig, output

ART = b"PSD" * 4000
TWICE = ART * 2


async def with_art(there: Rig, **files: bytes) -> Repository:
    """A repository with `art.psd` in LFS, and whatever else."""
    repository = await there.repository(files={".gitattributes": ATTRIBUTES, "README.md": "Read me\n"})
    art = store(repository, ART)
    await repository.commit("main", {"art.psd": art.text, **files})
    return repository


async def blob(repository: Repository, branch: str, path: str) -> bytes:
    return await repository.run_git("cat-file", "blob", f"{branch}:{path}")


async def changed(repository: Repository, branch: str, base: str = "main") -> set[str]:
    told = await repository.run_git("diff", "--name-only", f"{base}...{branch}")
    return set(told.decode().split())


def notices(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["message"] for event in events if event["type"] == "notice"]


@pytest.mark.parametrize("before", ["true", "git lfs install", "git lfs install; git lfs pull"])
async def test_content_inside_and_pointers_in_the_branch(service: Rig, alice_client: Client, before: str) -> None:
    repository = await with_art(service)
    command = f"{{ {before}; }} > /dev/null; git status --short; sha256sum < art.psd; cat art.psd art.psd > two.psd"
    session, run, events = await alice_client.run(repository, command)
    assert (run["state"], run["changed"]) == ("succeeded", True), (run, output(events, "publish"))
    assert output(events).split()[0] == pointer_of(ART).oid
    assert await blob(repository, session["branch"], "two.psd") == pointer_of(TWICE).text
    assert await changed(repository, session["branch"]) == {"two.psd"}
    assert stored(repository) == {pointer_of(ART).oid, pointer_of(TWICE).oid}
    assert transfers(service.github, repository, "PUT") == [pointer_of(TWICE).oid]
    body = {"command": "sha256sum art.psd two.psd | cut -c -64; git status --short; echo more >> README.md"}
    follow, events = await alice_client.finished(
        session, (await alice_client.post(f"/sessions/{session['id']}/runs", body))["id"]
    )
    assert (follow["state"], follow["changed"]) == ("succeeded", True), follow
    assert output(events).split() == [pointer_of(ART).oid, pointer_of(TWICE).oid]
    assert await changed(repository, session["branch"]) == {"two.psd", "README.md"}
    assert transfers(service.github, repository, "GET").count(pointer_of(ART).oid) == 1
    assert transfers(service.github, repository, "PUT") == [pointer_of(TWICE).oid]


async def test_what_is_on_the_server_is_fetched_once_and_not_sent_again(there: Rig, client: Client) -> None:
    repository = await with_art(there)
    for _ in range(2):
        session, run, _ = await client.run(repository, "cp art.psd copy.psd; touch art.psd")
        assert run["state"] == "succeeded", run
        assert await blob(repository, session["branch"], "copy.psd") == pointer_of(ART).text
    assert transfers(there.github, repository, "GET") == [pointer_of(ART).oid]
    assert transfers(there.github, repository, "PUT") == []


async def test_a_command_that_changes_nothing(there: Rig, client: Client) -> None:
    repository = await with_art(there, **{"plain.psd": b"no pointer\n"})
    _, run, events = await client.run(repository, "touch *.psd; cat plain.psd")
    assert (run["state"], run["changed"]) == ("succeeded", False), (run, notices(events))
    assert output(events) == "no pointer\n"


@pytest.mark.parametrize("command", ["true", "touch gone.psd", "echo more >> README.md"])
async def test_an_object_that_nobody_has_fails_nothing(there: Rig, client: Client, command: str) -> None:
    gone = pointer_of(b"gone")
    repository = await with_art(there, **{"gone.psd": gone.text})
    session, run, events = await client.run(repository, f"cat gone.psd; wc -c < art.psd; {command}")
    expected = {"README.md"} if "README" in command else set()
    assert (run["state"], run["changed"]) == ("succeeded", bool(expected)), run
    assert output(events) == f"{gone.text.decode()}{len(ART)}\n"
    [notice] = notices(events)
    assert notice.endswith(": gone.psd.")
    if expected:
        assert await changed(repository, session["branch"]) == expected


@pytest.mark.parametrize(
    "command",
    [
        "git lfs track '*.bin' > /dev/null; head -c 9000 /dev/zero > big.bin",
        "echo '*.bin filter=lfs -text' >> .gitattributes; head -c 9000 /dev/zero > big.bin; git add -A",
        "git lfs track '*.bin'; head -c 9000 /dev/zero > big.bin; git add -A; git commit -qm big",
        "git lfs track '*.bin'; head -c 9000 /dev/zero > big.bin; git add -A; git commit -qm big; git push origin HEAD",
    ],
    ids=["untracked", "staged", "committed", "pushed"],
)
async def test_a_repository_that_begins_to_use_it(there: Rig, client: Client, command: str) -> None:
    repository = await there.repository()
    session, run, events = await client.run(repository, command)
    assert (run["state"], run["changed"]) == ("succeeded", True), (run, output(events), notices(events))
    assert await blob(repository, session["branch"], "big.bin") == pointer_of(bytes(9000)).text
    assert is_stored(repository, bytes(9000))


async def test_the_commands_own_commits_bring_their_objects(there: Rig, client: Client) -> None:
    """Also of a file that a later commit changes again."""
    repository = await with_art(there)
    command = "for n in 1 2; do echo $n > new.psd; git add -A; git commit -qm $n; done; echo 3 > new.psd"
    session, run, _ = await client.run(repository, command)
    assert run["state"] == "succeeded", run
    assert all(is_stored(repository, f"{n}\n".encode()) for n in (1, 2, 3))
    assert await blob(repository, session["branch"], "new.psd") == pointer_of(b"3\n").text


LIES = {
    "no content": "",
    "another content of the same size": "place; printf lies > $place",
    "a link": "place; printf true > /tmp/x; ln -s /etc/passwd $place",
    "a folder": "place; mkdir $place",
    "a pipe": "place; mkfifo $place",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_pointer_without_its_content_is_refused_and_the_work_is_kept(
    there: Rig, client: Client, lie: str
) -> None:
    truth = pointer_of(b"true")
    repository = await with_art(there)
    objects = f".git/lfs/{truth.path}"
    command = (
        f"place() {{ mkdir -p $(dirname {objects}); place={objects}; }}\n"
        f"printf '%s' '{truth.text.decode()}' > new.psd; git add new.psd; git commit -qm new; rm -rf .git/lfs; {lie}"
    )
    session, run, events = await client.run(repository, command)
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), (run, output(events))
    assert "GH008" in run["message"], run["message"]
    assert stored(repository) == {pointer_of(ART).oid}
    assert truth.oid in (await client.http.get(f"/sessions/{session['id']}/patch")).text
    assert set(await repository.branches()) == {"main"}


async def test_another_repositorys_object_is_not_given_away(there: Rig, client: Client) -> None:
    """Knowing its name is not enough, though both repositories are this worker's."""
    secret = b"secret of another repository"
    other = await with_art(there)
    await other.commit("main", {"secret.psd": store(other, secret).text})
    _, run, events = await client.run(other, "cat secret.psd")
    assert (run["state"], output(events)) == ("succeeded", secret.decode()), run
    repository = await with_art(there, **{"stolen.psd": pointer_of(secret).text})
    _, run, events = await client.run(
        repository, "cat stolen.psd; ls -R /gitward/lfs; git lfs pull; git lfs smudge < stolen.psd; true"
    )
    assert run["state"] == "succeeded", run
    assert secret.decode() not in output(events)
    assert pointer_of(ART).oid in output(events)
    assert any("stolen.psd" in notice for notice in notices(events))


async def test_the_objects_are_nobodys_to_change(service: Rig, alice_client: Client) -> None:
    repository = await with_art(service)
    place = f"/gitward/lfs/{pointer_of(ART).path}"
    spoil = f"chmod 777 {place}; truncate -s 0 {place}; mv {place} /tmp; rm -rf /gitward/lfs; echo x >> {place}"
    for _ in range(2):
        _, run, events = await alice_client.run(repository, f"sha256sum < art.psd; ({spoil}) 2> /dev/null; true")
        assert (run["state"], run["changed"]) == ("succeeded", False), run
        assert output(events).split()[0] == pointer_of(ART).oid
    assert transfers(service.github, repository, "GET") == [pointer_of(ART).oid]


async def test_the_trees_lfsconfig_decides_nothing(there: Rig, client: Client) -> None:
    elsewhere = "[lfs]\n\turl = https://elsewhere.example/lfs\n\tpushurl = https://x.example/\n\tfetchexclude = *\n"
    repository = await with_art(there, **{".lfsconfig": elsewhere.encode()})
    session, run, events = await client.run(repository, "wc -c < art.psd; cat art.psd art.psd > two.psd")
    assert (run["state"], output(events).strip()) == ("succeeded", str(len(ART))), (run, notices(events))
    assert await changed(repository, session["branch"]) == {"two.psd"}
    assert is_stored(repository, TWICE)


@pytest.mark.parametrize(
    "lfsconfig", ["mkfifo .lfsconfig", "ln -s /dev/zero .lfsconfig", "echo '[lfs' > .lfsconfig; git add .lfsconfig"]
)
async def test_a_strange_lfsconfig_holds_nothing(there: Rig, client: Client, lfsconfig: str) -> None:
    repository = await with_art(there)
    session, run, events = await client.run(repository, f"cat art.psd art.psd > two.psd; {lfsconfig}")
    assert run["state"] == "succeeded", (run, notices(events))
    assert "two.psd" in await changed(repository, session["branch"])
    assert is_stored(repository, TWICE)


async def test_a_repository_without_it_is_never_asked_about_it(there: Rig, client: Client) -> None:
    repository = await there.repository(files={".gitattributes": "*.txt text\n", "a/.gitattributes": "* -text\n"})
    _, run, _ = await client.run(repository, "echo more >> README.md; ls -A .git/lfs 2>&1; ls -A /gitward/lfs")
    assert run["state"] == "succeeded", run
    assert batches(there.github, repository) == 0


async def test_kept_work_is_published_with_its_objects(there: Rig, client: Client) -> None:
    repository = await with_art(there)
    session, run, events = await client.run(repository, "cat art.psd art.psd > two.psd", publish={"mode": "dry_run"})
    assert run["state"] == "succeeded", run
    assert any("kept on this machine" in notice for notice in notices(events)), notices(events)
    assert not is_stored(repository, TWICE)
    again = await client.post(f"/sessions/{session['id']}/runs/{run['id']}/publish")
    published, events = await client.finished(session, again["id"])
    assert published["state"] == "succeeded", (published, notices(events))
    assert is_stored(repository, TWICE)
    assert await blob(repository, session["branch"], "two.psd") == pointer_of(TWICE).text
    assert list((workspace_of(there.data / "workspaces", session["id"]) / "lfs-kept").glob("objects/*/*/*")) == []


async def test_an_upload_that_fails_keeps_the_work(there: Rig, client: Client) -> None:
    repository = await with_art(there)
    path = f"*/{repository.full_name}.git/info/lfs/objects/batch"
    fault = there.github.fault(method="POST", path=path, status=403, times=99)
    session, run, events = await client.run(repository, "wc -c < art.psd; echo new > new.psd")
    assert (run["state"], run["reason"]) == ("failed", "push_rejected"), (run, notices(events))
    assert "could not be uploaded" in run["message"], run["message"]
    assert any("art.psd" in notice for notice in notices(events)), "a refused fetch leaves the pointers"
    fault.times = 0
    again = await client.post(f"/sessions/{session['id']}/runs/{run['id']}/publish")
    published, _ = await client.finished(session, again["id"])
    assert published["state"] == "succeeded", published
    assert is_stored(repository, b"new\n")


async def test_a_server_that_is_away_is_asked_again(there: Rig, client: Client) -> None:
    repository = await with_art(there)
    path = f"*/{repository.full_name}.git/info/lfs/objects/batch"
    there.github.fault(method="POST", path=path, status=503, times=1)
    _, run, events = await client.run(repository, "wc -c < art.psd; echo new > new.psd")
    assert (run["state"], output(events).strip()) == ("succeeded", str(len(ART))), (run, notices(events))
    assert is_stored(repository, b"new\n")
