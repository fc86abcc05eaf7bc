"""Every claim has a source, numbers that agree with it, and a test or a reason for none."""

from __future__ import annotations

import copy
import functools
import operator
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from chemdl import data as datasets
from chemdl.evidence import claims, metrics
from chemdl.evidence.claims import Claim, ClaimError
from chemdl.evidence.judging import record_sha256
from chemdl.learn.models import find_model

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "references.bib"
KINDS_OF_CLAIM = {
    "REV": 2, "QSAR": 36, "TOX": 6, "VS": 4, "PROT": 12, "QM": 6, "MAT": 4, "MNET": 15,
    "EVID": 32, "DCHEM": 15, "MBENCH": 9,
}  # fmt: skip
# Tested by an error where the source has an area under a curve, or the like.
OTHER_METRICS = {"QSAR-06", "EVID-01"}
TOXICITY_STUDIES = {
    "tox21_random", "tox21_scaffold", "clintox_random", "sider_random", "dili_stratified",
    "tox21_challenge", "dili_xu",
}  # fmt: skip
TOXICITY_MODELS = {
    "multitask", "multitask_ma", "single_task", "sigmoid", "ensemble", "random_forest",
    "svm_tanimoto", "svm_linear", "logistic", "knn", "gradient_boosting", "xgboost", "trivial",
    "neural_fingerprint", "dmpnn", "weave",
}  # fmt: skip


@pytest.fixture(scope="module")
def known() -> dict[str, Claim]:
    return claims.load_claims()


@pytest.fixture
def record() -> dict[str, Any]:
    """A record that keeps the form."""
    return {
        "id": "TINY-01", "domain": "QSAR", "chapter": "qsar",
        "statement": "A net beats a forest.", "source": "ma2015", "dataset": "tiny",
        "metric": "AUC", "split": "random", "kind": "difference", "favours": "deep",
        "reported": {"a": 0.8, "b": 0.7, "difference": 0.1}, "names": {"a": "net", "b": "forest"},
        "also": [{"name": "ridge", "value": 0.6, "spread": 0.1}],
        "confirmation": {"status": "partly", "unconfirmed": ["ridge"], "read_in": "abstract"},
        "test": {"study": "tiny_random", "a": "net", "b": "random_forest", "metric": "roc_auc",
                 "unit": "fold", "fidelity": "near",
                 "source": {"a": {"family": "net on vectors", "reads": "bits"},
                            "b": {"family": "forest", "reads": "bits"}, "tuned": True,
                            "read_in": "section 2"}},
    }  # fmt: skip


@pytest.fixture
def level(record: dict[str, Any]) -> dict[str, Any]:
    """A record of a level, with its values by fold."""
    test = record["test"] | {"b": None, "folds_reported": [0.7, 0.9]}
    test["source"] = {**test["source"], "b": None}
    return record | {"kind": "level", "reported": {"a": 0.8}, "test": test}


# the records


def test_no_record_is_lost(known: dict[str, Claim]) -> None:
    assert Counter(name.split("-")[0] for name in known) == KINDS_OF_CLAIM
    assert len(known) == sum(KINDS_OF_CLAIM.values())


def test_every_claim_has_a_chapter_and_a_test_or_a_reason(known: dict[str, Claim]) -> None:
    assert claims.orphans(known.values()) == []
    assert all((c.test is None) != (c.reason is None) for c in known.values())


def test_orphans_are_named(known: dict[str, Claim]) -> None:
    first, second, *_ = known.values()
    lost = [
        first.model_copy(update={"test": None, "reason": None}),
        second.model_copy(update={"chapter": "tocsicity"}),
    ]
    found = claims.orphans(lost)
    assert len(found) == 2
    assert found[0].startswith(first.id) and "neither a test nor a reason" in found[0]
    assert found[1].startswith(second.id) and "'toxicity'" in found[1]
    assert claims.orphans([first], chapters=["toxicity"])[0].startswith(first.id)


def test_reported_differences_favour_what_the_source_says(known: dict[str, Claim]) -> None:
    seen = 0
    for claim in known.values():
        reported, test = claim.reported, claim.test
        if claim.favours == "neither" or claim.kind != "difference":
            continue
        assert reported.difference is None or reported.difference > 0, claim.id
        if test is None or reported.a is None or reported.b is None:
            continue
        if claim.id not in OTHER_METRICS:
            gain = float(metrics.improvement(test.metric, reported.a, reported.b))
            assert gain > 0, claim.id
            if reported.difference is not None:
                assert gain == pytest.approx(reported.difference, abs=1e-6), claim.id
            seen += 1
    assert seen > 60


def test_the_side_that_is_favoured_comes_first(known: dict[str, Claim]) -> None:
    """In a test ``a`` is the favoured side's model: a forest where forests win."""
    classical = {
        "random_forest", "gradient_boosting", "svm_tanimoto", "svm_linear", "svm_rbf", "ridge",
        "knn", "xgboost",
    }  # fmt: skip
    for claim in known.values():
        if claim.test is None or claim.test.b is None or claim.favours == "neither":
            continue
        if claim.favours == "deep":
            assert claim.test.a not in classical, claim.id
        elif claim.test.b != "trivial":
            assert claim.test.a in classical | {"krr_laplacian"}, claim.id


def test_an_analogue_is_not_judged_by_size(known: dict[str, Claim]) -> None:
    analogues = [c for c in known.values() if c.test and c.test.fidelity == "analogue"]
    assert analogues and all(c.reported.difference is None for c in analogues)


def test_only_the_abstract_of_the_review_could_be_read(known: dict[str, Claim]) -> None:
    """So what it states is what its abstract says, and no record says that it cites a source."""
    said = {claim.id for claim in known.values() if claim.in_review == "states"}
    assert said == {name for name in known if name.startswith("REV-")}
    assert all("abstract" in known[name].confirmation.read_in for name in said)
    later = {"MNET", "DCHEM", "MBENCH"}
    for claim in known.values():
        if claim.id.split("-")[0] in later:
            assert claim.in_review == "later", claim.id


def test_what_was_withdrawn_says_why(known: dict[str, Claim]) -> None:
    withdrawn = {claim.id: claim.reason for claim in known.values() if claim.withdrawn}
    assert set(withdrawn) == {"TOX-04", "EVID-08"}
    assert all(reason and reason.startswith("Withdrawn: ") for reason in withdrawn.values())


def test_claims_on_one_measurement_share_their_contrast(known: dict[str, Claim]) -> None:
    """So that none is counted twice, though one be called by the other side's name."""
    for one, other in (
        ("VS-01", "VS-03"), ("MNET-SIDER", "EVID-03-SIDER"),
        ("EVID-03-Lipop", "EVID-04-Lipop-random"), ("QSAR-06", "EVID-01"),
        ("QSAR-06", "EVID-02"),
    ):  # fmt: skip
        assert known[one].contrast == known[other].contrast != "", (one, other)
    assert known["EVID-03-Lipop"].test.a == known["EVID-04-Lipop-random"].test.b  # type: ignore[union-attr]
    assert known["MAT-02"].contrast != known["MAT-03"].contrast
    assert known["QSAR-10"].contrast == "esol_random rmse all ugrnn"
    assert known["TOX-04"].contrast == ""


def test_a_claim_stands_in_one_study(known: dict[str, Claim]) -> None:
    assert known["MAT-01"].test and known["MAT-01"].test.study == "cep_screening"
    assert known["EVID-06"].test and known["EVID-06"].test.study == "dude_docking"
    assert known["PROT-09"].test and known["PROT-09"].test.unit == "chain"


def test_deepchems_rows_say_at_which_commit_they_were_read(known: dict[str, Claim]) -> None:
    rows = {name: claim for name, claim in known.items() if name.startswith("DCHEM-")}
    for claim in rows.values():
        assert "commit 2af0ba3" in claim.confirmation.read_in and "32e600e" in claim.notes
    assert {name for name, claim in rows.items() if "statement is reversed" in claim.notes} == {
        "DCHEM-bbbp_random_valid", "DCHEM-muv_scaffold_valid", "DCHEM-tox21_random_valid-b",
    }  # fmt: skip


def test_levels_on_published_folds_have_their_values_by_fold(known: dict[str, Claim]) -> None:
    for name in ("MBENCH-gap-RF", "MBENCH-glass"):
        test, reported = known[name].test, known[name].reported
        assert test is not None and test.folds_reported is not None
        assert len(test.folds_reported) == 5
        assert np.mean(test.folds_reported) == pytest.approx(reported.a, abs=1e-4)
        assert np.std(test.folds_reported) == pytest.approx(reported.a_spread, abs=1e-4)


def test_counts_are_whole_numbers_of_tasks(known: dict[str, Claim]) -> None:
    counts = {c.id: c for c in known.values() if c.kind == "count"}
    assert (counts["TOX-03"].reported.a, counts["TOX-03"].reported.b) == (10, 2)
    for claim in counts.values():
        assert isinstance(claim.reported.a, int) and isinstance(claim.reported.b, int)
        assert claim.test is None or claim.test.unit == "task"


def test_what_was_not_read_is_marked_wherever_it_is_printed(known: dict[str, Claim]) -> None:
    for claim, row in zip(known.values(), claims.table(known.values()), strict=True):
        named = [name for name in claim.unconfirmed if name not in ("model", "metric", "split")]
        numbers = [name for name in named if name != "statement"]
        assert row["reported"].count("(?)") == len(numbers), claim.id
        assert row["read there"].startswith("?" if not _read_at_all(claim) else "✓"), claim.id


def _read_at_all(claim: Claim) -> bool:
    return claim.confirmation.status != "unconfirmed"


def test_what_was_read_says_where(known: dict[str, Claim]) -> None:
    for claim in known.values():
        if _read_at_all(claim):
            assert claim.confirmation.read_in, claim.id


def test_further_numbers_have_names_of_their_own(known: dict[str, Claim]) -> None:
    for claim in known.values():
        names = [number.name for number in claim.also]
        assert len(names) == len(set(names)), claim.id


def test_what_lacks_data_says_where_they_are(known: dict[str, Claim]) -> None:
    private = {"QSAR-12", "TOX-05", "TOX-06", "EVID-09", "EVID-12", "REV-01", "REV-02"}
    for claim in known.values():
        if claim.reason and not claim.withdrawn and claim.id not in private:
            assert "http" in claim.reason, claim.id


def test_the_toxicity_chapter_has_its_studies_and_models(known: dict[str, Claim]) -> None:
    tested = {c.id: c for c in claims.for_chapter("toxicity") if c.test}
    for claim in tested.values():
        assert claim.test is not None and claim.test.study in TOXICITY_STUDIES, claim.id
        assert {claim.test.a, claim.test.b} <= TOXICITY_MODELS, claim.id
    graphs = {"neural_fingerprint", "dmpnn", "weave"}
    now = {i for i, c in tested.items() if c.test and not {c.test.a, c.test.b} & graphs}
    assert {"TOX-01", "TOX-02", "TOX-03", "QSAR-07-Tox21", "QSAR-07-Tox21-b"} <= now
    assert "QSAR-07-Tox21" in {c.id for c in claims.for_study("tox21_random")}
    assert {c.test.metric for c in tested.values() if c.test} == {"roc_auc"}


def test_the_property_chapter_names_its_studies_by_dataset_and_protocol() -> None:
    tested = [c.test for c in claims.for_chapter("property-prediction") if c.test]
    for test in tested:
        name, _, protocol = test.study.rpartition("_")
        assert name in datasets.names() and protocol in {"random", "scaffold"}, test.study
        kind = datasets.describe(name)["kind"]
        for model in {test.a, test.b} - {None}:
            assert kind in find_model(model, "smiles").learns, test.study
        assert test.metric in (["roc_auc"] if kind == "classification" else ["rmse", "r2"])
    assert {"esol_random", "malaria_random", "cep_random"} <= {test.study for test in tested}


def test_duvenauds_errors_are_the_roots_of_the_squares_he_prints(known: dict[str, Claim]) -> None:
    printed = {  # neural and net, circular and linear, circular and net, neural and linear, mean
        "QSAR-09-Solubility": (0.52, 1.71, 1.40, 0.77, 4.29),
        "QSAR-09-Malaria": (1.16, 1.13, 1.36, 1.15, 1.47),
        "QSAR-09-Photovoltaic": (1.43, 2.63, 2.00, 2.58, 6.40),
    }
    for name, squares in printed.items():
        reported = known[name].reported
        pair = [reported.a, reported.b]
        ours = pair[::-1] if known[name].favours == "classical" else pair
        ours += [float(one.value) for one in known[name].also]
        np.testing.assert_allclose(
            np.array(ours, dtype=float), np.sqrt(squares), atol=0.011, err_msg=name
        )


# the bibliography


@pytest.fixture(scope="module")
def bibliography() -> dict[str, str]:
    """Each entry's text by its key, in the file's order."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    return dict(re.findall(r"^@\w+\{([^,\s]+),\n(.*?)^\}$", text, re.MULTILINE | re.DOTALL))


def _field(entry: str, name: str) -> str | None:
    found = re.search(rf"\b{name} = \{{(.+?)\}}(?=,|\n|$)", entry)
    return found and found[1]


def test_every_key_stands_once_and_in_order(bibliography: dict[str, str]) -> None:
    keys = re.findall(r"^@\w+\{\s*([^,\s]+)", BIBLIOGRAPHY.read_text("utf-8"), re.MULTILINE)
    assert keys == list(bibliography) == sorted(set(keys), key=str.lower)


def test_every_entry_says_who_what_and_when(bibliography: dict[str, str]) -> None:
    for key, entry in bibliography.items():
        assert all(_field(entry, name) for name in ("author", "title", "year")), key
        doi = _field(entry, "doi")
        assert doi is None or re.fullmatch(r"10\.\d{4,5}/\S+", doi), key


def test_every_source_of_a_claim_is_in_the_bibliography(
    known: dict[str, Claim], bibliography: dict[str, str]
) -> None:
    for claim in known.values():
        assert claim.source in bibliography, claim.id
        doi = _field(bibliography[claim.source], "doi")
        if doi and claim.doi.startswith("10."):
            assert claim.doi.split(",")[0] == doi, claim.id


def test_every_source_of_a_dataset_is_in_the_bibliography(bibliography: dict[str, str]) -> None:
    for name in datasets.names():
        described = datasets.describe(name)
        assert described["citation"] in bibliography, name
        assert (described.get("collection") or described["citation"]) in bibliography, name


# the form


def test_a_record_that_keeps_the_form_is_read(record: dict[str, Any]) -> None:
    claim = claims.parse(record)
    assert claim.test is not None and claim.test.margin is None and claim.test.condition == "all"
    assert claim.unconfirmed == ["ridge"] and claim.in_review == "not read"
    assert claim.test.folds_reported is None and claim.test.input is None and not claim.withdrawn
    assert claims.reported_values(claim) == "0.8 net; 0.7 forest; 0.6 ± 0.1 ridge (?)"
    assert claim.mark == "✓ in part"


def test_a_level_that_keeps_the_form_is_read(level: dict[str, Any]) -> None:
    claim = claims.parse(level)
    assert claim.test is not None and claim.test.folds_reported == [0.7, 0.9]
    assert claim.test.source is not None and claim.test.source.b is None


def test_an_analogue_needs_not_know_the_sources_models(record: dict[str, Any]) -> None:
    record["test"] |= {"fidelity": "analogue", "source": None}
    del record["reported"]["difference"]
    assert claims.parse(record).test.source is None  # type: ignore[union-attr]


def test_a_contrast_is_the_same_from_either_side(record: dict[str, Any]) -> None:
    claim = claims.parse(record)
    assert claim.contrast == "tiny_random roc_auc all net random_forest"
    test = claim.test
    assert test is not None
    turned = test.model_copy(update={"a": test.b, "b": test.a})
    assert claim.model_copy(update={"test": turned}).contrast == claim.contrast
    others: list[dict[str, Any]] = [
        {"study": "tiny_scaffold"}, {"metric": "pr_auc"}, {"condition": "4000"}, {"b": None},
        {"b": "knn"},
    ]  # fmt: skip
    changed = [test.model_copy(update=other) for other in others]
    seen = {claim.model_copy(update={"test": other}).contrast for other in changed}
    assert len(seen) == 5 and claim.contrast not in seen


def test_a_record_is_known_by_its_hash(record: dict[str, Any]) -> None:
    """It is that of what the record says, in whatever order; what it leaves open does not count."""
    first = record_sha256(claims.parse(record))
    assert re.fullmatch("[0-9a-f]{64}", first)
    backwards = dict(reversed(record.items()))
    filled = record | {"in_review": "not read", "withdrawn": False}
    assert record_sha256(claims.parse(backwards)) == first
    assert record_sha256(claims.parse(filled)) == first
    changes: list[dict[str, Any]] = [
        {"statement": "A net beats a wood."}, {"notes": "n = 3"},
        {"test": record["test"] | {"fidelity": "exact"}},
        {"test": record["test"] | {"margin": 0.02}},
    ]  # fmt: skip
    hashes = {record_sha256(claims.parse(record | change)) for change in changes}
    assert len(hashes) == 4 and first not in hashes


BAD = {
    "favours: unknown value": {"favours": "depe"},
    "'deep'": {"favours": "depe"},
    "kind: unknown value 'diference'": {"kind": "diference"},
    "chapter: unknown value 'qsra'": {"chapter": "qsra"},
    "statement: '' is no text": {"statement": ""},
    "source: 3 is no text": {"source": 3},
    "split is missing": {"split": ...},
    "favors: unknown field 'favors'": {"favors": "deep"},
    "reported.a: '0.8' is no number": {"reported.a": "0.8"},
    "reported.b: True is no number": {"reported.b": True},
    "reported.b: nan": {"reported.b": float("nan")},
    "test.margin: inf": {"test.margin": float("inf")},
    "favours: unknown value 'other'": {"favours": "other"},
    "reported.c: unknown field": {"reported.c": 1},
    "reported: [0.8, 0.7] is no mapping": {"reported": [0.8, 0.7]},
    "also: {'name': 'ridge', 'value': 1} is no list": {"also": {"name": "ridge", "value": 1}},
    "also.0.value is missing": {"also": [{"name": "ridge"}]},
    "also.0.value: None is no number": {"also": [{"name": "ridge", "value": None}]},
    "reported.difference: -0.1 favours the other side": {"reported.difference": -0.1},
    "but a and b are 0.1 apart": {"reported.difference": 0.2},
    "does not compare with an analogue's": {"test.fidelity": "analogue"},
    "kind: unknown value 'curv'. Did you mean 'curve'": {"kind": "curv"},
    "for 'near' it must be known what the source's models were": {"test.source": ...},
    "where it is not, the fidelity is 'analogue'": {"test.source": None},
    "test.source.a.family: unknown family of models 'forst'. Did you mean 'forest'": {
        "test.source.a.family": "forst"
    },
    "test.source.b: there where test.b is": {"test.source.b": None},
    "test.source.a.reads is missing": {"test.source.a.reads": ...},
    "test.source.a.read: unknown field 'read'. Did you mean 'reads'": {
        "test.source.a.read": "bits"
    },
    "test.source.tunde: unknown field 'tunde'. Did you mean 'tuned'": {"test.source.tunde": True},
    "test.source.tuned: 'yes' is no truth value": {"test.source.tuned": "yes"},
    "test.source.read_in is missing": {"test.source.read_in": ...},
    "test.folds_reported: a level has them": {"test.folds_reported": [0.8, 0.8]},
    "test.folds_reported.1: '0.8' is no number": {"test.folds_reported": [0.8, "0.8"]},
    "withdrawn: a claim that was withdrawn has the reason": {"withdrawn": True},
    "withdrawn: 1 is no truth value": {"withdrawn": 1},
    "say where the review was read that states it": {
        "in_review": "states",
        "confirmation.read_in": "",
    },
    "test.fidelity: unknown value 'close'": {"test.fidelity": "close"},
    "test.study is missing": {"test.study": ...},
    "test.models: unknown field": {"test.models": []},
    "either a test or a reason": {"reason": "no data"},
    "test: a claim has either": {"test": ...},
    "test.b: null for a level": {"test.b": None},
    "reported: a qualitative claim has no numbers": {"kind": "qualitative"},
    "reported: a count has both sides": {"kind": "count", "reported": {"a": 3}},
    "confirmation.status: unknown value": {"confirmation.status": "confirmd"},
    "empty for what is confirmed": {"confirmation.status": "confirmed"},
    "confirmation.unconfirmed: unknown value 'rigde'": {"confirmation.unconfirmed": ["rigde"]},
    "confirmation.unconfirmed: 'ridge' is no list": {"confirmation.unconfirmed": "ridge"},
    "in_review: unknown value 'rest on'. Did you mean 'rests on'": {"in_review": "rest on"},
    "in_review: unknown value 'False'": {"in_review": False},
}


@pytest.mark.parametrize(("message", "change"), BAD.items(), ids=list(BAD))
def test_a_record_out_of_form_is_refused(
    record: dict[str, Any], message: str, change: dict[str, Any]
) -> None:
    broken = copy.deepcopy(record)
    for place, value in change.items():
        *path, name = place.split(".")
        part = functools.reduce(operator.getitem, path, broken)
        if value is ...:
            del part[name]
        else:
            part[name] = value
    with pytest.raises(ClaimError, match=r"^claim TINY-01: ") as caught:
        claims.parse(broken)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([0.7, 0.8], "test.folds_reported: their mean is 0.75, but reported.a is 0.8"),
        ([], "test.folds_reported: empty; leave it out"),
    ],
)
def test_folds_that_are_not_the_levels_are_refused(
    level: dict[str, Any], folds: list[float], message: str
) -> None:
    level["test"]["folds_reported"] = folds
    with pytest.raises(ClaimError, match=f"^claim TINY-01: {message}"):
        claims.parse(level)


def test_a_record_that_is_none_is_refused() -> None:
    with pytest.raises(ClaimError, match="'TINY-01' is no mapping of fields"):
        claims.parse("TINY-01")  # type: ignore[arg-type]


def _write(path: Path, records: object) -> Path:
    path.write_text(yaml.safe_dump(records), encoding="utf-8")
    return path


def test_an_id_stands_once(tmp_path: Path, record: dict[str, Any]) -> None:
    twice = _write(tmp_path / "claims.yml", [record, record])
    with pytest.raises(ClaimError, match=r"TINY-01 stands twice in claims\.yml"):
        claims.load_claims(twice)


def test_a_file_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match="no list of records"):
        claims.load_claims(_write(tmp_path / "claims.yml", {"claims": []}))


def test_a_file_that_has_changed_is_read_again(tmp_path: Path, record: dict[str, Any]) -> None:
    path = _write(tmp_path / "claims.yml", [record])
    assert list(claims.load_claims(path)) == ["TINY-01"]
    time.sleep(0.01)
    _write(path, [record | {"id": "TINY-02"}])
    assert list(claims.load_claims(path)) == ["TINY-02"]


def test_what_is_loaded_cannot_be_spoilt_for_others(known: dict[str, Claim]) -> None:
    mine = claims.load_claims()
    mine.clear()
    assert len(claims.load_claims()) == len(known)


def test_unknown_names_list_near_misses() -> None:
    with pytest.raises(ClaimError, match=r"unknown claim 'TOX-1'.*'TOX-01'"):
        claims.get("TOX-1")
    with pytest.raises(ClaimError, match=r"unknown chapter 'toxcity'.*'toxicity'"):
        claims.for_chapter("toxcity")
    assert claims.get("TOX-03").chapter == "toxicity"
    assert claims.for_study("no_such_study") == []


def test_loading_is_fast() -> None:
    seconds = []
    for _ in range(3):
        claims._read.cache_clear()
        start = time.perf_counter()
        claims.load_claims()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3
