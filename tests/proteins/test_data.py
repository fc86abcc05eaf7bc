"""Chains of proteins: states, their reductions, and each source's form."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chemdl
from chemdl.data import DatasetError, cleaning
from chemdl.proteins.data import (
    REDUCTIONS,
    STATES8,
    eight_states,
    families,
    read_cb513,
    read_netsurfp2,
    read_proteinnet,
    read_qian_sejnowski,
    read_sspro,
    three_states,
)
from chemdl.proteins.profiles import profile_levels


def write(folder: Path, **texts: str) -> dict[str, Path]:
    paths = {}
    for name, text in texts.items():
        paths[name] = folder / name
        paths[name].write_text(text, encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    ("reduction", "expected"),
    # Helix is 0, strand 1, coil 2: both ways in use to make three of H G I E B T S C.
    [("wide", [0, 0, 0, 1, 1, 2, 2, 2]), ("narrow", [0, 2, 2, 1, 2, 2, 2, 2])],
)
def test_eight_states_become_three(reduction: str, expected: list[int]) -> None:
    q8 = eight_states(STATES8)
    assert q8.tolist() == list(range(8))
    assert three_states(q8, reduction).tolist() == expected
    assert set(REDUCTIONS) == {"wide", "narrow"}


def test_coil_has_several_letters_and_what_was_not_measured_is_nan() -> None:
    q8 = eight_states("L_- C?X")
    assert q8[:5].tolist() == [7.0] * 5
    assert np.isnan(q8[5:]).all() and np.isnan(three_states(q8)[5:]).all()


def test_what_is_no_state_is_named() -> None:
    with pytest.raises(DatasetError, match="'Q' at residue 3"):
        eight_states("HEQ")
    with pytest.raises(ValueError, match="Did you mean 'narrow'"):
        three_states(np.zeros(1), "narow")


PROTEINNET = {
    "ids": "ids",
    "labels": ["full", "domains"],
    "targets": ["q3", "q8"],
    "train": "thin",
    "test": "held",
    "longest": 6,
    "chains": 2,
}


def proteinnet(folder: Path, **changed: Any) -> dict[str, Path]:
    full = {
        "1AAA_1_A": {"Sequence": "ACDX", "DSSP": "HGEL"},
        "1BBB_1_A": {"Sequence": "MKV", "DSSP": "EEB"},
        "1CCC_1_A": {"Sequence": "WWWWWWWWWW", "DSSP": "LLLLLLLLLL"},
        "1DDD_1_A": {"Sequence": "GGG", "DSSP": "LLL"},
        **changed,
    }
    domains = {"1EEE_d1eeea1": {"Sequence": "PPU", "DSSP": "TSI"}}
    table = "pnid,thin,held\n" + "".join(
        f"{name},{thin},{1 - thin}\n"
        for name, thin in [("1AAA_1_A", 1), ("1BBB_1_A", 1), ("1CCC_1_A", 1), ("10#1DDD_1_A", 0),
                           ("1EEE_d1eeea1", 1), ("1ZZZ_1_A", 1)]
    )  # fmt: skip
    return write(folder, ids=table, full=json.dumps(full), domains=json.dumps(domains))


def test_proteinnet_is_thinned_by_seed_and_its_test_chains_stay(tmp_path: Path) -> None:
    files = proteinnet(tmp_path)
    every = read_proteinnet(files, {**PROTEINNET, "chains": 9})
    # The long chain is left out, and the one without labels.
    assert every.columns["id"].tolist() == ["1AAA_1_A", "1BBB_1_A", "1EEE_d1eeea1", "10#1DDD_1_A"]
    assert every.columns["set"].tolist() == ["train"] * 3 + ["test"]
    assert every.lengths is not None and every.lengths.tolist() == [4, 3, 3, 3]
    assert every.targets[:4].tolist() == [[0, 0], [0, 1], [1, 3], [2, 7]]
    drawn = read_proteinnet(files, PROTEINNET)
    assert len(drawn.inputs) == 3 and set(drawn.inputs) < set(every.inputs)
    narrow = read_proteinnet(files, {**PROTEINNET, "chains": 9, "reduction": "narrow"})
    assert narrow.targets[:4, 0].tolist() == [0, 2, 1, 2]


def test_a_train_chain_that_is_tested_on_is_left_out(tmp_path: Path) -> None:
    files = proteinnet(tmp_path, **{"1AAA_1_A": {"Sequence": "GGG", "DSSP": "LLL"}})
    table = read_proteinnet(files, {**PROTEINNET, "chains": 9})
    assert table.inputs.count("GGG") == 1


def test_labels_one_shorter_than_the_sequence_name_the_chain(tmp_path: Path) -> None:
    files = proteinnet(tmp_path, **{"1BBB_1_A": {"Sequence": "MKV", "DSSP": "EE"}})
    with pytest.raises(DatasetError, match=r"chain '1BBB_1_A' has 3 residues and 2 values of q8"):
        read_proteinnet(files, {**PROTEINNET, "chains": 9})


def test_sspro_joins_its_files(tmp_path: Path) -> None:
    files = write(tmp_path, a=">one\nACD\n>two\nM\n", b=">one\nHEC\n>two\nC\n",
                  c=">one\nGBS\n>two\nC\n", d=">one\ne-e\n>two\n-\n")  # fmt: skip
    options = {"sequences": "a", "targets": {"q3": "b", "q8": "c", "exposed": "d"}}
    table = read_sspro(files, options)
    assert table.inputs == ["ACD", "M"]
    np.testing.assert_array_equal(table.targets, [[0, 1, 1], [1, 4, 0], [2, 6, 1], [2, 7, 0]])


def test_netsurfp2_masks_what_no_structure_shows(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr("s", ">1a-A\nACD\n>2b-B\nMK\n")
        packed.writestr("m", ">1a-A\n011\n>2b-B\n11\n")
        packed.writestr("t", ">1a-A SET=train VALIDATION=True\nCHE\n>2b-B SET=test VALIDATION=False"
                        "\nCC\n")  # fmt: skip
    options = {"archive": "z", "sequences": "s", "states": "t", "mask": "m", "targets": ["q3"]}
    table = read_netsurfp2({"z": tmp_path / "z.zip"}, options)
    np.testing.assert_array_equal(table.targets.ravel(), [np.nan, 0, 1, 2, 2])
    assert table.columns["set"].tolist() == ["valid", "test"]


CHAIN = "RES:A,C,D,\nDSSP:_,H,?,\nDSSPACC:e,b,b,\nalign1:{}\nalign2:{}\n"


def test_cb513_makes_profiles_of_alignments(tmp_path: Path) -> None:
    files = write(
        tmp_path,
        **{
            "1abc-1.all": CHAIN.format("A,C,D,", "A,C,.,"),
            # The alignment lacks the residue that was not measured, as four of the real ones do.
            "1abd.all": CHAIN.format("A,C,", "A,W,"),
            "2xyz.all": CHAIN.format("A,C,D,", "A,C,E,"),
        },
    )
    options = {"targets": ["q3", "q8", "exposed"], "related": [["2xyz", "1abd"]]}
    table = read_cb513(files, options)
    np.testing.assert_array_equal(table.targets[:3], [[2, 7, 1], [0, 0, 0], [np.nan, np.nan, 0]])
    assert table.columns["family"].tolist() == ["1abc", "1abd", "1abd"]
    sequence, text = table.inputs[1].split(" ")
    levels = profile_levels(text, 3)
    assert sequence == "ACD" and levels[0].argmax() == 0 and levels[1].argmax() in (4, 17)


def test_families_are_joined_through_others() -> None:
    joined = families([("a", "b"), ("d", "e"), ("c", "b"), ("c", "d")])
    assert joined == dict.fromkeys("abcde", "a")


def test_an_alignment_of_another_chain_is_refused(tmp_path: Path) -> None:
    files = write(tmp_path, **{"1abc.all": CHAIN.format("A,W,D,", "A,C,D,")})
    with pytest.raises(DatasetError, match=r"1abc.all: residue 2 is another one"):
        read_cb513(files, {"targets": ["q3"]})


def test_the_chains_of_1988(tmp_path: Path) -> None:
    text = "# words\n\n<>\nG _\nV e\nend\n<>\nA h\n<end>\n"
    files = write(tmp_path, one=text, two="<>\nM _\nend\n")
    table = read_qian_sejnowski(files, {"targets": ["q3"], "set": {"one": "train", "two": "test"}})
    assert table.inputs == ["GV", "A", "M"]
    assert table.targets.ravel().tolist() == [2, 1, 0, 2]
    assert table.columns["set"].tolist() == ["train", "train", "test"]


def test_chains_of_one_sequence_are_merged_site_by_site(tmp_path: Path) -> None:
    files = write(tmp_path, a=">x\nAC\n>y\nAC\n>z\nD\n", b=">x\nHE\n>y\nHC\n>z\n?\n")
    table = read_sspro(files, {"sequences": "a", "targets": {"q3": "b"}})
    cleaned = cleaning.clean_as_text(table, "labelling")
    np.testing.assert_array_equal(cleaned.targets.ravel(), [0, np.nan])
    counted = {k: cleaned.log[k] for k in ("raw", "unlabelled", "duplicate", "conflicting_labels")}
    assert counted == {"raw": 3, "unlabelled": 1, "duplicate": 1, "conflicting_labels": 1}
    assert cleaned.lengths is not None and cleaned.lengths.tolist() == [2]


def test_proteinnet_is_embedded() -> None:
    data = chemdl.load("proteinnet")
    assert len(data) == 2717 and (data.columns["set"] == "test").sum() == 217
    assert data.lengths is not None
    assert data.lengths.tolist() == [len(chain) for chain in data.inputs]
    assert data.lengths[data.columns["set"] == "train"].max() <= 512
    np.testing.assert_array_equal(data.targets[:, 0], three_states(data.targets[:, 1]))
    part = data.subsample(train=30, test=5)
    assert np.unique(part.columns["set"], return_counts=True)[1].tolist() == [5, 30]
    again = chemdl.load("proteinnet")  # from the cache
    assert again.card["content_sha256"] == data.card["content_sha256"]


@pytest.mark.parametrize(
    ("name", "chains", "sites"),
    [("cb513", 513, 84_119), ("sspro", 5772, 1_031_455), ("netsurfp2", 11_156, 2_845_094),
     ("qian_sejnowski", 127, 21_484)],
)  # fmt: skip
def test_public_sets_hold_what_they_should(
    mirror: Path, name: str, chains: int, sites: int
) -> None:
    data = chemdl.load(name)
    assert len(data) == chains and data.lengths is not None
    assert len(data.targets) == data.lengths.sum() == sites
    if name == "cb513":
        assert len(set(data.columns["family"])) == 403
