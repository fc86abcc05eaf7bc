"""Molecules: SMILES and what is computed of them, nets and classical models that read them."""
