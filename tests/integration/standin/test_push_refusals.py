"""The stand-in refuses pushes as GitHub does: real git prints GitHub's words before its own closing lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitward.errors import Reason
from gitward.github.push_refusals import PushRefusal, find_refusal
from gitward_standin import Repository, Rule, StandIn

Client = Any  # the fixture's class lives in conftest.py
MEGABYTE = 1024 * 1024
PAGE = "https://github.com/octo-org/demo"
KEY = "AKIA" + "Q3EGRKZ5T7WXYZ23"  # in two parts: real push protection reads this file too
NOREPLY = "octocat@users.noreply.github.com"


def said(errors: str) -> list[str]:
    """What the server said, without git's padding."""
    return [line.removeprefix("remote:").strip() for line in errors.splitlines() if line.startswith("remote:")]


@pytest.fixture
async def folder(git: Client) -> Path:
    cloned: Path = await git.clone()
    return cloned


async def push(git: Client, folder: Path, *refs: str, expect: int = 1) -> str:
    result = await git("push", "origin", *(refs or ("HEAD:refs/heads/topic",)), cwd=folder, expect=expect)
    return str(result.err)


class TestLargeFiles:
    async def test_a_file_over_the_limit_refuses_the_whole_push(
        self, git: Client, repository: Repository, folder: Path
    ) -> None:
        repository.largest_file = MEGABYTE
        await git.commit(folder, "film one.mov", bytes(MEGABYTE * 3 // 2))
        await git("rm", "--quiet", "film one.mov", cwd=folder)  # history counts, not the tip alone
        await git.commit(folder, "other", b"other")
        errors = await push(git, folder, "HEAD:refs/heads/topic", "HEAD~2:refs/heads/fine")
        assert said(errors)[1:] == [
            "error: See https://gh.io/lfs for more information.",
            "error: File film one.mov is 1.50 MB; this exceeds GitHub's file size limit of 1.00 MB",
            "error: GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com.",
        ]
        assert "! [remote rejected] HEAD -> topic (pre-receive hook declined)" in errors
        assert set(await repository.branches()) == {"main"}

    async def test_a_file_over_half_of_it_is_warned_of(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.largest_file = MEGABYTE
        await git.commit(folder, "a.bin", bytes(MEGABYTE * 3 // 4))
        first, second = said(await push(git, folder, expect=0))
        assert first.startswith("warning: File a.bin is 0.75 MB; this is larger than GitHub's recommended maximum")
        assert second.startswith("warning: GH001: Large files detected.")
        assert await repository.head("topic")

    async def test_what_is_there_already_is_no_obstacle(
        self, git: Client, repository: Repository, folder: Path
    ) -> None:
        await git.commit(folder, "a.bin", bytes(MEGABYTE))
        await push(git, folder, expect=0)
        repository.largest_file = 1000
        await git.commit(folder, "small", b"small")
        await push(git, folder, expect=0)

    def test_the_limit_is_github_s(self, repository: Repository) -> None:
        assert repository.largest_file == 100 * MEGABYTE


class TestProtectedBranches:
    async def test_the_sentences_of_the_protection(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.protected = ("release/*",)
        repository.protection = ('Required status check "ci" is expected.', "At least 1 approving review is required.")
        errors = await push(git, folder, "HEAD:refs/heads/release/1.0", "HEAD:refs/heads/free")
        assert said(errors) == [
            "error: GH006: Protected branch update failed for refs/heads/release/1.0.",
            'error: Required status check "ci" is expected. At least 1 approving review is required.',
        ]
        assert "! [remote rejected] HEAD -> release/1.0 (protected branch hook declined)" in errors
        assert await repository.head("free")


class TestPrivateAddresses:
    @pytest.fixture(autouse=True)
    def blocking(self, standin: StandIn) -> None:
        standin.add_user("octocat", email="Mona@Example.org", blocks_private_email=True)

    async def test_a_private_address_of_the_pusher(self, git: Client, repository: Repository, folder: Path) -> None:
        await git.commit(folder, "new", b"new")
        errors = await push(git, folder)
        assert said(errors) == [
            "error: GH007: Your push would publish a private email address.",
            "You can make your email public or disable this protection by visiting:",
            "https://github.com/settings/emails",
        ]
        assert "! [remote rejected] HEAD -> topic (push declined due to email privacy restrictions)" in errors
        assert await repository.head("topic") is None

    async def test_only_the_author_of_the_newest_commit_is_looked_at(self, git: Client, folder: Path) -> None:
        await git.commit(folder, "new", b"new")
        await git("commit", "--quiet", "--allow-empty", "-m", "x", f"--author=Mona <{NOREPLY}>", cwd=folder)
        await push(git, folder, expect=0)

    async def test_a_public_address_passes(self, git: Client, standin: StandIn, folder: Path) -> None:
        standin.add_user("octocat", email="mona@example.org", email_public=True, blocks_private_email=True)
        await git.commit(folder, "new", b"new")
        await push(git, folder, expect=0)

    async def test_without_the_setting_it_passes(self, git: Client, standin: StandIn, folder: Path) -> None:
        standin.add_user("octocat", email="mona@example.org")
        await git.commit(folder, "new", b"new")
        await push(git, folder, expect=0)


def pointer(digit: str) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digit * 64}\nsize 12345\n".encode()


class TestLfsObjects:
    async def test_pointers_without_their_objects(self, git: Client, repository: Repository, folder: Path) -> None:
        for digit in "abcd":
            await git.commit(folder, f"{digit}.psd", pointer(digit))
        errors = await push(git, folder)
        words = said(errors)
        assert words[0] == "error: GH008: Your push referenced at least 4 unknown Git LFS objects:"
        assert len([line for line in words if len(line) == 64]) == 3
        assert words[-2:] == ["...", "Try to push them with 'git lfs push --all'."]
        assert "(pre-receive hook declined)" in errors

    async def test_with_its_object_on_the_server_it_passes(
        self, git: Client, repository: Repository, folder: Path
    ) -> None:
        stored = repository.path / "lfs" / "objects" / "aa" / "aa" / ("a" * 64)
        stored.parent.mkdir(parents=True)
        stored.write_bytes(b"x")
        await git.commit(folder, "a.psd", pointer("a"))
        await git.commit(folder, "looks_like_one.txt", b"version https://git-lfs.github.com/spec/v2\noid nothing\n")
        await push(git, folder, expect=0)
        await git.commit(folder, "b.psd", pointer("b"))
        assert "GH008: Your push referenced at least 1 unknown Git LFS object:" in await push(git, folder)


class TestPushProtection:
    async def test_a_secret_with_commit_file_line_and_address(
        self, git: Client, repository: Repository, folder: Path
    ) -> None:
        repository.push_protection = True
        commit = await git.commit(folder, "config/prod.env", f"a=1\nb=2\nid={KEY}\n".encode())
        await git("rm", "--quiet", "config/prod.env", cwd=folder)
        await git("commit", "--quiet", "-m", "Remove", cwd=folder)
        errors = await push(git, folder)
        words = said(errors)
        assert words[:2] == ["error: GH013: Repository rule violations found for refs/heads/topic.", ""]
        assert words[2] == "- GITHUB PUSH PROTECTION"
        assert "- Push cannot contain secrets" in words
        start = next(n for n, line in enumerate(words) if line.startswith("—— Amazon AWS Access Key ID ———"))
        assert words[start + 1 : start + 6] == [
            "locations:",
            f"- commit: {commit}",
            "path: config/prod.env:3",
            "",
            "(?) To push, remove secret from commit(s) or follow this URL to allow the secret.",
        ]
        assert words[start + 6].startswith(f"{PAGE}/security/secret-scanning/unblock-secret/")
        assert KEY not in errors
        assert "! [remote rejected] HEAD -> topic (push declined due to repository rule violations)" in errors

    async def test_without_it_secrets_pass(self, git: Client, folder: Path) -> None:
        await git.commit(folder, "config.env", KEY.encode())
        await push(git, folder, expect=0)


class TestRules:
    async def refused(self, git: Client, folder: Path, *refs: str) -> list[str]:
        errors = await push(git, folder, *refs)
        assert "(push declined due to repository rule violations)" in errors
        return said(errors)

    async def test_unsigned_commits(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.rules.append(Rule(type="required_signatures"))
        commit = await git.commit(folder, "new", b"new")
        assert await self.refused(git, folder) == [
            "error: GH013: Repository rule violations found for refs/heads/topic.",
            f"Review all repository rules at {PAGE}/rules?ref=refs%2Fheads%2Ftopic",
            "",
            "- Commits must have verified signatures.",
            "Found 1 violation:",
            "",
            commit,
            "",
        ]

    @pytest.mark.parametrize(
        "case",
        [
            (Rule(type="pull_request"), "HEAD:main", "Changes must be made through a pull request."),
            (Rule(type="creation"), "HEAD:topic", "Cannot create ref due to creations being restricted."),
            (Rule(type="update"), "HEAD:main", "Cannot update this protected ref."),
            (Rule(type="deletion", branches="old/*"), ":old/branch", "Cannot delete this protected ref."),
            (Rule(type="non_fast_forward"), "+HEAD~1:old/branch", "Cannot force-push to this branch"),
            (
                Rule(type="required_status_checks", parameters={"required_status_checks": [{"context": "ci"}]}),
                "HEAD:main",
                'Required status check "ci" is expected.',
            ),
            (
                Rule(type="commit_message_pattern", parameters={"operator": "regex", "pattern": "^(feat|fix):"}),
                "HEAD:topic",
                "Commit message must match a given regex pattern: ^(feat|fix):",
            ),
            (
                Rule(type="commit_author_email_pattern", parameters={"operator": "ends_with", "pattern": "@acme.com"}),
                "HEAD:topic",
                "Commit author email must end with a matching pattern: @acme.com",
            ),
            (
                Rule(type="branch_name_pattern", parameters={"operator": "starts_with", "pattern": "feature/"}),
                "HEAD:topic",
                "Branch name must start with a matching pattern: feature/",
            ),
        ],
    )
    async def test_each_in_github_s_words(
        self, git: Client, repository: Repository, folder: Path, case: tuple[Rule, str, str]
    ) -> None:
        rule, refs, sentence = case
        await git.commit(folder, "new", b"new")
        await push(git, folder, "HEAD:refs/heads/old/branch", expect=0)
        await git.commit(folder, "more", b"more")
        if rule.type == "non_fast_forward":
            refs = "+HEAD~2:old/branch"
        repository.rules.append(rule)
        assert f"- {sentence}" in await self.refused(git, folder, refs)
        repository.rules.clear()
        await push(git, folder, refs, expect=0)

    async def test_merges_where_history_is_linear(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.rules.append(Rule(type="required_linear_history"))
        await git("switch", "--quiet", "-c", "side", cwd=folder)
        await git.commit(folder, "side", b"side")
        await git("switch", "--quiet", "main", cwd=folder)
        await git("merge", "--quiet", "--no-ff", "-m", "Merge", "side", cwd=folder)
        assert "- This branch must not contain merge commits." in await self.refused(git, folder)

    async def test_all_violated_ones_are_told_and_secrets_after_them(
        self, git: Client, repository: Repository, folder: Path
    ) -> None:
        repository.rules += [Rule(type="required_signatures"), Rule(type="creation")]
        repository.push_protection = True
        await git.commit(folder, "x", KEY.encode())
        rules = [line for line in await self.refused(git, folder) if line.startswith("- ") and line[2].isupper()]
        assert rules == [
            "- Commits must have verified signatures.",
            "- Cannot create ref due to creations being restricted.",
            "- GITHUB PUSH PROTECTION",
            "- Push cannot contain secrets",
        ]

    async def test_other_branches_are_free(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.rules.append(Rule(type="update", branches="main"))
        await git.commit(folder, "new", b"new")
        await push(git, folder, "HEAD:refs/heads/mainly", expect=0)

    def test_an_unknown_type_is_refused(self) -> None:
        with pytest.raises(ValueError, match="the types are creation, update"):
            Rule(type="signatures")


class TestTheReasonIsFound:
    """What git printed, read by the parser that tells it to the caller."""

    async def told(self, git: Client, folder: Path, *refs: str) -> PushRefusal:
        found = find_refusal(await push(git, folder, *refs))
        assert found is not None
        return found

    async def test_large_files(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.largest_file = MEGABYTE
        await git.commit(folder, "a.bin", bytes(2 * MEGABYTE))
        told = await self.told(git, folder)
        assert told.reason is Reason.PUSH_REJECTED
        assert "(GH001): Large files detected. a.bin is 2.00 MB. This exceeds GitHub's file size limit" in told.message

    async def test_protection(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.protected = ("main",)
        await git.commit(folder, "a", b"a")
        told = await self.told(git, folder, "HEAD:main")
        assert told.reason is Reason.BRANCH_PROTECTED
        assert told.message == (
            "GitHub refused the push (GH006): Protected branch update failed for refs/heads/main. "
            "Changes must be made through a pull request."
        )

    async def test_private_addresses(self, git: Client, standin: StandIn, folder: Path) -> None:
        standin.add_user("octocat", email="mona@example.org", blocks_private_email=True)
        await git.commit(folder, "a", b"a")
        assert (await self.told(git, folder)).private_email

    async def test_missing_lfs_objects(self, git: Client, folder: Path) -> None:
        await git.commit(folder, "a.psd", pointer("a"))
        assert "at least 1 unknown Git LFS object: aaaaaaaaaaaa. Push them" in (await self.told(git, folder)).message

    async def test_secrets_and_rules(self, git: Client, repository: Repository, folder: Path) -> None:
        repository.push_protection = True
        repository.rules.append(Rule(type="required_signatures"))
        commit = await git.commit(folder, "config/prod.env", f"\nid={KEY}\n".encode())
        told = await self.told(git, folder)
        assert told.reason is Reason.PUSH_REJECTED
        assert f"found Amazon AWS Access Key ID in config/prod.env:2 (commit {commit[:12]})" in told.message
        assert f"Commits must have verified signatures ({commit[:12]})" in told.message
        assert f"allow it at {PAGE}/security/secret-scanning/unblock-secret/" in told.message

    async def test_what_git_itself_refuses(self, git: Client, repository: Repository, folder: Path) -> None:
        await repository.commit("main", {"upstream": "x"})
        await git.commit(folder, "a", b"a")
        assert "main has commits on GitHub" in (await self.told(git, folder, "HEAD:main")).message
        lease = "--force-with-lease=refs/heads/main:" + "1" * 40
        assert "main moved on GitHub meanwhile" in (await self.told(git, folder, lease, "HEAD:main")).message
        await repository.run_git("update-ref", "refs/heads/way/in", "refs/heads/main")
        told = await self.told(git, folder, "HEAD:refs/heads/way")
        assert "could not create or update way; does a branch whose name begins the same block it?" in told.message

    async def test_an_accepted_push_with_a_warning_is_none(
        self, git: Client, repository: Repository, folder: Path
    ) -> None:
        repository.largest_file = MEGABYTE
        await git.commit(folder, "a.bin", bytes(MEGABYTE * 3 // 4))
        assert find_refusal(await push(git, folder, expect=0)) is None
