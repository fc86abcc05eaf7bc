"""Numbers that would pass whatever a model does are refused when they are calibrated."""

from __future__ import annotations

from pathlib import Path

import pytest

from chemdl.book.calibration import CalibrationError, chosen_numbers, distribution

STUDY = "tiny_random"
NUMBERS = [f"{STUDY}/deep_net/roc_auc", f"{STUDY}/forest/roc_auc"]
SIGNAL = {"deep_net": 1.2, "forest": 1.0, "mean": 0.0}


def calibrated(
    write_card, tmp_path: Path, numbers: list[str], signal: dict[str, float], n: int = 12
) -> dict:
    plain = [write_card(tmp_path / str(seed), seed, signal) for seed in range(1, n + 1)]
    return distribution("tiny", numbers, plain, plain[:1])


def test_calibration_refuses_a_number_that_contains_the_trivial_value(tmp_path, write_card):
    weak = SIGNAL | {"deep_net": 0.05}
    with pytest.raises(CalibrationError, match=r"deep_net/roc_auc.*the trivial value 0\.5"):
        calibrated(write_card, tmp_path, NUMBERS[:1], weak)


def test_calibration_refuses_a_number_that_contains_the_shuffled_value(tmp_path, write_card):
    # The cards of the plain run stand in for shuffled ones: their value lies inside, of course.
    with pytest.raises(CalibrationError, match="contains the shuffled value"):
        calibrated(write_card, tmp_path, NUMBERS[:1], SIGNAL)


def test_calibration_refuses_a_study_whose_data_depend_on_the_seed(tmp_path, write_card):
    plain = [
        write_card(tmp_path / str(seed), seed, SIGNAL, content=f"{seed:064x}") for seed in (1, 2)
    ]
    with pytest.raises(CalibrationError, match="must not depend on the seed"):
        distribution("tiny", NUMBERS, plain, plain)


@pytest.mark.parametrize("listed", ["", "tiny: []", "tiny: [" + ", ".join(["x/y/z"] * 11) + "]"])
def test_a_chapter_has_one_to_ten_numbers(tmp_path, listed):
    (tmp_path / "numbers.yml").write_text(listed)
    with pytest.raises(CalibrationError, match="1 to 10 are needed"):
        chosen_numbers(tmp_path, "tiny")
