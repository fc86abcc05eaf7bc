"""What the domain of molecules registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="molecules",
    data=("chemdl.molecules.data",),
    splits=("chemdl.molecules.splits",),
    baselines=(
        "chemdl.molecules.baselines",
        "chemdl.molecules.equations",
    ),
    nets=(
        "chemdl.molecules.nets.multitask",
        "chemdl.molecules.nets.neural_fingerprint",
        "chemdl.molecules.nets.dmpnn",
        "chemdl.molecules.nets.weave",
        "chemdl.molecules.nets.ugrnn",
        "chemdl.molecules.nets.smiles_cnn",
        "chemdl.molecules.nets.smiles_gru",
        "chemdl.molecules.nets.picture_cnn",
    ),
)
