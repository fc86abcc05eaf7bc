"""The claims: what the review and its sources say, with source, numbers and test."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from chemdl.files import data_dir
from chemdl.registry import UnknownNameError

KINDS = ("difference", "count", "level", "qualitative")
SIDES = ("deep", "other", "neither")
FIDELITIES = ("exact", "near", "stand-in")
STATUSES = ("confirmed", "partly", "unconfirmed")
CHAPTERS = (
    "introduction",
    "qsar",
    "toxicity",
    "virtual-screening",
    "property-prediction",
    "protein-structure",
    "quantum-chemistry",
    "materials",
)
MARKS = {"confirmed": "✓ confirmed", "partly": "✓ in part", "unconfirmed": "? unconfirmed"}
# What else may stand under confirmation.unconfirmed, beside the names of further numbers.
DOUBTS = ("reported.a", "reported.b", "statement", "model", "metric", "split")


class ClaimError(ValueError):
    """A record of claims.yml that does not keep its form; it names the record and the field."""


@dataclass(frozen=True)
class Reported:
    """Reported values of both sides and their difference, positive where the source says so.

    ``a_spread`` and ``b_spread`` are what the source prints after ±.
    """

    a: float | None = None
    b: float | None = None
    difference: float | None = None
    a_spread: float | None = None
    b_spread: float | None = None


@dataclass(frozen=True)
class Test:
    """How a study tests a claim.

    ``a`` and ``b`` name models (``b`` None: a level); ``unit`` is the unit of resampling;
    ``margin`` is the difference that does not matter (None: the metric's own); ``level`` is the
    value to reproduce (None: the reported one).
    """

    __test__ = False  # not one of pytest's

    study: str
    a: str
    b: str | None
    metric: str
    unit: str
    fidelity: Literal["exact", "near", "stand-in"]
    margin: float | None = None
    level: float | None = None
    condition: str = "all"


@dataclass(frozen=True)
class Claim:
    """One statement of the review or of a paper that it rests on.

    Either ``test`` says how it is tested, or ``reason`` why it cannot be. ``also`` holds further
    numbers of the source, each with ``name``, ``value`` and perhaps ``spread``;
    ``confirmation["unconfirmed"]`` names the fields and further numbers that were not read.
    """

    id: str
    domain: str
    chapter: str
    statement: str
    source: str
    dataset: str
    metric: str
    split: str
    kind: str
    favours: str
    reported: Reported
    names: Mapping[str, str]
    confirmation: Mapping[str, Any]
    doi: str = ""
    unit: str = ""
    in_review: bool | str = "unchecked"
    notes: str = ""
    also: tuple[Mapping[str, Any], ...] = ()
    test: Test | None = None
    reason: str | None = None

    @property
    def mark(self) -> str:
        """✓ where the numbers were read in their source, ? where not."""
        return MARKS[self.confirmation["status"]]

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The fields and further numbers that were not read in the source."""
        return tuple(self.confirmation.get("unconfirmed") or ())


def load_claims(path: Path | None = None) -> dict[str, Claim]:
    """Return every claim by its id, in the file's order.

    Raises
    ------
    ClaimError
        for a record that does not keep its form, or an id that stands twice.
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
    """Return one claim; an unknown id is an error with the near misses."""
    found = load_claims()
    if name not in found:
        raise ClaimError(str(UnknownNameError("claim", name, found)))
    return found[name]


def orphans(claims: Iterable[Claim], chapters: Collection[str] = CHAPTERS) -> list[str]:
    """Name the claims that nothing judges: no test and no reason, or a chapter that is not."""
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
    values = [(v, s, claim.names.get(k, ""), f"reported.{k}") for v, s, k in sides]
    values += [(a["value"], a.get("spread"), a["name"], a["name"]) for a in claim.also]
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
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        records = yaml.load(file, Loader=loader)
    if not isinstance(records, list):
        raise ClaimError(f"{path.name} holds no list of records")
    claims: dict[str, Claim] = {}
    for record in records:
        claim = parse(record)
        if claim.id in claims:
            raise ClaimError(f"claim {claim.id} stands twice in {path.name}")
        claims[claim.id] = claim
    return tuple(claims.items())


def parse(record: Mapping[str, Any]) -> Claim:
    """Turn one record into a :class:`Claim`.

    Raises
    ------
    ClaimError
        naming the record and the field that breaks the form.
    """
    name = record.get("id", "without id") if isinstance(record, Mapping) else repr(record)
    for check in (_shape, _choices, _numbers, _agreement):
        for problem in check(record):
            raise ClaimError(f"claim {name}: {problem}")
    values = dict(record)
    values["reported"] = Reported(**record.get("reported", {}))
    values["test"] = Test(**record["test"]) if record.get("test") else None
    values["also"] = tuple(record.get("also", ()))
    values["names"] = record.get("names", {})
    return Claim(**values)


_PARTS = {"reported": Reported, "test": Test}
_LOOSE = {"confirmation": ("status", "unconfirmed", "read_in"), "names": ("a", "b")}
_TEXTS = (
    "id", "domain", "chapter", "statement", "source", "dataset", "metric", "split", "kind",
    "favours", "doi", "unit", "notes", "reason",
)  # fmt: skip


def _shape(record: Any) -> Iterator[str]:
    """Yield what is wrong with the fields that are there, or are not."""
    if not isinstance(record, Mapping):
        yield "a record is a mapping of fields"
        return
    required, allowed = _fields_of(Claim)
    yield from _keys("", record, [n for n in required if n not in ("reported", "names")], allowed)
    for name in _TEXTS:
        value = record.get(name)
        if name in record and not (isinstance(value, str) and value.strip()):
            yield f"{name}: {value!r} is no text"
    for name, part in _PARTS.items():
        if name in record:
            yield from _part(name, record[name], *_fields_of(part))
    for name, keys in _LOOSE.items():
        if name in record:
            yield from _part(name, record[name], keys[:1] if name == "confirmation" else (), keys)
    also = record.get("also", [])
    if not isinstance(also, list):
        yield "also: a list of numbers, each with name and value"
        return
    for number in also:
        yield from _part("also", number, ("name", "value"), ("name", "value", "spread"))


def _fields_of(part: Any) -> tuple[list[str], list[str]]:
    """Return the names of a dataclass's required fields, and of all."""
    every = fields(part)
    return [f.name for f in every if f.default is MISSING], [f.name for f in every]


def _part(
    name: str, value: Any, required: Iterable[str], allowed: Collection[str]
) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _keys(f"{name}.", value, required, allowed)
    else:
        yield f"{name}: {value!r} is no mapping of {', '.join(allowed)}"


def _keys(
    where: str, found: Mapping[str, Any], required: Iterable[str], allowed: Collection[str]
) -> Iterator[str]:
    for name in found:
        if name not in allowed:
            yield f"{where}{name}: {UnknownNameError('field', str(name), allowed)}"
    for name in required:
        if name not in found:
            yield f"{where}{name} is missing"


def _choices(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values that are none of those that a field may have."""
    confirmation = record["confirmation"]
    also = [number["name"] for number in record.get("also", [])]
    doubts = confirmation.get("unconfirmed", [])
    if not isinstance(doubts, list):
        yield "confirmation.unconfirmed: a list of fields"
        return
    choices: list[tuple[str, Any, Sequence[str]]] = [
        ("kind", record["kind"], KINDS),
        ("favours", record["favours"], SIDES),
        ("chapter", record["chapter"], CHAPTERS),
        ("confirmation.status", confirmation["status"], STATUSES),
        *(("confirmation.unconfirmed", doubt, [*DOUBTS, *also]) for doubt in doubts),
    ]
    if record.get("test"):
        choices.append(("test.fidelity", record["test"]["fidelity"], FIDELITIES))
    for name, value, known in choices:
        if value not in known:
            yield f"{name}: {UnknownNameError('value', str(value), known)}"
    if record.get("in_review", "unchecked") not in (True, False, "unchecked"):
        yield f"in_review: {record['in_review']!r} is neither true, false nor unchecked"


def _numbers(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the numbers that are none."""
    numbers = {f"reported.{name}": value for name, value in record.get("reported", {}).items()}
    for number in record.get("also", []):
        numbers |= {f"also.{k}": number[k] for k in ("value", "spread") if k in number}
    test = record.get("test") or {}
    numbers |= {f"test.{name}": test[name] for name in ("margin", "level") if name in test}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{name}: {value!r} is no number"


def _agreement(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield where fields of one record contradict each other."""
    test = record.get("test")
    if (test is None) == (record.get("reason") is None):
        yield "test: a claim has either a test or a reason why it has none"
    confirmation = record["confirmation"]
    if (confirmation["status"] == "confirmed") == bool(confirmation.get("unconfirmed")):
        yield "confirmation.unconfirmed: empty for what is confirmed, and only for that"
    yield from _kind_problems(record["kind"], record.get("reported", {}), test)
    yield from _difference_problems(record.get("reported", {}), record["favours"], test)


def _kind_problems(
    kind: str, reported: Mapping[str, Any], test: Mapping[str, Any] | None
) -> Iterator[str]:
    if kind == "count" and not {"a", "b"} <= reported.keys():
        yield "reported: a count has both sides, a of a + b"
    if kind == "level" and "a" not in reported:
        yield "reported.a: a level has a value"
    if kind == "qualitative" and reported:
        yield "reported: a qualitative claim has no numbers"
    if test is not None and (kind == "level") != (test["b"] is None):
        yield "test.b: null for a level, and only for that"


def _difference_problems(
    reported: Mapping[str, Any], favours: str, test: Mapping[str, Any] | None
) -> Iterator[str]:
    """A difference favours what the source says, and is that of a and b where both are there."""
    if "difference" not in reported:
        return
    difference = reported["difference"]
    if favours != "neither" and difference < 0:
        yield f"reported.difference: {difference} favours the other side; favours is {favours!r}"
    if {"a", "b"} <= reported.keys():
        apart = abs(reported["a"] - reported["b"])
        if abs(apart - abs(difference)) > 1e-6 * max(1.0, apart):
            yield f"reported.difference: {difference}, but a and b are {apart:g} apart"
    if test is not None and test["fidelity"] == "stand-in":
        yield "reported.difference: its size does not compare with that of a stand-in; leave it out"
