"""Molecules drawn by RDKit, plain or with coloured atoms."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.ticker import MaxNLocator
from rdkit.Chem.Draw import rdMolDraw2D

from chemdl.evidence.result import Result
from chemdl.molecules.smiles import parse
from chemdl.show.figures import PNG_DPI, figure_html
from chemdl.show.lines import COLOURS
from chemdl.show.tables import with_unit

_DIVERGING = LinearSegmentedColormap.from_list(
    "chemdl", [COLOURS["classical"], "white", COLOURS["deep"]]
)
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

    ``colours`` holds for each molecule the colours of discs behind its atoms, (atoms, 3) from 0 to
    1; the letters of elements are black then.

    Raises
    ------
    ValueError
        For SMILES that RDKit cannot read, or if there is not one colour per atom.
    """
    molecules = parse(smiles)
    across = min(columns, len(molecules))
    width, height = CELL
    canvas = rdMolDraw2D.MolDraw2DCairo(
        across * width, -(-len(molecules) // across) * height, width, height
    )
    options: Any = canvas.drawOptions()
    options.legendFontSize = 17
    discs: dict[str, Any] = {}
    if colours is not None:
        options.useBWAtomPalette()
        options.highlightRadius = 0.38
        discs = _discs(smiles, molecules, colours)
    canvas.DrawMolecules(molecules, legends=list(legends), **discs)
    canvas.FinishDrawing()
    return canvas.GetDrawingText()


def show_molecules(
    smiles: Sequence[str],
    legends: Sequence[str],
    *,
    alt: str,
    caption: str = "",
    result: Result | None = None,
) -> None:
    """Emit a grid of molecules as :func:`chemdl.show.figures.show` emits a figure."""
    from IPython.display import HTML, display

    display(HTML(figure_html(grid(smiles, legends), alt, caption, result)))


def attributed_molecules(
    smiles: Sequence[str],
    weights: Sequence[np.ndarray],
    legends: Sequence[str] | None = None,
    *,
    unit: str = "",
    columns: int = 3,
) -> Figure:
    """Draw molecules with each atom coloured by its weight, and the scale that all share.

    ``weights`` holds for each molecule one number for each atom, as
    :func:`chemdl.molecules.attribution.attributions` returns them, in ``unit``: blue above zero,
    orange below, white at it.
    """
    largest = max((float(np.abs(values).max()) for values in weights), default=0.0) or 1.0
    scale = ScalarMappable(Normalize(-largest, largest), _DIVERGING)
    colours = [scale.to_rgba(np.asarray(values, float)) for values in weights]
    png = grid(smiles, legends or [""] * len(smiles), columns=columns, colours=colours)
    image = imread(io.BytesIO(png))
    height, width = (pixels / PNG_DPI for pixels in image.shape[:2])
    below = 0.62  # inches for the scale
    whole = height + below
    figure = Figure(figsize=(width, whole))
    drawing = figure.add_axes((0, below / whole, 1, height / whole))
    drawing.imshow(image)
    drawing.set_axis_off()
    share = min(0.9, 2.6 / width)
    bar = figure.add_axes(((1 - share) / 2, 0.42 / whole, share, 0.1 / whole))
    figure.colorbar(scale, cax=bar, orientation="horizontal").outline.set_visible(False)
    bar.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    bar.tick_params(labelsize=7, length=2)
    bar.set_xlabel(with_unit("added by each atom", unit), fontsize=8)
    return figure


def _discs(
    smiles: Sequence[str], molecules: Sequence[Any], colours: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Return RDKit's arguments for one disc behind each atom."""
    for text, molecule, given in zip(smiles, molecules, colours, strict=True):
        if len(given) != molecule.GetNumAtoms():
            raise ValueError(f"{text} has {molecule.GetNumAtoms()} atoms, {len(given)} were given")
    return {
        "highlightAtoms": [list(range(len(atoms))) for atoms in colours],
        "highlightAtomColors": [
            {i: tuple(map(float, colour[:3])) for i, colour in enumerate(atoms)}
            for atoms in colours
        ],
        "highlightBonds": [[] for _ in colours],
    }
