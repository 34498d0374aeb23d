"""Clustering beside scikit-learn's k-means with as many restarts, on generated and real tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from report import Section, Table, Target, milliseconds
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.preprocessing import StandardScaler
from timing import Contender, race

from attractor.data.locate import DataUnavailableError
from attractor.data.tables import load_table
from attractor.estimators.clam import ClAM

OURS, PEER = "ClAM", "k-means"
LIMIT = 20.0


@dataclass(frozen=True)
class Sizes:
    """`restarts` of both on each of the `tables`; about `seconds` for each row."""

    tables: tuple[str, ...] = ("zoo", "iris", "wine", "movement-libras", "segment", "digits", "yale")
    restarts: tuple[int, ...] = (10, 100)
    seconds: float = 6.0


QUICK = Sizes(tables=("iris",), restarts=(2,), seconds=0.5)


def measure(sizes: Sizes, say: Callable[[str], None]) -> Section:
    found: dict[int, list[dict[str, Any]]] = {restarts: [] for restarts in sizes.restarts}
    for name in sizes.tables:
        say(f"clam: {name}")
        try:
            for restarts, each in found.items():
                each.append({"table": name, **one(name, restarts, sizes.seconds)})
        except DataUnavailableError as error:
            say(str(error))
    tables = [table(each, restarts) for restarts, each in found.items()]
    wanted = [target for restarts, each in found.items() for target in targets(each, restarts)]
    return Section("Clustering", tables, wanted, {"clusterings": found})


def one(name: str, restarts: int, seconds: float) -> dict[str, Any]:
    data = load_table(name)
    X, y, k = StandardScaler().fit_transform(data.values.numpy()), data.labels.numpy(), len(data.classes)
    models = {
        OURS: ClAM(k, n_init=restarts, random_state=0),
        PEER: KMeans(k, n_init=restarts, random_state=0),
    }
    with torch.enable_grad():
        timed = race([Contender(label, lambda model=model: model.fit(X)) for label, model in models.items()], seconds)
    agreement = {label: float(normalized_mutual_info_score(y, model.labels_)) for label, model in models.items()}
    return {"race": timed, "agreement": agreement, "shape": list(X.shape), "clusters": int(np.unique(y).size)}


def table(found: list[dict[str, Any]], restarts: int) -> Table:
    rows = []
    for each in found:
        rows_, columns_ = each["shape"]
        cells = [milliseconds(each["race"].time(label)) for label in (OURS, PEER)]
        agreement = [f"{each['agreement'][label]:.3f}" for label in (OURS, PEER)]
        rows.append([each["table"], f"{rows_} x {columns_}", *cells, str(each["race"].ratio(OURS, PEER)), *agreement])
    columns = ("table", "size", "ClAM, ms", "k-means, ms", "ratio", "ClAM, NMI", "k-means, NMI")
    title = f"{restarts} restarts of each, the best kept by its own loss"
    note = "Ratio in the same round, median (quartiles). One restart makes no batch: there it is above 20 on small tables."
    return Table(title, columns, rows, note, labels=2)


def targets(found: list[dict[str, Any]], restarts: int) -> list[Target]:
    listed = []
    for each in found:
        ratio = each["race"].ratio(OURS, PEER)
        claim = f"clustering of {each['table']}, {restarts} restarts: time over that of k-means"
        listed.append(Target(claim, f"<= {LIMIT:g}", str(ratio), ratio.median <= LIMIT))
    return listed
