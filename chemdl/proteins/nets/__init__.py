"""Nets that label the residues of a chain, or pairs of them; one file each."""
