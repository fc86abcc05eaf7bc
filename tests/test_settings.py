"""Parameters are checked strictly; seeds and folders are what they say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import chemdl
from chemdl import settings
from chemdl.settings import Settings, SettingsError, read_settings, spawn


def test_defaults_are_a_quick_run_of_seed_zero() -> None:
    found = read_settings({})
    assert (found.profile, found.seed, found.models) == ("quick", 0, ("all",))
    assert found.repeats is None
    assert found.trials is None


def test_the_package_offers_the_same_function() -> None:
    assert chemdl.settings is settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"profil": "full"}, "unknown parameter 'profil'. Did you mean 'profile'"),
        ({"modells": "deep"}, "'models'"),
        ({"tolerance": 3.5}, "unknown parameter 'tolerance'"),
        ({"verbose": True}, "unknown parameter 'verbose'"),
        ({"folds": None}, "unknown parameter 'folds'"),
        ({"profile": "ful"}, "unknown profile 'ful'. Did you mean 'full'"),
        ({"profile": "Quick"}, "Did you mean 'quick'"),
        ({"profile": 3}, "unknown profile '3'"),
        ({"profile": ["full"]}, "Did you mean 'full'"),
        ({"modles": ["deep"]}, "unknown parameter 'modles'. Did you mean 'models'"),
        ({"training": {"epochs": 5}}, "unknown parameter 'training'"),
        ({"seed": [1, 2]}, "seed must be a whole number of at least 0, not [1, 2]"),
        ({"seed": np.float64(1)}, "seed must be a whole number"),
        ({"repeats": (1,)}, "repeats must be a whole number"),
        ({"shuffled": 1}, "shuffled must be true or false, not 1"),
        ({"shuffled": [True]}, "shuffled must be true or false"),
        ({"models": {"deep"}}, "models must be names, as text or in a list, not {'deep'}"),
        ({"models": {"deep": 1}}, "models must be names"),
        ({"models": []}, "models must be names"),
        ({"models": ","}, "models must be names"),
        ({"models": [3]}, "models must be names"),
        ({"models": 3}, "models must be names"),
        ({"output": ["here"]}, "output must be a folder's path, not ['here']"),
        ({"device": ["cpu"]}, "unknown device"),
        ({"device": "cud"}, "unknown device 'cud'. Did you mean 'cuda'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"repeats": 0}, "repeats must be a whole number of at least 1, not 0"),
        ({"trials": -1}, "trials must be a whole number of at least 0, not -1"),
    ],
)
def test_a_misspelt_parameter_is_refused_with_near_misses(given: dict, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"device": "cpu", **given})
    assert message in str(error.value)


def test_numbers_of_numpy_are_numbers() -> None:
    given = {"seed": np.int64(7), "repeats": np.uint8(2), "trials": np.int32(0)}
    found = read_settings({**given, "device": "cpu"})
    assert (found.seed, found.repeats, found.trials) == (7, 2, 0)
    assert type(found.seed) is int


def test_names_of_a_notebook_at_work_are_ignored() -> None:
    class Anything:
        pass

    namespace = {
        "__name__": "__main__",
        "_i1": "profile = 'quick'",
        "_": 3,
        "_exit_code": 0,
        "In": ["", "x"],
        "Out": {1: 2},
        "get_ipython": lambda: None,
        "exit": Anything(),
        "np": np,
        "frame": np.zeros(3),
        "REGRESSORS": ["ridge"],
        "names": ("a", "b"),
        "repository": "https://example.org/chemdl",
        "profile": "smoke",
        "device": "cpu",
    }
    assert read_settings(namespace).profile == "smoke"


def test_settings_can_be_checked_again_after_they_were_made() -> None:
    namespace: dict = {"profile": "smoke", "device": "cpu", "seed": 3}
    namespace["settings"] = read_settings(namespace)
    assert read_settings(namespace) == namespace["settings"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ("all",)),
        ("", ("all",)),
        ("deep", ("deep",)),
        ("deep, random_forest", ("deep", "random_forest")),
        (["deep", "knn"], ("deep", "knn")),
    ],
)
def test_models_come_as_text_or_list(given: object, expected: tuple[str, ...]) -> None:
    assert read_settings({"models": given, "device": "cpu"}).models == expected


def test_choose_takes_the_profiles_value() -> None:
    values = {"quick": 2, "full": 3}
    assert Settings("quick").choose(**values) == 2
    assert Settings("full").choose(**values) == 3
    assert Settings("smoke").choose(**values) == 2
    assert Settings("smoke").choose(smoke=1, **values) == 1
    assert Settings("full").choose(smoke=1, **values) == 3


def test_the_part_of_a_dataset_is_the_same_for_every_seed() -> None:
    whole = chemdl.load("bace")
    first, second = (
        Settings("smoke", seed=seed).part(whole, quick=90, smoke=40) for seed in (0, 1)
    )
    assert len(first) == 40
    assert first.card["content_sha256"] == second.card["content_sha256"]
    assert len(Settings("quick").part(whole, quick=90, smoke=40)) == 90
    assert Settings("full").part(whole, quick=90, smoke=40) is whole
    assert Settings("quick").part(whole, quick=10**6) is whole


# --- devices --------------------------------------------------------------------------------------


def test_cuda_where_there_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingsError, match="sees no GPU here; use device='cpu'"):
        read_settings({"device": "cuda"})
    assert read_settings({"device": "auto"}).device == "cpu"


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert read_settings({}).device == "cuda"
    assert read_settings({"device": "cpu"}).device == "cpu"


# --- seeds ----------------------------------------------------------------------------------------


def test_spawned_seeds_stay_what_they_are() -> None:
    # Recorded cards were computed from these: another rule would change every number.
    assert spawn(0, "tox21_random", "multitask", 0, 0) == 1644493143
    assert spawn(1) == 901994809


def test_spawned_seeds_differ_by_seed_name_and_order() -> None:
    seeds = [spawn(s, a, b) for s in range(5) for a in ("x", "y", 0, 1) for b in ("x", "y", 0, 1)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    drawn = np.array([spawn(0, i) for i in range(2000)]) / 2**31
    assert max(Counter((drawn * 10).astype(int)).values()) < 260


# --- folders --------------------------------------------------------------------------------------


def test_output_defaults_to_a_folder_of_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "project_root", lambda: tmp_path)
    assert read_settings({"device": "cpu"}).output == tmp_path / "_build" / "runs" / "quick"
    full = read_settings({"profile": "full", "device": "cpu", "output": ""})
    assert full.output == tmp_path / "_build" / "runs" / "full"
    monkeypatch.setattr(settings, "project_root", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert read_settings({"device": "cpu"}).output == tmp_path / "chemdl-output" / "quick"


def test_output_is_where_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({"device": "cpu", "output": "here"}).output == tmp_path / "here"


def test_an_output_folder_may_be_a_path(tmp_path) -> None:
    assert read_settings({"output": tmp_path, "device": "cpu"}).output == tmp_path.resolve()


def test_cards_lie_in_the_output_folder(tmp_path: Path) -> None:
    assert read_settings({"output": tmp_path, "device": "cpu"}).cards == tmp_path / "cards"


# --- chapters and controls ------------------------------------------------------------------------


def test_the_chapter_is_told_and_is_no_parameter() -> None:
    assert read_settings({"device": "cpu"}, chapter="toxicity").chapter == "toxicity"
    assert read_settings({"device": "cpu"}).chapter == ""
    with pytest.raises(SettingsError, match="unknown parameter 'chapter'"):
        read_settings({"device": "cpu", "chapter": "toxicity"})


def test_a_control_run_is_asked_for_by_a_truth_value() -> None:
    assert read_settings({"device": "cpu"}).shuffled is False
    assert read_settings({"device": "cpu", "shuffled": True}).shuffled is True
    for value in (1, "true", None):
        with pytest.raises(SettingsError, match="shuffled must be true or false, not"):
            read_settings({"device": "cpu", "shuffled": value})
