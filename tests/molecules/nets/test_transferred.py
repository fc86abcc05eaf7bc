"""A net that learned one set answers for another, through a line."""

from __future__ import annotations

import numpy as np
import pytest

import chemdl
from chemdl.learn.contract import check_parameters, seeded
from chemdl.learn.models import make_net
from chemdl.molecules.nets import transferred


def test_what_is_asked_about_was_not_learned(monkeypatch) -> None:
    whole = chemdl.load("freesolv")
    few = whole.subset(np.arange(40))
    sets = {"many": whole, "few": few}
    monkeypatch.setattr(transferred.chemdl, "load", lambda name: sets[name])
    net = make_net("fingerprint_net", "regression", epochs=3, device="cpu")
    learned: list[int] = []
    fit = type(net).fit
    monkeypatch.setattr(
        type(net), "fit", lambda self, X, y: (learned.append(len(X)), fit(self, X, y))[1]
    )
    model = transferred.Transferred(net, "many", "few")
    model.prepare(few.inputs)
    y = few.targets[:, 0]
    model.fit(few.inputs, y)
    assert learned == [len(whole) - 40]
    found = model.predict(few.inputs)
    # The line is the one of least squares: residuals have no mean and no slope.
    np.testing.assert_allclose((y - found).mean(), 0, atol=1e-6)
    np.testing.assert_allclose((y - found) @ found, 0, atol=1e-3)


def test_the_net_that_is_trained_once_keeps_its_seed_and_is_checked() -> None:
    model = transferred.Transferred(make_net("fingerprint_net", "regression", seed=3), "a", "b")
    check_parameters(model)
    assert (seeded(model, 8).seed, seeded(model, 8).net.seed) == (8, 3)
    with pytest.raises(ValueError, match="unknown optimizer of MultitaskRegressor 'Adam'"):
        check_parameters(model.set_params(net__optimizer="Adam"))
