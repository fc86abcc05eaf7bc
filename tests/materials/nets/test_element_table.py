"""What nets know of an element at the start."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from chemdl.materials.nets.element_table import ElementTable


def test_each_number_gets_its_row_and_an_empty_place_no_properties() -> None:
    table = ElementTable(4)
    assert not table.properties[0].any()
    vectors = table(torch.tensor([[26, 0]]))
    torch.testing.assert_close(vectors[0, 0], table.read(table.properties[26]) + table.learned[26])
    torch.testing.assert_close(vectors[0, 1], table.read.bias + table.learned[0])
