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

from chemdl.molecules.smiles import parse
from chemdl.show.figures import PNG_DPI, figure_html, show
from chemdl.show.lines import COLOURS
from chemdl.show.tables import Card, with_unit

# Two ends of a scale around zero, as the kinds have them.
_DIVERGING = LinearSegmentedColormap.from_list(
    "chemdl", [COLOURS["other"], "white", COLOURS["deep"]]
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


def show_molecules(
    smiles: Sequence[str],
    legends: Sequence[str],
    *,
    alt: str,
    caption: str = "",
    card: Card | None = None,
) -> None:
    """Emit a grid of molecules as :func:`show` emits a figure."""
    from IPython.display import HTML, display

    display(HTML(figure_html(grid(smiles, legends), alt, caption, card)))


def attributed_molecules(
    smiles: Sequence[str],
    weights: Sequence[np.ndarray],
    legends: Sequence[str] | None = None,
    *,
    unit: str = "",
    columns: int = 3,
) -> Figure:
    """Draw molecules with each atom coloured by its weight, and the scale that all share.

    ``weights`` holds one number for each atom, as of
    :func:`chemdl.molecules.attribution.attributions`: blue above zero, orange below, white at it.
    """
    largest = max((float(np.abs(own).max()) for own in weights), default=0.0) or 1.0
    scale = ScalarMappable(Normalize(-largest, largest), _DIVERGING)
    colours = [scale.to_rgba(np.asarray(own, float)) for own in weights]
    titles = [""] * len(smiles) if legends is None else legends
    drawing = grid(smiles, titles, columns=columns, colours=colours)
    image = imread(io.BytesIO(drawing))
    height, width = (pixels / PNG_DPI for pixels in image.shape[:2])
    bar = 0.62
    figure = Figure(figsize=(width, height + bar))
    picture = figure.add_axes((0, bar / (height + bar), 1, height / (height + bar)))
    picture.imshow(image)
    picture.set_axis_off()
    share = min(0.9, 2.6 / width)
    place = figure.add_axes(((1 - share) / 2, 0.42 / (height + bar), share, 0.1 / (height + bar)))
    figure.colorbar(scale, cax=place, orientation="horizontal").outline.set_visible(False)
    place.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    place.tick_params(labelsize=7, length=2)
    place.set_xlabel(with_unit("added by each atom", unit), fontsize=8)
    return figure


def show_attributions(
    smiles: Sequence[str],
    weights: Sequence[np.ndarray],
    legends: Sequence[str] | None = None,
    *,
    alt: str,
    caption: str,
    unit: str = "",
    columns: int = 3,
    card: Card | None = None,
) -> None:
    """Emit :func:`attributed_molecules` as :func:`show` does."""
    drawn = attributed_molecules(smiles, weights, legends, unit=unit, columns=columns)
    show(drawn, alt=alt, caption=caption, card=card)


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
