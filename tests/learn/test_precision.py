"""What a net or a classical model learns depends on no unit and no origin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chemdl
from chemdl.learn.models import make_net
from chemdl.learn.precision import check_held, fits_float32, origin_and_unit, stored_dtype
from chemdl.molecules import baselines
from chemdl.molecules.nets.multitask import Multitask

exponents = st.integers(-30, 30)
# In units of the spread.
offsets = st.one_of(st.just(0.0), st.floats(-1e8, 1e8))


@pytest.fixture(scope="module")
def molecules() -> tuple[np.ndarray, np.ndarray]:
    data = chemdl.load("esol").sample(60, seed=0)
    return data.inputs, data.targets[:, 0]


@given(exponents, offsets)
def test_centred_and_scaled_values_keep_their_differences(exponent: int, offset: float) -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(50, 1))
    values = (plain + offset) * 10.0**exponent
    check_held(values, ["t"])
    origin, unit = origin_and_unit(values, moves=True)
    held = ((values - origin) / unit).astype(np.float32).astype(np.float64)
    back = (held * unit + origin) / 10.0**exponent - offset
    # To a thousandth where float32 holds them as they are, and as float64 has them where not.
    np.testing.assert_allclose(back, plain, atol=2e-3 if fits_float32(values).all() else 1e-6)
    kept = values.astype(stored_dtype(values)).astype(np.float64)
    np.testing.assert_allclose(kept / 10.0**exponent - offset, plain, atol=2e-3)


def test_ordinary_targets_are_left_to_the_last_bit() -> None:
    for name in ("esol", "freesolv", "lipophilicity", "qm7"):
        targets = chemdl.load(name).targets
        assert stored_dtype(targets) is np.float32
        origin, unit = origin_and_unit(targets, moves=True)
        assert (origin == 0).all() and (unit == 1).all()
    assert fits_float32(np.array([[np.nan, 3.0, 0.0]] * 4)).all()


@pytest.mark.parametrize("values", [[0.0, 1e200], [1e-200, 2e-200], [1e12, 1e12 + 1.0]])
def test_what_cannot_be_held_is_named(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"targets of task 'dose' reach .* another unit"):
        check_held(np.array(values)[:, None], ["dose"])


def predicted(model: Any, inputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    return model.fit(inputs[:45], y[:45]).predict(inputs[45:])


MODELS = {
    "net": lambda: Multitask.Regressor(
        hidden=(16,), dropout=(0.0, 0.0), epochs=8, learning_rate=0.01, device="cpu"
    ),
    "random_forest": lambda: baselines.regressor("random_forest", trees=30),
    "svm_tanimoto": lambda: baselines.regressor("svm_tanimoto"),
    "ridge": lambda: baselines.regressor("ridge"),
    "knn": lambda: baselines.regressor("knn"),
    "gradient_boosting": lambda: baselines.regressor("gradient_boosting"),
    "trivial": lambda: baselines.regressor("trivial"),
}


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=6)
@given(exponent=exponents, offset=offsets)
def test_a_model_learns_the_same_in_any_unit_from_any_origin(
    molecules: tuple[np.ndarray, np.ndarray], name: str, exponent: int, offset: float
) -> None:
    inputs, y = molecules
    plain = predicted(MODELS[name](), inputs, y)
    moved = predicted(MODELS[name](), inputs, (y + offset) * 10.0**exponent)
    # Trees break ties between equal splits by the last bits of the targets.
    close = 0.6 if name == "random_forest" else 0.02
    np.testing.assert_allclose(moved / 10.0**exponent - offset, plain, atol=close * y.std())


@settings(max_examples=3)
@given(exponent=exponents)
def test_a_net_over_geometries_learns_the_same_in_any_unit(exponent: int) -> None:
    data = chemdl.load("qm7").sample(60, seed=0)
    one = data.targets[:, :1]
    plain, moved = (
        make_net("continuous_filter", "regression", width=8, epochs=2, layers=1, device="cpu")
        .fit(data.inputs, values)
        .predict(data.inputs)
        for values in (one, one * 10.0**exponent)
    )
    np.testing.assert_allclose(moved / 10.0**exponent, plain, atol=0.02 * one.std())


def test_classes_and_energies_keep_their_origin() -> None:
    far = np.array([[1e9], [1e9 + 1.0], [1e9 + 2.0]])
    with pytest.raises(ValueError, match=r"targets of task 0 reach 1e\+09 .* subtract a reference"):
        origin_and_unit(far, moves=False)
