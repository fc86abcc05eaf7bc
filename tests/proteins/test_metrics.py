"""Metrics of residues, their angles and their contacts."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.evidence import metrics
from chemdl.evidence.metrics import METRICS


@pytest.mark.parametrize(
    ("metric", "task", "expected"),
    [("q3", "q3", 75.0), ("recall_helix", "q3", 50.0), ("recall_coil", "q3", 100.0),
     ("q2_exposed", "exposed", 75.0)],
)  # fmt: skip
def test_metrics_of_labels_are_about_their_task(metric: str, task: str, expected: float) -> None:
    y = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [2.0, np.nan], [np.nan, 0.0]])
    p = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [2.0, 1.0], [0.0, 0.0]])
    found = metrics.score_tasks(metric, y, p, tasks=["q3", "exposed"])
    column = ["q3", "exposed"].index(task)
    assert found[column] == expected and np.isnan(found[1 - column])


def test_correlation_of_two_states_is_matthews() -> None:
    from sklearn.metrics import matthews_corrcoef

    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 50).astype(float), rng.integers(0, 2, 50).astype(float)
    assert METRICS["r_exposed"].function(y, p) == pytest.approx(matthews_corrcoef(y, p))
    assert np.isnan(METRICS["r_exposed"].function(y, np.ones(50)))


def test_angles_go_the_short_way_round() -> None:
    error = METRICS["angle_error"].function([170.0, -10.0], [-170.0, 10.0])
    assert error == pytest.approx(20.0)


def test_precision_takes_the_likeliest_fifth() -> None:
    # L = 29: fifteen pairs 24 or more apart, the likeliest five of them count.
    y, p = np.zeros(15), np.arange(15.0)
    y[[14, 13, 0]] = 1
    other = np.zeros(15)
    units = np.repeat([0, 1], 15)
    both = METRICS["precision_l5"].function(
        np.concatenate([y, other]), np.concatenate([p, p]), units
    )
    assert both == pytest.approx((40.0 + 0.0) / 2)
