"""Splits of materials: equal compositions, families of elements, and Matbench's own folds."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.splits import PROTOCOLS, Protocol
from chemdl.materials.compositions import composition_keys, element_fractions
from chemdl.materials.formulas import element_symbol


def with_compositions(dataset: Dataset) -> Dataset:
    """Return the dataset with a column ``composition``, equal for rows of one reduced formula."""
    return dataset.with_column("composition", composition_keys(dataset.inputs.tolist()))


def with_clusters(dataset: Dataset, clusters: int = 6, seed: int = 0) -> Dataset:
    """Return the dataset with a column ``cluster``: families of compositions, named by an element.

    K-means over the shares of the elements, as Meredig et al. 2018 (doi:10.1039/C8ME00012C) made
    the clusters that they left out one by one. A cluster is named by the element whose share is
    farthest above its mean over the dataset, or ``others`` where no element stands out.
    """
    from sklearn.cluster import KMeans

    shares = element_fractions(dataset.inputs.tolist()).astype(np.float64)
    kmeans = KMeans(clusters, n_init=10, random_state=seed).fit(shares)
    names = _names(kmeans.cluster_centers_ - shares.mean(axis=0))
    return dataset.with_column("cluster", names[kmeans.labels_])


@PROTOCOLS.register("published_folds")
def published_folds(dataset: Dataset, *, repeats: int = 1, seed: int = 0) -> Protocol:
    """Return Matbench's five folds, from ``columns["fold"]``; valid is a tenth of the others.

    The folds are the same in every repeat; valid rows and the models' seeds differ.
    """
    protocol = splits.leave_group_out(dataset, column="fold", repeats=repeats, valid=0.1, seed=seed)
    # They are random parts of one set, not groups that a model has never seen.
    parameters = {"column": "fold", "valid": 0.1}
    return dataclasses.replace(protocol, name="published_folds", parameters=parameters)


def _names(excess: NDArray[np.float64]) -> NDArray[np.str_]:
    """Name each cluster by its most outstanding element, no two alike."""
    names: list[str] = []
    for row in excess:
        symbol = element_symbol(int(row.argmax()) + 1)
        name = symbol if row.max() > 0.1 else "others"
        names.append(name if name not in names else f"{name} {names.count(name) + 1}")
    return np.array(names)
