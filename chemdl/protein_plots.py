"""Figures and tables of proteins: chains, states, contact maps, drawn from cards alone."""
