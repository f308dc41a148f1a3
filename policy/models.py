"""Rules, their versions, and the terms of requests. A rule never changes: it gets a new version, and each request
keeps what it was judged by.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.db import models

from policy.demands import Demands, parse_demands
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


class Terms(models.Model):
    """What a request is held to: the demands of every rule version that judged it, combined and with people for
    descriptions. Written once, and shared by requests that are held to the same by the same.
    """

    demands: models.JSONField[Any, Any] = (
        models.JSONField()
    )  # as `policy.demands.serialise_demands` writes them
    judged_by: models.JSONField[Any, Any] = (
        models.JSONField()
    )  # [{"rule", "version"}: keys; "name", "number"}]
    document_hash = models.CharField(max_length=64, unique=True)  # of both

    def __str__(self) -> str:
        return " and ".join(f"{each['name']} v{each['number']}" for each in self.judged_by)

    @cached_property
    def parsed(self) -> Demands:
        """The demands as typed values; they were validated when they were written."""
        return parse_demands(self.demands)

    @property
    def rules(self) -> frozenset[int]:
        """Keys of the rules."""
        return frozenset(each["rule"] for each in self.judged_by)

    @property
    def versions(self) -> frozenset[int]:
        """Keys of the rule versions."""
        return frozenset(each["version"] for each in self.judged_by)

    @property
    def rule_words(self) -> str:
        """The rules by name and version, for people."""
        return " and ".join(f"{each['name']}, version {each['number']}" for each in self.judged_by)


class OnCallShift(models.Model):
    """Who was on call for a schedule, as the source said without a change from `begun_at` to `seen_at` (business time)."""

    schedule = models.CharField(max_length=64)
    people: models.JSONField[Any, Any] = models.JSONField()  # sorted object ids
    problem = models.TextField(blank=True)  # why nobody is known; part of a sentence
    begun_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["schedule", "begun_at"], name="on_call_by_schedule")]

    def __str__(self) -> str:
        return f"{self.schedule} from {self.begun_at:%Y-%m-%d %H:%M}"
