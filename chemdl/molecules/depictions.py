"""Depictions: 2D drawings of molecules on a grid of pixels, properties in place of colours.

Drawn as Goh et al. 2017 have it (Chemception, arXiv:1706.06689): half an Å per pixel. The four
channels are those of their augmented depictions (arXiv:1710.02238): atomic number, bond order,
partial charge, hybridisation. Atoms are soft spots and bonds smooth lines, so that a molecule moved
by part of a pixel looks nearly the same.

A drawing is flat: enantiomers and isotopes of a molecule look alike, or nearly so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor, rdPartialCharges

from chemdl.data.feature_cache import cached_rows
from chemdl.molecules.smiles import as_smiles, parsed_blocks

CHANNELS = ("atomic number", "bond order", "partial charge", "hybridisation")
# Levels of an empty pixel: charges have two signs, so that none of them lies in the middle.
EMPTY = (0, 0, 128, 0)
# 24 Å: of the drugs in lipophilicity 19 in 20 fit without being scaled down.
SIZE, RESOLUTION = 48, 0.5

# Levels per unit: iodine's number, a fourfold bond, a whole charge, six orbitals fill a byte.
_PER_UNIT = np.array([4.8, 63.0, 127.0, 42.0])
_NUMBER, _ORDER, _CHARGE, _ORBITALS = range(4)
_HYBRIDS = Chem.HybridizationType
_ORBITAL_COUNTS = {
    _HYBRIDS.S: 1,
    _HYBRIDS.SP: 2,
    _HYBRIDS.SP2: 3,
    _HYBRIDS.SP3: 4,
    _HYBRIDS.SP2D: 4,
    _HYBRIDS.SP3D: 5,
    _HYBRIDS.SP3D2: 6,
}
# In pixels: how far an atom's spot spreads, where it ends, and what the border keeps free.
_SPREAD, _REACH, _MARGIN = 0.7, 2, 1
# Molecules drawn at once: their canvases take 20 MB.
_BLOCK = 256


class _Drawing(NamedTuple):
    """What is seen of one molecule.

    ``xy`` are coordinates in Å, (atoms, 2); ``atoms`` are atomic number, partial charge and number
    of hybrid orbitals, (atoms, 3); ``ends`` are the atoms of each bond, (bonds, 2); ``orders`` are
    the bond orders, (bonds,).
    """

    xy: NDArray[np.float64]
    atoms: NDArray[np.float64]
    ends: NDArray[np.int64]
    orders: NDArray[np.float64]


def depictions(
    smiles: Sequence[str], size: int = SIZE, resolution: float = RESOLUTION
) -> NDArray[np.uint8]:
    """Draw n molecules: uint8 of shape (n, 4, size, size), channels as in ``CHANNELS``. Cached.

    A molecule is drawn from its canonical SMILES, so that the given SMILES does not matter, in
    RDKit's canonical orientation and in the middle. A molecule that is too large is scaled down
    until it fits.

    Parameters
    ----------
    size
        Number of pixels on each side.
    resolution
        Size of a pixel in Å.

    Raises
    ------
    ValueError
        For an empty set, SMILES that RDKit cannot read (the message names row and text), a size
        below 8 pixels, or a resolution that is not positive.
    """
    if size < 8 or not resolution > 0:
        raise ValueError(
            f"size={size}, resolution={resolution}: a depiction has at least 8 pixels on each "
            "side, and a pixel more than 0 Å"
        )
    parameters: dict[str, Any] = {"size": int(size), "resolution": float(resolution)}
    # The name that depictions have in caches, recorded ones among them.
    return cached_rows("picture", parameters, as_smiles(smiles), partial(_depictions, **parameters))


def _depictions(smiles: Sequence[str], size: int, resolution: float) -> NDArray[np.uint8]:
    rows = []
    with rdBase.BlockLogs():
        for molecules in parsed_blocks(smiles):
            drawings = [_drawing(molecule) for molecule in molecules]
            for start in range(0, len(drawings), _BLOCK):
                rows.append(_rasterised(drawings[start : start + _BLOCK], size, resolution))
    return np.concatenate(rows)


def _drawing(molecule: Chem.Mol) -> _Drawing:
    # Coordinates depend on the order of atoms. What cannot be read again keeps its own.
    molecule = Chem.MolFromSmiles(Chem.MolToSmiles(molecule)) or molecule
    rdDepictor.Compute2DCoords(molecule, canonOrient=True)
    rdPartialCharges.ComputeGasteigerCharges(molecule)
    bonds = list(molecule.GetBonds())
    return _Drawing(
        np.nan_to_num(molecule.GetConformer().GetPositions()[:, :2]),
        np.array([_seen(atom) for atom in molecule.GetAtoms()], dtype=np.float64),
        np.array(
            [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in bonds], dtype=np.int64
        ).reshape(-1, 2),
        np.array([bond.GetBondTypeAsDouble() for bond in bonds], dtype=np.float64),
    )


def _seen(atom: Chem.Atom) -> tuple[float, float, float]:
    """Return what the three channels of atoms show of this one."""
    charge = atom.GetDoubleProp("_GasteigerCharge")
    if not np.isfinite(charge):
        # Gasteiger and Marsili have no parameters for its element, nor for what is bound to it.
        charge = atom.GetFormalCharge()
    return atom.GetAtomicNum(), charge, _ORBITAL_COUNTS.get(atom.GetHybridization(), 0)


def _rasterised(drawings: Sequence[_Drawing], size: int, resolution: float) -> NDArray[np.uint8]:
    """Draw a block of molecules side by side: (block, 4, size, size)."""
    places = [_in_pixels(drawing.xy, size, resolution) for drawing in drawings]
    values = np.zeros((len(CHANNELS), len(drawings), size, size))
    owner = np.repeat(np.arange(len(drawings)), [len(place) for place in places])
    atoms = np.concatenate([drawing.atoms for drawing in drawings])
    values[[_NUMBER, _CHARGE, _ORBITALS]] = _spots(
        owner, np.concatenate(places), atoms, values.shape[1:]
    )
    owner = np.repeat(np.arange(len(drawings)), [len(drawing.ends) for drawing in drawings])
    ends = np.concatenate([p[d.ends] for p, d in zip(places, drawings, strict=True)])
    orders = np.concatenate([drawing.orders for drawing in drawings])
    values[_ORDER] = _lines(owner, ends, orders, values.shape[1:])
    column = (slice(None), None, None, None)
    levels = values * _PER_UNIT[column] + np.array(EMPTY)[column]
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8).swapaxes(0, 1)


def _in_pixels(xy: NDArray[np.float64], size: int, resolution: float) -> NDArray[np.float64]:
    """Return rows and columns (atoms, 2) of the drawing in the middle, scaled down to fit."""
    low, high = xy.min(0), xy.max(0)
    room = size - 1 - 2 * _MARGIN
    scale = 1.0 / max(resolution, float((high - low).max()) / room)
    # Rows count from the top.
    centred = (xy - (low + high) / 2) * np.array([scale, -scale])
    return (centred + (size - 1) / 2)[:, ::-1]


def _spots(
    owner: NDArray[np.int64],
    places: NDArray[np.float64],
    values: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """Add Gaussian spots of these values (atoms, k) to canvases of this shape: (k, *shape)."""
    pixels = np.rint(places).astype(np.int64)[:, None] + _square(_REACH)
    distance = ((pixels - places[:, None]) ** 2).sum(2)
    weight = np.exp(-distance / (2 * _SPREAD**2)) * _inside(pixels, shape)
    flat = _flat(owner[:, None], pixels, shape).ravel()
    canvases = np.zeros((values.shape[1], int(np.prod(shape))))
    for canvas, column in zip(canvases, values.T, strict=True):
        canvas += np.bincount(flat, (weight * column[:, None]).ravel(), len(canvas))
    return canvases.reshape(-1, *shape)


def _lines(
    owner: NDArray[np.int64],
    ends: NDArray[np.float64],
    values: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """Draw lines between ends (bonds, 2, 2) that fade over one pixel; the brighter one wins."""
    canvas = np.zeros(int(np.prod(shape)))
    first, along = ends[:, 0], ends[:, 1] - ends[:, 0]
    length = np.hypot(*along.T)
    # Points at most a pixel apart, and what lies around them, are all that the line can reach.
    count = np.ceil(length).astype(np.int64) + 1
    line = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    points = first[line] + along[line] * (step / np.maximum(count[line] - 1, 1))[:, None]
    pixels = np.rint(points).astype(np.int64)[:, None] + _square(1)
    from_first = pixels - first[line, None]
    squared = np.maximum(length**2, 1e-12)[line, None]
    part = np.clip((from_first * along[line, None]).sum(2) / squared, 0.0, 1.0)
    distance = np.hypot(*np.moveaxis(from_first - part[..., None] * along[line, None], 2, 0))
    weight = np.maximum(0.0, 1.0 - distance) * _inside(pixels, shape)
    np.maximum.at(
        canvas,
        _flat(owner[line, None], pixels, shape).ravel(),
        (weight * values[line, None]).ravel(),
    )
    return canvas.reshape(shape)


def _square(reach: int) -> NDArray[np.int64]:
    """Return the steps to all pixels within reach: ((2 reach + 1)², 2)."""
    steps = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


def _inside(pixels: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.all((pixels >= 0) & (pixels < shape[-1]), axis=-1)


def _flat(
    owner: NDArray[np.int64], pixels: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return the places of pixels (…, 2) in flattened canvases; the outer ones at the border."""
    row, column = np.moveaxis(np.clip(pixels, 0, shape[-1] - 1), -1, 0)
    return (owner * shape[-2] + row) * shape[-1] + column
