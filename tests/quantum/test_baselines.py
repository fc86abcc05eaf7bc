"""Baselines over geometries: against scikit-learn, on new elements, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge as Reference
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

import chemdl
from chemdl.learn.models import BASELINES
from chemdl.quantum.baselines import REGRESSORS, DressedAtoms, KernelRidge, Neighbours
from chemdl.quantum.coulomb import bag_sizes, most_atoms, represent
from chemdl.quantum.distances import shared_table
from chemdl.quantum.geometries import composition, elements


def regressor(name: str) -> Any:
    return BASELINES[f"geometry/{name}"].estimator("regression")


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    qm7 = chemdl.load("qm7")
    rows = np.random.default_rng(0).permutation(7101)[:118]
    return qm7.inputs[rows], qm7.targets[rows]


def test_dressed_atoms_by_hand() -> None:
    inputs = ["H 0 0 0; H 0 0 0.74", "O 0 0 0; H 0 0 0.97", "O 0 0 0"]
    model = DressedAtoms().fit(inputs, [-2.0, -11.0, -10.0])
    water = "O 0 0 0; H 0 0 1; H 0 1 0"
    np.testing.assert_allclose(model.predict([water]), [-12.0])
    assert model.kind == "trivial"


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
@pytest.mark.parametrize("representation", ["eigenvalues", "sorted", "bonds"])
def test_kernel_ridge_is_scikit_learns(data, kernel: str, representation: str) -> None:
    inputs, targets = data[0], data[1][:, 0]
    train, test = inputs[:80], inputs[80:]
    model = KernelRidge(representation, kernel, scale=2.0, ridge=1e-4)
    predicted = model.fit(train, targets[:80]).predict(test)

    size, bags = most_atoms(inputs), bag_sizes(inputs)
    x, z = (represent(part, representation, size=size, bags=bags) for part in (train, test))
    x, z = x.astype(np.float64), z.astype(np.float64)
    sigma = 2.0 * model.unit_
    if kernel == "laplacian":
        grams = laplacian_kernel(x, x, 1 / sigma), laplacian_kernel(z, x, 1 / sigma)
    else:
        grams = rbf_kernel(x, x, 0.5 / sigma**2), rbf_kernel(z, x, 0.5 / sigma**2)
    counts, asked = (composition(part, elements(train)) for part in (train, test))
    atomic = np.linalg.lstsq(counts, targets[:80], rcond=None)[0]
    residual = targets[:80] - counts @ atomic
    reference = Reference(alpha=1e-4, kernel="precomputed").fit(grams[0], residual)
    expected = reference.predict(grams[1]) + asked @ atomic
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-2)


def test_what_a_fit_uses_is_set_before_it(data) -> None:
    """Settings are tuned outside, with as many trials as those of any other family."""
    for name in REGRESSORS:
        model = regressor(name)
        space = getattr(model, "search_space", {})
        assert set(space) <= set(model.get_params())
        chosen = {parameter: values[-1] for parameter, values in space.items()}
        fitted = clone(model).set_params(**chosen).fit(data[0][:40], data[1][:40])
        assert {parameter: fitted.get_params()[parameter] for parameter in chosen} == chosen


@pytest.mark.parametrize("name", REGRESSORS)
def test_no_baseline_is_far_worse_than_the_composition(data, name: str) -> None:
    inputs, targets = data
    model = regressor(name).fit(inputs[:90], targets[:90])
    predicted = model.predict(inputs[90:])
    assert predicted.shape == targets[90:].shape
    dressed = DressedAtoms().fit(inputs[:90], targets[:90]).predict(inputs[90:])
    error, bound = (np.abs(p - targets[90:]).mean() for p in (predicted, dressed))
    assert error <= 1.25 * bound


@pytest.mark.parametrize("name", REGRESSORS)
def test_prepared_distances_change_nothing(data, name: str) -> None:
    inputs, targets = data[0][:60], data[1][:60, 0]
    shared_table.cache_clear()
    plain = regressor(name).fit(inputs[:50], targets[:50]).predict(inputs[50:])
    model = regressor(name)
    if hasattr(model, "prepare"):
        model.prepare(inputs)
    prepared = model.fit(inputs[:50], targets[:50]).predict(inputs[50:])
    np.testing.assert_allclose(prepared, plain, rtol=1e-4)


@pytest.mark.parametrize("name", REGRESSORS)
def test_an_element_that_was_not_seen_is_an_error(data, name: str) -> None:
    model = regressor(name).fit(data[0][:30], data[1][:30, 0])
    with pytest.raises(ValueError, match="has F, which was not seen in training"):
        model.predict(["C 0 0 0; F 0 0 1.35"])


def test_the_nearest_neighbour_of_a_fitted_molecule_is_itself(data) -> None:
    model = Neighbours(n_neighbors=1).fit(data[0][:40], data[1][:40, 0])
    np.testing.assert_allclose(model.predict(data[0][:5]), data[1][:5, 0], rtol=1e-6)


def test_missing_targets_and_unknown_kernels_are_errors(data) -> None:
    with pytest.raises(ValueError, match="must all be measured"):
        DressedAtoms().fit(data[0][:2], [1.0, np.nan])
    with pytest.raises(ValueError, match="unknown kernel"):
        KernelRidge(kernel="linear").fit(data[0][:5], data[1][:5, 0])  # type: ignore[arg-type]


def test_the_registry_has_them_all() -> None:
    registered = [key for key in BASELINES if key.startswith("geometry/")]
    assert sorted(registered) == sorted(f"geometry/{name}" for name in REGRESSORS)
    assert BASELINES["geometry/krr_bonds"].family == "kernel machine"
