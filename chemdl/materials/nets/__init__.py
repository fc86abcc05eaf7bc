"""Nets that read compositions or crystals; one file each."""
