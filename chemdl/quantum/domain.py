"""What the domain of quantum chemistry registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="quantum",
    data=("chemdl.quantum.data",),
    baselines=("chemdl.quantum.baselines",),
    nets=("chemdl.quantum.nets",),
)
