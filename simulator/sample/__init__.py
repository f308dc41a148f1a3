"""Worlds to begin with: the sample organisation, and generated ones."""

from simulator.sample.builder import empty_world
from simulator.sample.generator import generate
from simulator.sample.loader import load_sample, sample_approvers
from simulator.sample.named import named_world

__all__ = ["empty_world", "generate", "load_sample", "named_world", "sample_approvers"]
