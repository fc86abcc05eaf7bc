"""Names are found where domains register them, and a domain may come from another package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chemdl import registry
from chemdl.registry import Domain, Registry, UnknownNameError

# --- unknown names --------------------------------------------------------------------------------


def test_an_unknown_name_lists_near_misses_and_all_that_are_known() -> None:
    error = UnknownNameError("model", "randomforest", ["trivial", "random_forest", "knn"])
    assert isinstance(error, ValueError)
    assert str(error) == (
        "unknown model 'randomforest'. Did you mean 'random_forest'? "
        "Known: knn, random_forest, trivial"
    )
    two = str(UnknownNameError("metric", "pr_auk", ["pr_auc", "roc_auc", "rmse"]))
    assert "Did you mean 'pr_auc' or 'roc_auc'?" in two
    assert "Did you mean" not in str(UnknownNameError("model", "zzz", ["trivial"]))


# --- registering ----------------------------------------------------------------------------------


@pytest.fixture
def no_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "domains", lambda: ())


@pytest.fixture
def things(no_domains) -> Registry[Any]:
    return Registry("thing", "metrics")


def test_what_is_registered_is_found(things: Registry[Any]) -> None:
    things.add("one", 1)

    @things.register("two")
    def two() -> int:
        return 2

    assert (things["one"], things["two"]) == (1, two)
    assert two() == 2  # the decorator leaves it as it is
    assert "one" in things and "three" not in things
    assert sorted(things) == ["one", "two"] and len(things) == 2
    assert dict(things) == {"one": 1, "two": two}
    assert things.get("three") is None
    with pytest.raises(UnknownNameError, match=r"unknown thing 'tow'\. Did you mean 'two'\?"):
        things["tow"]


def test_a_name_that_stands_for_another_thing_is_an_error(things: Registry[Any]) -> None:
    things.add("one", 1)
    things.add("one", 1)
    with pytest.raises(ValueError, match="thing 'one' is registered twice"):
        things.add("one", 2)
    assert things["one"] == 1

    @things.register("f")
    def f() -> None: ...

    def other() -> None: ...

    with pytest.raises(ValueError, match="thing 'f' is registered twice"):
        things.add("f", other)
    assert things["f"] is f


def test_what_a_notebook_defines_again_replaces_the_earlier(things: Registry[Any]) -> None:
    def defined(value: int) -> Callable[[], int]:
        @things.register("f")
        def f() -> int:
            return value

        return f

    for value in (1, 2):
        defined(value)
        assert things["f"]() == value


# --- domains --------------------------------------------------------------------------------------


@pytest.fixture
def module_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A maker of modules that can be imported by name, each with this text."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(text: str) -> str:
        name = f"registering_{tmp_path.name}_{len(made)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        made.append(name)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


def with_domains(monkeypatch: pytest.MonkeyPatch, *domains: Domain) -> None:
    monkeypatch.setattr(registry, "domains", lambda: domains)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """A registry that modules find under ``sys.chemdl_things``, empty and not yet asked."""
    things: Registry[Any] = Registry("thing", "metrics")
    monkeypatch.setattr(sys, "chemdl_things", things, raising=False)
    return things


def test_a_lookup_loads_the_domains_modules_of_its_part_once(
    here, module_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = module_of("import sys\nsys.chemdl_things.add('theirs', 1)\n")
    nets = module_of("raise AssertionError('no net was asked for')\n")
    with_domains(monkeypatch, Domain("tiny", metrics=(metrics,), nets=(nets,)))
    here.add("ours", 0)  # what registers looks nothing up
    assert metrics not in sys.modules
    assert here["theirs"] == 1
    assert metrics in sys.modules and nets not in sys.modules
    sys.modules.pop(metrics)
    assert list(here) == ["ours", "theirs"] and metrics not in sys.modules


def test_a_module_may_look_names_up_while_it_registers(
    here, module_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = module_of("import sys\nsys.chemdl_things.add('first', 1)\n")
    second = module_of(
        "import sys\nthings = sys.chemdl_things\nthings.add('second', things['first'] + 1)\n"
    )
    with_domains(monkeypatch, Domain("a", metrics=(first,)), Domain("b", metrics=(second,)))
    assert here["second"] == 2


def test_a_domain_that_cannot_be_imported_is_no_half_registry(
    here, module_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lookup fails as the first did: it does not call a name unknown."""
    good = module_of("import sys\nsys.chemdl_things.add('good', 1)\n")
    bad = module_of("import no_such_package_at_all\n")
    with_domains(monkeypatch, Domain("tiny", metrics=(good, bad)))
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_package_at_all"):
            here["good"]


def test_a_third_party_cannot_take_a_name_that_stands(
    here, module_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = module_of("import sys\nsys.chemdl_things.add('roc_auc', 1)\n")
    theirs = module_of("import sys\nsys.chemdl_things.add('roc_auc', 2)\n")
    with_domains(monkeypatch, Domain("ours", metrics=(ours,)), Domain("t", metrics=(theirs,)))
    with pytest.raises(ValueError, match="thing 'roc_auc' is registered twice"):
        here["roc_auc"]


def test_the_packages_own_domains_are_its_folders() -> None:
    names = [domain.name for domain in registry.domains()]
    own = ["materials", "molecules", "proteins", "quantum", "screening"]
    assert names[: len(own)] == own
    for domain in registry.domains()[: len(own)]:
        modules = [m for part in vars(domain).values() if isinstance(part, tuple) for m in part]
        assert modules and all(m.startswith(f"chemdl.{domain.name}.") for m in modules)


# --- a domain of another package ------------------------------------------------------------------

BEADS = {
    "beads/__init__.py": '"""Bracelets of beads: a domain that is no part of chemdl."""\n',
    "beads/domain.py": """
        from chemdl.registry import Domain

        DOMAIN = Domain(
            name="beads",
            data=("beads.data",),
            splits=("beads.splits",),
            metrics=("beads.metrics",),
            baselines=("beads.baselines",),
            nets=("beads.nets",),
            commands=("beads.command",),
        )
    """,
    "beads/data.py": '''
        """A reader of lines "RGB = 3.5", and what makes two bracelets the same."""

        import numpy as np

        from chemdl.data import Dataset
        from chemdl.data.cleaning import merge_rows
        from chemdl.data.inputs import INPUTS, InputKind
        from chemdl.data.readers import READERS, RawTable


        def turned(beads):
            """Return one name for a bracelet, however it is turned."""
            return min((beads[i:] + beads[:i] for i in range(len(beads))), default="")


        @READERS.register("bead_lines")
        def read_lines(files, options):
            inputs, values, places = [], [], []
            for name, path in files.items():
                for line, text in enumerate(path.read_text().splitlines(), start=1):
                    beads, _, value = text.partition(" = ")
                    inputs.append(beads)
                    values.append([float(value or "nan")])
                    places.append((name, line))
            return RawTable(inputs, np.array(values), ("weight",), {}, places)


        def clean_bracelets(table, kind, *, tolerance=0.0, apart=None):
            keys = [turned(text) if set(text) <= set("RGB") and text else None
                    for text in table.inputs]
            return merge_rows(table, keys, kind, rule="turned bracelets merged",
                              tolerance=tolerance, apart=apart)


        def bracelet_identities(inputs):
            return {"bracelet": np.array([turned(beads) for beads in inputs], dtype=str)}


        INPUTS.add("bracelet", InputKind(clean_bracelets, bracelet_identities))


        def load(path):
            """Return the bracelets of a file as a data set."""
            raw = READERS["bead_lines"]({path.name: path}, {})
            cleaned = INPUTS["bracelet"].clean(raw, "regression", tolerance=0.5)
            inputs = np.array([raw.inputs[row] for row in cleaned.rows], dtype=object)
            return Dataset("bracelets", inputs, cleaned.targets, raw.tasks, "regression", "gram",
                           {"input": "bracelet", "cleaning": cleaned.log}, cleaned.columns)
    ''',
    "beads/splits.py": '''
        """Folds of bracelets by their length."""

        import numpy as np

        from chemdl.evidence import folds
        from chemdl.evidence.splits import PROTOCOLS, resampled


        @PROTOCOLS.register("by_length")
        def by_length(dataset, *, repeats=1, folds_=4, valid=0.2, seed=0):
            codes = np.array([len(beads) for beads in dataset.inputs])
            rule = folds.Grouped(codes, "lengths")
            return resampled("by_length", dataset, rule, repeats, folds_, valid, seed)
    ''',
    "beads/metrics.py": '''
        """The root of the error."""

        import numpy as np

        from chemdl.evidence.metrics import METRICS, Metric


        def root(y, p, w):
            return (w @ np.abs(p - y) ** 0.5) / w.sum(axis=1)


        METRICS.add("root_error", Metric("root_error", "", False, 0.03, True, "regression", root))
    ''',
    "beads/baselines.py": '''
        """A line through the numbers of beads of each colour, and their mean."""

        from typing import ClassVar

        import numpy as np
        from sklearn.dummy import DummyRegressor
        from sklearn.linear_model import Ridge

        from chemdl.learn.models import baseline
        from chemdl.learn.taskwise import TaskwiseRegressor


        class BeadRegressor(TaskwiseRegressor):
            revision: ClassVar[int] = 1

            def features(self, X):
                return np.array([[beads.count(colour) for colour in "RGB"] for beads in X], float)


        def line(**changes):
            space = {"alpha": [0.01, 1.0]}
            return BeadRegressor(Ridge(0.01), "counts", space).set_params(**changes)


        def mean(**changes):
            return BeadRegressor(DummyRegressor(), kind="trivial").set_params(**changes)


        for name, family, make in (("line", "linear model", line), ("mean", "constant", mean)):
            baseline(f"bead_{name}", family, "colours", name, inputs=("bracelet",),
                     makers={"regression": make})
    ''',
    "beads/nets.py": '''
        """A net over the numbers of beads."""

        import numpy as np
        from torch import nn

        from chemdl.learn.estimator import NeuralEstimator
        from chemdl.learn.models import net


        class OneLayer(nn.Module):
            def __init__(self, tasks):
                super().__init__()
                self.weigh = nn.Linear(3, tasks)

            def forward(self, batch, noise, weight):
                return self.weigh(batch["counts"])


        @net("bead_net", family="net on vectors", reads="colours", method="one layer",
             inputs=("bracelet",), learns=("regression",), revision=1)
        class BeadNet(NeuralEstimator):
            epochs: int = 30
            batch_size: int = 8
            learning_rate: float = 0.05

            def featurize(self, inputs):
                counts = [[beads.count(colour) for colour in "RGB"] for beads in inputs]
                return {"counts": np.array(counts, np.float32)}

            def build(self, features, n_tasks):
                return OneLayer(n_tasks)
    ''',
    "beads/command.py": '''
        """The command "beads"."""

        from chemdl.cli import COMMANDS, add_command


        @COMMANDS.register("beads")
        def add(commands):
            add_command(commands, "beads", lambda options: print("three colours"), "about beads")
    ''',
    "beads-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: beads\nVersion: 1.0\n",
    "beads-1.0.dist-info/entry_points.txt": "[chemdl.domains]\nbeads = beads.domain:DOMAIN\n",
}
FROM_FILE_TO_VERDICT = """
import json, sys
from pathlib import Path

import beads.data
import chemdl
from chemdl.cli import main
from chemdl.evidence import claims, judging
from chemdl.evidence.fidelity import check_identity
from chemdl.evidence.splits import PROTOCOLS
from chemdl.learn.models import every_name, make_baseline, make_net
from chemdl.registry import domains
from chemdl.show import figures, tables

folder = Path(sys.argv[1])
data = beads.data.load(folder / "bracelets.txt")
claim = claims.parse({
    "id": "BEAD-01", "domain": "beads", "chapter": "introduction",
    "statement": "Counting beads beats the mean.", "source": "nobody2026", "dataset": "bracelets",
    "metric": "root of the error", "split": "by length", "kind": "difference",
    "favours": "classical",
    "confirmation": {"status": "confirmed", "read_in": "a note"},
    "test": {"study": "bracelets_by_length", "a": "bead_line", "b": "bead_mean",
             "metric": "root_error", "unit": "fold", "fidelity": "exact", "input": "bracelet",
             "source": {"a": {"family": "linear model", "reads": "colours"},
                        "b": {"family": "constant", "reads": "colours"}, "read_in": "a note"}},
})
assert check_identity([claim]) == 1
judging.for_study = lambda study: [claim] if study == claim.test.study else []
study = chemdl.Study(
    "bracelets_by_length", chapter="beads", dataset=data,
    models={
        "bead_net": make_net("bead_net", "regression"),
        "bead_line": make_baseline("bead_line", data),
        "bead_mean": make_baseline("bead_mean", data),
    },
    protocol=PROTOCOLS["by_length"](data, repeats=2),
    metrics=["root_error", "r2"],
    settings=chemdl.read_settings({"profile": "smoke", "device": "cpu", "output": str(folder)}),
    reference="bead_mean",
)
result = study.run()
figures.png(figures.scores(result, "root_error"))
main(["beads"])
print(json.dumps({
    "domain": domains()[-1].name,
    "known": sorted({"bead_net", "bead_line", "bead_mean"} & every_name()),
    "rows": len(data),
    "cleaning": {k: v for k, v in data.card["cleaning"].items() if isinstance(v, int)},
    "duplicates": result.card.protocol.duplicates,
    "protocol": result.card.protocol.name,
    "kinds": {name: result.kind(name) for name in result.models},
    "verdicts": {row.claim: row.verdict for row in result.verdicts},
    "scores": tables.score_table(result).set_index("model")["mean"].to_dict(),
    "table": tables.verdict_table([result], claims={claim.id: claim})["verdict"].tolist(),
    "models": tables.model_table(["bead_net", "bead_line"], data)["family"].tolist(),
    "net": study.models["bead_net"].get_params()["epochs"],
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that an installer has put the distribution beads into."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in BEADS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def python(site: Path, folder: Path, *arguments: str) -> str:
    paths = os.pathsep.join([str(site), str(Path(registry.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bracelets() -> list[str]:
    """Forty bracelets of 3 to 10 beads, whose colours weigh 1, 2 and 4."""
    weight = {"R": 1, "G": 2, "B": 4}
    words = [("RGB" * 5)[i : i + 3 + i % 8] + "RGB"[i % 3] * (i // 8) for i in range(40)]
    return [f"{word} = {sum(weight[bead] for bead in word)}" for word in words]


def test_a_third_partys_domain_goes_from_a_file_to_a_verdict(site: Path, tmp_path: Path) -> None:
    lines = bracelets()
    # One bracelet turned, one that is no bracelet, one that was not weighed.
    lines += ["GBR = 7.2", "XYZ = 3", "RRRRRRRRRRRRRR = "]
    (tmp_path / "bracelets.txt").write_text("\n".join(lines))
    said = python(site, tmp_path, "-c", FROM_FILE_TO_VERDICT, str(tmp_path))
    command, told = said.splitlines()
    assert command == "three colours"
    found = json.loads(told)
    assert found["domain"] == "beads"
    assert found["known"] == ["bead_line", "bead_mean", "bead_net"]
    cleaning = found["cleaning"]
    assert (cleaning["raw"], cleaning["unparsable"], cleaning["unlabelled"]) == (43, 1, 1)
    assert cleaning["duplicate"] >= 1 and cleaning["kept"] == found["rows"] > 20
    assert found["duplicates"] == {"bracelet": 0}
    assert found["protocol"] == "by_length"
    assert found["kinds"] == {"bead_net": "deep", "bead_line": "classical", "bead_mean": "trivial"}
    assert found["verdicts"] == {"BEAD-01": "confirmed"}
    assert found["table"] == ["confirmed *"]
    assert found["models"] == ["net on vectors", "linear model"]
    assert found["scores"]["bead_line"] < found["scores"]["bead_mean"]
    assert found["net"] == 30
    card = json.loads((tmp_path / "cards" / "bracelets_by_length.json").read_text())
    assert {m["name"]: m["unit"] for m in card["metrics"]} == {"root_error": "", "r2": ""}
    # Its models are known by a revision of their own, and stored.
    assert len(list((tmp_path / "replicas" / "bracelets_by_length").glob("*.npz"))) == 3 * 8


def test_without_its_distribution_nothing_of_it_is_known() -> None:
    from chemdl.evidence.metrics import METRICS

    with pytest.raises(UnknownNameError):
        METRICS["root_error"]
