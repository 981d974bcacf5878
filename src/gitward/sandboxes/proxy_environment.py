"""The variables by which tools in a sandbox find the proxy to other hosts."""

from __future__ import annotations

from gitward.grants.endpoint import Endpoint

_LOCAL = ("localhost", "127.0.0.1", "::1")


def proxy_variables(endpoint: Endpoint) -> dict[str, str]:
    """In both spellings, as tools differ; the endpoint's own hosts are reached directly."""
    if endpoint.proxy_port is None:
        return {}
    proxy = f"http://127.0.0.1:{endpoint.proxy_port}"
    direct = ",".join([*_LOCAL, *sorted({address.host for address in endpoint.addresses})])
    variables = {**dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy), "NO_PROXY": direct}
    both = variables | {name.lower(): value for name, value in variables.items()}
    return {**both, "NODE_USE_ENV_PROXY": "1"}  # Node.js reads the others only when told so
