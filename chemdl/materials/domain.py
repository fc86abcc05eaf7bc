"""What the domain of materials registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="materials",
    data=("chemdl.materials.data",),
    splits=("chemdl.materials.splits",),
    baselines=("chemdl.materials.baselines",),
    nets=("chemdl.materials.nets",),
)
