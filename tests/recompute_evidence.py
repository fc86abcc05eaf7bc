"""Rebuild scores, intervals and verdicts of recorded results without any code of chemdl.

``python tests/recompute_evidence.py [cards [store]]`` reads every card in a folder
(data/results/full), the replicas that it was derived from (data/results/replicas) and
data/claims.yml, prints what differs, and exits with 1 where something does. Other formulas lead to
the same numbers: influence values are DeLong's placements by midranks, sums over pairs for the
average precision, and for all else the delta method by complex steps through sums over rows. A
bootstrap is held against the normal theory of the same rows, within 15 % of its width. Not redone:
scores and intervals of the metrics in ``NOT_REDONE``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import yaml
from scipy import stats
from sklearn import metrics as sk

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "data" / "results"
PROVENANCE = ("environment", "created")  # of a replica, and no part of a card's row
NOT_REDONE = ("bedroc", "enrichment_1", "sov", "precision_l5")
ERRORS = ("rmse", "mae", "angle_error")  # lower is better, and the margin 3 % of the rival's value
MARGINS = {"r2": 0.02, "pearson_r": 0.02, "pearson_r2": 0.02, "r_exposed": 0.02}
MARGINS |= {"q3": 0.5, "q8": 0.5, "q2_exposed": 0.5}
BY_CLASS = ("roc_auc", "pr_auc", "balanced_accuracy")  # means over positives, over negatives
ABOUT = {"q3": "q3", "q8": "q8", "q2_exposed": "exposed", "r_exposed": "exposed"}


def centred(v):
    return v - v.mean()


def correlation(n, a, b, aa, bb, ab):
    return (ab - a * b / n) / ((aa - a * a / n) * (bb - b * b / n)) ** 0.5


# Each metric as a function of sums over rows: what is summed beside 1, and what the sums make.
SUMS = {
    "mae": (lambda y, p: [abs(y - p)], lambda n, e: e / n),
    "rmse": (lambda y, p: [(y - p) ** 2], lambda n, e: (e / n) ** 0.5),
    "angle_error": (lambda y, p: [abs((p - y + 180) % 360 - 180)], lambda n, e: e / n),
    "r2": (lambda y, p: [centred(y), centred(y) ** 2, (y - p) ** 2],
           lambda n, a, aa, e: 1 - e / (aa - a * a / n)),
    "pearson_r": (lambda y, p: [centred(y), centred(p), centred(y) ** 2, centred(p) ** 2,
                                centred(y) * centred(p)], correlation),
    "accuracy": (lambda y, p: [(p >= 0.5) == y], lambda n, right: right / n),
    "balanced_accuracy": (lambda y, p: [y, y * (p >= 0.5), (1 - y) * (p < 0.5)],
                          lambda n, m, right, of_rest: (right / m + of_rest / (n - m)) / 2),
    "q3": (lambda y, p: [p == y], lambda n, right: 100 * right / n),
}  # fmt: skip
SUMS["q8"] = SUMS["q2_exposed"] = SUMS["q3"]
SUMS["r_exposed"] = SUMS["pearson_r"]
SUMS["pearson_r2"] = (SUMS["pearson_r"][0], lambda *sums: correlation(*sums) ** 2)


def summed(metric, y, p):
    return np.array([np.ones(len(y)), *SUMS[metric][0](y, p)], float)


def score(metric, y, p):
    """Return a metric; NaN where it is undefined."""
    flat = not len(y) or np.ptp(y) == 0
    if metric in ("pearson_r", "pearson_r2", "r_exposed"):
        power = 2 if metric == "pearson_r2" else 1
        return np.nan if flat or np.ptp(p) == 0 else stats.pearsonr(y, p)[0] ** power
    known = {"roc_auc": sk.roc_auc_score, "pr_auc": sk.average_precision_score, "r2": sk.r2_score}
    if metric in known or metric == "balanced_accuracy":
        by_sums = metric not in known
        return np.nan if flat else score_by_sums(metric, y, p) if by_sums else known[metric](y, p)
    return score_by_sums(metric, y, p) if len(y) else np.nan


def score_by_sums(metric, y, p):
    return float(SUMS[metric][1](*summed(metric, y, p).sum(axis=1)))


def influence(metric, y, p):
    """Return what each row adds to the metric: its derivative by the row's weight."""
    if metric == "roc_auc":
        out, positive, ranks = np.empty(len(y)), y == 1, stats.rankdata(p)
        for own, sign in ((positive, 1), (~positive, -1)):
            placement = (ranks[own] - stats.rankdata(p[own])) / (~own).sum()
            out[own] = sign * centred(placement) / own.sum()
        return out
    if metric == "pr_auc":
        above = p >= p[y == 1][:, None]
        found, taken = above @ y, above.sum(axis=1)
        out = -(above.T @ (found / taken**2))
        out[y == 1] += centred(found / taken) + above[:, y == 1].T @ (1 / taken)
        return out / len(taken)
    rows = summed(metric, y, p)
    steps = rows.sum(axis=1) + 1e-30j * np.eye(len(rows))
    with np.errstate(all="ignore"):
        slopes = np.array([np.imag(SUMS[metric][1](*step)) / 1e-30 for step in steps])
    return slopes @ rows if np.isfinite(slopes).all() else np.zeros(len(y))


def left_out(metric, y, moved, groups):
    """Return the same where a row's group is left out for good: a jackknife's values.

    The mean of the rest is off by the group's influence, divided by the share of rows that stay.
    """
    out = moved.copy()
    for side in (y == 1, y != 1) if metric in BY_CLASS else (np.ones(len(y), bool),):
        _, of, sizes = np.unique(groups[side], return_inverse=True, return_counts=True)
        stay = 1 - sizes / side.sum()
        out[side] /= np.where(stay > 0, stay, 1)[of]
    return out


def around(centre, parts):
    """Return centre and bounds of Student's interval; parts are (variance, degrees of freedom)."""
    variance = sum(v for v, _ in parts)
    spread = sum(v * v / df for v, df in parts)
    freedom = variance**2 / spread if spread else parts[0][1]
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    return centre, centre - half, centre + half


def corrected(values, ratio):
    """Nadeau and Bengio's interval."""
    values = np.asarray(values)
    variance = (1 / len(values) + np.mean(ratio)) * values.var(ddof=1)
    return around(values.mean(), [(variance, len(values) - 1)])


def signed_rank(values):
    """Hodges and Lehmann's estimate with the interval of Wilcoxon's test."""
    n, ways = len(values), np.ones(1)
    for rank in range(1, n + 1):
        ways = np.convolve(ways, np.r_[1, np.zeros(rank - 1), 1] / 2)
    left_out = int((np.cumsum(ways) <= 0.025).sum())
    walsh = np.sort([(values[i] + values[j]) / 2 for i in range(n) for j in range(i, n)])
    return np.median(walsh), walsh[left_out - 1], walsh[-left_out]


def stored(path):
    """Return the arrays of a file of the store, and what it says of them."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(arrays.pop("content").item())


class Card:
    """A card, the replicas in the store, and the intervals that follow from them."""

    def __init__(self, path, store):
        self.content = json.loads(path.read_text("utf-8"))
        self.folder = store / path.stem
        self.arrays, self.header = stored(self.folder / "study.npz")
        self.targets, self.tasks = self.arrays["targets"].astype(float), self.header["tasks"]
        self.folds = self.header["protocol"]["folds"]
        self.group = self.arrays.get("clusters", self.arrays.get("units"))
        self.facts, self.known, self.slopes = {}, {}, {}
        for model in sorted({file.parent.name for file in self.folder.glob("*/*/*.npz")}):
            self.read_model(model)

    def read_model(self, model):
        """Take each condition's replicas of the design if one repeat is whole, else the preset."""
        found = {"design": {}, "preset": {}}
        for edition, files in found.items():
            for file in sorted((self.folder / edition / model).glob("[!.]*.npz")):
                condition, repeat = file.stem.rsplit("-", 1)
                files.setdefault(condition, {})[int(repeat)] = stored(file)
        for condition in found["design"] | found["preset"]:
            design, preset = (files.get(condition, {}) for files in found.values())
            whole = any(len(content["replicas"]) >= self.folds for _, content in design.values())
            for repeat, (predicted, content) in (design if whole else preset).items():
                for fold, facts in content["replicas"].items():
                    key = (model, condition, repeat, int(fold))
                    rows = self.arrays[f"test/{repeat}/{fold}"]
                    units = self.arrays["units"][rows] if "units" in self.arrays else rows
                    facts["n_test"] = len(set(units.tolist()))
                    self.facts[key] = {k: facts[k] for k in facts if k not in PROVENANCE}
                    self.arrays["/".join(map(str, key))] = predicted[fold]

    def names(self, rows):
        return rows if self.group is None else self.group[rows]

    def pair(self, key, task):
        """Return test rows with a label of this task, labels and predictions."""
        rows = self.arrays["test/{2}/{3}".format(*key)]
        column = self.tasks.index(task)
        kept = np.isfinite(self.targets[rows, column])
        predicted = self.arrays["/".join(map(str, key))][kept, column].astype(float)
        return kept, self.targets[rows[kept], column], predicted

    def score(self, key, metric, task):
        if (key, metric, task) not in self.known:
            _, y, p = self.pair(key, task)
            about = ABOUT.get(metric, task) == task
            self.known[key, metric, task] = score(metric, y, p) if about else np.nan
        return self.known[key, metric, task]

    def moved(self, key, metric, task):
        """Return what each test row adds to a replica's metric, 0 where it has no label."""
        if (key, metric, task) not in self.slopes:
            kept, y, p = self.pair(key, task)
            rows = self.arrays["test/{2}/{3}".format(*key)]
            out = np.zeros(len(kept))
            out[kept] = left_out(metric, y, influence(metric, y, p), self.names(rows[kept]))
            self.slopes[key, metric, task] = out
        return self.slopes[key, metric, task]

    def places(self, *models, condition):
        """Return (repeat, fold) of the whole repeats of all these models."""
        has = [{k[2:] for k in self.facts if k[:2] == (m, condition)} for m in models]
        shared = sorted(set.intersection(*has))
        return [p for p in shared if sum(q[0] == p[0] for q in shared) >= self.folds]

    def level(self, model, metric, condition):
        places = self.places(model, condition=condition)
        return np.array([
            np.nanmean([self.score((model, condition, *p), metric, t) for t in self.tasks])
            for p in places
        ]), self.ratios(model, condition, places)  # fmt: skip

    def ratios(self, model, condition, places):
        of = [self.facts[(model, condition, *p)] for p in places]
        return np.array([facts["n_test"] / facts["n_train"] for facts in of])

    def differences(self, a, b, metric, condition, tasks=None):
        """Return of each fold: place, difference, its test rows, and what each of them adds."""
        sign, out = (-1 if metric in ERRORS else 1), []
        for place in self.places(a, b, condition=condition):
            keys = [(model, condition, *place) for model in (a, b)]
            rows = self.arrays["test/{}/{}".format(*place)]
            values, moved = [], np.zeros(len(rows))
            for task in tasks or self.tasks:
                x, y = (self.score(key, metric, task) for key in keys)
                if np.isfinite(x) and np.isfinite(y):
                    values.append(sign * (x - y))
                    ours, theirs = (self.moved(key, metric, task) for key in keys)
                    moved += sign * (ours - theirs)
            kept = np.isfinite(
                self.targets[rows][:, [self.tasks.index(t) for t in tasks or self.tasks]]
            )
            used = kept.any(axis=1) if tasks else np.ones(len(rows), bool)
            if values:
                out.append((place, np.mean(values), rows[used], moved[used] / len(values)))
        return out

    def pooled(self, found, ratios):
        """The interval on this data set: what clusters add, pooled, and the fits' variance.

        What folds differ by beyond their own clusters falls off with 1/J + n_test/n_train. A sum
        of G squares has at most as many degrees of freedom as clusters of these sizes, and as a
        chi-squared sum with their coefficient of variation: 2 G / cv². A bootstrap knows neither.
        """
        values = np.array([value for _, value, _, _ in found])
        total, sizes, within = {}, {}, []
        for _, _, rows, moved in found:
            own = {}
            for name, c in zip(self.names(rows).tolist(), moved.tolist(), strict=True):
                own[name] = own.get(name, 0.0) + c
                sizes[name] = sizes.get(name, 0) + 1
            for name, c in own.items():
                total[name] = total.get(name, 0.0) + c / len(found)
            within.append(sum(c * c for c in own.values()))
        n, squares = np.array(list(sizes.values()), float), np.array(list(total.values())) ** 2
        by_rows = len(n) / (len(n) - 1) * squares.sum()
        one_set = all(np.array_equal(found[0][2], rows) for _, _, rows, _ in found)
        explained, shared = (0, 0) if one_set else (np.mean(within), np.mean(ratios))
        left = values.var(ddof=1) - explained if len(found) > 1 else 0
        freedom = len(n) - 1 if one_set else n.sum() ** 2 / (n**2).sum() - 1
        if squares.var() > 0 and not one_set:
            freedom = min(freedom, 2 * len(n) * squares.mean() ** 2 / squares.var())
        by_fits = (1 / len(found) + shared) * max(0, left), max(1, len(found) - 1)
        return around(values.mean(), [(by_rows, max(1, freedom)), by_fits])

    def interval(self, a, b, metric, condition, unit):
        """Return both intervals, and whether the first is held against a bootstrap."""
        found = self.differences(a, b, metric, condition) if unit != "task" else []
        if unit == "task":
            each = [self.differences(a, b, metric, condition, [t]) for t in self.tasks]
            return signed_rank([np.mean([f[1] for f in own]) for own in each if own]), None, False
        if unit == "target":
            folds = sorted({place[1] for place, *_ in found})
            each = [np.mean([v for p, v, *_ in found if p[1] == fold]) for fold in folds]
            interval = corrected(each, 1 / (len(each) - 1))
            return interval, interval, False
        bootstrapped = len(found) < 2 or all(np.array_equal(found[0][2], f[2]) for f in found)
        ratios = self.ratios(a, condition, [place for place, *_ in found])
        if unit != "fold" or bootstrapped:
            return self.pooled(found, ratios), None, True
        return self.pooled(found, ratios), corrected([f[1] for f in found], ratios), False


def word_of(low, high, reported, margin):
    """The rule for a difference."""
    if low > 0:
        inside = reported is None or low <= reported <= high
        return "confirmed" if inside else "larger" if low > reported else "smaller"
    if high < 0:
        return "reversed"
    if -margin < low and high < margin:
        return "equivalent"
    return "below reported" if reported is not None and high < reported else "undecided"


def bears_out(word, methods, margin):
    """Say whether the interval of the methods has the same sign, or lies within the margin too."""
    if methods is None or word in ("undecided", "below reported"):
        return None
    _, low, high = methods
    if word == "equivalent":
        return bool(max(-low, high) < margin)
    return bool(high < 0 if word == "reversed" else low > 0)


def word_of_level(low, high, margin):
    """The rule for ours minus the reported value, positive is better."""
    if low > 0 and high >= margin:
        return "better"
    if high < 0 and low <= -margin:
        return "worse"
    return "undecided" if (high - low) / 2 > 2 * margin else "reproduced"


def too_little(card, claim, test, models):
    places = card.places(*models, condition=test["condition"])
    several = test["unit"] in ("task", "target")
    if card.folds > 1 and not places:
        return True
    if card.folds == 1 and (claim["kind"] == "count" or not several) and len(places) < 3:
        return True
    return several and (card.folds if test["unit"] == "target" else len(card.tasks)) < 6


def expected(card, claim, row):
    """Return the word, the estimate, the interval of the methods, if that bears the word out, and
    if the estimate is a bootstrap's."""
    test = {"condition": "all", "margin": None, "level": None, **claim["test"]}
    metric, condition, reported = test["metric"], test["condition"], claim.get("reported") or {}
    models = [m for m in (test["a"], test["b"]) if m]
    scored = [m["name"] for m in card.content["metrics"]]
    has = {key[:2] for key in card.facts}
    if metric not in scored or any((m, condition) not in has for m in models):
        return "not run", None, None, None, False
    if too_little(card, claim, test, models):
        return "partial", None, None, None, False
    share = 0.03 if metric in ERRORS else 0
    margin = MARGINS.get(metric, 0.01)
    if claim["kind"] == "count":
        each = [card.differences(*models, metric, condition, [t]) for t in card.tasks]
        each = [
            card.pooled(own, card.ratios(models[0], condition, [place for place, *_ in own]))
            for own in each
            if own and (len(own) > 1 or card.folds == 1)
        ]
        n = len(each)
        if n < 6:
            return "partial", None, None, None, False
        low, high = sum(e[1] > 0 for e in each) / n, 1 - sum(e[2] < 0 for e in each) / n
        a, b = reported["a"], reported["b"]
        word = word_of(low - 0.5, high - 0.5, a / (a + b) - 0.5, 0.1)
        return word, (sum(e[0] > 0 for e in each) / n, low, high), None, None, card.folds == 1
    if test["b"] is None:
        return *level(card, test, reported, share, margin), None, None, False
    own, methods, bootstrap = card.interval(*models, metric, condition, test["unit"])
    rival = card.level(test["b"], metric, condition)[0]
    margin = test["margin"] or (share * abs(np.nanmean(rival)) if share else margin)
    recorded = row["estimate"]
    low, high = (recorded["low"], recorded["high"]) if bootstrap and recorded else own[1:]
    word = word_of(low, high, reported.get("difference"), margin)
    return word, own, methods, bears_out(word, methods, margin), bootstrap


def level(card, test, reported, share, margin):
    values, ratios = card.level(test["a"], test["metric"], test["condition"])
    goal = reported["a"] if test["level"] is None else test["level"]
    margin = test["margin"] or (share * abs(goal) if share else margin)
    sign, n, published = (-1 if share else 1), len(values), test.get("folds_reported")
    if published and len(published) == n:
        _, low, high = corrected(sign * (values - published), ratios)
        bounds = sorted(np.mean(published) + sign * np.array([low, high]))
        return word_of_level(low, high, margin), (values.mean(), *bounds)
    extra = 2 * (1 / n + np.mean(ratios)) if test["unit"] == "fold" else 1 + 1 / n
    found = around(values.mean(), [(values.var(ddof=1) * extra, n - 1)])
    low, high = sorted(sign * (bound - goal) for bound in found[1:])
    return word_of_level(low, high, margin), found


def check_card(path, claims, store):
    """Yield what differs between a card and what follows from its replicas."""
    card, name = Card(path, store), path.stem
    for what in card.header.keys() - {"tasks"}:
        if card.content.get(what) != card.header[what]:
            yield f"{name}: its {what} is not that of the store"
    if card.content["predictions"]["sha256"] != sha256(card.folder):
        yield f"{name}: its replicas are not those that the store has now"
    if not card.content.get("judged_under"):
        yield f"{name}: its verdicts were not derived under this rule"
        return
    yield from check_scores(card, name)
    for row in card.content["comparisons"]:
        if row["metric"] in NOT_REDONE or (row["p"] is not None and "p_holm" not in row):
            continue  # those of claims stand with their verdicts
        args = [row[k] for k in ("a", "b", "metric", "condition")]
        theirs = {"value": row["difference"], **row}
        own, methods, bootstrap = card.interval(*args, card.content["unit"])
        yield from intervals_differ(f"{name}: {args}", own, theirs, 0.15 if bootstrap else 1e-3)
        yield from intervals_differ(f"{name}: {args}, of the methods", methods, row["methods"])
    tested = {c["id"]: c for c in claims if c.get("test") and c["test"]["study"] == name}
    judged = {row["claim"]: row for row in card.content["verdicts"]}
    for lone in sorted(tested.keys() ^ judged.keys()):
        yield f"{name}: {lone} stands in the claims or in the card alone"
    for claim in (tested[key] for key in tested if key in judged):
        if claim["test"]["metric"] not in NOT_REDONE:
            yield from check_verdict(card, f"{name}: {claim['id']}", claim, judged[claim["id"]])


def sha256(folder):
    """Return the hash over the names and contents of a study's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("[!.]*.npz")):
        digest.update(str(path.relative_to(folder.parent)).encode() + path.read_bytes())
    return digest.hexdigest()


def check_scores(card, name):
    place = ("model", "condition", "repeat", "fold")
    rows = {tuple(row[k] for k in place): row for row in card.content["scores"]}
    for lone in sorted(rows.keys() ^ card.facts.keys()):
        yield f"{name}: {lone} stands in the card or in the store alone"
    for key in rows.keys() & card.facts.keys():
        row, facts = rows[key], card.facts[key]
        for what in (what for what in facts if row.get(what) != facts[what]):
            yield f"{name}: {what} of {key} is {row.get(what)}, in the store {facts[what]}"
        for metric, by_task in row["values"].items():
            for task, value in by_task.items() if metric not in NOT_REDONE else ():
                ours, theirs = card.score(key, metric, task), np.nan if value is None else value
                if not np.isclose(ours, theirs, 1e-5, 1e-6, equal_nan=True):
                    yield f"{name}: {metric} of {task}, {key}: {value}, recomputed {ours}"


def intervals_differ(what, ours, theirs, width=1e-3):
    """Compare (value, low, high): the bounds may be off by so much of the interval's width."""
    if ours is None or theirs is None:
        if ours is not theirs:
            yield f"{what}: {theirs}, recomputed {ours}"
        return
    scale = max(abs(ours[2] - ours[1]), 1e-3 * abs(ours[0]), 1e-9)
    off = [abs(x - theirs[k]) / scale for x, k in zip(ours, ("value", "low", "high"), strict=True)]
    if off[0] > 1e-3 or max(off) > width:
        yield f"{what}: {[theirs[k] for k in ('value', 'low', 'high')]}, recomputed {ours}"


def check_verdict(card, what, claim, row):
    word, own, methods, holds, bootstrap = expected(card, claim, row)
    analogue = claim["test"]["fidelity"] not in ("exact", "near")
    word = "analogue" if analogue and own else word
    if row["verdict"] != word:
        yield f"{what} is {row['verdict']}, recomputed {word}"
    if row["holds_elsewhere"] != holds:
        yield f"{what} holds elsewhere: {row['holds_elsewhere']}, recomputed {holds}"
    yield from intervals_differ(what, own, row["estimate"], 0.15 if bootstrap else 1e-3)
    yield from intervals_differ(f"{what}, of the methods", methods, row["methods"])


def check(folder, store=RESULTS / "replicas", claims=ROOT / "data" / "claims.yml"):
    """Return what differs in the cards of a folder, a line each."""
    records = yaml.load(
        Path(claims).read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    paths = sorted(Path(folder).glob("[!.]*.json"))
    return [line for path in paths for line in check_card(path, records, Path(store))]


def main(folder=RESULTS / "full", store=RESULTS / "replicas"):
    """Print what differs in the cards of a folder; return 1 where something does."""
    lines = check(folder, store)
    print("\n".join([*lines, f"{len(lines)} differences"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
