"""The few pages of sign-in itself. They load nothing, and run no script."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
# Not base.html: whoever signs in has no page of the application yet, and these load none of its scripts.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title} · Gitward</title>
{style}</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def page(
    title: str, *paragraphs: str, style: str | None, status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """:param paragraphs: HTML.
    :param style: the address of the style sheet.
    """
    sheet = "" if style is None else f'<link rel="stylesheet" href="{escape(style)}">\n'
    html = _PAGE.format(title=escape(title), body="\n".join(paragraphs), style=sheet)
    return HTMLResponse(html, status_code=status, headers={**_HEADERS, **(headers or {})})


def text(sentence: str) -> str:
    return f"<p>{escape(sentence)}</p>"


def button(action: str, label: str, **hidden: str) -> str:
    """A form with nothing but a button."""
    fields = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in hidden.items())
    return f'<form method="post" action="{escape(action)}">{fields}<button class="go">{escape(label)}</button></form>'


def link(address: str, label: str) -> str:
    return f'<p><a href="{escape(address)}">{escape(label)}</a></p>'
