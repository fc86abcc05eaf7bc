"""Nets that read docked complexes, or their ligands alone as a control; one file each."""
