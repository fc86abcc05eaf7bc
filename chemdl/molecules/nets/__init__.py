"""Nets that read molecules: fingerprints, graphs, SMILES or depictions; one file each."""
