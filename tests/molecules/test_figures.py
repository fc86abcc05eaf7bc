"""Molecules drawn in a grid, and atoms coloured by their weights."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.molecules import figures


def test_atoms_are_coloured_by_their_weight_on_one_scale() -> None:
    figure = figures.attributed_molecules(["CCO", "CC"], [[-0.5, 0, 1.0], [0, 0]], unit="K")
    picture, bar = figure.axes
    assert bar.get_xlim() == (-1.0, 1.0)
    assert bar.get_xlabel() == "added by each atom (K)"
    image = picture.images[0].get_array()
    cells = np.split(np.asarray(image)[:, :, :3], [figures.CELL[0]], axis=1)

    def share(cell: np.ndarray, high: int, low: int) -> float:
        return float((cell[:, :, high] - cell[:, :, low] > 0.1).mean())

    red, blue = 0, 2
    assert share(cells[0], blue, red) > 0.005
    assert share(cells[0], red, blue) > 0.005
    assert share(cells[1], blue, red) == share(cells[1], red, blue) == 0
    paler = figures.attributed_molecules(["CCO"], [[-0.5, 0, 4.0]]).axes[0].images[0].get_array()
    assert share(np.asarray(paler), red, blue) < share(cells[0], red, blue)


def test_weights_of_nothing_are_white() -> None:
    figure = figures.attributed_molecules(["C"], [[0.0]])
    assert figure.axes[1].get_xlim() == (-1.0, 1.0)
    assert np.ptp(np.asarray(figure.axes[0].images[0].get_array())[:, :, :3], axis=2).max() < 0.1


def test_weights_must_be_one_for_each_atom() -> None:
    with pytest.raises(ValueError, match="CCO has 3 atoms, 2 were given"):
        figures.attributed_molecules(["CCO"], [[1.0, 2.0]])


def test_molecules_are_drawn_in_a_grid(monkeypatch) -> None:
    five = figures.grid(["C", "CO", "CCO", "c1ccccc1", "CN"], list("abcde"))
    assert five.startswith(b"\x89PNG")
    width, height = (int.from_bytes(five[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (4 * 270, 2 * 220)
    shown: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda html: shown.append(html.data))
    figures.show_molecules(["CCO"], ["ethanol"], alt="Ethanol", caption="A molecule.")
    assert 'alt="Ethanol"' in shown[0] and "A molecule." in shown[0]


def test_an_unparsable_molecule_is_named() -> None:
    with pytest.raises(ValueError, match="C1CC"):
        figures.grid(["CCO", "C1CC"], ["good", "bad"])
