"""What an agent says, as HTML: Markdown without HTML, images or addresses that are not of the web."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from gitward.web.content.visible import visible

LONGEST = 16 * 1024  # characters of one message; a longer one is shown as it was written
_TAGS = {
    "p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "span",
    "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href"}, "span": {"class"}, "ol": {"start"}}
_SCHEMES = {"http", "https"}


class _Renderer(RendererHTML):
    """The library's, but for what could fetch, mislead or take over the page's outline."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """No browser asks another server for it."""
        token = tokens[idx]
        words = self.renderInlineAsText(token.children or [], options, env)
        return f'<span class="no-image">[image: {escape(words or "without words")}]</span>'

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """With the host it leads to, whatever its words say."""
        del options, env
        opened = next(each for each in reversed(tokens[:idx]) if each.type == "link_open")
        host = _host(str(opened.attrs.get("href", "")))
        return f'</a><span class="host"> ({escape(host)})</span>' if host else "</a>"

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        del options, env
        return f"<{_lower(tokens[idx].tag)}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        del options, env
        return f"</{_lower(tokens[idx].tag)}>"


def _lower(tag: str) -> str:
    return f"h{min(6, int(tag[1:]) + 2)}"


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in _SCHEMES else ""


_markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)
_cleaner = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    url_schemes=_SCHEMES,
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)


def as_html(text: str) -> Markup:
    """Blocks for some milliseconds: not for the event loop."""
    shown = visible(text)
    if len(shown) > LONGEST:
        return Markup('<pre class="plain">{}</pre>').format(shown)
    return Markup(_cleaner.clean(_markdown.render(shown)))  # noqa: S704 -- cleaned right here
