"""Protein chains: sequences, profiles and structures, and the models that label residues."""
