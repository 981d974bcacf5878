"""What a person can do about a run that failed, by its reason; beside the run's own sentence."""

from __future__ import annotations

from gitward.errors import Reason

REMEDIES: dict[Reason, str] = {
    Reason.TOKEN_MISSING: "The operator sets GITHUB_TOKEN and starts Gitward again; then retry.",
    Reason.TOKEN_REJECTED: "GitHub no longer accepts the server's token. The operator replaces it; then retry.",
    Reason.TOKEN_EXPIRED: "The server's token has expired. The operator replaces it; then retry.",
    Reason.TOKEN_LACKS_PERMISSION: "The operator gives the token the permission that is named; then retry.",
    Reason.SSO_REQUIRED: "The operator authorizes the token for the organization's single sign-on; then retry.",
    Reason.REPOSITORY_NOT_FOUND: "Check the name. If it is right, the server's token may not see the repository.",
    Reason.REPOSITORY_ARCHIVED: "Unarchive the repository on GitHub, then retry.",
    Reason.REPOSITORY_EMPTY: "Push a first commit to the repository, then retry.",
    Reason.BRANCH_NOT_FOUND: "Make a new session with a target branch that exists.",
    Reason.BRANCH_PROTECTED: "Make a new session with a branch name that the repository's rules allow.",
    Reason.CLONE_FAILED: "This often passes: retry. If it fails again, the output of the step checkout says why.",
    Reason.SETUP_FAILED: "Read the end of the setup's output, fix `.gitward/setup` or the posted setup, then retry.",
    Reason.TASK_FAILED: "Read the end of the output, then follow up, or retry the same.",
    Reason.WORK_NOT_ON_BRANCH: "The work is kept where the sentence says. Fetch the bundle, or follow up.",
    Reason.AGENT_UNAVAILABLE: "The operator installs the agent or sets its key; then retry, or choose another agent.",
    Reason.AGENT_FAILED: "Follow up: the agent keeps its conversation. Or retry from the beginning.",
    Reason.MODEL_FAILED: "The model's provider failed. Retry when it answers again, or choose another model.",
    Reason.BUDGET_EXHAUSTED: "Follow up with a larger budget: work and conversation are kept.",
    Reason.PUSH_REJECTED: "Fix what GitHub names, then publish again; or take the patch below.",
    Reason.PULL_REQUEST_FAILED: "The branch is pushed. Publish again to open its pull request.",
    Reason.TIMED_OUT: "Follow up, or make a session with a longer time limit. What was done by then is kept.",
    Reason.RATE_LIMITED: "GitHub's limit for the token is used up. Retry later.",
    Reason.SANDBOX_FAILED: "The worker could not open a sandbox. Retry. If it fails again, ask the operator.",
    Reason.WORKER_LOST: "Several workers were lost during this run. Does the command need more than the machine has?",
    Reason.INTERNAL: "Gitward failed; the operator's log has the details. Retry.",
}


def remedy(reason: str | None) -> str | None:
    return REMEDIES.get(Reason(reason)) if reason in set(Reason) else None
