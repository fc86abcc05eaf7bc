"""The search for a pose: AutoDock Vina over conformers of RDKit, resumed where it was stopped.

Vina (Trott and Olson, J. Comput. Chem. 31, 455, 2010, doi:10.1002/jcc.21334; version 1.2: Eberhardt
et al. 2021, doi:10.1021/acs.jcim.1c00203) turns, moves and bends a ligand in a rigid receptor and
keeps the pose of the lowest score. The conformer that it starts from comes from ETKDG (Riniker and
Landrum 2015, doi:10.1021/acs.jcim.5b00654), relaxed by MMFF; Meeko writes its rotatable bonds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from chemdl.extras import advice
from chemdl.screening import poses
from chemdl.screening.ligands import Ligand, in_random_order
from chemdl.screening.poses import Pose
from chemdl.screening.receptors import DockingError, Receptor, read_pdbqt, receptor

# Steps of the force field, after which a conformer that has not converged is taken as it is.
_MMFF_STEPS = 500
_SCORE = re.compile(r"REMARK VINA RESULT:\s+(-?\d+\.\d+)")
# From a ligand as PDBQT text to its best pose, the text of one model.
Engine = Callable[[str], str]


class MissingExtraError(ImportError):
    """The optional packages of the extra ``dock`` are not installed."""


def dock(
    target: str,
    rows: Sequence[tuple[str, int]],
    *,
    actives: int = 40,
    decoys: int = 200,
    seed: int = 0,
    engine: Callable[[Receptor], Engine] | None = None,
) -> Iterator[tuple[Ligand, str]]:
    """Dock a sample of a target's ligands; yield each when its pose is stored, or was before.

    Parameters
    ----------
    rows
        Ligands to draw from, as (SMILES, label); label 1 is an active, 0 a decoy.
    actives, decoys
        Number of actives and of decoys that must get a pose; a ligand that fails is replaced by the
        next.
    seed
        Seed of the sample. The pose search has its own seed, so that a pose does not depend on this
        one.
    engine
        Function from a receptor to the function that docks a ligand into it; Vina by default.

    Yields
    ------
    tuple
        The ligand, and "" or the reason why it has no pose.

    Raises
    ------
    DockingError
        If there are too few ligands.
    MissingExtraError
        If a ligand must be docked and the packages of the extra ``dock`` are not installed.
    """
    find: Engine | None = None
    for ligand in ligands_to_dock(target, rows, actives=actives, decoys=decoys, seed=seed):
        stored = poses.stored(target)
        failure = "failed in an earlier run" if stored.get(ligand.inchikey, 0) is None else ""
        if ligand.inchikey not in stored:
            find = find or (engine or vina)(receptor(target))
            try:
                poses.store(target, ligand.inchikey, _pose(find(pdbqt(ligand.smiles))))
            except DockingError as error:
                failure = str(error)
                poses.store(target, ligand.inchikey, None, failure)
        yield ligand, failure


def ligands_to_dock(
    target: str, rows: Sequence[tuple[str, int]], *, actives: int, decoys: int, seed: int
) -> Iterator[Ligand]:
    """Yield ligands until the given numbers of actives and decoys have a stored pose.

    The caller stores the pose of a ligand, or its failure, before it asks for the next; one that
    failed is replaced by the next of its label. Labels come in turn, in proportion to the numbers
    asked for: a run that is stopped halfway has about half of each.

    Raises
    ------
    DockingError
        If there are too few ligands.
    """
    streams = {label: in_random_order(rows, label, seed) for label in (1, 0)}
    wanted = {1: actives, 0: decoys}
    docked = {1: 0, 0: 0}
    while short := [label for label in (1, 0) if docked[label] < wanted[label]]:
        label = min(short, key=lambda k: docked[k] / wanted[k])
        ligand = next(streams[label], None)
        if ligand is None:
            raise DockingError(
                f"{target} has {docked[label]} different {'actives' if label else 'decoys'} that "
                f"can be docked, asked for were {wanted[label]}"
            )
        yield ligand
        docked[label] += poses.stored(target).get(ligand.inchikey) is not None


def vina(protein: Receptor) -> Engine:
    """Return what docks a PDBQT ligand into this receptor, on one core.

    Raises
    ------
    MissingExtraError
        If Vina is not installed.
    """
    try:
        from vina import Vina
    except ImportError as error:
        raise _missing(error) from error
    engine = Vina(sf_name="vina", cpu=1, seed=poses.SEED, verbosity=0)
    engine.set_receptor(str(protein.path))
    engine.compute_vina_maps(center=list(protein.center), box_size=list(protein.size))

    def find(ligand: str) -> str:
        try:
            engine.set_ligand_from_string(ligand)
            engine.dock(exhaustiveness=poses.EXHAUSTIVENESS, n_poses=1, max_evals=poses.EVALUATIONS)
            return str(engine.poses(n_poses=1))
        except (RuntimeError, TypeError, ValueError) as error:
            raise DockingError(f"Vina: {error}") from error

    return find


def pdbqt(smiles: str) -> str:
    """Return a ligand for Vina: one conformer, rings rigid, in the PDBQT format.

    The same SMILES gives the same conformer.

    Raises
    ------
    DockingError
        If no conformer is found, or if Meeko does not know the type of an atom.
    MissingExtraError
        If Meeko is not installed.
    """
    try:
        with _quiet():
            from meeko import MoleculePreparation, PDBQTWriterLegacy
    except ImportError as error:
        raise _missing(error) from error
    molecule = _conformer(smiles)
    try:
        with _quiet():
            # Broken rings would leave atoms that are in no molecule.
            setups = MoleculePreparation(rigid_macrocycles=True).prepare(molecule)
            text, good, message = PDBQTWriterLegacy.write_string(setups[0])
    except (RuntimeError, ValueError, KeyError) as error:
        raise DockingError(f"Meeko: {error}") from error
    if not good:
        raise DockingError(f"Meeko: {message.strip()}")
    return str(text)


def _conformer(smiles: str) -> Chem.Mol:
    with rdBase.BlockLogs():
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        parameters: Any = rdDistGeom.ETKDGv3()
        parameters.randomSeed = poses.SEED
        if rdDistGeom.EmbedMolecule(molecule, parameters) < 0:
            parameters.useRandomCoords = True
            if rdDistGeom.EmbedMolecule(molecule, parameters) < 0:
                raise DockingError("RDKit finds no conformer")
        # Without parameters for an atom the embedded conformer stays as it is.
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=_MMFF_STEPS)
    return molecule


def _pose(text: str) -> Pose:
    score = _SCORE.search(text)
    if score is None:
        raise DockingError("Vina found no pose")
    return Pose(read_pdbqt(text, "the pose").heavy(), float(score[1]))


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(f"docking needs {error.name}. {advice('dock')}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Meeko's warnings about charges and its log off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
