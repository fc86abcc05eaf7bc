"""What the domain of protein chains registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(
    name="proteins",
    data=(
        "chemdl.proteins.data",
        "chemdl.proteins.structures",
    ),
    metrics=("chemdl.proteins.metrics",),
    baselines=(
        "chemdl.proteins.baselines",
        "chemdl.proteins.structure_baselines",
    ),
    nets=(
        "chemdl.proteins.nets.contact_map_net",
        "chemdl.proteins.nets.deep_cnn",
        "chemdl.proteins.nets.dilated_cnn",
        "chemdl.proteins.nets.gru",
        "chemdl.proteins.nets.torsion_net",
        "chemdl.proteins.nets.two_stage_net",
        "chemdl.proteins.nets.window_net",
    ),
)
