"""Worlds to begin with: the sample organisation, and generated ones."""

from simulator.sample.builder import empty_world

__all__ = ["empty_world"]
