"""`attractor explore`: a web page on this machine, where memories are seen at work."""

from attractor.app.explore.command import explore

__all__ = ["explore"]
