"""Tokens with which an auditor's program reads the trail. All times are real time."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from identity.models import Person


class Scope(models.TextChoices):
    """What a token opens."""

    EVENTS = "events", "Events: the timeline with its filters"
    CASES = "cases", "Cases: one request from the ask to the end"
    AS_OF = "as_of", "Access at a minute: who had access to what"


class ApiToken(models.Model):
    """One token. Only a hash of it is kept, so that nobody can use what they read here."""

    name = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the token, in hex
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="api_tokens")
    scopes: models.JSONField[list[str], list[str]] = models.JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_on = models.DateField(null=True)  # UTC
    minute = models.DateTimeField(null=True)  # the one that `uses` counts
    uses = models.IntegerField(default=0)
    read_on = models.DateField(null=True)  # UTC; the day of which `events_read` are
    events_read = models.IntegerField(default=0, db_default=0)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-created_at", "-id"], name="api_token_by_age")]

    @property
    def reads(self) -> str:
        """What it opens, in words."""
        labels = dict(Scope.choices)
        return ", ".join(labels.get(scope, scope).partition(":")[0].lower() for scope in self.scopes)
