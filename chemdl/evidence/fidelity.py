"""Whether a claim's test runs the source's kind of models on the source's inputs.

A record says what the source's own two models were (``test.source``); the registry of models says
what ours are. Only where learner and input agree on both sides may a test be called ``exact`` or
``near``; everything else is an ``analogue``, which is shown but not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chemdl.data.registry import entry, names
from chemdl.evidence.claims import Claim, ClaimError, SourceModel, Test
from chemdl.learn.models import ModelInfo, find_model
from chemdl.registry import UnknownNameError

# What models read of a table of descriptors that a data set brings, whatever the registry says of
# them for molecules.
OWN_DESCRIPTORS = "descriptors of the data set"
_TABLE = "descriptors"


def kind_of_input(test: Test) -> str:
    """Return the kind of input of a test's study.

    It is that of the data set with whose name the study's begins (the longest such name), unless
    the test says otherwise. Looked up in the registry of data sets; loads no data.

    Raises
    ------
    ClaimError
        If the study's name begins with that of no data set.
    """
    if test.input is not None:
        return test.input
    known = [name for name in names() if test.study == name or test.study.startswith(f"{name}_")]
    if not known:
        raise ClaimError(
            f"test.input: the name of study {test.study!r} begins with that of no data set; say "
            "what kind its inputs are"
        )
    return entry(max(known, key=len)).input


def registered_models(test: Test) -> dict[str, ModelInfo]:
    """Return what the registry says of a test's models, by their side, ``a`` and ``b``.

    Raises
    ------
    ClaimError
        For a model that the registry does not have for such inputs, with the near misses.
    """
    kind = kind_of_input(test)
    found = {}
    for side, name in (("a", test.a), ("b", test.b)):
        if name is None:
            continue
        try:
            found[side] = find_model(name, kind)
        except UnknownNameError as error:
            raise ClaimError(f"test.{side}: {error}") from None
    return found


def agreement_problems(claim: Claim, ours: Mapping[str, ModelInfo] | None = None) -> list[str]:
    """Say where a test's models are not the source's in learner or input; empty where they are.

    Parameters
    ----------
    claim
        With or without a test; without one there is nothing to compare.
    ours
        What is known of our models by side; looked up in the registry if ``None``.

    Raises
    ------
    ClaimError
        If the study's kind of input or one of our models is unknown.
    """
    test = claim.test
    if test is None:
        return []
    if test.source is None:
        return ["test.source: what the source's own models were and read is not known"]
    ours = registered_models(test) if ours is None else ours
    tabulated = kind_of_input(test) == _TABLE
    problems: list[str] = []
    for side, info in ours.items():
        theirs: SourceModel | None = getattr(test.source, side)
        if theirs is not None:
            reads = OWN_DESCRIPTORS if tabulated else info.reads
            problems += _differences(f"test.{side}", info, reads, theirs)
    return problems


def _differences(side: str, ours: ModelInfo, reads: str, theirs: SourceModel) -> Iterable[str]:
    if ours.family != theirs.family:
        yield (
            f"{side}: ours, {ours.name}, is of the family {ours.family!r}; the source's is of "
            f"{theirs.family!r}"
        )
    if reads != theirs.reads:
        yield f"{side}: ours, {ours.name}, reads {reads!r}; the source's reads {theirs.reads!r}"
    # Their architectures differ more than a forest from another forest.
    if ours.family == theirs.family == "graph net" and theirs.model != ours.name:
        yield (
            f"{side}: ours is the graph net {ours.name}, the source's is "
            f"{theirs.model or 'none that the registry has'}; a graph net stands for no other"
        )


def check_identity(claims: Iterable[Claim]) -> int:
    """Check that every ``exact`` or ``near`` test runs the source's models; return how many do.

    Raises
    ------
    ClaimError
        Naming the claim, the side, our model and the source's, and what to do.
    """
    checked = 0
    for claim in claims:
        if claim.test is None or claim.test.fidelity == "analogue":
            continue
        try:
            problems = agreement_problems(claim)
        except ClaimError as error:
            raise ClaimError(f"claim {claim.id}: {error}") from None
        if problems:
            raise ClaimError(
                f"claim {claim.id} is {claim.test.fidelity!r}, but {'; '.join(problems)}. Test it "
                "with the source's model, or call it an 'analogue'"
            )
        checked += 1
    return checked
