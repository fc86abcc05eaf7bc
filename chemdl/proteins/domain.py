"""What the domain of protein chains registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="proteins",
    data=("chemdl.proteins.data", "chemdl.proteins.structures"),
    metrics=("chemdl.proteins.metrics",),
    baselines=("chemdl.proteins.baselines", "chemdl.proteins.structure_baselines"),
    nets=("chemdl.proteins.nets",),
)
