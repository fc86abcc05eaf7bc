"""The paragraph on methods, ready to paste, and what it cites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chemdl import __version__
from chemdl.your_data.judge import label

if TYPE_CHECKING:
    from chemdl.your_data.answer import Answer

_PROTOCOLS = {
    "time": "folds in the order of time",
    "cluster": "folds of whole clusters (Butina, Tanimoto similarity of ECFP4)",
    "grouped": "folds of whole groups",
    "scaffold_balanced": "folds of whole Bemis-Murcko scaffolds",
    "random": "random folds",
}
_CITED = (
    "RDKit: open-source cheminformatics, https://www.rdkit.org",
    "Rogers and Hahn, Extended-connectivity fingerprints, J. Chem. Inf. Model. 50, 742 (2010)",
    "Akiba et al., Optuna, KDD (2019)",
    "Bayle, Bayle, Janson and Mackey, Cross-validation confidence intervals for test error, "
    "NeurIPS (2020)",
    "Nadeau and Bengio, Inference for the generalization error, Mach. Learn. 52, 239 (2003)",
    "Vovk, Cross-conformal predictors, Ann. Math. Artif. Intell. 74, 9 (2015)",
)
_BY_MODEL = {
    "dmpnn": "Yang et al., Analyzing learned molecular representations, J. Chem. Inf. Model. 59, "
    "3370 (2019)",
    "any_input_kernel": "Ralaivola et al., Graph kernels for chemical informatics, Neural Netw. "
    "18, 1093 (2005)",
    "any_input_forest": "Breiman, Random forests, Mach. Learn. 45, 5 (2001)",
    "any_input_net": "Ramsundar et al., Massively multitask networks for drug discovery, "
    "arXiv:1502.02072 (2015)",
}


def paragraph(found: Answer) -> str:
    """Return how the comparison was made, in sentences for a paper."""
    comparison = found.comparison
    result, question, judged = comparison.result, comparison.question, comparison.judged
    assert result is not None and question is not None and judged is not None
    log, protocol = comparison.dataset.card["cleaning"], result.card.protocol
    names = ", ".join(comparison.names[name] for name in result.models)
    tuned = (
        f"Each had {comparison.trials} tuning trials on train and valid rows of the first split"
        if comparison.trials
        else "Each kept its preset, without tuning"
    )
    return (
        f"{log['raw']:,} rows gave {log['kept']:,} molecules after canonical SMILES (RDKit) were "
        f"merged. {len(result.models)} families of models ({names}) were compared under "
        f"{_PROTOCOLS.get(protocol.name, protocol.name)}, {protocol.repeats} × {protocol.folds} "
        f"fits each; {question.why}. {tuned}; the test rows were used once. Nets were trained "
        f"again on the rows that had stopped them. The best deep and best simple model were chosen "
        f"for each fold by the other folds. Their difference in {label(result.metric)} has a 95 % "
        f"interval from influence values pooled over molecules or clusters, plus the variance of "
        f"fits; differences within {judged.margin:.2g} count as none. Intervals of predictions are "
        f"cross-conformal at 90 %. chemdl {__version__}."
    )


def citations(found: Answer) -> list[str]:
    """Return the sources of what was used."""
    return [*_CITED, *(text for name, text in _BY_MODEL.items() if name in found.comparison.models)]
