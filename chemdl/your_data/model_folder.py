"""Models in a folder that another machine can load: checked, and never an unrestricted pickle.

``model.json`` names every file with its SHA-256, the versions, the targets, and how each model
reads a molecule. Nets lie in numpy's own format without objects; scikit-learn's models in skops,
which is loaded only if it holds no type but those of this package's models.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from chemdl import __version__
from chemdl.extras import advice
from chemdl.files import read_arrays
from chemdl.learn.models import make_net
from chemdl.your_data.conformal import Calibration
from chemdl.your_data.nearest import Nearest

FORMAT = 1
MANIFEST = "model.json"
# All that a model of this package is made of, beyond what skops trusts by itself.
_TRUSTED = {
    "chemdl.molecules.baselines.MoleculeClassifier",
    "chemdl.molecules.baselines.MoleculeRegressor",
    "chemdl.molecules.baselines._inverse_distance",
    "chemdl.molecules.descriptors.DescriptorScaler",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
}
_VERSIONS = ("numpy", "rdkit", "scikit-learn", "torch")


class ModelFolderError(ValueError):
    """A folder that holds no models, or other files than those that were written."""


@dataclass(frozen=True)
class ModelFolder:
    """Fitted models of one table, and what their predictions need.

    Attributes
    ----------
    manifest
        Content of ``model.json``.
    models
        Fitted model by side, ``simple`` and ``deep``.
    calibrations
        By side, one for each target.
    nearest
        Fingerprints of the molecules that were learned from.
    keys
        Hashes of their canonical SMILES.
    """

    manifest: dict[str, Any]
    models: dict[str, Any]
    calibrations: dict[str, list[Calibration]]
    nearest: Nearest
    keys: frozenset[str]

    @property
    def kind(self) -> str:
        """``regression`` or ``classification``."""
        return str(self.manifest["kind"])


def hashed(canonical: str) -> str:
    """Return the hash by which a molecule of the table is known again."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def save_models(
    folder: Path,
    models: dict[str, tuple[str, Any]],
    calibrations: dict[str, list[Calibration]],
    *,
    smiles: Sequence[str],
    canonical: Sequence[str],
    kind: str,
    tasks: Sequence[str],
    domain_ends: float,
    better: str,
) -> None:
    """Write fitted models into a new folder.

    Parameters
    ----------
    models
        By side, name and fitted model.
    calibrations
        By side, one for each task.
    smiles, canonical
        The molecules that were learned from, as read and canonical.
    domain_ends
        Similarity below which a molecule is outside the domain.
    better
        The side to predict with where none is asked for.
    """
    folder.mkdir(parents=True)
    files = {"training.npz": None}
    np.savez_compressed(
        folder / "training.npz",
        fingerprints=Nearest.of(smiles).packed,
        keys=np.array(sorted(map(hashed, canonical))),
    )
    described = {}
    for side, (name, model) in models.items():
        file = f"{side}.npz" if hasattr(model, "members_") else f"{side}.skops"
        (_save_net if file.endswith(".npz") else _save_skops)(folder / file, model)
        files[file] = None
        parameters = model.get_params(deep=False) if file.endswith(".npz") else {}
        reads = parameters or {"representation": model.representation}
        described[side] = {
            "name": name, "file": file, "parameters": reads,
            "calibration": [_as_json(c) for c in calibrations[side]],
        }  # fmt: skip
    manifest = {
        "format": FORMAT,
        "chemdl": __version__,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _VERSIONS},
        "kind": kind,
        "tasks": list(tasks),
        "molecules": len(smiles),
        "domain_ends": domain_ends,
        "better": better,
        "models": described,
        "sha256": {file: _sha256(folder / file) for file in files},
    }
    text = json.dumps(manifest, indent=1, default=_plain)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")


def load_models(folder: str | Path) -> ModelFolder:
    """Load the models of a folder, or of the folder ``model`` of a report.

    Raises
    ------
    ModelFolderError
        If a file is missing or altered, holds other types than models do, or is of a newer form.
    """
    folder = Path(folder)
    folder = folder if (folder / MANIFEST).is_file() else folder / "model"
    manifest = _manifest(folder)
    trained = _arrays(folder / "training.npz", "fingerprints", "keys")
    models = {}
    for side, said in manifest["models"].items():
        path = folder / said["file"]
        if path.suffix == ".npz":
            models[side] = _load_net(path, said["name"], manifest["kind"], said["parameters"])
        else:
            models[side] = _load_skops(path)
    calibrations = {
        side: [Calibration(c["kind"], np.array(c["edges"]), np.array(c["widths"], dtype=float))
               for c in said["calibration"]]
        for side, said in manifest["models"].items()
    }  # fmt: skip
    nearest = Nearest(trained["fingerprints"])
    return ModelFolder(manifest, models, calibrations, nearest, frozenset(trained["keys"].tolist()))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelFolderError(
            f"{folder.parent} holds no models; `chemdl compare` writes them into its report"
        ) from error
    except ValueError as error:
        raise ModelFolderError(f"{folder / MANIFEST} is no JSON; copy the folder again") from error
    if manifest.get("format") != FORMAT:
        raise ModelFolderError(
            f"{folder} has form {manifest.get('format')}, this chemdl reads {FORMAT}; use the "
            f"version that wrote it, {manifest.get('chemdl')}"
        )
    for file, digest in manifest["sha256"].items():
        if not (folder / file).is_file() or _sha256(folder / file) != digest:
            raise ModelFolderError(
                f"{folder / file} is missing or not the file that was written; copy it again"
            )
    named = {said["file"] for said in manifest["models"].values()} | {"training.npz"}
    if unchecked := named - set(manifest["sha256"]):
        raise ModelFolderError(f"{folder / MANIFEST} has no hash of {min(unchecked)}")
    return dict(manifest)


def _arrays(path: Path, *names: str) -> dict[str, Any]:
    """Read a file whose hash is right, and which may all the same hold something else."""
    arrays = read_arrays(path)
    if arrays is None or set(names) - set(arrays):
        raise ModelFolderError(
            f"{path} holds no plain numbers under the names of a model; do not use it unless you "
            "know who wrote it"
        )
    return arrays


# nets


def _save_net(path: Path, net: Any) -> None:
    arrays = {}
    for i, member in enumerate(net.members_):
        arrays[f"{i}/shift"], arrays[f"{i}/scale"] = member.target_shift, member.target_scale
        arrays |= {f"{i}/state/{k}": v.cpu().numpy() for k, v in member.state.items()}
    np.savez_compressed(path, n_tasks=np.array(net.n_tasks_), **arrays)


def _load_net(path: Path, name: str, kind: str, parameters: dict[str, Any]) -> Any:
    import torch

    from chemdl.learn.training import FittedReplica

    arrays = _arrays(path, "n_tasks")
    net = make_net(name, kind, **{**parameters, "device": "auto"})
    net.n_tasks_ = int(arrays.pop("n_tasks"))
    net.feature_shapes_ = {k: v[slice(1)] for k, v in net.featurize(["CCO"]).items()}
    numbers = sorted({key.split("/")[0] for key in arrays}, key=int)
    net.members_ = [
        FittedReplica(
            {k.split("/", 2)[2]: torch.from_numpy(v) for k, v in arrays.items()
             if k.startswith(f"{i}/state/")},
            arrays[f"{i}/shift"], arrays[f"{i}/scale"], best_epoch=0,
        )
        for i in numbers
    ]  # fmt: skip
    net._after_fit()
    return net


# models of scikit-learn


def _save_skops(path: Path, model: Any) -> None:
    _skops().dump(model, path)


def _load_skops(path: Path) -> Any:
    skops = _skops()
    try:
        unknown = set(skops.get_untrusted_types(file=path)) - _TRUSTED
    except Exception as error:  # whatever a file that is none of skops's makes its reader raise
        raise ModelFolderError(
            f"{path} is no model that skops wrote ({type(error).__name__}); do not use it unless "
            "you know who wrote it"
        ) from error
    if unknown:
        raise ModelFolderError(
            f"{path} holds {min(unknown)}, which is no part of a model of this package; do not use "
            "it unless you know who wrote it"
        )
    return skops.load(path, trusted=sorted(_TRUSTED))


def _skops() -> Any:
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise ModelFolderError(
            f"models are kept with the package skops, which is not installed. {advice('your-data')}"
        ) from error
    return skops.io


def _as_json(found: Calibration) -> dict[str, Any]:
    # JSON knows no infinity; Python's float() reads the text back.
    widths = [w if np.isfinite(w) else "inf" for w in found.widths.tolist()]
    return {"kind": found.kind, "edges": found.edges.tolist(), "widths": widths}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else list(value)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
