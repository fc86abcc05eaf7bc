"""The campaigns in a short form; ``make campaigns`` runs them whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import campaigns, determinism, hostile, hostile_inputs, kill_chapter
from chemdl.book.trust_page import campaigns_file

SHORT = {"SMILES": 40, "tables": 60, "cards": 60, "archives": 40, "claims": 40, "replicas": 60}


def test_short_forms_are_of_all_kinds() -> None:
    assert SHORT.keys() == hostile_inputs.KINDS.keys()


@pytest.mark.parametrize("kind", SHORT)
def test_hostile_inputs_are_read_or_refused_in_words(kind: str, capfd) -> None:
    found = hostile.hostile(kind, SHORT[kind])
    assert found["faults"] == 0, capfd.readouterr().err
    assert found["read"] and found["refused"]
    assert found["read"] + found["refused"] == found["inputs"] == SHORT[kind]


@pytest.mark.parametrize(
    "error", [KeyError("a key that is long enough"), ValueError("of this test, not the package")]
)
def test_an_exception_of_others_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(_given: object) -> None:
        raise error

    monkeypatch.setitem(hostile.KINDS, "cards", (hostile.KINDS["cards"][0], read))
    assert hostile.outcome("cards", 1, tmp_path)[0] == "fault"


def test_a_file_written_elsewhere_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = hostile.KINDS["cards"][0]
    read = (tmp_path / "stray").write_bytes
    monkeypatch.setitem(hostile.KINDS, "cards", (make, lambda _given: read(b"x")))
    assert hostile.outcome("cards", 1, tmp_path) == ("fault", "wrote stray")


def test_a_chapter_that_is_killed_goes_on_to_the_same_result(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path / "cache"))
    found = kill_chapter.campaign(tmp_path / "campaign", 1)
    assert found["kills"] == 1 and found["replicas"] == 12
    assert found["results_equal"] == found["rounds"] >= 1
    assert found["lost"] == found["half_files"] == 0


def test_predictions_depend_on_no_hash_seed_thread_or_process(tmp_path: Path) -> None:
    found = determinism.campaign(tmp_path, short=True)
    assert found["runs"] == found["bit_for_bit_but_nets"] == found["within_tolerance"] == 2


def test_figures_are_what_the_output_ends_with_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "campaigns_file", lambda: tmp_path / "campaigns.json")
    campaigns.record("one", campaigns.figures_of('said\n{\n "a": {\n  "b": 1\n }\n}\n'))
    campaigns.record("two", campaigns.figures_of('{"c": 2}\n'))
    found = json.loads((tmp_path / "campaigns.json").read_text("utf-8"))
    assert [of["figures"] for of in found.values()] == [{"a": {"b": 1}}, {"c": 2}]


def test_the_recorded_campaigns_are_known_and_name_no_machine(root: Path) -> None:
    text = campaigns_file().read_text("utf-8")
    found = json.loads(text)
    assert found.keys() <= campaigns.COMMANDS.keys()
    assert str(root) not in text and "/home" not in text and "/tmp" not in text
    for of in found["hostile"]["figures"].values():
        assert of["read"] + of["refused"] + of["faults"] == of["inputs"]
