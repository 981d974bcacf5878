"""The content security policy of every page."""

from __future__ import annotations

from urllib.parse import urlsplit


def content_policy(*form_targets: str) -> str:
    """Scripts and styles come from our own files only, and nothing from elsewhere; nobody may frame a page.

    :param form_targets: addresses of other servers to which a form of this one page may be sent.
    """
    targets = " ".join(["'self'", *map(_origin, form_targets)])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
