"""What models read of a docked complex.

These are counts of atom pairs near each other, the surroundings of each ligand atom, Vina's score,
and features of the ligand alone. Those of the pose come from distances, so that they stay the same
however the complex is turned or moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from chemdl.molecules.fingerprints import ECFP
from chemdl.registry import UnknownNameError
from chemdl.screening.poses import Pose, poses, split_input
from chemdl.screening.properties import physical_properties
from chemdl.screening.receptors import Atoms, receptor

PROTEIN_ELEMENTS = ("C", "N", "O", "S")
LIGAND_ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
LIGAND_FEATURES = ("ecfp", "properties")
# Names of the 36 pairs, protein first: "C.C", "C.N" …
PAIRS = tuple(f"{p}.{q}" for p in PROTEIN_ELEMENTS for q in LIGAND_ELEMENTS)
CUTOFF = 12.0
# Borders of the shells in Å: below 4 atoms touch, from 6 on it is the pocket's composition.
EDGES = (0.0, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 10.0, CUTOFF)

# AutoDock's types of protein atoms that surroundings tell apart; all other types (metals,
# cofactors) share one more place.
_PROTEIN_TYPES = ("C", "A", "N", "NA", "OA", "SA")
# Elements of the ligand's other atoms that surroundings tell apart; the rest share one more place.
_NEIGHBOUR_ELEMENTS = ("C", "N", "O")
# Centres in Å of the Gaussians over distances to protein atoms and to ligand atoms; their width is
# their spacing.
_TO_PROTEIN = np.linspace(2.5, 8.5, 9)
_TO_LIGAND = np.linspace(1.5, 5.5, 5)
# Columns of a ligand atom: its element, the protein around it, the ligand around it.
N_SURROUNDINGS = (
    len(LIGAND_ELEMENTS)
    + 1
    + (len(_PROTEIN_TYPES) + 1) * len(_TO_PROTEIN)
    + (len(_NEIGHBOUR_ELEMENTS) + 1) * len(_TO_LIGAND)
)


def contact_shells(ligand: Atoms, protein: Atoms) -> NDArray[np.int64]:
    """Count pairs of heavy atoms by elements and distance: (36, shells), rows as in ``PAIRS``.

    Shell k holds the distances d with EDGES[k] ≤ d < EDGES[k + 1]. Atoms of other elements
    (metals, boron) are in no pair.
    """
    distances = _distances(ligand.xyz, protein.xyz)
    shell = np.digitize(distances, EDGES) - 1
    rows = _codes(protein.elements, PROTEIN_ELEMENTS)
    columns = _codes(ligand.elements, LIGAND_ELEMENTS)
    counted = (columns < len(LIGAND_ELEMENTS))[:, None] & (rows < len(PROTEIN_ELEMENTS))
    counted &= shell < len(EDGES) - 1
    n_shells = len(EDGES) - 1
    flat = ((rows * len(LIGAND_ELEMENTS) + columns[:, None]) * n_shells + shell)[counted]
    return np.bincount(flat, minlength=len(PAIRS) * n_shells).reshape(len(PAIRS), n_shells)


def contact_counts(ligand: Atoms, protein: Atoms) -> NDArray[np.int64]:
    """Count pairs of heavy atoms by elements within 12 Å: (36,), the features of RF-Score.

    Four elements of the protein by nine of the ligand (Ballester and Mitchell, Bioinformatics 26,
    1169, 2010, doi:10.1093/bioinformatics/btq112).
    """
    return contact_shells(ligand, protein).sum(axis=1)


def surroundings(ligand: Atoms, protein: Atoms) -> NDArray[np.float32]:
    """Return what surrounds each heavy atom of a ligand: (atoms, N_SURROUNDINGS).

    One column for each element that the atom may be; for each type t of protein atom and each
    centre r of :math:`2.5, 3.25, …, 8.5` Å

    .. math:: \\log(1 + \\sum_{j \\in t} \\exp(-(d_{ij} - r)^2 / 2 s^2))

    with s the spacing of the centres; and the same for the elements of the ligand's other atoms.
    DeepVS (Pereira et al. 2016) lists the nearest atoms' types, charges and distances instead.
    """
    element = np.eye(len(LIGAND_ELEMENTS) + 1)[_codes(ligand.elements, LIGAND_ELEMENTS)]
    types = _codes(protein.types, _PROTEIN_TYPES), len(_PROTEIN_TYPES) + 1
    neighbours = _codes(ligand.elements, _NEIGHBOUR_ELEMENTS), len(_NEIGHBOUR_ELEMENTS) + 1
    to_protein = _smeared(_distances(ligand.xyz, protein.xyz), _TO_PROTEIN, *types)
    among = _distances(ligand.xyz, ligand.xyz)
    # An atom is not its own neighbour.
    np.fill_diagonal(among, np.inf)
    to_ligand = _smeared(among, _TO_LIGAND, *neighbours)
    return np.concatenate([element, to_protein, to_ligand], axis=1).astype(np.float32)


def poses_in_pockets(inputs: Iterable[str]) -> list[tuple[Pose, Atoms]]:
    """Return for each of n complexes the ligand's pose and the protein's heavy atoms near it.

    Raises
    ------
    chemdl.screening.poses.MissingPoseError
        If a complex was not docked; the message contains the command that docks it.
    """
    texts = [str(text) for text in inputs]
    ligands, targets = poses(texts), [split_input(text)[0] for text in texts]
    proteins = {target: receptor(target).atoms.heavy() for target in dict.fromkeys(targets)}
    return [
        (pose, _pocket(pose.atoms, proteins[target]))
        for pose, target in zip(ligands, targets, strict=True)
    ]


def rf_score_features(inputs: Sequence[str]) -> NDArray[np.float32]:
    """Return RF-Score's 36 counts of n docked complexes: (n, 36); see :func:`contact_counts`."""
    rows = [contact_counts(pose.atoms, protein) for pose, protein in poses_in_pockets(inputs)]
    return np.array(rows, dtype=np.float32)


def vina_scores(inputs: Sequence[str]) -> NDArray[np.float64]:
    """Return Vina's scores of n docked complexes in kcal/mol: (n,); low is strong."""
    return np.array([pose.score for pose in poses(inputs)])


def ligand_features(inputs: Sequence[str], representation: str) -> np.ndarray:
    """Return features of the ligands of n complexes; the protein is not read, nor any pose.

    ``representation`` is ``ecfp``, ECFP4 bits (n, 2048), or ``properties``, those of
    :func:`~chemdl.screening.properties.physical_properties` (n, 6). Any other, and text that is no
    complex, is a ValueError.
    """
    if representation not in LIGAND_FEATURES:
        raise UnknownNameError("representation", representation, LIGAND_FEATURES)
    smiles = [split_input(text)[1] for text in inputs]
    return ECFP().transform(smiles) if representation == "ecfp" else physical_properties(smiles)


def _pocket(ligand: Atoms, protein: Atoms) -> Atoms:
    """Return the protein's atoms in the box that reaches 12 Å beyond the ligand on each side."""
    low, high = ligand.xyz.min(0) - CUTOFF, ligand.xyz.max(0) + CUTOFF
    return protein.where(((protein.xyz > low) & (protein.xyz < high)).all(axis=1))


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return distances in Å: (len(a), len(b))."""
    difference = a[:, None].astype(np.float64) - b[None]
    return np.sqrt((difference**2).sum(-1))


def _codes(names: NDArray[np.str_], known: Sequence[str]) -> NDArray[np.int64]:
    """Number the names by their place among ``known``; what is not there comes after the last."""
    places = {name: i for i, name in enumerate(known)}
    return np.array([places.get(str(name), len(known)) for name in names], dtype=np.int64)


def _smeared(
    distances: NDArray[np.float64], centres: NDArray[np.float64], kinds: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Sum Gaussians of distances (a, b) over the b atoms of each of n kinds: (a, n × centres)."""
    spacing = centres[1] - centres[0]
    # Beyond four widths nothing is left of a Gaussian.
    rows, columns = np.nonzero(distances < centres[-1] + 4 * spacing)
    heights = np.exp(-0.5 * ((distances[rows, columns, None] - centres) / spacing) ** 2)
    place = rows * n + kinds[columns]
    length = len(distances) * n
    summed = [np.bincount(place, column, length) for column in heights.T]
    return np.log1p(np.stack(summed, axis=1)).reshape(len(distances), -1)
