"""Quantum chemistry: molecules as atoms in space, and the models of their energies."""
