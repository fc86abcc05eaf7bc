"""Fingerprints equal RDKit's own and DeepChem's, bit for bit."""

from __future__ import annotations

import time
import tracemalloc
import warnings

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from sklearn.base import clone

import chemdl
from chemdl.data import feature_cache as cache
from chemdl.molecules import fingerprints as module
from chemdl.molecules import smiles as molecules
from chemdl.molecules.fingerprints import ECFP, fingerprints, unpacked


@pytest.fixture(scope="module")
def smiles() -> np.ndarray:
    """Drugs with metals, salts, charges, stereo and hydrogens written out among them."""
    drugs = list(chemdl.load("clintox").inputs[::3])
    hydrogens = ["[H]OC", "[2H]C([2H])Cl", "[H][H]", "[H+]", "[H]/C(C)=C/F", "[H][C@@](F)(Cl)Br"]
    return np.array([*drugs, *hydrogens], dtype=object)


@pytest.mark.parametrize(("radius", "size"), [(2, 2048), (3, 1024), (0, 64)])
def test_bits_are_rdkits(smiles: np.ndarray, radius: int, size: int) -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=size)
    expected = np.zeros((len(smiles), size), dtype=np.uint8)
    for row, text in zip(expected, smiles, strict=True):
        DataStructs.ConvertToNumpyArray(generator.GetFingerprint(Chem.MolFromSmiles(text)), row)
    found = ECFP(radius=radius, size=size).transform(smiles)
    assert (found.dtype, found.shape) == (np.uint8, (len(smiles), size))
    np.testing.assert_array_equal(found, expected)


def test_counts_are_rdkits(smiles: np.ndarray) -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    expected = [generator.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(s)) for s in smiles]
    found = ECFP(counts=True).transform(smiles)
    assert found.max() > 1
    np.testing.assert_array_equal(found, np.stack(expected))
    np.testing.assert_array_equal(found > 0, ECFP().transform(smiles) > 0)


def test_count_above_255_saturates() -> None:
    assert ECFP(counts=True).transform(["C" * 400]).max() == 255


def test_bits_are_deepchems(smiles: np.ndarray, deepchem) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's own deprecations are not ours
        peer = deepchem.feat.CircularFingerprint(radius=2, size=2048)
        expected = peer.featurize(smiles[:150])
    np.testing.assert_array_equal(ECFP().transform(smiles[:150]), expected)


def test_blocks_do_not_change_the_rows(smiles: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fingerprints(smiles.tolist())
    monkeypatch.setattr(molecules, "BLOCK", 37)
    np.testing.assert_array_equal(fingerprints(smiles.tolist()), whole)
    wrong = [*smiles.tolist()[:40], "C1CC"]
    with pytest.raises(ValueError, match="row 40"):
        fingerprints(wrong)


def test_it_is_a_transformer_of_scikit_learn() -> None:
    model = ECFP(radius=3, size=512, counts=True)
    assert clone(model).get_params() == {
        "radius": 3,
        "size": 512,
        "counts": True,
        "packed": False,
        "n_jobs": None,
    }
    rows = model.fit_transform(["CCO", "CCN"])
    names = model.get_feature_names_out()
    assert names[0] == "ecfp6_0"
    assert len(names) == rows.shape[1]


def test_input_is_not_changed_and_rows_are_the_callers_own() -> None:
    given = np.array(["CCO", "CCN"], dtype=object)
    first = ECFP().transform(given)
    first[:] = 7
    assert ECFP().transform(given).max() == 1
    assert given.tolist() == ["CCO", "CCN"]


@pytest.mark.parametrize("bad", ["C1CC", "not a molecule", "", "[Xx]"])
def test_unparsable_smiles_names_row_and_text(bad: str) -> None:
    ECFP().transform(["CCO"])  # a row that is known already must not shift the numbering
    with pytest.raises(ValueError, match=r"row 2: .*cannot parse the SMILES") as caught:
        ECFP().transform(["CCO", "CC", bad, "CCC"])
    assert repr(bad) in str(caught.value)


def test_parser_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="row 0"):
        ECFP().transform(["C1CC"])
    assert capfd.readouterr().err == ""


def test_empty_set() -> None:
    with pytest.raises(ValueError, match="empty"):
        ECFP().transform([])


@pytest.mark.parametrize("bad", [None, 3, float("nan"), b"CC"])
def test_entry_that_is_no_text(bad: object) -> None:
    with pytest.raises(ValueError, match=r"row 1: .* is no SMILES"):
        ECFP().transform(["CC", bad])


def test_several_columns() -> None:
    with pytest.raises(ValueError, match=r"not \(2, 1\)"):
        ECFP().transform([["CC"], ["CCC"]])


@pytest.mark.parametrize("wrong", [{"size": 100}, {"size": 0}, {"radius": -1}])
def test_settings_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        ECFP(**wrong).transform(["CC"])


def test_packed_bits_open_into_the_same_fingerprints(smiles: np.ndarray) -> None:
    packed = ECFP(packed=True).transform(smiles)
    assert (packed.dtype, packed.shape) == (np.uint8, (len(smiles), 256))
    bits = ECFP().transform(smiles)
    np.testing.assert_array_equal(unpacked(packed), bits)
    # As its documentation says it: column 8 i + j is bit j of byte i.
    np.testing.assert_array_equal((packed[:, 3] >> 5) & 1, bits[:, 8 * 3 + 5])
    assert len(ECFP(packed=True).get_feature_names_out()) == packed.shape[1]
    with pytest.raises(ValueError, match="read-only"):
        packed[0, 0] = 1
    with pytest.raises(ValueError, match="counts do not fit into bits"):
        ECFP(packed=True, counts=True).transform(smiles)


def test_packed_and_plain_bits_are_computed_once(
    smiles: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.forget()
    ECFP(size=256).transform(smiles)
    monkeypatch.setattr("chemdl.molecules.fingerprints.parsed_blocks", None)
    packed = ECFP(size=256, packed=True).transform(smiles)
    assert len(packed) == len(smiles)


def test_packed_bits_are_in_memory_once() -> None:
    """437,929 molecules of PCBA have 112 MB of bits: two copies would pass the 200 MB they may."""
    count = 4_000
    smiles = [f"{'C' * (i % 50 + 1)}[{i}CH2]O" for i in range(1, 1 + count // 50)]
    smiles = [f"{text}{'N' * j}" for text in smiles for j in range(50)]
    model = ECFP(packed=True)
    expected = model.transform(smiles).copy()  # on disk by now
    cache.forget()
    tracemalloc.start()
    found = [model.transform(smiles) for _ in range(3)]
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(np.array_equal(rows, expected) for rows in found)
    bits = count * 2048 // 8
    assert found[0].nbytes == bits
    # Beside the bits: a place for each text, and while they are read what lies on disk.
    assert held < 1.5 * bits
    assert peak < 2.8 * bits
    assert 437_929 * held / count < 200e6


def test_blocks_are_large_enough_for_worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(module, "FEWEST_IN_PARALLEL", 100)
    monkeypatch.setattr(
        module, "in_processes", lambda c, texts, jobs: given.append(len(texts)) or c(texts)
    )
    cache.forget()
    ECFP(size=72).transform(["C" * n for n in range(1, 251)])
    # The last fifty take less time than to start a process.
    assert given == [100, 100]


def test_few_blocks_of_molecules_are_held_however_slow_the_encoding(
    smiles: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed molecules take 10 kB each: those of a large set must not wait in a queue."""
    real, given, done, waiting = module._bits, 0, 0, []

    def blocks(texts, flat):
        nonlocal given
        for block in molecules.parsed_blocks(texts, flat=flat):
            waiting.append(given - done)
            given += 1
            yield block

    def slow(*arguments):
        nonlocal done
        time.sleep(0.01)
        rows = real(*arguments)
        done += 1
        return rows

    expected = fingerprints(smiles.tolist())
    monkeypatch.setattr(molecules, "BLOCK", 37)
    monkeypatch.setattr(module, "parsed_blocks", blocks)
    monkeypatch.setattr(module, "_bits", slow)
    np.testing.assert_array_equal(fingerprints(smiles.tolist()), expected)
    assert len(waiting) > 10
    assert max(waiting) <= 2
