"""Rows with several sites, such as the residues of a chain, from a dataset to a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from chemdl.book.regression import _compare_with_predictions
from chemdl.data import Dataset
from chemdl.evidence import judging, metrics, splits
from chemdl.evidence import statistics as stats
from chemdl.evidence.comparisons import Evidence, compare
from chemdl.evidence.conditions import Condition
from chemdl.evidence.fitting import by_row
from chemdl.evidence.metrics import Metric
from chemdl.evidence.result import Result, read_result
from chemdl.evidence.study import Study
from chemdl.learn.estimator import NeuralEstimator
from chemdl.learn.losses import Loss, masked_mean
from chemdl.learn.ragged import Ragged
from chemdl.learn.training import Recipe, ReplicaRows, predict, train
from chemdl.settings import Settings

TASKS = ("state", "height")


def chains(n: int = 40, longest: int = 23) -> list[str]:
    rng = np.random.default_rng(3)
    return ["".join(rng.choice(list("ABC"), size=rng.integers(1, longest))) for _ in range(n)]


def labels_of(chain: str) -> np.ndarray:
    """State 1 after a B, 2 after a C, else 0; height is the letter's number, half unmeasured."""
    before = " " + chain[:-1]
    state = np.array([{"B": 1.0, "C": 2.0}.get(letter, 0.0) for letter in before])
    height = np.array(["ABC".index(letter) for letter in chain], dtype=float)
    height[::2] = np.nan
    return np.column_stack([state, height])


def dataset(inputs: list[str]) -> Dataset:
    labels = [labels_of(chain) for chain in inputs]
    return Dataset(
        "chains",
        np.array(inputs, dtype=object),
        np.concatenate(labels),
        TASKS,
        "labelling",
        "",
        {"cleaning": {"raw": len(inputs)}, "input": "sequence"},
        lengths=np.array([len(chain) for chain in inputs]),
    )


@pytest.fixture
def data() -> Dataset:
    return dataset(chains())


def _share_right(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> np.ndarray:
    return (w @ (y == p)) / w.sum(axis=1)


def _mean_run(y: np.ndarray, p: np.ndarray, w: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Mean over units of the length of each: what no sum over single rows can give."""
    _, first, counts = np.unique(units, return_index=True, return_counts=True)
    return (w[:, first] @ counts) / w[:, first].sum(axis=1)


RIGHT = Metric("right", "", True, 0.01, False, "labelling", _share_right, task="state")
RUN = Metric("run", "", True, 0.01, False, "labelling", _mean_run, task="state", by_unit=True)


@pytest.fixture(autouse=True)
def own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metrics.METRICS._values, "right", RIGHT)
    monkeypatch.setitem(metrics.METRICS._values, "run", RUN)
    monkeypatch.setattr(judging, "for_study", lambda _study: [])


class Before(nn.Module):
    """Three logits of a state and one height for each letter, from it and the one before."""

    sites = "letters"

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv1d(3, 4, kernel_size=3, padding=1)

    def forward(self, batch: dict[str, Any], noise: Any, weight: Tensor) -> Tensor:
        letters = batch["letters"]
        return self.weigh(letters.values.transpose(-1, -2)).transpose(-1, -2)


def _states_and_heights(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    logits, height = output[..., :3], output[..., 3]
    chosen = nn.functional.one_hot(target[..., 0].long(), 3)
    state = -(logits.log_softmax(-1) * chosen).sum(-1)
    both = torch.stack([state, (height - target[..., 1]).square()], dim=-1)
    return masked_mean(both, weight)


class BeforeNet(NeuralEstimator):
    revision = 1
    _loss: ClassVar[Any] = Loss(_states_and_heights)

    def __init__(
        self,
        epochs: int = 60,
        batch_size: int = 8,
        learning_rate: float = 0.03,
        patience: int = 60,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.patience, self.bucketed, self.seed, self.device = patience, bucketed, seed, device

    def featurize(self, inputs):
        rows = [np.eye(3, dtype=np.float32)[["ABC".index(x) for x in chain]] for chain in inputs]
        return {"letters": Ragged.of(rows, "padded")}

    def build(self, features, n_tasks):
        return Before()

    def predict(self, X):
        output = self.outputs(X)
        return np.column_stack([output[:, :3].argmax(axis=1), output[:, 3]])


class Majority(BaseEstimator):
    revision = 1
    kind: ClassVar[str] = "trivial"

    def fit(self, X, y):
        assert isinstance(y, Ragged) and len(y) == len(X)
        states = y.values[:, 0]
        self.state_ = np.bincount(states[np.isfinite(states)].astype(int)).argmax()
        self.height_ = np.nanmean(y.values[:, 1])
        return self

    def predict(self, X):
        sites = sum(map(len, X))
        return np.column_stack([np.full(sites, self.state_), np.full(sites, self.height_)])


def run(
    data: Dataset, output: Path, protocol: splits.Protocol, unit: str = "chain", **more: Any
) -> Result:
    return Study(
        "chains",
        chapter="tiny",
        dataset=data,
        models={"net": BeforeNet(), "trivial": Majority(), **more.pop("models", {})},
        protocol=protocol,
        metrics=["right", "run"],
        settings=Settings("quick", 0, "cpu", output),
        reference="trivial",
        unit=unit,
        **more,
    ).run()


# --- training -------------------------------------------------------------------------------------


def test_a_net_learns_sites_and_predicts_them_in_order(data: Dataset) -> None:
    net = BeforeNet().fit(data.inputs, by_row(data), valid=np.arange(5))
    predicted = net.predict(data.inputs)
    assert predicted.shape == data.targets.shape
    assert (predicted[:, 0] == data.targets[:, 0]).mean() > 0.99
    reverse = net.predict(data.inputs[::-1])
    expected = np.concatenate(np.split(predicted, data.offsets[1:-1])[::-1])
    np.testing.assert_allclose(reverse, expected, atol=1e-5)


def test_what_stands_beside_a_chain_does_not_change_it(data: Dataset) -> None:
    net = BeforeNet(epochs=3).fit(data.inputs, by_row(data))
    alone = np.concatenate([net.outputs([chain]) for chain in data.inputs])
    np.testing.assert_allclose(net.outputs(data.inputs), alone, atol=1e-5)


@pytest.mark.parametrize("bucketed", [True, False])
def test_a_stack_equals_its_members_alone(data: Dataset, bucketed: bool) -> None:
    features = BeforeNet().featurize(data.inputs)
    rows = [
        ReplicaRows(np.arange(0, 30), np.arange(30, 40), 1),
        ReplicaRows(np.arange(8, 40), np.arange(0, 8), 2),
    ]
    recipe = Recipe(epochs=3, batch_size=8, bucketed=bucketed)
    states = {}
    for stack in (True, False):
        fitted = train(Before, features, by_row(data), rows, loss=BeforeNet._loss, recipe=recipe,
                       stack=stack)  # fmt: skip
        states[stack] = [one for part in fitted for _, one in sorted(part, key=lambda x: x[0])]
    for together, alone in zip(states[True], states[False], strict=True):
        a, b = (predict(Before(), one, features) for one in (together, alone))
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_an_unmeasured_site_teaches_nothing(data: Dataset) -> None:
    nothing = np.array(data.targets)
    nothing[data.sites(np.arange(20))] = np.nan
    features = BeforeNet().featurize(data.inputs)
    fitted, recipe = [], Recipe(epochs=1, batch_size=64)
    for rows in (np.arange(40), np.arange(20, 40)):
        replica = ReplicaRows(rows, np.arange(30, 40), 1)
        ((result,),) = train(Before, features, by_row(data, nothing), [replica],
                             loss=BeforeNet._loss, recipe=recipe)  # fmt: skip
        fitted.append(result[1])
    a, b = (predict(Before(), one, features) for one in fitted)
    np.testing.assert_allclose(a, b, atol=1e-5)


class Fitted(Before):
    needs_targets = True

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def fit_scaling(self, batch: dict[str, Any], targets: Tensor) -> None:
        self.mean.fill_(targets[:, 1].nanmean())


def test_a_network_may_ask_for_its_own_train_targets(data: Dataset) -> None:
    replica = ReplicaRows(np.arange(10), np.arange(30, 40), 1)
    ((result,),) = train(Fitted, BeforeNet().featurize(data.inputs), by_row(data), [replica],
                         loss=BeforeNet._loss, recipe=Recipe(epochs=1))  # fmt: skip
    own = data.targets[data.sites(np.arange(10)), 1]
    assert float(result[1].state["mean"]) == pytest.approx(np.nanmean(own), rel=1e-5)


# --- metrics and intervals ------------------------------------------------------------------------


def test_a_metric_about_one_task_is_undefined_for_others(data: Dataset) -> None:
    scores = metrics.score_tasks("right", data.targets, np.nan_to_num(data.targets), tasks=TASKS)
    assert scores[0] == 1.0 and np.isnan(scores[1])


def test_units_reach_the_metrics_that_ask(data: Dataset) -> None:
    found = metrics.score_tasks(
        "run", data.targets, np.nan_to_num(data.targets), tasks=TASKS, units=data.row_of_site()
    )
    assert found[0] == pytest.approx(np.mean(data.lengths))


def test_the_bootstrap_draws_chains_and_not_residues() -> None:
    """Sites of a chain stand or fall together here, so that residues would be far too sure."""
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(30), 50)
    right = np.repeat(rng.random(30) < 0.5, 50)
    y = np.zeros((1500, 1))
    a, b = np.where(right, 0.0, 1.0)[:, None], np.where(right, 1.0, 0.0)[:, None]
    chains = stats.paired_bootstrap(y, a, b, RIGHT, units=units, tasks=["state"])
    residues = stats.paired_bootstrap(y, a, b, RIGHT, tasks=["state"])
    assert chains.high - chains.low > 4 * (residues.high - residues.low)


# --- the study ------------------------------------------------------------------------------------


def test_a_study_of_sites_leaves_a_card(data: Dataset, tmp_path: Path) -> None:
    sides = np.array(["train"] * 30 + ["test"] * 10)
    published = Dataset(
        data.name, data.inputs, data.targets, data.tasks, data.kind, data.unit, data.card,
        {"set": sides}, data.lengths,
    )  # fmt: skip
    result = run(published, tmp_path, splits.published(published))
    predictions = result.predictions
    (row,) = result.replicas("net").values()
    assert row.n_test == 10 and row.values["right"]["height"] is None
    assert row.values["right"]["state"] > 0.9
    assert result.card.undefined == []
    sites = published.sites(np.arange(30, 40))
    np.testing.assert_array_equal(predictions.arrays["test/0/0"], sites)
    np.testing.assert_array_equal(predictions.units, published.row_of_site())
    assert predictions.arrays["net/all/0/0"].shape == (len(sites), 2)
    _compare_with_predictions("card", row, predictions)
    rows = [one.model_dump() for one in result.card.scores]
    comparison = compare(Evidence(rows, predictions, "chain"), "net", "trivial", "right")
    assert comparison is not None and comparison["low"] > 0
    assert "over units" in comparison["method"]
    assert next(c for c in result.comparisons if c.metric == "right").low > 0


def test_folds_of_chains_and_shuffled_sites(data: Dataset, tmp_path: Path) -> None:
    protocol = splits.random(data, repeats=1, folds=4)
    shuffled = Condition("shuffled", shuffled=True)
    result = run(data, tmp_path, protocol, "fold", conditions=[Condition(), shuffled])
    right = {
        condition: result.by_task("net", "right", condition)["state"].mean()
        for condition in ("all", "shuffled")
    }
    assert right["all"] > 0.9 > 0.6 > right["shuffled"]


class TooFew(Majority):
    revision = 1

    def predict(self, X):
        return super().predict(X)[:-1]


def test_a_line_too_few_is_an_error(data: Dataset, tmp_path: Path) -> None:
    protocol = splits.random(data, repeats=1, folds=4)
    with pytest.raises(ValueError, match=r"TooFew predicts .*91, 2\) for 92 lines"):
        run(data, tmp_path, protocol, "fold", models={"short": TooFew()})


def test_predictions_are_read_back_with_their_units(data: Dataset, tmp_path: Path) -> None:
    protocol = splits.random(data, repeats=1, folds=4)
    run(data, tmp_path, protocol, "fold")
    again = read_result(tmp_path / "cards" / "chains.json").predictions
    np.testing.assert_array_equal(again.units, data.row_of_site())
    assert "units" not in again.arrays
