"""Virtual screening: docking, docked complexes, and the models that rank ligands by them."""
