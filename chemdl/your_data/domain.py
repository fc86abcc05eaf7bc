"""What the tool for your own data registers, and where."""

from chemdl.registry import Domain

DOMAIN = Domain(name="your_data", commands=("chemdl.your_data.command",))
