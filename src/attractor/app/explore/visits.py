"""What the server remembers of each open page: bounded in number, and each bounded in size."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from attractor.app.explore.shelf import Upload
from attractor.app.explore.stock import Stock

MOST_VISITS, MOST_UPLOADS = 4, 2_000


class ForgottenError(Exception):
    """The page has been forgotten, or never was."""


@dataclass(eq=False)
class Visit:
    """One open page.

    Attributes:
        uploads: pictures of the user.
        stock: what is stored.
        sweep: of the running measurement; another object ends it.
    """

    uploads: list[Upload] = field(default_factory=list)
    stock: Stock | None = None
    sweep: object = None

    def stored(self) -> Stock:
        """What is stored.

        Raises:
            ValueError: nothing.
        """
        if self.stock is None:
            raise ValueError("nothing is stored yet: choose images and store them first")
        return self.stock

    def add(self, upload: Upload) -> int:
        """Keep a picture and return how many there are.

        Raises:
            ValueError: there are as many as a page may bring.
        """
        if len(self.uploads) >= MOST_UPLOADS:
            raise ValueError(f"a page may bring {MOST_UPLOADS:,} pictures, and has: remove them to bring others")
        self.uploads.append(upload)
        return len(self.uploads)


class Visits:
    """The last few pages; one more makes the server forget the page that was quiet for longest."""

    def __init__(self, most: int = MOST_VISITS):
        self._most = most
        self._open: OrderedDict[str, Visit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self) -> str:
        """A new page, by a key that nobody guesses."""
        key = secrets.token_urlsafe(16)
        self._open[key] = Visit()
        while len(self._open) > self._most:
            _, forgotten = self._open.popitem(last=False)
            forgotten.sweep = None
        return key

    def find(self, key: str | None) -> Visit:
        """The page of a key.

        Raises:
            ForgottenError: there is none.
        """
        if key is None or key not in self._open:
            raise ForgottenError
        self._open.move_to_end(key)
        return self._open[key]
