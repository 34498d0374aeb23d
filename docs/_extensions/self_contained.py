"""Fails a build whose pages load anything from another host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["'](?:https?:)?//[^"']*"""
    r"""|<link\b[^>]*\brel=["'](?:stylesheet|preload|icon|preconnect)["'][^>]*\bhref=["'](?:https?:)?//[^"']*"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')]*|url\(["']?(?:https?:)?//[^"')]*"""
)


def loaded_from_elsewhere(text: str) -> list[str]:
    """What a page or a style sheet would load from another host.

    Example:
        >>> loaded_from_elsewhere('<a href="https://example.org"></a> <script src="https://example.org/a.js"></script>')
        ['<script src="https://example.org/a.js']
    """
    return LOADED.findall(text)


def check(app: Sphinx, error: Exception | None) -> None:
    from sphinx.util.logging import getLogger

    if error is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in {".html", ".css"}:
            for found in loaded_from_elsewhere(path.read_text(encoding="utf-8")):
                getLogger(__name__).warning("%s loads from another host: %s", path.relative_to(app.outdir), found)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
