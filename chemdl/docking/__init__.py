"""Docking: receptors, ligands, the search for a pose, and what a model sees of a pose."""
