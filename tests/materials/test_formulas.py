"""Formulas against pymatgen's, and what only ours reads."""

from __future__ import annotations

import pytest

import chemdl
from chemdl.materials.formulas import FormulaError, composition_key, fractions, parse_formula

pymatgen = pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

ODD = [
    "Ga0.5In0.5As",
    "[Fe(CN)6]4",
    "{Mg[OH]2}3",
    "Ca10(PO4)6(OH)2",
    "((NH4)2SO4)0.5",
    "La1.85Sr.15CuO4",
    "YBa2Cu3O6.92",
    "Fe1e-3O",
    "D2O",
    "T2O",
    "H2 O",
    "Fe0O",
    "CoCO",
    "NO",
    "No",
    "K3[Fe(CN)6]",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_formulas_are_pymatgens(text: str) -> None:
    expected = {e.Z: amount for e, amount in pymatgen.Composition(text).items()}
    assert parse_formula(text) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["expt_gap", "steels"])
def test_whole_sets_are_pymatgens(name: str) -> None:
    for text in chemdl.load(name).inputs[::7]:
        expected = {e.Z: amount for e, amount in pymatgen.Composition(text).items()}
        assert parse_formula(text) == pytest.approx(expected), text


@pytest.mark.parametrize("text", ["CuSO4·5H2O", "CuSO4*5H2O", "CuSO4 • 5 H2O"])
def test_hydrates_count_their_water(text: str) -> None:
    assert parse_formula(text) == parse_formula("CuSO4(H2O)5")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Xx2O", "no element"),
        ("Fe2Oo3", "names 'Oo'"),
        ("Sm1Ba-1Cu3O7", "cannot be negative"),
        ("NaCl)", "was not opened"),
        ("(NaCl", "does not close"),
        ("(NaCl]", "was not opened there"),
        ("Fe3+", "no formula"),
        ("Y2C2Br0.5!1.5", "no formula"),
        ("Na2 2", "where an element is wanted"),
        ("", "holds no element"),
        ("Fe0", "holds no element"),
    ],
)
def test_what_is_no_formula_says_why(text: str, why: str) -> None:
    with pytest.raises(FormulaError, match=why):
        parse_formula(text)


def test_one_composition_has_one_key() -> None:
    keys = {composition_key(parse_formula(text)) for text in ("GaAs", "Ga2As2", "As0.5Ga0.5")}
    assert len(keys) == 1
    assert composition_key(parse_formula("Ga2As3")) not in keys
    assert sum(fractions("Ca10(PO4)6(OH)2").values()) == pytest.approx(1.0)
