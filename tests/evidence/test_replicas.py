"""A replica's key changes with what its predictions hang on; its file is whole or absent."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier

from chemdl.evidence.fitting import environment
from chemdl.evidence.replicas import Replica, ReplicaStore, replica_key
from chemdl.molecules import baselines
from chemdl.molecules.nets.multitask import Multitask

ROWS = (np.arange(10), np.arange(10, 12), np.arange(12, 20))
SHA = "0" * 64


def key(model=None, **changes) -> str:
    given = {"content_sha256": SHA, "rows": ROWS, "seed": 1, "condition": "all", **changes}
    # An unfitted forest has a length that cannot be asked for.
    return replica_key(Multitask.Classifier() if model is None else model, **given)


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_changes_with_data_rows_seed_condition_and_parameters() -> None:
    swapped = (ROWS[1], ROWS[0], ROWS[2])
    other_row = (ROWS[0], ROWS[1], np.arange(13, 21))
    keys = [
        key(),
        key(content_sha256="1" * 64),
        key(rows=swapped),
        key(rows=other_row),
        key(seed=2),
        key(condition="shuffled"),
        key(Multitask.Regressor()),
        key(Multitask.Classifier(epochs=51)),
        key(Multitask.Classifier(hidden=(2000, 101))),
        key(Multitask.Classifier(dropout=(0.0, 0.25, 0.5))),
        key(baselines.classifier("logistic")),
        key(baselines.classifier("svm_linear")),
        key(baselines.classifier("logistic").set_params(estimator__C=2.0)),
        key(baselines.classifier("logistic").set_params(representation="counts")),
        key(baselines.classifier("random_forest", trees=3)),
        key(baselines.classifier("random_forest", trees=4)),
        key(RandomForestClassifier(3)),
        key(RandomForestClassifier(3, max_depth=2)),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 32 and k.isalnum() for k in keys)


def test_a_key_changes_with_the_revision_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Multitask.Classifier(), baselines.classifier("logistic")
    before = [key(model) for model in models]
    for model in models:
        monkeypatch.setattr(type(model), "revision", 2)
    assert not set(before) & {key(model) for model in models}


def test_a_key_stays_with_what_changes_no_prediction() -> None:
    assert key(Multitask.Classifier(device="cpu")) == key(Multitask.Classifier(device="cuda"))
    assert key(Multitask.Classifier(seed=5)) == key()
    assert key(rows=tuple(r.astype(np.int32) for r in ROWS)) == key()
    assert key(Multitask.Classifier(hidden=[2000, 100])) == key()
    forests = [RandomForestClassifier(3, n_jobs=n, random_state=n) for n in (1, 2)]
    assert key(forests[0]) == key(forests[1])


def test_a_key_is_the_same_in_a_fresh_process() -> None:
    code = (
        "import numpy as np\n"
        "from chemdl.molecules import baselines\n"
        "from chemdl.molecules.nets.multitask import Multitask\n"
        "from chemdl.evidence.replicas import replica_key\n"
        "rows = (np.arange(10), np.arange(10, 12), np.arange(12, 20))\n"
        "for model in (Multitask.Classifier(), baselines.classifier('knn')):\n"
        f"    print(replica_key(model, content_sha256='{SHA}', rows=rows, seed=1,"
        " condition='all'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [key(), key(baselines.classifier("knn"))]


class Toy(BaseEstimator):
    """A model whose parameters no release of another package changes."""

    revision = 1

    def __init__(self, width=(3, 4), inner=None, seed=0) -> None:
        self.width, self.inner, self.seed = width, inner, seed


def test_keys_stay_what_they_are() -> None:
    """Evidence accumulates under them: another rule would compute all of it again."""
    weights = functools.partial(np.power, 2.0)
    assert key(Toy()) == "45ead0369fae197f481f1075c5935900"
    nested = Toy({"a": Toy(), "b": [np.eye(2), weights]}, seed=3)
    assert key(nested) == "5f9020ce5c81cf2e3f996d8e641c1f12"


# --- the store ------------------------------------------------------------------------------------


def some_replica() -> Replica:
    p = np.random.default_rng(0).random((8, 2)).astype(np.float32)
    return Replica(p, 1.5, 0.1, 4, 1234, environment("cpu"))


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    store, replica = ReplicaStore(tmp_path / "replicas" / "study"), some_replica()
    assert store.get("a" * 32) is None
    store.put("a" * 32, replica)
    found = store.get("a" * 32)
    np.testing.assert_array_equal(found.predictions, replica.predictions)
    assert found.predictions.dtype == np.float32
    assert found.environment == replica.environment
    assert (found.fit_seconds, found.stack_size, found.parameters) == (1.5, 4, 1234)
    assert store.get("b" * 32) is None
    assert store.get(None) is None


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "foreign"])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: str) -> None:
    store = ReplicaStore(tmp_path)
    store.put("a", some_replica())
    path = tmp_path / "a.npz"
    whole = path.read_bytes()
    middle = len(whole) // 3
    if damage == "foreign":
        np.savez(path, something=np.zeros(3))
    else:
        content = {
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "text": b"not a zip at all",
            "flipped": whole[:middle] + bytes(64) + whole[middle + 64 :],
        }[damage]
        path.write_bytes(content)
    assert store.get("a") is None
    store.put("a", some_replica())
    assert store.get("a") is not None


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(file, **_arrays):
        Path(file).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", killed)
    with pytest.raises(KeyboardInterrupt):
        ReplicaStore(tmp_path).put("a", some_replica())
    assert list(tmp_path.iterdir()) == []
