"""What all tests share: a cache of their own, the mirror of large data, and no threads to spare."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before NumPy, torch and scikit-learn are loaded, since they read it then: on a core that is shared
# threads that spin while they wait make a test of a net take ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# `make test` has a process on every core, each with its one thread.
os.environ.update(
    dict.fromkeys(("LOKY_MAX_CPU_COUNT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if "PYTEST_XDIST_WORKER" in os.environ
    else {}
)

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from chemdl.evidence.claims import Claim
    from chemdl.evidence.result import Predictions, Result

# The same members of a kind are drawn in every run, however slow the machine is.
hypothesis.settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent
# The files that take longest, in this order: last in turn, one of them would keep one process busy
# while the others have nothing left.
SLOWEST = (
    "test_chapters.py",
    "test_revisions.py",
    "test_wheel.py",
    "test_guard.py",
    "test_build.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start as many processes as this machine, or this container of it, has cores."""
    from chemdl.threads import cores

    return cores()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files."""
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(SLOWEST)))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Give the session an empty cache, so that no test leans on what the machine has stored.

    Processes side by side share it: what one has cleaned the others need not clean again.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHEMDL_CACHE", str(folder / "cache"))
        patch.setenv("MPLBACKEND", "agg")
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def smiles() -> np.ndarray:
    """Alkanes, alcohols, acids, amines and chlorides: 100 molecules."""
    ends = ["", "O", "C(=O)O", "N", "Cl"]
    return np.array(["C" * n + end for n in range(1, 21) for end in ends], dtype=object)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror of data that may not be embedded; skips where this machine has none."""
    named = os.environ.get("CHEMDL_MIRROR", "")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"no mirror at {folder}: set CHEMDL_MIRROR to a folder with the fetched data sets"
        )
    monkeypatch.setenv("CHEMDL_MIRROR", str(folder))
    return folder


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of packages that shall seem not to be installed."""
    hidden: set[str] = set()
    version = metadata.version

    def without(name: str) -> str:
        if name in hidden:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    return hidden


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """As if chemdl had been installed from a wheel: no clone, only a record of what it needs."""
    from packaging.requirements import Requirement

    from chemdl import doctor, extras

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = list(project["dependencies"])
    for part, requirements in project["optional-dependencies"].items():
        for one in map(Requirement, requirements):
            marker = f"({one.marker}) and " if one.marker else ""
            one.marker = None
            lines.append(f'{one}; {marker}extra == "{part}"')
    named = types.SimpleNamespace(get_all=lambda key: list(project["optional-dependencies"]))
    record = types.SimpleNamespace(
        requires=lines,
        metadata=named,
        read_text=lambda name: '{"url": "file:///downloads/chemdl-9.whl", "archive_info": {}}',
    )
    for module in (doctor, extras):
        monkeypatch.setattr(module, "clone", lambda: None)
    found = metadata.distribution
    own = {"chemdl": record}
    monkeypatch.setattr(metadata, "distribution", lambda name: own.get(name) or found(name))
    return record


@pytest.fixture(scope="session")
def card_content() -> Callable[..., dict[str, Any]]:
    """A maker of cards' contents: short rows of scores, filled up to a whole card."""
    return _card_content


def _card_content(
    rows: Sequence[Mapping[str, Any]],
    kinds: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return the content of a card, as :func:`write_result` takes it.

    Parameters
    ----------
    rows : of scores; each has at least ``model``, ``fold`` and ``values``.
    kinds, units : of the models and metrics, where they are not ``classical`` and no unit.
    fields : of the card, in place of those below; ``dataset`` and ``protocol`` are joined with
        theirs.
    """
    from chemdl.evidence.metrics import METRICS

    metrics = list(rows[0]["values"]) if rows else ["roc_auc"]
    card = {
        "schema_version": 1,
        "study": "tiny_random",
        "chapter": "tiny",
        "profile": "quick",
        "created": "2026-01-01T00:00:00+00:00",
        "command": "python -m chemdl run tiny",
        "metrics": [
            {
                "name": name,
                "unit": (units or {}).get(name, ""),
                "higher_is_better": METRICS[name].higher_is_better,
            }
            for name in metrics
        ],
        "models": [
            {
                "name": name,
                "kind": (kinds or {}).get(name, "classical"),
                "hyperparameters": {},
                "parameters": None,
                "tuning_trials": 0,
                "environment": {
                    "python": "3.11", "torch": "2.13", "rdkit": "2026", "numpy": "2.4",
                    "sklearn": "1.9", "device": "cpu", "threads": 1,
                },
            }
            for name in dict.fromkeys(row["model"] for row in rows)
        ],
        "scores": [_score_row(row) for row in rows],
        "comparisons": [],
        "verdicts": [],
        "shortfall": [],
        "undefined": [],
    }  # fmt: skip
    dataset = {"name": "tiny", "content_sha256": "a" * 64, "n": 6, "cleaning": {}}
    protocol = {
        "name": "random", "repeats": 1, "folds": 2, "seed": 0, "index_sha256": "b" * 64,
        "duplicates": {},
    }  # fmt: skip
    dataset |= fields.pop("dataset", {})
    protocol |= fields.pop("protocol", {})
    return {**card, "dataset": dataset, "protocol": protocol, **fields}


def _score_row(row: Mapping[str, Any]) -> dict[str, Any]:
    known = [v for v in next(iter(row["values"].values())).values() if v is not None]
    return {
        "condition": "all",
        "repeat": 0,
        "seed": 0,
        "n_train": 80,
        "n_test": 20,
        "value": float(np.mean(known)) if known else None,
        "fit_seconds": 1.0,
        "predict_seconds": 0.1,
        "stack_size": 1,
        **row,
    }


@pytest.fixture(scope="session")
def small_result(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """A maker of results that were written and read: what ``card_content`` takes, predictions."""

    def made(
        rows: Sequence[Mapping[str, Any]],
        kinds: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        *,
        predictions: Predictions | None = None,
        **fields: Any,
    ) -> Result:
        from chemdl.evidence.result import Predictions, read_result, write_result

        content = _card_content(rows, kinds, units, **fields)
        nothing = Predictions(np.zeros((1, 1)), {})
        written = write_result(content, predictions or nothing, tmp_path_factory.mktemp("card"))
        return read_result(written.path)

    return made


@pytest.fixture(scope="session")
def result_of_errors(small_result: Callable[..., Result]) -> Callable[..., Result]:
    """A maker of small results: study, errors of each model by fold, variance of the labels."""

    def made(study: str, folds: Mapping[str, Sequence[float]], variance: float = 4.0) -> Result:
        rows = [
            {
                "model": name,
                "fold": fold,
                "values": {"rmse": {"t": error}, "r2": {"t": 1 - error**2 / variance}},
            }
            for name, errors in folds.items()
            for fold, error in enumerate(errors)
        ]
        units = {"rmse": "log10 mol/L"}
        return small_result(rows, units=units, study=study, dataset={"name": "esol", "n": 10})

    return made


@pytest.fixture(scope="session")
def ledger_claims() -> dict[str, Claim]:
    """Three tested claims pinned to known numbers, and one that cannot be tested."""
    from chemdl.evidence.claims import Reported, load_claims

    known = load_claims().values()
    simple = [c for c in known if c.test and c.test.b is not None and c.kind == "difference"]
    chosen = [
        claim.model_copy(
            update={
                "statement": f"Nets | forests: *{number}* costs $5 and <b>",
                "favours": "deep",
                "test": claim.test.model_copy(update={"a": f"net_{number}"}),
                "reported": Reported(a=0.85, b=0.8, difference=0.05),
            }
        )
        for number, claim in enumerate(simple[:3])
    ]
    untestable = next(claim for claim in known if claim.test is None)
    return {claim.id: claim for claim in (*chosen, untestable)}


def _verdict(claim: str, word: str, value: float, provisional: bool = False) -> dict[str, Any]:
    estimate = {"value": value, "low": value - 0.01, "high": value + 0.01, "method": "t"}
    return {
        "claim": claim, "verdict": word, "reason": "", "fidelity": "near",
        "provisional": provisional, "estimate": estimate,
    }  # fmt: skip


def _comparison(claim: Claim, p: float) -> dict[str, Any]:
    test = claim.test
    return {
        "a": test.a, "b": test.b, "metric": test.metric, "condition": test.condition,
        "difference": 0.04, "low": 0.03, "high": 0.05, "detectable": 0.01, "method": "t", "p": p,
    }  # fmt: skip


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, in place of the recorded results."""
    from chemdl.evidence import result

    folder = tmp_path / "data"
    monkeypatch.setattr(result, "data_dir", lambda: folder)
    return folder


@pytest.fixture
def nothing_recorded(data_folder: Path) -> None:
    """No result is recorded."""


@pytest.fixture
def recorded(
    ledger_claims: dict[str, Claim], data_folder: Path, card_content: Callable[..., dict[str, Any]]
) -> Path:
    """The card of a full run that judges the first two claims, recorded alone."""
    from chemdl.evidence.result import Predictions, write_result

    first, second, *_ = ledger_claims.values()
    content = card_content(
        [],
        profile="full",
        verdicts=[_verdict(first.id, "confirmed", 0.04), _verdict(second.id, "reversed", -0.031)],
        comparisons=[_comparison(first, 0.01), _comparison(second, 0.04)],
    )
    nothing = Predictions(np.zeros((1, 1)), {})
    return write_result(content, nothing, data_folder / "results" / "full").path


@pytest.fixture
def own_run(
    ledger_claims: dict[str, Claim], tmp_path: Path, card_content: Callable[..., dict[str, Any]]
) -> Path:
    """The output folder of a quick run that judges the first claim otherwise."""
    from chemdl.evidence.result import Predictions, write_result

    verdicts = [_verdict(next(iter(ledger_claims)), "undecided", 0.015, provisional=True)]
    nothing = Predictions(np.zeros((1, 1)), {})
    write_result(card_content([], verdicts=verdicts), nothing, tmp_path / "quick" / "cards")
    return tmp_path / "quick"


ATOM = "ATOM  {:>5} {:<4} {:<3} A{:>4}    {:8.3f}{:8.3f}{:8.3f}  1.00  0.00    +0.000 {:<2}\n"
BOX = "center_x = 1.0\ncenter_y = -2.5\ncenter_z = 0\n\nsize_x = 20\nsize_y = 21.5\nsize_z = 22\n"


class Workbench:
    """A folder of two receptors made by hand, and a cache of poses, away from all others."""

    def __init__(self, data: Path) -> None:
        self.data = data
        rng = np.random.default_rng(0)
        # A bowl of 40 atoms, 6 to 9 Å from the origin, of every type that is told apart.
        directions = rng.normal(size=(40, 3))
        directions[:, 2] = -np.abs(directions[:, 2])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        self.xyz = (directions * rng.uniform(6, 9, (40, 1))).round(3)
        self.types = [("C", "A", "N", "NA", "OA", "SA", "HD", "Zn")[i % 8] for i in range(40)]

    def pdbqt(self, xyz: np.ndarray, types: list[str]) -> str:
        """Write atoms as a PDBQT file has them."""
        rows = enumerate(zip(xyz, types, strict=True), start=1)
        lines = [ATOM.format(i, t, "LIG", 1, *place, t) for i, (place, t) in rows]
        return "REMARK  by hand\n" + "".join(lines) + "TER\n"

    def register(self, cache: Path) -> None:
        """Write the registry of receptors, and their files where they would be fetched to."""
        targets = {}
        for target in ("left", "right"):
            shift = 0.0 if target == "left" else 3.0
            texts = {"target.pdbqt": self.pdbqt(self.xyz + shift, self.types), "conf.txt": BOX}
            hashes = {}
            for name, text in texts.items():
                path = cache / "receptors" / f"{target.upper()}_{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                hashes[name] = hashlib.sha256(text.encode()).hexdigest()
            targets[target] = {
                "title": f"the {target} bowl",
                "ligands": "dude",
                "receptor": target.upper(),
                "pdbqt_sha256": hashes["target.pdbqt"],
                "box_sha256": hashes["conf.txt"],
            }
        release = {"requirement": "none==1", "file": "none.whl", "sha256": "0" * 64, "bytes": 1}
        registry = {"archive": {**release, "folder": "receptors"}, "targets": targets}
        (self.data / "receptors.yml").write_text(json.dumps(registry), encoding="utf-8")

    def complexes(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Store poses of chains with a nitrogen (1) or without (0); return inputs and labels."""
        from chemdl.screening import ligands, poses, receptors

        rng = np.random.default_rng(1)
        inputs, labels = [], []
        for i in range(count):
            target, label = ("left", "right")[i % 2], (i // 2) % 2
            smiles = "C" * (i // 4 + 3) + ("N" if label else "")
            types = ["C"] * (i // 4 + 3) + ["NA"] * label
            xyz = rng.normal(size=(len(types), 3)) + (3.0 if target == "right" else 0.0)
            pose = poses.Pose(receptors.atoms(types, xyz), -5.0 - 0.1 * i)
            poses.store(target, ligands.neutral(smiles)[1], pose)
            inputs.append(poses.complex_input(target, smiles))
            labels.append(float(label))
        return np.array(inputs, dtype=object), np.array(labels)


@pytest.fixture
def workbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """Receptors by hand in place of the registered ones, and an empty cache of poses."""
    from chemdl.screening import receptors

    bench = Workbench(tmp_path / "data")
    bench.data.mkdir()
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(receptors, "data_dir", lambda: bench.data)
    bench.register(tmp_path / "cache")
    return bench
