"""What a refused push says: GitHub's own reason, in one line, and nothing where nobody refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitward.errors import Reason
from gitward.github.push_refusals import LOOKED_AT, PushRefusal, find_refusal
from gitward.github.sentences import LONGEST

COMMIT = "0123456789012345678901234567890123456789"
WIDE = "        "  # git ends each remote line with it when it does not write to a terminal
RULES = "https://github.com/acme/widgets/rules?ref=refs%2Fheads%2Ftopic"
ALLOW = "https://github.com/acme/widgets/security/secret-scanning/unblock-secret/2abc"


def pushed(*said: str, closing: str = "! [remote rejected] HEAD -> topic (pre-receive hook declined)") -> str:
    """Git's standard error."""
    remote = "".join(f"remote: {line}{WIDE}\n" for line in said)
    return (
        "Enumerating objects: 5, done.\nWriting objects:  50% (1/2)\rWriting objects: 100% (2/2), done.\n"
        f"{remote}To https://github.com/acme/widgets\n {closing}\n"
        "error: failed to push some refs to 'https://github.com/acme/widgets'\n"
    )


def refused(*said: str, by: str = "pre-receive hook declined") -> PushRefusal:
    found = find_refusal(pushed(*said, closing=f"! [remote rejected] HEAD -> topic ({by})"))
    assert found is not None
    return found


def violations(*said: str) -> PushRefusal:
    head = "error: GH013: Repository rule violations found for refs/heads/topic."
    return refused(head, f"Review all repository rules at {RULES}", "", *said, "", by=DECLINED)


DECLINED = "push declined due to repository rule violations"
PROTECTION = (
    "- GITHUB PUSH PROTECTION",
    "  —————————————————————————————————————————",
    "    Resolve the following violations before pushing again",
    "",
    "    - Push cannot contain secrets",
    "",
    "",
    "     (?) Learn how to resolve a blocked push",
    "     https://docs.github.com/code-security/secret-scanning/pushing-a-branch-blocked-by-push-protection",
    "",
)


def secret(kind: str, *places: str, address: str = ALLOW) -> tuple[str, ...]:
    located = [line for place in places for line in (f"         - commit: {COMMIT}", f"           path: {place}")]
    asked = "       (?) To push, remove secret from commit(s) or follow this URL to allow the secret."
    return ("", f"      —— {kind} ————————————————", "       locations:", *located, "", asked, f"       {address}", "")


class TestNumbered:
    def test_a_large_file(self) -> None:
        told = refused(
            f"error: Trace: {COMMIT}",
            "error: See https://gh.io/lfs for more information.",
            "error: File data/film 1.mov is 117.80 MB; this exceeds GitHub's file size limit of 100.00 MB",
            "error: GH001: Large files detected. You may want to try Git Large File Storage - https://git-lfs.github.com.",
        )
        assert told == PushRefusal(
            reason=Reason.PUSH_REJECTED,
            message="GitHub refused the push (GH001): Large files detected. data/film 1.mov is 117.80 MB. "
            "This exceeds GitHub's file size limit of 100.00 MB. Remove it from the commits, or use Git LFS.",
        )

    def test_large_files_in_the_older_order(self) -> None:
        told = refused(
            "warning: File small.bin is 55.52 MB; this is larger than GitHub's recommended maximum file size of 50 MB",
            "error: GH001: Large files detected.",
            "error: File a.bin is 124.44 MB; this exceeds GitHub's file size limit of 100 MB",
            "error: File b.bin is 1.20 GB; this exceeds GitHub's file size limit of 100 MB",
        )
        assert "a.bin is 124.44 MB, b.bin is 1.20 GB. This exceeds" in told.message
        assert "small.bin" not in told.message

    def test_a_protected_branch(self) -> None:
        told = refused(
            "error: GH006: Protected branch update failed for refs/heads/main.",
            'error: Required status check "Build" is expected. At least 1 approving review is required.',
            by="protected branch hook declined",
        )
        assert told == PushRefusal(
            reason=Reason.BRANCH_PROTECTED,
            message="GitHub refused the push (GH006): Protected branch update failed for refs/heads/main. "
            'Required status check "Build" is expected. At least 1 approving review is required.',
        )

    def test_a_protected_branch_in_the_newer_layout(self) -> None:
        sentence = "error: GH006: Protected branch update failed for refs/heads/main."
        told = refused(sentence, "", "- Changes must be made through a pull request.", "")
        assert told.reason is Reason.BRANCH_PROTECTED
        assert told.message.endswith("for refs/heads/main. Changes must be made through a pull request.")

    def test_a_private_address(self) -> None:
        told = refused(
            "error: GH007: Your push would publish a private email address.",
            "You can make your email public or disable this protection by visiting:",
            "https://github.com/settings/emails",
            by="push declined due to email privacy restrictions",
        )
        assert told == PushRefusal(
            reason=Reason.PUSH_REJECTED,
            message="GitHub refused the push (GH007): Your push would publish a private email address. You can make "
            "your email public or disable this protection by visiting: https://github.com/settings/emails",
            private_email=True,
        )

    def test_a_private_address_by_its_closing_words_alone(self) -> None:
        told = refused(by="push declined due to email privacy restrictions")
        assert told.private_email
        assert told.message == "GitHub refused the push: a commit's e-mail address is private."

    def test_missing_lfs_objects(self) -> None:
        oids = [digit * 64 for digit in "abc"]
        told = refused(
            "error: GH008: Your push referenced at least 40 unknown Git LFS objects:",
            *(f"    {oid}" for oid in oids),
            "    ...",
            "Try to push them with 'git lfs push --all'.",
        )
        assert told.reason is Reason.PUSH_REJECTED
        assert told.message == (
            "GitHub refused the push (GH008): Your push referenced at least 40 unknown Git LFS objects: aaaaaaaaaaaa, "
            "bbbbbbbbbbbb, cccccccccccc. Push them with 'git lfs push --all', or remove their files."
        )

    def test_a_number_that_is_not_known_is_told_as_it_is(self) -> None:
        sentence = "error: GH009: Git LFS object integrity could not be checked. Please contact GitHub support."
        assert refused(sentence).message == (
            "GitHub refused the push (GH009): Git LFS object integrity could not be checked. Please contact GitHub "
            "support."
        )


class TestRules:
    def test_a_secret_with_its_place_and_address(self) -> None:
        told = violations(*PROTECTION, *secret("Amazon AWS Access Key ID", "config/prod.env:7"))
        assert told == PushRefusal(
            reason=Reason.PUSH_REJECTED,
            message="GitHub refused the push (GH013, rules of topic): push protection found Amazon AWS Access Key ID "
            f"in config/prod.env:7 (commit 012345678901). Remove it from the commits, or allow it at {ALLOW}",
        )

    def test_several_secrets(self) -> None:
        kinds = secret("GitHub Personal Access Token", "a.py:1", "b.py:22"), secret("Stripe API Key", "c d.py:3")
        told = violations(*PROTECTION, *kinds[0], *kinds[1])
        assert "GitHub Personal Access Token in a.py:1 (commit 012345678901), b.py:22 (commit 0123" in told.message
        assert "push protection found Stripe API Key in c d.py:3 (commit 012345678901). Remove them" in told.message
        assert told.message.endswith(ALLOW)

    def test_what_does_not_fit_is_counted_and_the_address_stays(self) -> None:
        many = [line for n in range(30) for line in secret(f"Key of kind {n}", f"src/module_{n}/settings.py:{n}")]
        told = violations(*PROTECTION, *many)
        assert "Key of kind 0 in src/module_0/settings.py:0" in told.message
        assert " more. Remove them from the commits, or allow it at " in told.message
        assert told.message.endswith(ALLOW)
        assert len(told.message) <= LONGEST

    def test_the_older_layout_of_secrets(self) -> None:
        told = violations(
            "- GITHUB PUSH PROTECTION",
            "  ——————————————————————————————————————————————————————",
            "   Resolve the following secrets before pushing again.",
            *secret("GitHub Personal Access Token", "x.py:9"),
        )
        assert "push protection found GitHub Personal Access Token in x.py:9" in told.message

    def test_unsigned_commits(self) -> None:
        told = violations("- Commits must have verified signatures.", "  Found 1 violation:", "", f"  {COMMIT}")
        assert told == PushRefusal(
            reason=Reason.PUSH_REJECTED,
            message="GitHub refused the push (GH013, rules of topic): Commits must have verified signatures "
            f"(012345678901). The rules: {RULES}",
        )

    @pytest.mark.parametrize(
        "rule",
        [
            "Changes must be made through a pull request.",
            "Cannot update this protected ref.",
            "Cannot create ref due to creations being restricted.",
            "Cannot force-push to this branch",
            'Required status check "build" is expected.',
            "2 of 2 required status checks are expected.",
        ],
    )
    def test_rules_that_forbid_the_update_protect_the_branch(self, rule: str) -> None:
        told = violations(f"- {rule}")
        assert told.reason is Reason.BRANCH_PROTECTED
        assert f": {rule.rstrip('.')}. The rules: {RULES}" in told.message

    def test_each_violated_rule_is_told(self) -> None:
        unsigned = ("- Commits must have verified signatures.", "  Found 1 violation:", "", f"  {COMMIT}", "")
        told = violations(*unsigned, "- Changes must be made through a pull request.")
        assert told.reason is Reason.BRANCH_PROTECTED
        assert "signatures (012345678901), Changes must be made through a pull request. The rules" in told.message

    def test_without_its_rules_the_sentence_stands(self) -> None:
        told = refused("error: GH013: Repository rule violations found for refs/heads/topic.", by=DECLINED)
        assert told.reason is Reason.PUSH_REJECTED
        assert told.message == (
            "GitHub refused the push (GH013): Repository rule violations found for refs/heads/topic."
        )

    def test_rules_and_a_secret(self) -> None:
        unsigned = ("- Commits must have verified signatures.", "  Found 1 violation:", "", f"  {COMMIT}", "")
        told = violations("- Lovely commits", "", *unsigned, *PROTECTION, *secret("Stripe API Key", "a:1"))
        assert told.message == (
            "GitHub refused the push (GH013, rules of topic): push protection found Stripe API Key in a:1 (commit "
            "012345678901), Lovely commits, Commits must have verified signatures (012345678901). Remove it from the "
            f"commits, or allow it at {ALLOW}"
        )

    def test_a_file_that_is_not_allowed(self) -> None:
        told = violations(
            "- GITHUB PUSH PROTECTION",
            "  —————————————————————",
            "    Resolve the following violations before pushing again",
            "",
            "    - File path is restricted",
            "       locations:",
            f"         - commit: {COMMIT}",
            "           path: .github/CODEOWNERS",
        )
        assert f"rules of topic): File path is restricted (.github/CODEOWNERS). The rules: {RULES}" in told.message


class TestWithoutNumber:
    def test_a_hook_of_the_company_says_why(self) -> None:
        told = refused("Resolving deltas: 100% (1/1), done.", "", "Every commit must name a ticket,", "see https://x.y")
        assert told.message == "The push was refused: Every commit must name a ticket, see https://x.y"
        assert told.reason is Reason.PUSH_REJECTED

    def test_closing_words_only_when_there_is_nothing_better(self) -> None:
        assert refused().message == "The push was refused: pre-receive hook declined."
        assert refused(by="protected branch hook declined").reason is Reason.BRANCH_PROTECTED

    def test_what_is_also_said_of_accepted_pushes_is_no_reason(self) -> None:
        moved = "This repository moved. Please use the new location:", "  https://github.com/acme/new.git"
        assert refused(*moved).message == "The push was refused: pre-receive hook declined."

    def test_workflows_without_their_scope(self) -> None:
        reason = "refusing to allow a Personal Access Token to create or update workflow `a (1).yml` without `workflow`"
        assert refused(by=reason).message == f"The push was refused: {reason}."

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("stale info", "topic moved on GitHub meanwhile, so nothing was pushed; retry"),
            ("fetch first", "topic has commits on GitHub that this push does not contain"),
            ("non-fast-forward", "would remove commits from topic on GitHub"),
        ],
    )
    def test_git_s_own_reasons(self, reason: str, words: str) -> None:
        told = find_refusal(pushed(closing=f"! [rejected]        HEAD -> topic ({reason})"))
        assert told is not None
        assert told.reason is Reason.PUSH_REJECTED
        assert words in told.message
        assert "GitHub refused" not in told.message

    def test_a_branch_in_the_way(self) -> None:
        reason = "cannot lock ref 'refs/heads/topic': 'refs/heads/topic/x' exists; cannot create 'refs/heads/topic'"
        assert "does a branch whose name begins the same block it?" in refused(by=reason).message

    def test_a_refusal_of_the_whole_connection(self) -> None:
        told = find_refusal(
            "remote: Permission to acme/widgets.git denied to octocat.\n"
            "fatal: unable to access 'https://github.com/acme/widgets/': The requested URL returned error: 403\n"
        )
        assert told is not None
        assert told.message == "The push was refused: Permission to acme/widgets.git denied to octocat."

    def test_gitward_s_own_rules_are_not_called_github_s(self) -> None:
        told = find_refusal(
            "remote: Gitward: this session may only push to topic\n"
            "fatal: unable to access 'https://github.com/acme/widgets/': The requested URL returned error: 403\n"
        )
        assert told is not None
        assert told.message == "Gitward refused the push: this session may only push to topic."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Everything up-to-date\n",
        "fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com\n",
        "remote: Internal Server Error\nerror: RPC failed; HTTP 500 curl 22 The requested URL returned error: 500\n",
        "remote: Too many requests\nfatal: unable to access 'https://github.com/a/b/': returned error: 429\n",
        "send-pack: unexpected disconnect while reading sideband packet\nfatal: the remote end hung up unexpectedly\n",
        "error: src refspec x does not match any\nerror: failed to push some refs to 'https://github.com/a/b'\n",
        "fatal: unable to access 'https://github.com/a/b/': The requested URL returned error: 403\n",
        " ! [remote failure]  HEAD -> topic (remote failed to report status)\n",
        "remote: warning: GH001: Large files detected. You may want to try Git Large File Storage\n   a..b  x -> x\n",
        "remote: Bypassed rule violations for refs/heads/x:\nremote: \nremote: - Changes must be made through a pull "
        "request.\nTo https://github.com/a/b\n   a..b  x -> x\n",
        "error: GH013: a file's name that the command chose\n",
    ],
)
def test_nobody_refused_so_nothing_is_told(text: str) -> None:
    assert find_refusal(text) is None


class TestHostileText:
    def test_controls_and_what_reorders_text_are_removed(self) -> None:
        told = refused("\x1b[31merror: GH009: one\u202e two\x07\u2066\u200b three\x1b[0m\ttab\x00\ud800")
        assert told.message == "GitHub refused the push (GH009): one two three tab."

    def test_line_breaks_of_every_kind_end_a_line(self) -> None:
        assert refused("error: GH009: one\u2028remote: two\x85remote: three").message.endswith("one two three.")

    def test_the_reason_is_found_behind_a_flood(self) -> None:
        text = "remote: noise of the server\n" * 100_000 + pushed("error: GH009: The end")
        told = find_refusal(text)
        assert told is not None
        assert told.message == "GitHub refused the push (GH009): The end."

    @pytest.mark.parametrize(
        "line",
        ["-" * 1000, "—" * 1000, "- " * 500, " is 1" * 200, "path: " * 160, "! [rejected] " + "a " * 490, "(" * 1000],
    )
    def test_it_takes_no_time(self, line: str) -> None:
        text = pushed("error: GH013: Repository rule violations found for refs/heads/x.", *[line] * 70)
        best = min(_seconds(text) for _ in range(3))
        assert best < 0.1

    @given(
        st.lists(st.sampled_from([*"abc()-—:\n\r\t \u202e", "remote: ", "error: GH013: ", "! [rejected] ", "path: "]))
    )
    def test_messages_are_bounded_single_lines(self, parts: list[str]) -> None:
        told = find_refusal("".join(parts))
        assert told is None or (0 < len(told.message) <= LONGEST and told.message.isprintable())

    def test_no_more_is_looked_at_than_the_bound(self) -> None:
        hidden = "remote: error: GH009: hidden\n"
        assert find_refusal("x\n" * LOOKED_AT + hidden + "x\n" * LOOKED_AT) is None


def _seconds(text: str) -> float:
    started = time.process_time()
    find_refusal(text)
    return time.process_time() - started
