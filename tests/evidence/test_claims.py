"""Every claim has a source, numbers that agree with it, and a test or a reason for none."""

from __future__ import annotations

import copy
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
from chemdl.learn.models import find_model

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "references.bib"
KINDS_OF_CLAIM = {
    "QSAR": 31, "TOX": 6, "VS": 4, "PROT": 12, "QM": 6, "MAT": 4, "MNET": 15, "EVID": 27,
    "DCHEM": 13, "MBENCH": 8,
}  # fmt: skip
TOXICITY_STUDIES = {
    "tox21_random", "tox21_scaffold", "clintox_random", "sider_random", "dili_stratified",
    "tox21_challenge", "dili_xu",
}  # fmt: skip
TOXICITY_MODELS = {
    "multitask", "multitask_ma", "single_task", "sigmoid", "ensemble", "random_forest",
    "svm_tanimoto", "svm_linear", "logistic", "knn", "gradient_boosting", "trivial",
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
                 "unit": "fold", "fidelity": "near"},
    }  # fmt: skip


# the records


def test_no_record_is_lost(known: dict[str, Claim]) -> None:
    assert Counter(name.split("-")[0] for name in known) == KINDS_OF_CLAIM
    assert len(known) == 126


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
        difference, test = claim.reported.difference, claim.test
        if difference is None or claim.favours == "neither":
            continue
        assert difference > 0, claim.id
        if test and test.metric in metrics.METRICS and claim.reported.b is not None:
            a, b = claim.reported.a, claim.reported.b
            assert a is not None
            gain = float(metrics.improvement(test.metric, a, b))
            assert gain == pytest.approx(difference, abs=1e-6), claim.id
            seen += 1
    assert seen > 40


def test_the_side_that_is_favoured_comes_first(known: dict[str, Claim]) -> None:
    """In a test ``a`` is the favoured side's model: a forest where forests win."""
    classical = {"random_forest", "gradient_boosting", "svm_tanimoto", "svm_linear", "ridge"}
    for claim in known.values():
        if claim.test is None or claim.test.b is None or claim.favours == "neither":
            continue
        if claim.favours == "deep":
            assert claim.test.a not in classical, claim.id
        elif claim.test.b != "trivial":
            assert claim.test.a in classical | {"krr_laplacian"}, claim.id


def test_a_stand_in_is_not_judged_by_size(known: dict[str, Claim]) -> None:
    stand_ins = [c for c in known.values() if c.test and c.test.fidelity == "stand-in"]
    assert stand_ins and all(c.reported.difference is None for c in stand_ins)


def test_counts_are_whole_numbers_of_tasks(known: dict[str, Claim]) -> None:
    counts = {c.id: c for c in known.values() if c.kind == "count"}
    assert (counts["TOX-03"].reported.a, counts["TOX-03"].reported.b) == (10, 2)
    for claim in counts.values():
        assert isinstance(claim.reported.a, int) and isinstance(claim.reported.b, int)
        assert claim.test is not None and claim.test.unit == "task"


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
    private = {"QSAR-12", "TOX-05", "TOX-06", "EVID-09", "EVID-12"}
    for claim in known.values():
        if claim.reason and claim.id not in private:
            assert "http" in claim.reason, claim.id


def test_the_toxicity_chapter_has_its_studies_and_models(known: dict[str, Claim]) -> None:
    tested = {c.id: c for c in claims.for_chapter("toxicity") if c.test}
    for claim in tested.values():
        assert claim.test is not None and claim.test.study in TOXICITY_STUDIES, claim.id
        assert {claim.test.a, claim.test.b} <= TOXICITY_MODELS, claim.id
    graphs = {"neural_fingerprint", "dmpnn", "weave"}
    now = {i for i, c in tested.items() if c.test and not {c.test.a, c.test.b} & graphs}
    assert {"TOX-01", "TOX-02", "TOX-03", "TOX-04", "QSAR-07-Tox21"} <= now
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
    assert claim.unconfirmed == ["ridge"] and claim.in_review == "unchecked"
    assert claims.reported_values(claim) == "0.8 net; 0.7 forest; 0.6 ± 0.1 ridge (?)"
    assert claim.mark == "✓ in part"


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
    "does not compare with that of a stand-in": {"test.fidelity": "stand-in"},
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
    "in_review: 'perhaps'": {"in_review": "perhaps"},
}


@pytest.mark.parametrize(("message", "change"), BAD.items(), ids=list(BAD))
def test_a_record_out_of_form_is_refused(
    record: dict[str, Any], message: str, change: dict[str, Any]
) -> None:
    broken = copy.deepcopy(record)
    for place, value in change.items():
        *path, name = place.split(".")
        part = broken[path[0]] if path else broken
        if value is ...:
            del part[name]
        else:
            part[name] = value
    with pytest.raises(ClaimError, match=r"^claim TINY-01: ") as caught:
        claims.parse(broken)
    assert message in str(caught.value)


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
