"""A replica's key changes with what its predictions hang on; its file is whole or absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from chemdl.evidence import metrics, replicas
from chemdl.evidence.replicas import Replica, ReplicaStore, normalised, replica_key, storable
from chemdl.molecules import baselines
from chemdl.molecules.nets.multitask import MultitaskClassifier

ROWS = (np.arange(10), np.arange(10, 12), np.arange(12, 20))
SHA = "0" * 64


def key(model=None, **changes) -> str:
    given = {"content_sha256": SHA, "rows": ROWS, "seed": 1, "condition": "all", **changes}
    # An unfitted forest has a length that cannot be asked for.
    return replica_key(MultitaskClassifier() if model is None else model, **given)


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
        key(MultitaskClassifier(epochs=51)),
        key(MultitaskClassifier(hidden=(2000, 101))),
        key(MultitaskClassifier(dropout=(0.0, 0.25, 0.5))),
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


def test_a_key_stays_with_what_changes_no_prediction() -> None:
    assert key(MultitaskClassifier(device="cpu")) == key(MultitaskClassifier(device="cuda"))
    assert key(MultitaskClassifier(seed=5)) == key()
    assert key(rows=tuple(r.astype(np.int32) for r in ROWS)) == key()
    assert key(MultitaskClassifier(hidden=[2000, 100])) == key()
    forests = [RandomForestClassifier(3, n_jobs=n, random_state=n) for n in (1, 2)]
    assert key(forests[0]) == key(forests[1])


def test_a_key_is_the_same_in_a_fresh_process() -> None:
    code = (
        "import numpy as np\n"
        "from chemdl import baselines\n"
        "from chemdl.molecules.nets.multitask import MultitaskClassifier\n"
        "from chemdl.evidence.replicas import replica_key\n"
        "rows = (np.arange(10), np.arange(10, 12), np.arange(12, 20))\n"
        "for model in (MultitaskClassifier(), baselines.classifier('knn')):\n"
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


SOURCE = '''
"""About the module."""

class Net(Base):
    """About the class."""

    rate = 0.5  # a comment

    def forward(self, x):
        """About the method."""
        return x * self.rate
'''


def test_what_tells_models_apart_can_be_written_as_json() -> None:
    """Some libraries mark missing values by NaN, which JSON has not."""
    model = RandomForestClassifier(np.int64(3), max_features=float("nan"))
    assert json.loads(json.dumps(replicas.identity(model), allow_nan=False))["n_estimators"] == 3


def test_comments_docstrings_and_layout_are_no_source() -> None:
    bare = "class Net(Base):\n  rate=0.5\n  def forward(self, x): return (x*self.rate)\n"
    assert normalised(SOURCE) == normalised(bare)
    reworded = SOURCE.replace("About", "All about").replace("# a comment", "# another")
    assert normalised(SOURCE) == normalised(reworded)


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.5", "0.6"), ("x * self", "x + self"), ("forward", "backward"), ("(Base)", "(Other)")],
)
def test_code_is_source(old: str, new: str) -> None:
    assert normalised(SOURCE) != normalised(SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("module", "deep", "other"),
    [
        ("chemdl.learn.training", True, False),
        ("chemdl.learn.losses", True, False),
        ("chemdl.learn.layers", True, False),
        ("chemdl.learn.estimator", True, False),
        ("chemdl.molecules.fingerprints", True, True),
        ("chemdl.molecules.baselines", False, True),
        ("chemdl.molecules.similarity", False, True),
        ("chemdl.evidence.study", False, False),
        ("chemdl.show.figures", False, False),
    ],
)
def test_a_key_changes_with_the_modules_that_the_model_rests_on(
    monkeypatch: pytest.MonkeyPatch, module: str, deep: bool, other: bool
) -> None:
    models = MultitaskClassifier(), baselines.classifier("logistic")
    before = [key(model) for model in models]
    real = replicas._module_source

    def commented(name: str) -> str:
        return real(name) + ("\n# another comment\n" if name == module else "")

    def changed(name: str) -> str:
        return real(name) + ("\nCHANGED = True\n" if name == module else "")

    for source, moved in ((commented, (False, False)), (changed, (deep, other))):
        monkeypatch.setattr(replicas, "_module_source", source)
        replicas.source_hash.cache_clear()
        now = [key(model) for model in models]
        assert tuple(a != b for a, b in zip(before, now, strict=True)) == moved
    monkeypatch.undo()
    replicas.source_hash.cache_clear()


def _class_of(folder: Path, name: str, source: str) -> type:
    """Define a class as somebody's own module does."""
    import importlib.util

    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.Own


def test_a_model_from_elsewhere_counts_with_its_own_definition(tmp_path: Path) -> None:
    lines = "from sklearn.base import BaseEstimator\nclass Own(BaseEstimator):\n    size = {}\n"
    one, again, other = (
        _class_of(tmp_path, f"own_model_{i}", lines.format(size))
        for i, size in enumerate(["1", "1  # the same", "2"])
    )
    assert key(one()) == key(again())
    assert key(one()) != key(other())


def test_a_model_on_top_of_ours_counts_with_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = _class_of(
        tmp_path,
        "own_model_over_ours",
        "from chemdl.molecules.nets.multitask import MultitaskClassifier\n"
        "class Own(MultitaskClassifier):\n    pass\n",
    )
    before = key(own())
    real = replicas._module_source
    monkeypatch.setattr(replicas, "_module_source", lambda name: real(name) + "\nCHANGED = 1\n")
    replicas.source_hash.cache_clear()
    assert key(own()) != before
    monkeypatch.undo()
    replicas.source_hash.cache_clear()


def test_a_model_of_a_notebook_counts_with_its_own_definition() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    cell = (
        "from sklearn.base import BaseEstimator\n"
        "class Own(BaseEstimator):\n"
        "    def predict(self, X):\n"
        "        n = {}\n"
        "        return [n] * len(X)\n"
    )
    shell = InteractiveShell()
    hashes = []
    for value in ("1", "1  # the same", "2"):
        assert shell.run_cell(cell.format(value)).success
        hashes.append(replicas.source_hash(shell.user_ns["Own"]))
    assert hashes[0] == hashes[1] != hashes[2]


# --- the store ------------------------------------------------------------------------------------


def some_replica() -> Replica:
    p = np.random.default_rng(0).random((8, 2)).astype(np.float32)
    return Replica(p, 1.5, 0.1, 4, 1234, replicas.environment("cpu"))


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


# --- predictions ----------------------------------------------------------------------------------


def test_rounding_is_idempotent_and_close() -> None:
    p = np.random.default_rng(0).random((200, 3))
    out = storable(p, "classification")
    assert out.dtype == np.float32
    assert np.abs(out / p - 1).max() < 2.0**-12
    np.testing.assert_array_equal(storable(out, "classification"), out)
    assert storable(np.array([[0.0, 1.0, 0.5]]), "classification").tolist() == [[0.0, 1.0, 0.5]]


def test_rounding_keeps_the_ranks_of_sure_predictions() -> None:
    """Most molecules of ClinTox are positive: what nets say of them lies close to one."""
    rng = np.random.default_rng(0)
    logits = rng.normal(9.0, 1.5, (400, 1))
    y = (logits + rng.normal(0, 1.5, logits.shape) > 8.0).astype(float)
    for sign in (1, -1):
        p = 1 / (1 + np.exp(-sign * logits))
        labels = y if sign == 1 else 1 - y
        exact, kept = (
            metrics.score_tasks("roc_auc", labels, q)[0] for q in (p, storable(p, "classification"))
        )
        assert kept == pytest.approx(exact, abs=2e-4)


def test_values_are_kept_as_float32() -> None:
    values = np.random.default_rng(0).normal(size=(50, 1))
    np.testing.assert_array_equal(storable(values, "regression"), values.astype(np.float32))


class Constant(BaseEstimator):
    """Predicts what it is told, in scikit-learn's shapes."""

    def __init__(self, value: float = 0.5, columns: int = 2) -> None:
        self.value, self.columns = value, columns

    def predict_proba(self, X):
        out = np.full((len(X), self.columns), 0.25)
        out[3 % len(X)] = self.value
        return out

    def predict(self, X):
        return self.predict_proba(X)[:, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_predictions_that_are_not_finite_are_refused(value: float, kind: str) -> None:
    inputs = np.array([f"{'C' * n}O" for n in range(1, 7)], dtype=object)
    with pytest.raises(ValueError, match=r"Constant predicts (nan|inf) for input 'CCCCO', task 0"):
        replicas.predict_matrix(Constant(value), inputs, kind)


def test_predictions_become_a_column_per_task() -> None:
    inputs = np.array(["C", "CC", "CCC", "CCCC"], dtype=object)
    one = replicas.predict_matrix(Constant(0.75), inputs, "classification")
    assert one.tolist() == [[0.25], [0.25], [0.25], [0.75]]
    several = Constant(0.75, columns=2)
    several.n_tasks_ = 2
    assert replicas.predict_matrix(several, inputs, "classification").shape == (4, 2)
    assert replicas.predict_matrix(Constant(), inputs, "regression").shape == (4, 1)


def test_seeds_reach_models_under_either_name() -> None:
    assert replicas.seeded(MultitaskClassifier(), 7).seed == 7
    assert replicas.seeded(baselines.classifier("knn"), 7).seed == 7
    assert replicas.seeded(RandomForestClassifier(3), 7).random_state == 7
    plain = LogisticRegression(C=3.0)
    assert replicas.seeded(plain, 7).C == 3.0
    assert plain.random_state is None


def test_devices_reach_models_that_have_one() -> None:
    model = MultitaskClassifier(device="auto")
    assert replicas.on_device(model, "cpu").device == "cpu"
    assert model.device == "auto"
    assert isinstance(replicas.on_device(LogisticRegression(), "cuda"), LogisticRegression)
