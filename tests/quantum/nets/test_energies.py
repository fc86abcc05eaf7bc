"""What holds for all nets over geometries: invariances, errors, composition, losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chemdl.learn.models import NETS as REGISTERED
from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.quantum.baselines import DressedAtoms
from chemdl.quantum.geometries import geometries, geometry, geometry_text
from chemdl.quantum.nets.energies import ABSOLUTE_ERROR, AtomicSum, PaddedAtoms, energy_and_forces

NETS = ("coulomb_net", "continuous_filter", "dtnn", "behler_parrinello")


def transformed(text: str, seed: int) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    numbers, xyz = geometry(text)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(numbers))
    return {
        "rotated": geometry_text(numbers, xyz @ turn),
        "moved": geometry_text(numbers, xyz + rng.normal(size=3) * 3),
        "permuted": geometry_text(numbers[order], xyz[order]),
    }


def test_every_net_that_reads_geometries_is_tested_here() -> None:
    assert {name for name, info in REGISTERED.items() if "geometry" in info.inputs} == set(NETS)
    assert all(REGISTERED[name].learns == ("regression",) for name in NETS)


@pytest.mark.parametrize("name", NETS)
def test_rotation_translation_and_order_change_nothing(name, fitted, data) -> None:
    for seed, text in enumerate(data[0][::25]):
        before, *after = fitted[name].predict([text, *transformed(str(text), seed).values()])
        np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_it_overfits_eight_molecules(name, small_net, data) -> None:
    noise = {"noise": 0.0} if name == "coulomb_net" else {}
    net = small_net(name, epochs=250, batch_size=8, learning_rate=5e-3, **noise)
    inputs, energies = data[0][:8], data[1][:8] + 30 * np.cos(np.arange(8))
    net.fit(inputs, energies, valid=np.array([], dtype=int))
    assert np.abs(net.predict(inputs) - energies).mean() < 2.0
    dressed = DressedAtoms().fit(inputs, energies).predict(inputs)
    assert np.abs(dressed - energies).mean() > 5.0


@pytest.mark.parametrize("name", NETS)
def test_a_second_fit_forgets_the_size_of_the_first_ones_molecules(name, small_net, data) -> None:
    by_size = np.argsort([text.count(";") for text in data[0]])
    small, large = by_size[:20], by_size[-20:]
    again = small_net(name, epochs=1)
    again.fit(data[0][small], data[1][small]).fit(data[0][large], data[1][large])
    fresh = small_net(name, epochs=1).fit(data[0][large], data[1][large])
    np.testing.assert_array_equal(again.predict(data[0][large]), fresh.predict(data[0][large]))


@pytest.mark.parametrize("name", ["continuous_filter", "behler_parrinello"])
def test_two_molecules_far_apart_have_the_sum_of_their_energies(name, fitted, data) -> None:
    first, second = geometry(data[0][10]), geometry(data[0][40])
    joined = geometry_text(
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.xyz, second.xyz + 30]),
    )
    parts = fitted[name].predict([data[0][10], data[0][40]]).sum()
    np.testing.assert_allclose(fitted[name].predict([joined]), parts, rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_an_element_that_was_not_seen_is_an_error(name, fitted) -> None:
    with pytest.raises(ValueError, match="has F, which"):
        fitted[name].predict(["C 0 0 0; F 0 0 1.35"])


@pytest.mark.parametrize("name", NETS)
def test_single_atoms_and_linear_molecules_have_finite_energies(name, fitted) -> None:
    energies = fitted[name].predict(["H 0 0 0", "C 0 0 0", "H 0 0 -1.06; C 0 0 0; N 0 0 1.15"])
    assert np.isfinite(energies).all()


@pytest.mark.parametrize("name", NETS)
def test_padding_changes_no_energy(name, fitted, data) -> None:
    small, large = min(data[0], key=len), max(data[0], key=len)
    alone = fitted[name].predict([small])[0]
    np.testing.assert_allclose(fitted[name].predict([small, large])[0], alone, rtol=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_molecules_of_similar_size_share_a_batch_where_atoms_are_padded(name, small_net) -> None:
    assert small_net(name).bucketed == (name != "coulomb_net")


def test_composition_is_fitted_to_the_train_rows() -> None:
    inputs = ["H 0 0 0; H 0 0 0.74", "O 0 0 0; H 0 0 0.97", "O 0 0 0; O 0 0 1.2", "O 0 0 0"]
    batch = first_replica(
        DeviceFeatures(geometries(inputs, "padded"), "cpu").take(np.arange(4)[None])
    )
    total = AtomicSum(1)
    total.fit(batch["numbers"].values, torch.tensor([[-2.0], [-11.0], [-20.0], [-10.0]]))
    np.testing.assert_allclose(total.atomic[[1, 8], 0], [-1, -10], atol=1e-5)
    assert total.seen.nonzero().ravel().tolist() == [1, 8]
    energies = total(torch.zeros(4, 8, 1), PaddedAtoms.read(batch))
    np.testing.assert_allclose(energies[:, 0], [-2, -11, -20, -10], atol=1e-5)


def test_losses_mask_and_weigh() -> None:
    output, target = torch.tensor([[[1.0, 2.0, 4.0]]]), torch.zeros(1, 1, 3)
    weight = torch.tensor([[[1.0, 1.0, 0.0]]])
    assert ABSOLUTE_ERROR.total(output, target, weight).tolist() == [1.5]
    assert not ABSOLUTE_ERROR.scaled
    assert energy_and_forces(10.0).total(output, target, weight).tolist() == [21.0]
