"""The form of a card, the JSON file that a study leaves: every field with its type and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chemdl.evidence.verdicts import Verdict

SCHEMA_VERSION = 2

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Cards written before 2026-11 say "other".
Kind = Annotated[
    Literal["deep", "classical", "trivial"],
    BeforeValidator(lambda kind: "classical" if kind == "other" else kind),
]


class CardError(ValueError):
    """A card with an invalid form, or whose predictions file does not belong to it."""


class Record(BaseModel):
    """A part of a card: missing or extra fields, values of another type and NaN are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Environment(Record):
    """Where a replica was computed."""

    python: Text
    torch: Text
    rdkit: Text
    numpy: Text
    sklearn: Text
    device: Text
    threads: Count


class DatasetRow(Record):
    """The data that the study ran on."""

    name: Text
    content_sha256: Sha256
    n: Count
    cleaning: dict[str, Any]


class ProtocolRow(Record):
    """The splits; ``groups`` names the target that each fold leaves out, where it leaves one."""

    name: Text
    repeats: Count
    folds: Count
    seed: int | None
    index_sha256: Sha256
    duplicates: dict[str, Any]
    groups: list[Text] | None = None


class MetricRow(Record):
    """A metric; ``unit`` is that of the data set's targets where the metric takes it over."""

    name: Text
    unit: str
    higher_is_better: bool


class ModelRow(Record):
    """A model as it ran; ``parameters`` counts trainable numbers, ``tuning_trials`` its trials."""

    name: Text
    kind: Kind
    hyperparameters: dict[str, Any]
    parameters: int | None
    tuning_trials: Count
    environment: Environment


class ScoreRow(Record):
    """One replica: ``values`` by metric and task, ``None`` where a metric is undefined."""

    model: Text
    condition: Text
    repeat: Count
    fold: Count
    seed: Count
    n_train: Count
    n_test: Count
    value: float | None
    values: dict[str, dict[str, float | None]]
    fit_seconds: float
    predict_seconds: float
    stack_size: Count
    best_epoch: int | None = None
    epochs: int | None = None


class Estimate(Record):
    """What was found, with its 95 % interval."""

    value: float
    low: float
    high: float
    method: Text


class ComparisonRow(Record):
    """Model a against b: the difference, positive where a is better, and its 95 % interval.

    The interval is for these models on new rows; ``methods`` is that for another sample of train
    rows as well, where the design tells it.
    """

    a: Text
    b: Text
    metric: Text
    condition: Text
    difference: float
    low: float
    high: float
    detectable: float | None
    method: Text
    p: float | None = None
    p_holm: float | None = None
    methods: Estimate | None = None


class VerdictRow(Record):
    """What the study says of a claim; ``estimate`` is ``None`` where nothing was measured.

    ``provisional`` verdicts are not in the tally; ``holds_elsewhere`` says whether the interval of
    the methods finds the same.
    """

    claim: Text
    verdict: Verdict
    reason: str
    # Cards of the first rule say "stand-in".
    fidelity: Annotated[
        Literal["exact", "near", "analogue", ""],
        BeforeValidator(lambda word: "analogue" if word == "stand-in" else word),
    ]
    provisional: bool
    estimate: Estimate | None
    methods: Estimate | None = None
    holds_elsewhere: bool | None = None


class Provenance(Record):
    """Under which rule and records of claims: version, date and hashes.

    ``claims`` has the sha256 of the record of each claim that the study tested.
    """

    rule: Count
    fixed: Text
    rule_sha256: Sha256
    claims: dict[str, Sha256]


class PredictionsRow(Record):
    """The file of test predictions beside the card, or ``files`` of the store of replicas."""

    file: Text
    sha256: Sha256
    files: list[Text] | None = None


class Card(Record):
    """All that is recorded of a study that ran."""

    schema_version: Literal[1, 2]
    study: Text
    chapter: Text
    profile: Literal["smoke", "quick", "full"]
    created: Text
    command: Text
    dataset: DatasetRow
    protocol: ProtocolRow
    metrics: Annotated[list[MetricRow], Field(min_length=1)]
    models: list[ModelRow]
    scores: list[ScoreRow]
    comparisons: list[ComparisonRow]
    verdicts: list[VerdictRow]
    shortfall: list[Text]
    undefined: list[Text]
    unit: Text = "fold"
    reference: Text | None = None
    predictions: PredictionsRow
    # Under what the study ran, and under what its verdicts were derived; cards of the first rule
    # do not say the former.
    ran_under: Provenance | None = None
    judged_under: Provenance | None = None


def parse_card(content: Mapping[str, Any], name: str = "card") -> Card:
    """Return the content of a card file as a :class:`Card`.

    Raises
    ------
    CardError
        If the form is invalid; the message names the file, the field and its value.
    """
    try:
        card = Card.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"])) or "top level"
        given = "" if first["type"] == "missing" else f", not {str(first['input'])[:100]!r}"
        raise CardError(f"{name}: {where}: {first['msg']}{given}") from None
    if stray := {row.model for row in card.scores} - {model.name for model in card.models}:
        raise CardError(f"{name}: scores: models {sorted(stray)} are not among its models")
    return card
