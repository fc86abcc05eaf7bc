"""Receptors and the boxes that are searched, read from a package archive as data.

They are those of DOCKSTRING (García-Ortegón et al., J. Chem. Inf. Model. 62, 3486, 2022,
doi:10.1021/acs.jcim.1c01334): structures of DUD-E's targets with polar hydrogens, typed for
AutoDock, and a box around the site of the ligand that they were crystallised with. The targets and
their SHA-256 are listed in data/receptors.yml.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.registry import File, Release
from chemdl.data.sources import from_release
from chemdl.data.transfer import is_whole
from chemdl.files import cache_dir, data_dir, read_yaml
from chemdl.registry import UnknownNameError

# Elements of AutoDock's atom types: A is an aromatic carbon, HD a hydrogen that can be donated.
_ELEMENTS = {
    "A": "C", "C": "C", "N": "N", "NA": "N", "NS": "N", "O": "O", "OA": "O", "OS": "O",
    "S": "S", "SA": "S", "P": "P", "F": "F", "CL": "Cl", "BR": "Br", "I": "I", "SI": "Si",
    "B": "B", "H": "H", "HD": "H", "HS": "H",
}  # fmt: skip
# Sodium is not among them: its symbol is the type of a nitrogen that accepts a hydrogen bond.
_METALS = ("Mg", "Mn", "Zn", "Ca", "Fe", "K", "Cu", "Co", "Ni")
_ELEMENTS |= {metal.upper(): metal for metal in _METALS}


class DockingError(ValueError):
    """A target, ligand or file that cannot be docked or read; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Atoms:
    """Atoms with places.

    Attributes
    ----------
    types
        AutoDock's atom types, str, (n,).
    elements
        Symbols of the elements, str, (n,).
    xyz
        Coordinates in Å, float32, (n, 3).
    """

    types: NDArray[np.str_]
    elements: NDArray[np.str_]
    xyz: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.xyz)

    def heavy(self) -> Atoms:
        """Return the atoms that are not hydrogen."""
        return self.where(self.elements != "H")

    def where(self, mask: NDArray[np.bool_]) -> Atoms:
        """Return the atoms of a boolean mask (n,)."""
        return Atoms(self.types[mask], self.elements[mask], self.xyz[mask])


@dataclass(frozen=True, eq=False)
class Receptor:
    """A protein to dock into.

    Attributes
    ----------
    target
        Name of the target in the ligand set (``akt1``); ``title`` is its full name.
    atoms
        All atoms, including cofactors and metals.
    center, size
        Centre and side lengths of the box that is searched, three numbers each, in Å.
    path
        PDBQT file in the cache.
    """

    target: str
    title: str
    atoms: Atoms
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    path: Path


def targets(ligands: str | None = None) -> list[str]:
    """Return the names of the targets that can be docked, of one ligand set (``dude``) or all."""
    registered = _registry()["targets"]
    return [name for name, entry in registered.items() if ligands in (None, entry["ligands"])]


def ligand_set(target: str) -> str:
    """Return the name of the set that holds a target's ligands: ``dude`` or ``dud``.

    Raises
    ------
    DockingError
        For an unknown target; the message lists similar names.
    """
    return _entry(target)["ligands"]


def receptor(target: str, progress: bool = True) -> Receptor:
    """Return a target's receptor; its files are fetched into the cache where they are not there.

    Raises
    ------
    DockingError
        For an unknown target, or a file that is not a valid receptor or box.
    chemdl.data.errors.DatasetError
        If the archive cannot be obtained or does not have the registered SHA-256.
    """
    entry = _entry(target)
    pdbqt = _fetched(f"{entry['receptor']}_target.pdbqt", entry["pdbqt_sha256"], progress)
    box = _fetched(f"{entry['receptor']}_conf.txt", entry["box_sha256"], progress)
    protein = read_pdbqt(pdbqt.read_text("utf-8"), pdbqt.name)
    center, size = read_box(box.read_text("utf-8"), box.name)
    return Receptor(target, entry["title"], protein, center, size, pdbqt)


def read_pdbqt(text: str, source: str = "the text") -> Atoms:
    """Read the atoms of a PDBQT file, or of one model of it.

    Raises
    ------
    DockingError
        If the file has no atom, an atom of an unknown type, or an atom without coordinates.
    """
    types, xyz = [], []
    for line in text.splitlines():
        if line.startswith(("ATOM", "HETATM")):
            types.append(line.split()[-1])
            try:
                xyz.append([float(line[start : start + 8]) for start in (30, 38, 46)])
            except ValueError as error:
                raise DockingError(f"{source}: no coordinates in the line {line!r}") from error
    if not types:
        raise DockingError(f"{source} holds no atom; a PDBQT file with ATOM lines is needed")
    return atoms(types, np.array(xyz), source)


def atoms(types: Any, xyz: Any, source: str = "the atoms") -> Atoms:
    """Return atoms of these AutoDock types (n,) at these places (n, 3) in Å.

    Raises
    ------
    DockingError
        For an atom type whose element is not known.
    """
    unknown = sorted({t for t in types if t.upper() not in _ELEMENTS})
    if unknown:
        raise DockingError(f"{source}: unknown AutoDock atom types {', '.join(unknown)}")
    elements = [_ELEMENTS[t.upper()] for t in types]
    places = np.asarray(xyz, dtype=np.float32).reshape(-1, 3)
    return Atoms(np.array(types, dtype=np.str_), np.array(elements, dtype=np.str_), places)


def read_box(
    text: str, source: str = "the text"
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Read centre and size, in Å, from lines such as ``center_x = 5.507``.

    Raises
    ------
    DockingError
        If one of the six numbers is missing or invalid, or if a size is not positive.
    """
    parts = (line.partition("=") for line in text.splitlines())
    values = {name.strip(): value for name, _, value in parts}
    try:
        numbers = [float(values[f"{kind}_{x}"]) for kind in ("center", "size") for x in "xyz"]
    except (KeyError, ValueError) as error:
        raise DockingError(f"{source}: the box lacks a number ({error})") from error
    if min(numbers[3:]) <= 0:
        raise DockingError(f"{source}: the box has sizes {numbers[3:]}; they must be positive")
    x, y, z, a, b, c = numbers
    return (x, y, z), (a, b, c)


def _fetched(name: str, sha256: str, progress: bool) -> Path:
    """Return the path of a file of the archive; fetch it where the cache does not hold it."""
    path = cache_dir() / "receptors" / name
    if not is_whole(path, sha256):
        archive = _registry()["archive"]
        release = Release(*(archive[field] for field in ("requirement", "file", "sha256", "bytes")))
        file = File(name, sha256, path=(f"{archive['folder']}/{name}",))
        from_release(release, file, path, cache_dir(), progress)
    return path


def _entry(target: str) -> Mapping[str, str]:
    registered: Mapping[str, Mapping[str, str]] = _registry()["targets"]
    if target not in registered:
        raise DockingError(str(UnknownNameError("target", target, registered)))
    return registered[target]


def _registry() -> Mapping[str, Any]:
    path = data_dir() / "receptors.yml"
    return _parsed(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed(path: Path, _changed: int) -> Mapping[str, Any]:
    document: Mapping[str, Any] = read_yaml(path)
    return document
