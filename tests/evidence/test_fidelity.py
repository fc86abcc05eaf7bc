"""What is called exact or near runs the source's kind of models on the source's inputs."""

from __future__ import annotations

from typing import Any

import pytest

from chemdl.evidence import claims, fidelity
from chemdl.evidence.claims import Claim, ClaimError
from chemdl.learn.models import BASELINES, NETS


@pytest.fixture(scope="module")
def known() -> dict[str, Claim]:
    return claims.load_claims()


def changed(claim: Claim, side: str = "a", **fields: Any) -> Claim:
    """Return the claim with another model of the source on one side."""
    assert claim.test is not None and claim.test.source is not None
    model = getattr(claim.test.source, side).model_copy(update=fields)
    source = claim.test.source.model_copy(update={side: model})
    return claim.model_copy(update={"test": claim.test.model_copy(update={"source": source})})


def with_test(claim: Claim, **fields: Any) -> Claim:
    assert claim.test is not None
    return claim.model_copy(update={"test": claim.test.model_copy(update=fields)})


# the records


def test_every_exact_and_near_claim_runs_the_sources_models(known: dict[str, Claim]) -> None:
    close = [c for c in known.values() if c.test and c.test.fidelity != "analogue"]
    assert fidelity.check_identity(known.values()) == len(close) > 0
    for claim in close:
        assert fidelity.agreement_problems(claim) == [], claim.id


def test_any_of_them_fails_with_another_family_or_input(known: dict[str, Claim]) -> None:
    for claim in known.values():
        if claim.test is None or claim.test.fidelity == "analogue":
            continue
        for side in ("a", "b") if claim.test.b else ("a",):
            for change in ({"family": "neighbours"}, {"reads": "tea leaves"}):
                with pytest.raises(ClaimError, match=rf"^claim {claim.id} is .*test\.{side}: "):
                    fidelity.check_identity([changed(claim, side, **change)])


def test_what_the_source_is_known_to_differ_in_is_said(known: dict[str, Claim]) -> None:
    """An analogue that names the source's models differs in one, or says in a note what else."""
    agreeing = {
        claim.id
        for claim in known.values()
        if claim.test and claim.test.fidelity == "analogue" and claim.test.source
        if not fidelity.agreement_problems(claim)
    }
    assert agreeing == set()


def test_words_for_inputs_are_the_registrys_or_the_sources_own(known: dict[str, Claim]) -> None:
    """A near miss of the registry's words would pass for another input."""
    ours = {info.reads for info in [*NETS.values(), *BASELINES.values()]}
    folded = {word.casefold().replace("'", "") for word in ours}
    for claim in known.values():
        source = claim.test.source if claim.test else None
        for model in (source.a, source.b) if source else ():
            if model is not None and model.reads not in ours:
                assert model.reads.casefold().replace("'", "") not in folded, claim.id
            if model is not None and model.model is not None:
                assert model.model in NETS, claim.id


# the check


def test_the_message_names_both_models_and_says_what_to_do(known: dict[str, Claim]) -> None:
    claim = with_test(known["MNET-BACE"], a="gradient_boosting")
    with pytest.raises(ClaimError) as caught:
        fidelity.check_identity([claim])
    assert str(caught.value) == (
        "claim MNET-BACE is 'near', but test.a: ours, gradient_boosting, is of the family "
        "'boosting'; the source's is of 'forest'; test.a: ours, gradient_boosting, reads "
        "\"RDKit's 2D descriptors\"; the source's reads 'ECFP4 bits'. Test it with the source's "
        "model, or call it an 'analogue'"
    )


def test_a_graph_net_stands_for_no_other(known: dict[str, Claim]) -> None:
    """Family and input agree, and still a neural fingerprint is no graph convolution of 2017."""
    claim = known["MNET-SIDER"]
    (problem,) = fidelity.agreement_problems(claim)
    assert problem == (
        "test.b: ours is the graph net neural_fingerprint, the source's is none that the registry "
        "has; a graph net stands for no other"
    )
    with pytest.raises(ClaimError, match=r"claim MNET-SIDER is 'near', but test\.b"):
        fidelity.check_identity([with_test(claim, fidelity="near")])
    assert fidelity.agreement_problems(changed(claim, "b", model="neural_fingerprint")) == []


def test_an_analogue_and_an_untested_claim_are_not_checked(known: dict[str, Claim]) -> None:
    claim = changed(known["MNET-BACE"], family="neighbours")
    untested = next(c for c in known.values() if c.test is None)
    assert fidelity.check_identity([with_test(claim, fidelity="analogue"), untested]) == 0
    assert fidelity.agreement_problems(untested) == []


def test_what_is_not_known_agrees_with_nothing(known: dict[str, Claim]) -> None:
    claim = with_test(known["MNET-BACE"], source=None)
    assert fidelity.agreement_problems(claim) == [
        "test.source: what the source's own models were and read is not known"
    ]
    with pytest.raises(ClaimError, match=r"claim MNET-BACE is 'near', but test\.source"):
        fidelity.check_identity([claim])


def test_an_unknown_model_lists_the_near_misses(known: dict[str, Claim]) -> None:
    claim = with_test(known["MNET-BACE"], b="waeve")
    with pytest.raises(ClaimError, match=r"claim MNET-BACE: test\.b: .*'waeve'.*'weave'"):
        fidelity.check_identity([claim])


def test_models_can_be_given(known: dict[str, Claim]) -> None:
    ours = {"a": BASELINES["smiles/random_forest"], "b": NETS["weave"]}
    assert fidelity.agreement_problems(known["MNET-BACE"], ours) == []
    ours["a"] = BASELINES["formula/random_forest"]
    (problem,) = fidelity.agreement_problems(known["MNET-BACE"], ours)
    assert "reads 'descriptors of the elements'" in problem


# the kind of input


@pytest.mark.parametrize(
    ("study", "kind"),
    [("bace_scaffold", "smiles"), ("qm7", "geometry"), ("tox21_challenge", "smiles"),
     ("proteinnet_10k", "sequence"), ("expt_gap_published", "formula"),
     ("merck_metab", "descriptors"), ("flla_structure", "crystal")],
)  # fmt: skip
def test_a_study_has_its_data_sets_kind_of_input(
    study: str, kind: str, near_test: claims.Test
) -> None:
    assert fidelity.kind_of_input(near_test.model_copy(update={"study": study})) == kind


@pytest.fixture
def near_test(known: dict[str, Claim]) -> claims.Test:
    found = known["MNET-BACE"].test
    assert found is not None
    return found


def test_a_study_may_say_so_itself(near_test: claims.Test) -> None:
    docked = {"study": "dude_docking", "a": "ligand_net", "b": "vina"}
    assert fidelity.kind_of_input(near_test.model_copy(update=docked)) == "smiles"
    docked["input"] = "complex"
    found = fidelity.registered_models(near_test.model_copy(update=docked))
    assert {side: info.name for side, info in found.items()} == {"a": "ligand_net", "b": "vina"}


def test_a_study_of_no_known_data_set_has_to(known: dict[str, Claim]) -> None:
    """A name that only begins like that of a data set is none."""
    claim = with_test(known["MNET-BACE"], study="bacewing")
    with pytest.raises(ClaimError, match=r"claim MNET-BACE: test\.input: .*'bacewing'.* say what"):
        fidelity.check_identity([claim])


def test_models_of_a_table_read_its_own_descriptors(known: dict[str, Claim]) -> None:
    claim = known["QSAR-04-METAB"]
    (problem,) = fidelity.agreement_problems(changed(claim, reads="ECFP4 counts"))
    assert problem == (
        "test.a: ours, multitask_ma, reads 'descriptors of the data set'; the source's reads "
        "'ECFP4 counts'"
    )


def test_every_test_names_a_kind_of_input(known: dict[str, Claim]) -> None:
    for claim in known.values():
        if claim.test is not None:
            assert fidelity.kind_of_input(claim.test), claim.id
