"""The fully connected net whose input, fingerprints or descriptors, is chosen by tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from chemdl.learn.estimator import Feature
from chemdl.learn.models import net
from chemdl.molecules.any_input import INPUTS, NET, READS, Input
from chemdl.molecules.descriptors import Descriptors2D
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import FullyConnected, Multitask


class BoundedColumns(FullyConnected):
    """A fully connected net whose scaled columns are cut at ten standard deviations.

    A molecule unlike all others must not decide a prediction by one column alone.
    """

    def scaled(self, x: Tensor) -> Tensor:
        """Return the inputs (batch, features) centred, scaled and cut."""
        return x if self.scale is None else self.scale(x).clamp(-10.0, 10.0)


@net(
    NET,
    family="net on vectors",
    reads=READS,
    method="pyramid of two layers; settings and input chosen together",
    paper="Ramsundar et al. 2015, arXiv:1502.02072",
    initial_bias=1.0,
)
class AnyInputNet(Multitask):
    """Fully connected net over bits, counts or descriptors of SMILES; see :class:`FullyConnected`.

    Descriptors enter as ``sign(x) log(1 + abs(x))``, centred and scaled by the train rows. One that
    RDKit cannot give (partial charges of many metals) enters as zero.

    Parameters
    ----------
    representation
        ``bits`` or ``counts`` (ECFP4, 2,048), or ``descriptors`` (RDKit's 2D set).
    """

    network = BoundedColumns
    search_space: ClassVar[dict[str, list[Any]]] = {
        "representation": [*INPUTS],
        **Multitask.search_space,
    }

    representation: Input = "bits"

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return packed bits (n, size / 8), counts (n, size), or descriptors (n, p)."""
        if self.representation == "descriptors":
            rows = np.nan_to_num(Descriptors2D(missing="keep").transform(inputs), nan=0.0)
            return {"fingerprint": (np.sign(rows) * np.log1p(np.abs(rows))).astype(np.float32)}
        is_counts = self.representation == "counts"
        ecfp = ECFP(self.radius, self.size, counts=is_counts, packed=not is_counts)
        return {"fingerprint": ecfp.transform(inputs)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return width and kind of the input, and a dropout rate for it and each hidden layer."""
        is_packed = self.representation == "bits"
        return {
            **super().sizes(features, n_tasks),
            "n_features": features["fingerprint"].shape[1] * (8 if is_packed else 1),
            "packed": is_packed,
            "log_counts": self.representation == "counts",
            "standardised": self.representation == "descriptors",
        }
