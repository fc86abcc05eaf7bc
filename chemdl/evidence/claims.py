"""The claims: what the review and its sources say, with source, numbers and test."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from chemdl.files import data_dir, read_yaml
from chemdl.learn.models import FAMILIES
from chemdl.registry import UnknownNameError

Chapter = Literal[
    "introduction",
    "qsar",
    "toxicity",
    "virtual-screening",
    "property-prediction",
    "protein-structure",
    "quantum-chemistry",
    "materials",
]
CHAPTERS: tuple[str, ...] = get_args(Chapter)
Kind = Literal["difference", "count", "level", "curve", "pooled", "qualitative"]
Fidelity = Literal["exact", "near", "analogue"]
# The review itself states it; its source is one that the review cites; it came after the review, or
# stands outside of it; or that cannot be told from the part of the review that could be read.
InReview = Literal["states", "rests on", "later", "not read"]
MARKS = {"confirmed": "✓ confirmed", "partly": "✓ in part", "unconfirmed": "? unconfirmed"}
# What may stand under confirmation.unconfirmed, beside the names of further numbers.
DOUBTS = ("reported.a", "reported.b", "statement", "model", "metric", "split")

Text = Annotated[str, StringConstraints(strip_whitespace=False, pattern=r"\S")]
Number = int | float


class ClaimError(ValueError):
    """A record of claims.yml with an invalid form; the message names the record and the field."""


class Record(BaseModel):
    """A part of a claim: extra fields, values of another type and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Reported(Record):
    """Reported values of both sides and their difference, positive where the source says so.

    ``a_spread`` and ``b_spread`` are what the source prints after ±.
    """

    a: Number | None = None
    b: Number | None = None
    difference: Number | None = None
    a_spread: Number | None = None
    b_spread: Number | None = None


class Names(Record):
    """What the source calls the two sides."""

    a: str = ""
    b: str = ""


class FurtherNumber(Record):
    """A further number of the source, with what it prints after ±."""

    name: Text
    value: Number
    spread: Number | None = None


class Confirmation(Record):
    """How far the claim was read in its source; ``unconfirmed`` names what was not read there."""

    status: Literal["confirmed", "partly", "unconfirmed"]
    unconfirmed: list[str] = Field(default_factory=list)
    read_in: str = ""


class SourceModel(Record):
    """One side's own model in the source: what kind of learner it is, and what it reads.

    ``family`` is one of those of the registry of models; ``reads`` has the registry's very words
    where the input is the same thing, and others where it is not. ``model`` is the registry's name
    of the same model, where it has it: needed for a graph net, since a graph net stands for no
    other.
    """

    family: Text
    reads: Text
    model: Text | None = None

    @field_validator("family")
    @classmethod
    def _is_a_family(cls, family: str) -> str:
        if family not in FAMILIES:
            raise ValueError(str(UnknownNameError("family of models", family, FAMILIES)))
        return family


class SourceModels(Record):
    """What the source's own two models were (``b`` None: a level), and where that was read.

    ``tuned`` says whether the source tuned them on each data set (None: not known).
    """

    a: SourceModel
    b: SourceModel | None = None
    tuned: bool | None = None
    read_in: Text


class Test(Record):
    """How a study tests a claim.

    Attributes
    ----------
    study, metric, condition
        Where the two models are compared, and by what.
    a, b
        Models; ``b`` None for a level.
    unit
        Of resampling.
    fidelity
        How far the test is the source's. ``near``: its data and kind of split, and models of the
        source's families on the source's inputs; ``exact``: its split and settings as well;
        ``analogue``: anything else, which is shown but not judged.
    source
        What the source's own models were; :mod:`chemdl.evidence.fidelity` compares.
    margin
        The difference that does not matter (None: the metric's own).
    level
        The value to reproduce (None: the reported one).
    folds_reported
        The source's values on its published folds, in their order.
    input
        The kind of the study's inputs, where it is not that of the data set with whose name the
        study's begins.
    """

    __test__ = False  # not one of pytest's

    study: Text
    a: Text
    b: Text | None
    metric: Text
    unit: Text
    fidelity: Fidelity
    source: SourceModels | None = None
    margin: Number | None = None
    level: Number | None = None
    folds_reported: list[Number] | None = None
    condition: Text = "all"
    input: Text | None = None


class Claim(Record):
    """One statement of the review or of a paper that it rests on.

    Either ``test`` says how it is tested, or ``reason`` why it is not: because it cannot be, or
    because it was ``withdrawn`` as a claim that no difference of scores can bear out or refute.
    """

    id: Text
    domain: Text
    chapter: Chapter
    statement: Text
    source: Text
    dataset: Text
    metric: Text
    split: Text
    kind: Kind
    favours: Literal["deep", "classical", "neither"]
    confirmation: Confirmation
    reported: Reported = Reported()
    names: Names = Names()
    doi: Text = ""
    unit: Text = ""
    in_review: InReview = "not read"
    notes: Text = ""
    also: list[FurtherNumber] = Field(default_factory=list)
    test: Test | None = None
    reason: Text | None = None
    withdrawn: bool = False

    @property
    def contrast(self) -> str:
        """The study, metric, condition and models of the measurement, ordered; empty if untested.

        Claims of equal contrast rest on one measurement, whichever side each of them favours.
        """
        if self.test is None:
            return ""
        models = sorted({self.test.a, self.test.b or self.test.a})
        return " ".join((self.test.study, self.test.metric, self.test.condition, *models))

    @property
    def mark(self) -> str:
        """✓ where the numbers were read in their source, ? where not."""
        return MARKS[self.confirmation.status]

    @property
    def unconfirmed(self) -> list[str]:
        """The fields and further numbers that were not read in the source."""
        return self.confirmation.unconfirmed

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self


def _contradictions(claim: Claim) -> Iterable[str]:
    """Yield where fields of one record contradict each other."""
    if claim.withdrawn and (claim.test is not None or claim.reason is None):
        yield "withdrawn: a claim that was withdrawn has the reason, and no test"
    if (claim.test is None) == (claim.reason is None):
        yield "test: a claim has either a test or a reason why it has none"
    yield from _reading_contradictions(claim)
    yield from _number_contradictions(claim)
    if claim.test is not None:
        yield from _test_contradictions(claim, claim.test)


def _reading_contradictions(claim: Claim) -> Iterable[str]:
    """What was read, and where, fits what is said to be confirmed."""
    if (claim.confirmation.status == "confirmed") == bool(claim.unconfirmed):
        yield "confirmation.unconfirmed: empty for what is confirmed, and only for that"
    doubts = [*DOUBTS, *(number.name for number in claim.also)]
    for doubt in claim.unconfirmed:
        if doubt not in doubts:
            yield f"confirmation.unconfirmed: {UnknownNameError('value', doubt, doubts)}"
    if claim.in_review == "states" and not claim.confirmation.read_in:
        yield "confirmation.read_in: say where the review was read that states it"


def _number_contradictions(claim: Claim) -> Iterable[str]:
    """A kind of claim has its numbers; a difference is that of a and b, and favours its side."""
    reported, difference = claim.reported, claim.reported.difference
    if claim.kind == "count" and None in (reported.a, reported.b):
        yield "reported: a count has both sides, a of a + b"
    if claim.kind == "level" and reported.a is None:
        yield "reported.a: a level has a value"
    if claim.kind == "qualitative" and reported.model_fields_set:
        yield "reported: a qualitative claim has no numbers"
    if difference is None:
        return
    if claim.favours != "neither" and difference < 0:
        yield (
            f"reported.difference: {difference} favours the other side; favours is "
            f"{claim.favours!r}"
        )
    if reported.a is not None and reported.b is not None:
        apart = abs(reported.a - reported.b)
        if abs(apart - abs(difference)) > 1e-6 * max(1.0, apart):
            yield f"reported.difference: {difference}, but a and b are {apart:g} apart"
    if claim.test is not None and claim.test.fidelity == "analogue":
        yield "reported.difference: its size does not compare with an analogue's; leave it out"


def _test_contradictions(claim: Claim, test: Test) -> Iterable[str]:
    """A test has as many models as its kind asks for, and so has its source."""
    if (claim.kind == "level") != (test.b is None):
        yield "test.b: null for a level, and only for that"
    if test.source is None and test.fidelity != "analogue":
        yield (
            f"test.source: for {test.fidelity!r} it must be known what the source's models were "
            "and read; where it is not, the fidelity is 'analogue'"
        )
    if test.source is not None and (test.source.b is None) != (test.b is None):
        yield "test.source.b: there where test.b is, and only there"
    if test.folds_reported is not None:
        yield from _fold_contradictions(claim, test.folds_reported)


def _fold_contradictions(claim: Claim, folds: list[Number]) -> Iterable[str]:
    """Values by fold are those of a level, which is their mean."""
    reported = claim.reported.a
    if claim.kind != "level" or reported is None:
        yield "test.folds_reported: a level has them, and nothing else"
    elif not folds:
        yield "test.folds_reported: empty; leave it out where the source prints no folds"
    elif abs((mean := sum(folds) / len(folds)) - reported) > 1e-3 * max(1.0, abs(mean)):
        yield f"test.folds_reported: their mean is {mean:g}, but reported.a is {reported:g}"


def load_claims(path: Path | None = None) -> dict[str, Claim]:
    """Return every claim by its id, in the file's order.

    Raises
    ------
    ClaimError
        For a record with an invalid form, or an id that occurs twice.
    """
    path = path or data_dir() / "claims.yml"
    return dict(_read(path, path.stat().st_mtime_ns))


def for_chapter(chapter: str) -> list[Claim]:
    """Return the claims that a chapter judges."""
    if chapter not in CHAPTERS:
        raise ClaimError(str(UnknownNameError("chapter", chapter, CHAPTERS)))
    return [claim for claim in load_claims().values() if claim.chapter == chapter]


def for_study(study: str) -> list[Claim]:
    """Return the claims that a study tests."""
    return [c for c in load_claims().values() if c.test and c.test.study == study]


def get(name: str) -> Claim:
    """Return one claim; for an unknown id the error lists similar ids."""
    found = load_claims()
    if name not in found:
        raise ClaimError(str(UnknownNameError("claim", name, found)))
    return found[name]


def orphans(claims: Iterable[Claim], chapters: Collection[str] = CHAPTERS) -> list[str]:
    """Name the claims without a test and a reason, or whose chapter does not exist."""
    found = []
    for claim in claims:
        if claim.test is None and not claim.reason:
            found.append(f"{claim.id}: neither a test nor a reason why there is none")
        if claim.chapter not in chapters:
            found.append(f"{claim.id}: {UnknownNameError('chapter', claim.chapter, chapters)}")
    return found


def table(claims: Iterable[Claim]) -> list[dict[str, str]]:
    """Return one row per claim for a reader: statement, reported values, source, mark."""
    return [
        {
            "claim": claim.id,
            "statement": claim.statement,
            "reported": reported_values(claim),
            "source": claim.source,
            "read there": claim.mark,
        }
        for claim in claims
    ]


def reported_values(claim: Claim) -> str:
    """Spell out what was reported, each value with its model; ``(?)`` where it was not read."""
    sides = [
        (getattr(claim.reported, side), getattr(claim.reported, f"{side}_spread"), side)
        for side in ("a", "b")
    ]
    values = [(v, s, getattr(claim.names, k), f"reported.{k}") for v, s, k in sides]
    values += [(a.value, a.spread, a.name, a.name) for a in claim.also]
    return "; ".join(
        _value_text(value, spread, name, read=key not in claim.unconfirmed)
        for value, spread, name, key in values
        if value is not None
    )


def _value_text(value: float, spread: float | None, name: str, *, read: bool) -> str:
    text = f"{value:g}" if spread is None else f"{value:g} ± {spread:g}"
    return f"{text} {name}".strip() + ("" if read else " (?)")


@functools.lru_cache(maxsize=8)
def _read(path: Path, _modified: int) -> tuple[tuple[str, Claim], ...]:
    records = read_yaml(path)
    if not isinstance(records, list):
        raise ClaimError(f"{path.name} holds no list of records")
    claims: dict[str, Claim] = {}
    for record in records:
        claim = parse(record)
        if claim.id in claims:
            raise ClaimError(f"claim {claim.id} stands twice in {path.name}")
        claims[claim.id] = claim
    return tuple(claims.items())


def parse(record: Any) -> Claim:
    """Turn one record into a :class:`Claim`.

    Raises
    ------
    ClaimError
        If the form is invalid; the message names the record and the field.
    """
    name = record.get("id", "without id") if isinstance(record, Mapping) else repr(record)
    try:
        return Claim.model_validate(record)
    except ValidationError as error:
        raise ClaimError(f"claim {name}: {_problem(error)}") from None


def _problem(error: ValidationError) -> str:
    """Describe the first error: the field, its value, and the allowed values."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("int", "float", "bool")]
    where, kind, given = ".".join(place), first["type"], first["input"]
    if kind == "extra_forbidden":
        part: type[BaseModel] = Claim
        for step in first["loc"][:-1]:
            part = _PARTS.get(step, part)
        return f"{where}: {UnknownNameError('field', place[-1], part.model_fields)}"
    if kind == "literal_error":
        allowed = first["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"{where}: {UnknownNameError('value', str(given), allowed)}"
    if kind == "missing":
        return f"{where} is missing"
    if kind == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    words = {"string": "text", "list": "list", "bool": "truth value", "model": "mapping of fields"}
    what = next((word for start, word in words.items() if kind.startswith(start)), "number")
    return f"{where or 'the record'}: {given!r} is no {what}"


_PARTS: dict[Any, type[BaseModel]] = {
    "reported": Reported,
    "names": Names,
    "confirmation": Confirmation,
    "also": FurtherNumber,
    "test": Test,
    "source": SourceModels,
    "a": SourceModel,
    "b": SourceModel,
}
