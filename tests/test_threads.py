"""Fits take few threads, whoever started Python, and every count is restored after them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from threadpoolctl import threadpool_info, threadpool_limits

from chemdl import threads
from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.result import Result
from chemdl.evidence.study import Study
from chemdl.molecules.nets.multitask import Multitask
from chemdl.settings import Settings
from chemdl.threads import bounded

SMILES = np.array(["C" * n + end for n in range(1, 9) for end in ("", "O", "N")], dtype=object)


def counts() -> dict[str, list[int]]:
    """Return how many threads each library would take, asked from this thread of Python."""
    torch_count = torch.get_num_threads()
    pools = threadpool_info()
    found = {kind: [p["num_threads"] for p in pools if p["user_api"] == kind]
             for kind in ("blas", "openmp")}  # fmt: skip
    return found | {"torch": [torch_count]}


def most() -> int:
    return max(max(found) for found in counts().values())


@pytest.fixture(autouse=True)
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Four threads of each library and four cores, however many the machine has."""
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    torch_count = torch.get_num_threads()
    with threadpool_limits(4):
        torch.set_num_threads(4)
        yield
    torch.set_num_threads(torch_count)


class Witness(RegressorMixin, BaseEstimator):
    """Predicts the most threads that any library would take in its fit."""

    revision = 1

    def __init__(self, alone: bool = False, seed: int = 0) -> None:
        self.alone, self.seed = alone, seed

    def fit(self, X: Any, y: Any) -> Witness:
        self.most_ = most()
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), float(self.most_))


class WitnessNet(Multitask.Regressor):
    """Predicts how many threads torch and BLAS would take in its training."""

    revision = 1

    def featurize(self, inputs: Any) -> Any:
        self.seen.append(counts())
        return super().featurize(inputs)


def study(output: Path, models: dict[str, Any]) -> Study:
    targets = np.arange(len(SMILES), dtype=float)[:, None]
    data = Dataset(inputs=SMILES, targets=targets, tasks=("y",), card={"cleaning": {}},
                   name="tiny", kind="regression", unit="")  # fmt: skip
    return Study(
        "tiny",
        chapter="tiny",
        dataset=data,
        models=models,
        protocol=splits.random(data, repeats=1, folds=3, seed=0),
        metrics=["mae"],
        settings=Settings("quick", 0, "cpu", output, ("all",), None, 0),
    )


def predicted(result: Result, model: str) -> set[float]:
    values = result.predictions.arrays
    return {float(v) for k, a in values.items() if k.startswith(f"{model}/") for v in np.ravel(a)}


# --- the bound ------------------------------------------------------------------------------------


def test_a_bound_holds_inside_and_is_lifted_after() -> None:
    before = counts()
    assert most() == 4
    with bounded(1):
        assert most() == 1
        with bounded(3):
            assert most() == 1
    assert counts() == before
    with pytest.raises(RuntimeError), bounded(2):
        assert most() == 2
        raise RuntimeError("a fit that fails")
    assert counts() == before


def test_alone_a_fit_takes_every_core_only_where_waiting_threads_sleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bounded():
        found = counts()
        assert set(found["openmp"]) == {1} and found["torch"] == [1] and max(found["blas"]) > 1
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    with bounded():
        assert most() == 4
    monkeypatch.setattr(threads, "cores", lambda: 2)
    with bounded():
        assert most() == 2


def test_what_a_user_set_lower_stays() -> None:
    torch.set_num_threads(2)
    with threadpool_limits(2):
        before = counts()
        with bounded(3):
            assert counts() == before
        assert counts() == before


def test_fits_side_by_side_end_in_any_order() -> None:
    before = counts()
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first() -> int:
        with bounded(1):
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()
        return 0

    def second() -> int:
        first_is_in.wait(10)
        with bounded(1):
            second_is_in.set()
            first_is_out.wait(10)
            return most()

    with ThreadPoolExecutor(2) as workers:
        running = [workers.submit(first), workers.submit(second)]
        # The second still has its one thread after the first has gone.
        assert [one.result(20) for one in running] == [0, 1]
    assert counts() == before


# --- a study --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_beside_others_take_one_thread_each(tmp_path: Path, backend: str) -> None:
    before = counts()
    ran = study(tmp_path, {"witness": Witness()})
    with joblib.parallel_config(backend=backend, n_jobs=2):
        result = ran.run()
    assert counts() == before
    assert predicted(result, "witness") == {1.0}
    assert {row.environment.threads for row in result.card.models} == {1}


def test_a_failed_study_restores_what_it_bounded(tmp_path: Path) -> None:
    class Failing(Witness):
        revision = 1

        def fit(self, X: Any, y: Any) -> Witness:
            raise RuntimeError(f"failed with {most()}")

    before = counts()
    with pytest.raises(RuntimeError, match="failed with 1"):
        study(tmp_path, {"failing": Failing()}).run()
    # Fits beside the one that failed may still be ending.
    patience = time.monotonic() + 20
    while counts() != before and time.monotonic() < patience:
        time.sleep(0.05)
    assert counts() == before


@pytest.mark.parametrize(("policy", "expected"), [("ACTIVE", 1), ("PASSIVE", 4)])
def test_nets_take_every_core_only_where_waiting_threads_sleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, expected: int
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    WitnessNet.seen = []
    net = WitnessNet(hidden=(4,), dropout=(0.0, 0.0), size=128, epochs=1)
    before = counts()
    result = study(tmp_path, {"net": net}).run()
    assert counts() == before
    assert {found["torch"][0] for found in WitnessNet.seen} == {expected}
    assert {row.environment.threads for row in result.card.models} == {expected}


def test_a_net_learns_the_same_on_one_thread_and_on_four() -> None:
    def outputs(count: int) -> np.ndarray:
        with bounded(count):
            net = Multitask.Regressor(hidden=(256, 32), dropout=(0.1, 0.2, 0.2), epochs=5)
            return net.fit(SMILES, np.arange(len(SMILES), dtype=float)).predict(SMILES)

    np.testing.assert_allclose(outputs(1), outputs(4), rtol=1e-4, atol=1e-4)
