"""The plotting library, from the wheel of plotly: where it lies, which version, and the styles that it would add by itself."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

INJECTED = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Parts of the library (its maps) add a style under an id like this, unless the id is there."""


def library() -> Path:
    """`plotly.min.js`, found without importing plotly.

    Raises:
        ValueError: plotly is not installed.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ValueError("curves need plotly: pip install 'attractor[web]'")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@cache
def plotting() -> dict[str, Any]:
    """The version, and the ids that keep the library from adding styles, which the page's policy forbids."""
    return {"version": version("plotly"), "styles": sorted(set(INJECTED.findall(library().read_text(encoding="utf-8"))))}
