"""A run that is cut off goes on where it was, and parts that ran apart are joined."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chemdl.evidence import judging
from chemdl.evidence.card import ScoreRow
from chemdl.evidence.result import Result, read_result
from chemdl.molecules import baselines


def scores(result: Result, model: str) -> list[ScoreRow]:
    rows = result.replicas(model)
    return [rows[place] for place in sorted(rows)]


def stored(output: Path) -> int:
    return len(list(output.glob("replicas/tiny_random/[!.]*.npz")))


def interrupt_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Interrupt a run when so many replicas are stored."""
    from chemdl.progress import Progress

    told: list[str] = []

    def advance(self: Progress, model: str) -> None:
        told.append(model)
        if len(told) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", advance)


# Whether joblib has dispatched more than was taken, of which it warns, is a matter of time.
@pytest.mark.filterwarnings("ignore:.*tasks (have been|which were still)")
@pytest.mark.parametrize("again", ["the same study", "a new one"])
def test_an_interrupted_run_goes_on_where_it_was(
    data, tmp_path, monkeypatch: pytest.MonkeyPatch, again: str, make_study, oxygen, net
) -> None:
    whole = make_study(data, tmp_path / "whole", {"oxygen": oxygen(), "net": net}).run()
    oxygen.fits.clear()
    study = make_study(data, tmp_path / "cut", {"oxygen": oxygen(), "net": net})
    interrupt_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        study.run()
    monkeypatch.undo()
    monkeypatch.setattr(judging, "for_study", lambda _study: [])
    assert stored(tmp_path / "cut") == 2
    assert not study.card_path.exists()
    oxygen.fits.clear()
    if again == "a new one":
        study = make_study(data, tmp_path / "cut", {"oxygen": oxygen(), "net": net})
    result = study.run()
    assert len(oxygen.fits) == 1
    assert stored(tmp_path / "cut") == 6
    for model in ("oxygen", "net"):
        found, expected = ([r.values for r in scores(c, model)] for c in (result, whole))
        assert found == expected


def test_nothing_is_computed_twice(data, tmp_path, make_study, oxygen) -> None:
    first = make_study(data, tmp_path).run()
    assert len(oxygen.fits) == 3
    again = make_study(data, tmp_path).run()
    assert len(oxygen.fits) == 3
    assert first.card.scores == again.card.scores
    make_study(data, tmp_path, {"oxygen": oxygen(strength=0.5)}).run()
    assert len(oxygen.fits) == 6


def test_a_damaged_replica_is_computed_again(data, tmp_path, make_study) -> None:
    first = make_study(data, tmp_path).run()
    broken = sorted(tmp_path.glob("replicas/tiny_random/*.npz"))[0]
    broken.write_bytes(broken.read_bytes()[:100])
    again = make_study(data, tmp_path).run()
    assert [r.values for r in first.card.scores] == [r.values for r in again.card.scores]


SLOW = """
import sys, time
from sklearn.base import BaseEstimator
import numpy as np

class Slow(BaseEstimator):
    revision = 1
    fits = 0

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y):
        Slow.fits += 1
        if "--slow" in sys.argv:
            time.sleep(0.3)
        self.n_tasks_ = y.shape[1]
        return self

    def predict_proba(self, X):
        return np.random.default_rng(self.seed).random((len(X), self.n_tasks_))

def study(output):
    import chemdl
    from chemdl.evidence import splits
    from chemdl.settings import Settings
    from pathlib import Path
    data = chemdl.load("bace").sample(60, seed=0)
    return chemdl.Study(
        "tiny_random", chapter="tiny", dataset=data, models={"slow": Slow()},
        protocol=splits.random(data, repeats=4, folds=5), metrics=["roc_auc"],
        settings=Settings("quick", 0, "cpu", Path(output)),
    )

if __name__ == "__main__":
    from slow_model import study
    study(sys.argv[1]).run()
"""


def test_a_killed_run_leaves_no_half_card(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_model.py").write_text(SLOW)
    output = tmp_path / "output"
    running = subprocess.Popen(
        [sys.executable, "slow_model.py", str(output), "--slow"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while stored(output) < 2 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    done = stored(output)
    assert 2 <= done < 20
    assert not (output / "cards").exists()

    monkeypatch.syspath_prepend(tmp_path)
    import slow_model

    result = slow_model.study(output).run()
    assert slow_model.Slow.fits == 20 - done
    assert len(result.card.scores) == 20
    assert read_result(output / "cards" / "tiny_random.json").predictions.arrays


def test_parts_run_apart_join_to_the_same_card(data, tmp_path, make_study, oxygen, net) -> None:
    models = {"net": net, "oxygen": oxygen(), "trivial": baselines.classifier("trivial")}
    whole = make_study(data, tmp_path / "whole", models, reference="oxygen").run()
    parts = tmp_path / "parts"
    first = make_study(data, parts, models, asked=("deep",), reference="oxygen").run()
    assert first.models == ("net",)
    assert first.comparisons == []
    assert first.shortfall == ["oxygen: 0 of 3 replicas", "trivial: 0 of 3 replicas"]
    oxygen.fits.clear()
    joined = make_study(
        data, parts, models, asked=("classical", "trivial"), reference="oxygen"
    ).run()
    assert len(oxygen.fits) == 3
    assert joined.shortfall == []
    assert joined.card.models == whole.card.models
    assert joined.comparisons == whole.comparisons
    seconds = {"fit_seconds": 0.0, "predict_seconds": 0.0}
    timeless = [
        [row.model_copy(update=seconds) for row in result.card.scores] for result in (joined, whole)
    ]
    assert timeless[0] == timeless[1]


def test_one_model_by_name(data, tmp_path, make_study, oxygen) -> None:
    result = make_study(data, tmp_path, asked=("trivial",)).run()
    assert result.models == ("trivial",)
    assert "--models trivial" in result.card.command
    assert oxygen.fits == []


def test_without_any_replica_there_is_no_card(data, tmp_path, make_study) -> None:
    with pytest.raises(RuntimeError, match="no stored replica and none of its models"):
        make_study(data, tmp_path, asked=("deep",)).run()
    assert not (tmp_path / "cards").exists()
