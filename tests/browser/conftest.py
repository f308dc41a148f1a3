"""Fixtures of the tests that need the whole portal running."""

from tests.support.stack import running_stack, stack_speed

__all__ = ["running_stack", "stack_speed"]
