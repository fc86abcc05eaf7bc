"""Features of poses: counts by hand, and nothing that depends on how the complex is turned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chemdl.screening import complex_features as features
from chemdl.screening import poses, receptors


def atoms(*rows: tuple[str, float, float, float]) -> receptors.Atoms:
    return receptors.atoms([row[0] for row in rows], [row[1:] for row in rows])


LIGAND = atoms(("NA", 0, 0, 0), ("A", 1.4, 0, 0), ("Cl", 3.2, 0, 0))
PROTEIN = atoms(
    ("OA", 0, 2.9, 0), ("C", 0, 0, 4.2), ("SA", 0, -11.5, 0), ("N", 0, 0, 12.5), ("Zn", 0, -2, 0)
)


def test_pairs_within_12_angstrom_are_counted_by_element() -> None:
    found = dict(zip(features.PAIRS, features.contact_counts(LIGAND, PROTEIN), strict=True))
    expected = dict.fromkeys(features.PAIRS, 0)
    # S to Cl is √(11.5² + 3.2²) = 11.94; N is 12.5 and more from all; zinc is in no pair.
    for protein in ("O", "C", "S"):
        for ligand in ("N", "C", "Cl"):
            expected[f"{protein}.{ligand}"] = 1
    assert found == expected
    assert features.PAIRS[:3] == ("C.C", "C.N", "C.O") and len(features.PAIRS) == 36


def test_shells_tell_near_from_far_and_add_up_to_the_counts() -> None:
    found = features.contact_shells(LIGAND, PROTEIN)
    assert found.shape == (36, len(features.EDGES) - 1)
    np.testing.assert_array_equal(found.sum(1), features.contact_counts(LIGAND, PROTEIN))
    # O to N 2.90, O to C √(2.9² + 1.4²) = 3.22, O to Cl √(2.9² + 3.2²) = 4.32.
    for pair, shell in (("O.N", (0.0, 3.0)), ("O.C", (3.0, 3.5)), ("O.Cl", (4.0, 4.5))):
        (k,) = np.flatnonzero(found[features.PAIRS.index(pair)])
        assert features.EDGES[k : k + 2] == shell
    # A distance on a border belongs to the shell above, 12 Å to none.
    on_border = atoms(("C", 3, 0, 0), ("C", 12, 0, 0))
    assert np.flatnonzero(
        features.contact_shells(atoms(("C", 0, 0, 0)), on_border)[0]
    ).tolist() == [1]


def test_surroundings_name_the_atom_and_feel_what_is_near() -> None:
    found = features.surroundings(LIGAND, PROTEIN)
    assert found.shape == (3, features.N_SURROUNDINGS)
    assert found[:, :10].argmax(1).tolist() == [1, 0, 6] and (found[:, :10].sum(1) == 1).all()
    to_protein = found[:, 10 : 10 + 7 * 9].reshape(3, 7, 9)
    # The oxygen 2.9 Å from the nitrogen, by the Gaussian centred at 2.5 with width 0.75.
    expected = np.log1p(np.exp(-0.5 * (0.4 / 0.75) ** 2))
    np.testing.assert_allclose(to_protein[0, 4, 0], expected, rtol=1e-5)
    assert (to_protein[0, 3] == 0).all() and to_protein[0, 6].max() > 0.3
    to_ligand = found[:, -20:].reshape(3, 4, 5)
    # The aromatic carbon 1.4 Å from the nitrogen; the nitrogen is not its own neighbour.
    np.testing.assert_allclose(to_ligand[0, 0, 0], np.log1p(np.exp(-0.5 * 0.1**2)), rtol=1e-5)
    assert (to_ligand[0, 1] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_turning_and_moving_a_complex_changes_nothing(workbench, seed: int) -> None:
    inputs, _ = workbench.complexes(4)
    turn = Rotation.random(random_state=seed).as_matrix()
    step = np.random.default_rng(seed).normal(scale=20, size=3)
    for pose, protein in features.poses_in_pockets(inputs):
        ligand = pose.atoms
        moved, turned = (
            receptors.Atoms(a.types, a.elements, (a.xyz @ turn.T + step).astype(np.float32))
            for a in (ligand, protein)
        )
        counts = features.contact_counts(ligand, protein)
        assert counts.sum() > 50
        np.testing.assert_array_equal(features.contact_counts(moved, turned), counts)
        np.testing.assert_allclose(
            features.surroundings(moved, turned), features.surroundings(ligand, protein), atol=1e-3
        )
        # And it is no accident: moving the ligand alone does change them.
        apart = receptors.Atoms(ligand.types, ligand.elements, ligand.xyz + np.float32(2.5))
        assert not np.allclose(
            features.surroundings(apart, protein), features.surroundings(ligand, protein), atol=0.1
        )


def test_the_pocket_loses_no_pair(workbench) -> None:
    inputs, _ = workbench.complexes(8)
    for text, (pose, pocket) in zip(inputs, features.poses_in_pockets(inputs), strict=True):
        whole = receptors.receptor(text.split()[0]).atoms
        np.testing.assert_array_equal(
            features.contact_shells(pose.atoms, pocket),
            features.contact_shells(pose.atoms, whole.heavy()),
        )
    assert features.rf_score_features(inputs).shape == (8, 36)
    np.testing.assert_allclose(features.vina_scores(inputs), [p.score for p in poses.poses(inputs)])


def test_ligand_features_see_no_protein(workbench) -> None:
    inputs, _ = workbench.complexes(12)
    swapped = [text.replace("left", "x").replace("right", "left").replace("x", "right")
               for text in inputs]  # fmt: skip
    for representation, width in (("ecfp", 2048), ("properties", 6)):
        seen = features.ligand_features(inputs, representation)
        assert seen.shape == (12, width)
        np.testing.assert_array_equal(seen, features.ligand_features(swapped, representation))
    with pytest.raises(ValueError, match="Did you mean 'properties'"):
        features.ligand_features(inputs, "property")
