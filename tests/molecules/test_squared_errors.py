"""Printed errors that are squares, beside ours."""

from __future__ import annotations

import numpy as np

from chemdl.evidence import claims
from chemdl.evidence import statistics as stats
from chemdl.molecules.squared_errors import squared_error_table
from chemdl.show.tables import table_html

STUDIES = ("esol_random", "malaria_random", "cep_random")


def test_printed_numbers_are_the_squares_of_the_reported_ones() -> None:
    table = squared_error_table({})
    assert len(table) == 15
    values = table[["printed", "reported"]].apply(lambda c: c.str.split(" ± ").str[0].astype(float))
    # Both are rounded to two decimals.
    np.testing.assert_allclose(np.sqrt(values["printed"]), values["reported"], atol=0.0101)


def test_every_reported_number_stands_with_its_model() -> None:
    table = squared_error_table({})
    shown = {
        (r["data set"], r["model"], float(r["reported"].split()[0]))
        for r in table.to_dict("records")
    }
    for name in ("QSAR-09-Solubility", "QSAR-09-Malaria", "QSAR-09-Photovoltaic"):
        claim = claims.get(name)
        label = name.rsplit("-", 1)[1].lower()
        expected = {(label, also.name, also.value) for also in claim.also}
        expected |= {(label, getattr(claim.names, s), getattr(claim.reported, s)) for s in "ab"}
        assert expected == {row for row in shown if row[0] == label}
        assert claim.test is not None and claim.test.study in STUDIES


def test_squared_errors_by_hand(result_of_errors) -> None:
    result = result_of_errors(
        "esol_random", {"ridge": [1.0, 1.2, 1.4], "trivial": [2.0, 2.1, 1.9]}, 4.2
    )
    table = squared_error_table({"esol_random": result}).set_index(["data set", "model"])
    row = table.loc["solubility", "circular fingerprint and linear model"]
    interval = stats.corrected_interval([1.0, 1.2, 1.4], 0.25)
    assert row["here"] == f"1.20 [{interval.low:.2f}, {interval.high:.2f}]"
    assert row["here squared"] == f"{(1.0 + 1.44 + 1.96) / 3:.2f}"
    assert row["variance of labels"] == ""
    mean = table.loc["solubility", "predicting the mean"]
    assert mean["printed"] == "4.29 ± 0.40"
    assert mean["variance of labels"] == "4.20"


def test_what_the_results_lack_is_a_dash(result_of_errors) -> None:
    results = {"esol_random": result_of_errors("esol_random", {"trivial": [2.0]})}
    table = squared_error_table(results)
    shown = table_html(table)
    assert "<td>–</td>" in shown and "None" not in shown and "nan" not in shown.lower()
    table = table.set_index(["data set", "model"])
    assert table.loc["solubility", "predicting the mean"]["here"] == "2.00"
    assert np.isnan(table.loc["solubility", "neural fingerprint and net"]["here"])
    assert table.loc["malaria"]["here"].isna().all()
    assert np.isnan(table.loc["malaria", "predicting the mean"]["variance of labels"])


def test_no_variance_of_the_labels_without_r2(small_result) -> None:
    rows = [{"model": "trivial", "fold": 0, "values": {"rmse": {"t": 2.0}}}]
    table = squared_error_table({"esol_random": small_result(rows, study="esol_random")})
    mean = table[table["model"] == "predicting the mean"].set_index("data set").loc["solubility"]
    assert mean["here"] == "2.00" and np.isnan(mean["variance of labels"])
