"""What the domain of molecules registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="molecules",
    data=("chemdl.molecules.data",),
    splits=("chemdl.molecules.splits",),
    baselines=(
        "chemdl.molecules.baselines",
        "chemdl.molecules.any_input",
        "chemdl.molecules.equations",
    ),
    nets=("chemdl.molecules.nets",),
)
