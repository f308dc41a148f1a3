"""Worlds to begin with: the sample organisation, and generated ones."""

from simulator.sample.builder import empty_world
from simulator.sample.generator import generate
from simulator.sample.loader import load_sample, sample_approvers

__all__ = ["empty_world", "generate", "load_sample", "sample_approvers"]
