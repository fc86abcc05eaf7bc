"""The content security policy of the book's pages: scripts from the site alone.

A page says in its head what a browser may load for it (W3C, Content Security Policy Level 3).
Scripts are files of the site, or stand in the page with their SHA-256 in its policy. So nothing
runs that came into a page with a data set or an output. Styles may be inline: notebooks have them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

_HEAD = re.compile(r'<meta charset="utf-8" ?/?>', re.IGNORECASE)
_INLINE = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_HANDLER = re.compile(r"""\son[a-z]+=("[^"]*"|'[^']*')""")
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-hashes' {hashes}; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
_META = '<meta http-equiv="Content-Security-Policy" content="{policy}" />'


def add_policies(html: Path) -> None:
    """Write its policy into the head of every page below ``html``; twice is as once.

    Raises
    ------
    ValueError
        For a page without ``<meta charset="utf-8">``, after which the policy would stand.
    """
    for page in sorted(html.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if "<head" not in text or "Content-Security-Policy" in text:
            continue  # the theme's own templates are no pages
        head = _HEAD.search(text)
        if head is None:
            raise ValueError(f'{page}: no <meta charset="utf-8">, so no place for a policy')
        hashes = " ".join(dict.fromkeys(f"'{_hash(code)}'" for code in _scripts(text)))
        meta = _META.format(policy=_POLICY.format(hashes=hashes))
        page.write_text(f"{text[: head.end()]}{meta}{text[head.end() :]}", encoding="utf-8")


def policy_problems(soup: Any) -> Iterator[str]:
    """Yield what a parsed page lacks of its policy, or has beside it."""
    found = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    if found is None:
        yield "has no content security policy"
        return
    policy = found["content"]
    if re.search(r"https?:|unsafe-eval|script-src[^;]*'unsafe-inline'", policy):
        yield f"has a policy that lets in more than the site: {policy[:120]}"
    inline = [script.string or "" for script in soup.find_all("script", src=False)]
    handlers = [
        value for tag in soup.find_all(True) for name, value in tag.attrs.items()
        if name.startswith("on")
    ]  # fmt: skip
    for code in [*inline, *handlers]:
        if _hash(code) not in policy:
            yield f"has a script that its policy does not know: {code.strip()[:60]!r}"


def _scripts(text: str) -> Iterable[str]:
    """Yield the code of the scripts and of the handlers that stand in a page."""
    yield from _INLINE.findall(text)
    yield from (unescape(quoted[1:-1]) for quoted in _HANDLER.findall(_INLINE.sub("", text)))


def _hash(code: str) -> str:
    digest = hashlib.sha256(code.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
