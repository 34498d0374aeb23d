"""`attractor serve`: a memory over HTTP."""

from attractor.app.serve.command import serve

__all__ = ["serve"]
