"""Rules and their versions. A rule never changes: it gets a new version, and each request keeps its own."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.db import models

from policy.document import RuleDocument, parse_document


class Rule(models.Model):
    """A named rule; `current` is the version that judges new requests."""

    name = models.CharField(max_length=128, unique=True)
    current = models.ForeignKey(
        "RuleVersion", on_delete=models.PROTECT, null=True, related_name="+", db_constraint=True
    )
    retired = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name


class RuleVersion(models.Model):
    """One immutable wording of a rule (see `policy.document` for its fields)."""

    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document: models.JSONField[Any, Any] = models.JSONField()
    document_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()  # real time
    created_by = models.CharField(max_length=128)  # object id, or the name of the command

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule", "number"], name="rule_version_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule.name} v{self.number}"

    @cached_property
    def parsed(self) -> RuleDocument:
        """The document as typed values; it was validated when it was written."""
        return parse_document(self.document)
