"""Registers in plain Python, one column after the other, written from the definitions."""

import math

import numpy as np


def register(table, codes, cap):
    for code in codes:
        for column, value in enumerate(code):
            if value >= 0:
                table[column, value] = min(cap, table[column, value] + 1)


def column_means(table):
    means = []
    for column in table:
        used = [int(weight) for weight in column if weight > 0]
        means.append(sum(used) / len(used) if used else 0.0)
    return means


def recognise(table, code, *, iota=0.0, kappa=0.0, xi=0, undefined="ignore"):
    """Whether it is accepted, how many columns miss, the mean weight, and what that is compared with."""
    means = column_means(table)
    misses, weights, compared = 0, [], []
    for column, value in enumerate(code):
        if value < 0:
            if undefined == "miss":
                misses += 1
                weights.append(0)
                compared.append(means[column])
            continue
        weight = int(table[column, value])
        misses += weight == 0 or weight < iota * means[column]
        weights.append(weight)
        compared.append(means[column])
    rho = sum(weights) / len(weights) if weights else 0.0
    mean = float(np.sum(compared)) / len(compared) if compared else 0.0
    return bool(table.max() > 0 and misses <= xi and rho >= kappa * mean), misses, rho, mean


def entropy(table):
    whole = 0.0
    for column in table:
        total = int(column.sum())
        shares = [int(weight) / total for weight in column if weight > 0]
        whole -= sum(share * math.log2(share) for share in shares)
    return whole / len(table)


def chances(column, value, spread):
    """The distribution of retrieval in one column, by logarithms."""
    logs = [
        math.log(weight) - (0 if value < 0 else (row - value) ** 2 / (2 * spread**2)) if weight > 0 else -math.inf
        for row, weight in enumerate(column.tolist())
    ]
    largest = max(logs)
    odds = np.array([math.exp(one - largest) for one in logs])
    return odds / odds.sum()


def triangle(column, value):
    """The distribution of retrieval from one column of the table of bits."""
    used = [row for row, weight in enumerate(column.tolist()) if weight > 0]
    odds = np.zeros(len(column))
    if value not in used:
        odds[used] = 1
        return odds / odds.sum()
    first = last = value
    while first - 1 in used:
        first -= 1
    while last + 1 in used:
        last += 1
    for row in range(first, last + 1):
        odds[row] = (row - first + 1) / (value - first + 1) if row <= value else (last - row + 1) / (last - value + 1)
    return odds / odds.sum()


def retrieve(table, code, sigma, rng):
    """Column by column, one exponential after the other."""
    spread, found = sigma * table.shape[1], []
    for column, value in zip(table, code, strict=True):
        odds = [
            float(weight) * (1.0 if value < 0 else math.exp(-((row - value) ** 2) / (2 * spread**2)))
            for row, weight in enumerate(column)
        ]
        target, row = rng.random() * sum(odds), 0
        while row < len(odds) - 1 and target >= odds[row]:
            target -= odds[row]
            row += 1
        found.append(row)
    return found
