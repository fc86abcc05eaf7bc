"""The claims: what the review and its sources say, with source, numbers and test."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chemdl.profiles import data_dir, unknown

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
MARKS = {"confirmed": "✓", "partly": "✓?", "unconfirmed": "?"}


class ClaimError(ValueError):
    """A record of claims.yml that does not keep its form; it names the record and the field."""


@dataclass(frozen=True)
class Reported:
    """Reported values of both sides and their difference, positive where the source says so."""

    a: float | None = None
    b: float | None = None
    difference: float | None = None


@dataclass(frozen=True)
class Test:
    """How a study tests a claim.

    ``a`` and ``b`` name models (``b`` None: a level); ``unit`` is the unit of resampling;
    ``margin`` is the difference that does not matter (None: the metric's own).
    """

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

    Either ``test`` says how it is tested, or ``reason`` why it cannot be.
    """

    id: str
    domain: str
    chapter: str
    statement: str
    source: str
    doi: str
    dataset: str
    metric: str
    split: str
    kind: str
    favours: str
    reported: Reported
    names: Mapping[str, str | None]
    confirmation: Mapping[str, Any]
    unit: str = ""
    in_review: bool | str = "unchecked"
    notes: str = ""
    also: tuple[Mapping[str, Any], ...] = ()
    test: Test | None = None
    reason: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def mark(self) -> str:
        """✓ where the number was read in its source, ? where not."""
        return MARKS[self.confirmation["status"]]


def load_claims(path: Path | None = None) -> dict[str, Claim]:
    """Return every claim by its id, in the file's order.

    Raises
    ------
    ClaimError
        for a record that does not keep its form, or an id that stands twice.
    """
    return dict(_read(path or data_dir() / "claims.yml"))


def for_chapter(chapter: str) -> list[Claim]:
    """Return the claims that a chapter judges."""
    if chapter not in CHAPTERS:
        raise ClaimError(unknown("chapter", chapter, CHAPTERS))
    return [claim for claim in load_claims().values() if claim.chapter == chapter]


def for_study(study: str) -> list[Claim]:
    """Return the claims that a study tests."""
    return [c for c in load_claims().values() if c.test and c.test.study == study]


def get(name: str) -> Claim:
    """Return one claim; an unknown id is an error with the near misses."""
    found = load_claims()
    if name not in found:
        raise ClaimError(unknown("claim", name, found))
    return found[name]


def table(claims: Iterable[Claim]) -> list[dict[str, str]]:
    """Return one row per claim for a reader: statement, reported values, source, mark."""
    return [
        {
            "claim": claim.id,
            "statement": claim.statement,
            "reported": reported_values(claim),
            "source": source_text(claim),
            "read there": claim.mark,
        }
        for claim in claims
    ]


def source_text(claim: Claim) -> str:
    """Return author and year of a claim's source, from its citation key."""
    found = re.match(r"([a-z]+)(\d{4})", claim.source)
    return f"{found[1].capitalize()} {found[2]}" if found else claim.source


def reported_values(claim: Claim) -> str:
    """Spell out what was reported, each value with its model."""
    sides = [(claim.reported.a, claim.names.get("a")), (claim.reported.b, claim.names.get("b"))]
    sides += [(also.get("value"), also.get("name")) for also in claim.also]
    known = [(value, name or "") for value, name in sides if value is not None]
    return "; ".join(f"{value:g} {name}".strip() for value, name in known)


@functools.lru_cache(maxsize=8)
def _read(path: Path) -> tuple[tuple[str, Claim], ...]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        records = yaml.load(file, Loader=loader)
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
    name = str(record.get("id", "without id"))
    try:
        fields = dict(record)
        fields["reported"] = Reported(**(fields.get("reported") or {}))
        fields["test"] = Test(**fields["test"]) if fields.get("test") else None
        fields["also"] = tuple(fields.get("also") or ())
        claim = Claim(**fields)
    except TypeError as error:
        raise ClaimError(f"claim {name}: {str(error).split('__init__() ')[-1]}") from error
    problem = _problem(claim)
    if problem:
        raise ClaimError(f"claim {name}: {problem}")
    return claim


def _problem(claim: Claim) -> str | None:
    """Return what is wrong with a claim, or ``None``."""
    allowed = {
        "kind": (claim.kind, KINDS),
        "favours": (claim.favours, SIDES),
        "chapter": (claim.chapter, CHAPTERS),
        "confirmation.status": (str(claim.confirmation.get("status")), STATUSES),
    }
    if claim.test:
        allowed["test.fidelity"] = (claim.test.fidelity, FIDELITIES)
    for name, (value, known) in allowed.items():
        if value not in known:
            return f"{name}: {unknown('value', value, known)}"
    if (claim.test is None) == (claim.reason is None):
        return "test: a claim has either a test or a reason why it has none"
    for name in ("a", "b", "difference"):
        value = getattr(claim.reported, name)
        if value is not None and not isinstance(value, int | float):
            return f"reported.{name}: {value!r} is no number"
    return None
