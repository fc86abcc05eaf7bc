"""Drawings of molecules by RDKit, plain or with coloured atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rdkit.Chem.Draw import rdMolDraw2D

from chemdl.features.molecules import parse

# Pixels of one molecule's cell.
CELL = (270, 220)


def grid(
    smiles: Sequence[str],
    legends: Sequence[str],
    *,
    columns: int = 4,
    colours: Sequence[np.ndarray] | None = None,
) -> bytes:
    """Draw molecules in a grid with a line of text under each; return a PNG.

    ``colours`` gives each molecule's atoms a disc of their own, (atoms, 3) from 0 to 1; the
    letters of elements are black then.

    Raises
    ------
    ValueError
        for SMILES that RDKit cannot read, or colours that are not one per atom.
    """
    drawn = parse(smiles)
    across = min(columns, len(drawn))
    width, height = CELL
    canvas = rdMolDraw2D.MolDraw2DCairo(
        across * width, -(-len(drawn) // across) * height, width, height
    )
    options: Any = canvas.drawOptions()
    options.legendFontSize = 17
    discs: dict[str, Any] = {}
    if colours is not None:
        options.useBWAtomPalette()
        options.highlightRadius = 0.38
        discs = _discs(smiles, drawn, colours)
    canvas.DrawMolecules(drawn, legends=list(legends), **discs)
    canvas.FinishDrawing()
    return canvas.GetDrawingText()


def _discs(
    smiles: Sequence[str], drawn: Sequence[Any], colours: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Return RDKit's arguments for one disc behind each atom."""
    for text, molecule, own in zip(smiles, drawn, colours, strict=True):
        if len(own) != molecule.GetNumAtoms():
            raise ValueError(f"{text} has {molecule.GetNumAtoms()} atoms, {len(own)} were given")
    return {
        "highlightAtoms": [list(range(len(own))) for own in colours],
        "highlightAtomColors": [
            {i: tuple(map(float, colour[:3])) for i, colour in enumerate(own)} for own in colours
        ],
        "highlightBonds": [[] for _ in colours],
    }
