"""Plant faults in the code one by one, and count how many the regression test catches.

``python -m benchmarks.planted [CHAPTER]`` copies the package, alters one line of the copy, runs
the chapter in the profile ``smoke`` with it, and lets the package as it is check the cards against
``tests/expected``. A run that ends in an error is caught as well. The first run has no fault, and
has to pass.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from chemdl.book.regression import RegressionError, check_run
from chemdl.files import clone


class Fault(NamedTuple):
    """A fault: its name, and the text of a file of the package that another takes the place of."""

    name: str
    file: str
    text: str
    replacement: str


FAULTS = (
    Fault(
        "none",
        "__init__.py",
        "",
        "",
    ),
    Fault(
        "labels shuffled",
        "evidence/study.py",
        "return job.condition.apply(",
        "return replace(job.condition, shuffled=True).apply(",
    ),
    Fault(
        "classes swapped",
        "evidence/fitting.py",
        "return out[:, 1:] if",
        "return out[:, :1] if",
    ),
    Fault(
        "test rows learned by classical models",
        "evidence/study.py",
        "np.concatenate([split.train, split.valid])",
        "np.concatenate([split.train, split.valid, split.test])",
    ),
    Fault(
        "test rows learned by nets",
        "evidence/study.py",
        "rows = [(split.train, split.valid) for",
        "rows = [(np.union1d(split.train, split.test), split.valid) for",
    ),
    Fault(
        "every classical model is the trivial one",
        "evidence/study.py",
        "seeded(self.models[job.model], job.seed)",
        'seeded(self.models["trivial"], job.seed)',
    ),
    Fault(
        "scores zeroed",
        "evidence/metrics.py",
        "        scores[task] = metric.function(",
        "        scores[task] = 0 * metric.function(",
    ),
    Fault(
        "predictions zeroed",
        "evidence/fitting.py",
        "return np.where(high, 1 - kept, kept)",
        "return 0 * kept",
    ),
    Fault(
        "other data",
        "data/dataset.py",
        "        rng = np.random.default_rng(seed)\n",
        "        rng = np.random.default_rng(seed + 1)\n",
    ),
    Fault(
        "fold dropped",
        "evidence/study.py",
        "for split in self.protocol.splits\n",
        "for split in self.protocol.splits[1:]\n",
    ),
    Fault(
        "NaN predicted",
        "evidence/fitting.py",
        "    out = np.ascontiguousarray(predictions, dtype=dtype)\n",
        "    out = np.ascontiguousarray(predictions, dtype=dtype)\n    out[:1] = np.nan\n",
    ),
    Fault(
        "nets climb",
        "learn/training.py",
        ".sum().backward()",
        ".sum().neg().backward()",
    ),
    Fault(
        "nets stand still",
        "learn/training.py",
        "        return self.learning_rate * self.decay",
        "        return 0 * self.decay",
    ),
    Fault(
        "molecules in another order",
        "evidence/fitting.py",
        "predict_matrix(model, data.inputs[rows],",
        "predict_matrix(model, data.inputs[rows[::-1]],",
    ),
    Fault(
        "no card written",
        "evidence/result.py",
        "    with write_atomically(path) as temporary:\n        temporary.write_text(json",
        '    with write_atomically(path.with_suffix(".bak")) as temporary:\n'
        "        temporary.write_text(json",
    ),
    Fault(
        "labels of the set inverted",
        "data/dataset.py",
        "        targets = _frozen(self.targets, np.float64)\n",
        "        targets = _frozen(1 - self.targets, np.float64)\n",
    ),
    Fault(
        "larger profile",
        "settings.py",
        'self.profile == "smoke" and smoke',
        'self.profile == "" and smoke',
    ),
    Fault(
        "missing labels are negatives",
        "evidence/fitting.py",
        "    return values if data.lengths is None",
        "    values = np.nan_to_num(values)\n    return values if data.lengths is None",
    ),
    Fault(
        "fingerprints empty",
        "molecules/fingerprints.py",
        "return rows if self.counts or",
        "rows = 0 * rows\n        return rows if self.counts or",
    ),
    Fault(
        "rows forgotten",
        "evidence/study.py",
        "by_row(self.dataset, targets)[fitted], split",
        "by_row(self.dataset, targets)[fitted[::-1]], split",
    ),
    Fault(
        "wrong seed",
        "evidence/study.py",
        "seed = replica_seed(self.settings.seed, self.name, name,",
        "seed = replica_seed(self.settings.seed + 1, self.name, name,",
    ),
)


def what_caught(fault: Fault, chapter: str, root: Path) -> str:
    """Run the chapter with a fault; return what failed, the run or the check, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root / "chemdl", copy / "chemdl")
        for name in ("data", "chapters", "pyproject.toml"):
            (copy / name).symlink_to(root / name)
        file = copy / "chemdl" / fault.file
        source = file.read_text("utf-8")
        if fault.text not in source:
            raise ValueError(f"{fault.name}: {fault.file} no longer has {fault.text!r}; renew it")
        file.write_text(source.replace(fault.text, fault.replacement, 1), "utf-8")
        command = [sys.executable, "-m", "chemdl", "run", chapter, "--profile", "smoke"]
        done = subprocess.run(
            [*command, "--device", "cpu", "--output", f"{folder}/run"],
            cwd=copy,
            # What a fault leaves in a cache would be a fault of the next run.
            env={**os.environ, "PYTHONPATH": str(copy), "CHEMDL_CACHE": f"{folder}/cache"},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            return "the run"
        try:
            check_run(
                Path(folder) / "run" / "cards", root / "tests" / "expected" / f"{chapter}.json"
            )
        except RegressionError:
            return "the check"
        return ""


def main() -> None:
    """Plant every fault and print what became of it."""
    root, chapter = clone(), sys.argv[1] if len(sys.argv) > 1 else "toxicity"
    if root is None:
        raise SystemExit("faults are planted in a checkout, and this package was installed")
    sound, *faults = FAULTS
    if what_caught(sound, chapter, root):
        raise SystemExit(f"chapter {chapter} fails without a fault; mend that first")
    missed = []
    for fault in faults:
        found = what_caught(fault, chapter, root)
        missed += [] if found else [fault.name]
        print(f"{found or 'MISSED':10} {fault.name}", flush=True)
    caught = len(faults) - len(missed)
    print(f"{caught} of {len(faults)} planted faults caught in chapter {chapter}")
    figures = {"chapter": chapter, "planted": len(faults), "caught": caught, "missed": missed}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
