"""Splits of molecules: whole scaffolds or whole clusters of similar molecules stay together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chemdl.evidence.folds import Grouped, Rows
from chemdl.evidence.splits import PROTOCOLS, SIDES, Protocol, Split, assemble, members, resampled
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.molecules.smiles import scaffold_keys

# Tanimoto distance between ECFP4 fingerprints up to which two molecules are neighbours.
CLUSTER_CUTOFF = 0.6


@PROTOCOLS.register("scaffold_balanced")
def scaffold_balanced(
    dataset: Any, *, repeats: int = 5, folds: int = 5, valid: float = 0.1, seed: int = 0
) -> Protocol:
    """Put whole Bemis-Murcko scaffolds at random into folds of nearly equal size.

    Scaffolds larger than half a fold are placed first, each into the emptiest fold, then the others
    in seeded order, those of one molecule last. Molecules without a ring share the empty scaffold
    and stay together. A scaffold larger than a fold makes that fold larger.
    """
    scaffolds = _scaffolds(dataset)
    rule = Grouped(scaffolds, "scaffolds")
    protocol = resampled("scaffold_balanced", dataset, rule, repeats, folds, valid, seed)
    # Molecules without a ring have no scaffold in common: each is a cluster of its own.
    without = scaffold_keys(dataset.inputs) == scaffold_keys(np.array(["C"], dtype=object))[0]
    alone = scaffolds.max() + 1 + np.arange(len(scaffolds))
    return replace(protocol, clusters=np.where(without, alone, scaffolds))


@PROTOCOLS.register("cluster")
def cluster(
    dataset: Any,
    *,
    repeats: int = 5,
    folds: int = 5,
    valid: float = 0.1,
    seed: int = 0,
    cutoff: float = CLUSTER_CUTOFF,
) -> Protocol:
    """Put whole Butina clusters at random into folds of nearly equal size.

    Two molecules are neighbours when the Tanimoto distance of their ECFP4 fingerprints is at most
    ``cutoff`` (0.6, a similarity of 0.4); see :func:`butina`. The seed decides which fold a cluster
    goes to, not the clusters.
    """
    rule = Grouped(butina(dataset.inputs, cutoff), "clusters")
    return resampled("cluster", dataset, rule, repeats, folds, valid, seed, cutoff=cutoff)


@PROTOCOLS.register("scaffold_moleculenet")
def scaffold_moleculenet(
    dataset: Any, *, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> Protocol:
    """Fill train, then valid, then test with scaffolds from the largest to the smallest.

    The split of MoleculeNet (Wu et al., Chem. Sci. 9, 513, 2018): one, without a seed, the same
    rows as DeepChem's ``ScaffoldSplitter``. Scaffolds of equal size go by their first row, the
    later first.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions {fractions} must be three positive numbers with sum 1")
    scaffolds = members(_scaffolds(dataset))
    scaffolds.sort(key=lambda rows: (len(rows), rows[0]), reverse=True)
    n = len(dataset.inputs)
    # Written as DeepChem writes it: .8 + .1 is not .9 in floating point.
    train_limit, valid_limit = fractions[0] * n, (fractions[0] + fractions[1]) * n
    sides: dict[str, list[int]] = {side: [] for side in SIDES}
    for rows in scaffolds:
        if len(sides["train"]) + len(rows) <= train_limit:
            side = "train"
        elif len(sides["train"]) + len(sides["valid"]) + len(rows) <= valid_limit:
            side = "valid"
        else:
            side = "test"
        sides[side].extend(rows.tolist())
    train, valid, test = (np.array(sides[side], dtype=np.int64) for side in SIDES)
    for side, held in sides.items():
        if not held:
            raise ValueError(
                f"{len(scaffolds)} scaffolds of up to {len(scaffolds[0])} molecules leave {side} "
                "empty; use the protocol scaffold_balanced, cluster or random"
            )
    split = Split(train, valid, test)
    parameters = {"fractions": list(fractions)}
    return assemble("scaffold_moleculenet", dataset, [split], 1, 1, None, parameters)


def butina(smiles: ArrayLike, cutoff: float = CLUSTER_CUTOFF) -> Rows:
    """Return the number of each molecule's cluster, shape (n,), by Butina's algorithm on ECFP4.

    The molecule with most neighbours (Tanimoto distance ≤ ``cutoff``) takes them all as its
    cluster, then the next that is still free takes its free neighbours, and so on (Butina, J. Chem.
    Inf. Comput. Sci. 39, 747, 1999). Equal to RDKit's ``Butina.ClusterData`` without reordering.
    Similarities are computed in blocks, so that only the neighbour lists are held.
    """
    if not 0 < cutoff < 1:
        raise ValueError(f"cutoff {cutoff} must lie between 0 and 1 (a Tanimoto distance)")
    rows = ECFP().transform(smiles)
    # Distances are compared as RDKit does, with room for float32's rounding.
    least = 1 - cutoff - 1e-6
    neighbours: list[Rows] = []
    for start in range(0, len(rows), 1000):
        block = tanimoto(rows[start : start + 1000], rows) >= least
        neighbours.extend(np.flatnonzero(line) for line in block)
    order = sorted(range(len(rows)), key=lambda i: (len(neighbours[i]), i), reverse=True)
    codes = np.full(len(rows), -1, dtype=np.int64)
    clusters = 0
    for centre in order:
        if codes[centre] >= 0:
            continue
        free = neighbours[centre][codes[neighbours[centre]] < 0]
        codes[free] = clusters
        clusters += 1
    return codes


def _scaffolds(dataset: Any) -> Rows:
    names, codes = np.unique(scaffold_keys(dataset.inputs), return_inverse=True)
    if len(names) == 1:
        raise ValueError(
            f"all {len(codes)} molecules have one scaffold (those without a ring share one), and "
            "it cannot be divided; use the protocol cluster or random"
        )
    return codes.astype(np.int64)
