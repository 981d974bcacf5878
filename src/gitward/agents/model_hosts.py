"""The hosts at which models answer, and how their keys are presented there."""

from __future__ import annotations

from dataclasses import dataclass

HTTPS = 443
# What an agent finds in its environment where a key belongs. It opens nothing: the broker puts the key in.
PLACEHOLDER = "the-broker-puts-the-key-in"


@dataclass(frozen=True, kw_only=True)
class ModelHost:
    """One provider, as agents ask it."""

    host: str  # "api.anthropic.com"
    port: int = HTTPS
    # The variable that the agent wants; inside it holds PLACEHOLDER. Of a known provider it is also the operator's
    # variable with the key. Empty: the agent needs none
    variable: str = ""
    # How the key is presented; without a header only GITWARD_INJECT says it.
    header: str = ""
    prefix: str = ""  # of the header's value: "Bearer "
    paths: tuple[str, ...] = ()  # the only ones that agents may ask for
    absent: tuple[str, ...] = ()  # that they ask for without need; answered with 404, without the key

    @property
    def place(self) -> tuple[str, int]:
        return self.host, self.port


ANTHROPIC = ModelHost(
    host="api.anthropic.com",
    variable="ANTHROPIC_API_KEY",
    header="x-api-key",
    paths=("/v1/messages", "/v1/messages/count_tokens"),
    absent=("/api/claude_code/settings", "/api/claude_code/policy_limits"),
)
OPENAI = ModelHost(
    host="api.openai.com",
    variable="OPENAI_API_KEY",
    header="authorization",
    prefix="Bearer ",
    paths=("/v1/responses", "/v1/responses/compact", "/v1/chat/completions"),
)
KNOWN = (ANTHROPIC, OPENAI)  # whose keys are injected by themselves
