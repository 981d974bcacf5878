"""The agents that Gitward knows by itself. Every line of configuration here has a reason beside it."""

from __future__ import annotations

from gitward.agents.catalogue import Agent, AgentFile, ModelSetting, Package
from gitward.agents.model_hosts import ANTHROPIC, OPENAI

CLAUDE = Agent(
    name="claude",
    title="Claude Code",
    argv=("{node}", "{program}/node_modules/@agentclientprotocol/claude-agent-acp/dist/index.js"),
    env={
        "CLAUDE_CONFIG_DIR": "{folder}",
        "ANTHROPIC_MODEL": "{model}",
        # Telemetry, updates and surveys go to hosts that are closed here, and a start would wait for them.
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # A turn ends when its work ends: what goes on in the background would be killed with it.
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        # Else it asks its model after the turn what a person may type next, with the whole conversation.
        "CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION": "false",
    },
    hosts=(ANTHROPIC,),
    conversation=("projects/**/*.jsonl",),
    quiet_seconds=0.0,
    mode="bypassPermissions",
    model_setting=ModelSetting.START,
    package=Package(name="@agentclientprotocol/claude-agent-acp", version="0.101.0"),
    needs_node=True,
)

_CODEX_CONFIG = """\
model = "{model}"
model_provider = "gitward"
# Our sandbox is around it; its own cannot be made inside and would refuse every tool call.
sandbox_mode = "danger-full-access"
approval_policy = "never"
check_for_update_on_startup = false

[features]
plugins = false  # else each start fetches a repository from a host that is closed here

[analytics]
enabled = false

# Its built-in provider wants a login, and a WebSocket first.
[model_providers.gitward]
name = "OpenAI"
base_url = "https://api.openai.com/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
supports_websockets = false
"""

CODEX = Agent(
    name="codex",
    title="Codex",
    argv=("{node}", "{program}/node_modules/@agentclientprotocol/codex-acp/dist/index.js"),
    env={"CODEX_HOME": "{folder}", "INITIAL_AGENT_MODE": "agent-full-access", "NO_BROWSER": "1"},
    files=(AgentFile(path="config.toml", text=_CODEX_CONFIG),),
    hosts=(OPENAI,),
    conversation=("sessions/**/rollout-*.jsonl",),
    # It takes two seconds to end, in which it writes nothing: the conversation is whole when its file rests.
    quiet_seconds=0.15,
    end_seconds=0.05,
    model_setting=ModelSetting.START,
    package=Package(name="@agentclientprotocol/codex-acp", version="2.6.0"),
    needs_node=True,
)

# Only providers whose key can be there: the others are the maker's own free models, at a host that is closed here.
_OPENCODE_CONFIG = """\
{
  "model": "{model}",
  "enabled_providers": ["anthropic", "openai"],
  "permission": {"*": "allow"},
  "share": "disabled",
  "autoupdate": false
}
"""

OPENCODE = Agent(
    name="opencode",
    title="opencode",
    argv=("{program}/node_modules/opencode-linux-x64-baseline/bin/opencode", "acp"),
    env={
        "XDG_DATA_HOME": "{folder}/data",
        "XDG_CONFIG_HOME": "{folder}/config",
        "XDG_STATE_HOME": "{folder}/state",
        "XDG_CACHE_HOME": "{folder}/cache",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_SHARE": "1",
    },
    folders=("data", "config/opencode", "state", "cache"),
    files=(AgentFile(path="config/opencode/opencode.json", text=_OPENCODE_CONFIG),),
    hosts=(ANTHROPIC, OPENAI),
    conversation=("data/opencode/opencode.db*",),
    quiet_seconds=0.0,
    model_setting=ModelSetting.START,
    # The program without its wrapper, which is a script that picks one of them after the installation; this one runs
    # on processors without AVX2 too.
    package=Package(name="opencode-linux-x64-baseline", version="1.18.33", machines=("x86_64",)),
)

BUILT_IN = {agent.name: agent for agent in (CLAUDE, CODEX, OPENCODE)}
