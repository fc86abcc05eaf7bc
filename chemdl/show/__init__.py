"""Figures and tables of results, claims and data, each a function of ``(result, models, …)``."""
