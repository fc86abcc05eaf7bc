"""What the domain of virtual screening registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="screening",
    data=("chemdl.screening.data",),
    baselines=("chemdl.screening.baselines", "chemdl.screening.scoring"),
    nets=("chemdl.screening.nets",),
    commands=("chemdl.screening.command",),
)
