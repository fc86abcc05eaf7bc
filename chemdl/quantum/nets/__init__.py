"""Nets that read geometries; one file each."""
