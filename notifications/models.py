"""Messages that are owed to people. The row is the job: planned once, sent by a worker, tried again until it is taken."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from identity.models import Person
from requests_app.models import Grant, RequestItem


class EventOwed(models.Model):
    """An audit event that nobody has planned messages for yet.

    A trigger on the audit trail writes the row in the event's own transaction, so that neither can be without
    the other; planning deletes it in the transaction that writes the messages.
    """

    event_id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()  # the event's, so that it is found in its partition
    failures = models.IntegerField(default=0)  # how often planning for it came upon something unforeseen


class Message(models.Model):
    """One message to one recipient about one occasion; which texts it has is its kind's matter.

    `occasion` names what happened: with the recipient it is unique, so that nobody is told twice. `recipient` is a
    person's object id, "chat:" and the name of a chat that hears what approvers hear, or "alert:" and the name of a
    channel to operators.
    """

    class State(models.TextChoices):
        OWED = "owed", "To be sent"
        SENT = "sent", "Sent"
        DROPPED = "dropped", "Not needed any more"
        GIVEN_UP = "given_up", "Given up"

    occasion = models.CharField(max_length=120)
    recipient = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="messages")
    item = models.ForeignKey(RequestItem, on_delete=models.PROTECT, null=True, related_name="messages")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, null=True, related_name="messages")
    # Facts of the occasion that no other row keeps: no names and no words of people.
    facts: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.OWED)
    planned_at = models.DateTimeField()  # real time
    retry_at = models.DateTimeField()  # real time: not before
    settled_at = models.DateTimeField(null=True)  # real time
    digest_at = models.DateTimeField(null=True)  # business time: it waits for its recipient's digest
    attempts = models.IntegerField(default=0)
    problem = models.TextField(blank=True)  # why it wasn't taken, or isn't needed; a sentence for people

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["occasion", "recipient"], name="message_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["retry_at", "id"], condition=models.Q(state="owed"), name="message_owed"),
            models.Index(
                fields=["-settled_at"], condition=models.Q(state="given_up"), name="message_given_up"
            ),
            models.Index(fields=["item", "kind"], name="message_by_item"),
            models.Index(fields=["settled_at"], name="message_by_age"),
        ]


class Digest(models.TextChoices):
    """When what may wait is told."""

    NEVER = "never", "At once, each by itself"
    HOURLY = "hourly", "Together, at every full hour"
    DAILY = "daily", "Together, every day at 08:00"


class Preference(models.Model):
    """How one person wants to be told; without a row, as `tastes` says."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="preference")
    language = models.CharField(max_length=8)  # of `languages`
    time_zone = models.CharField(max_length=64)  # as the IANA database names it
    digest = models.CharField(max_length=8, choices=Digest, default=Digest.NEVER)
    off: models.JSONField[list[str], list[str]] = models.JSONField(default=list)  # kinds that aren't told
    changed_at = models.DateTimeField()  # real time


class Round(models.Model):
    """Who is sending now: one worker at a time, so that a slow mail server holds up one at most."""

    name = models.CharField(max_length=16, primary_key=True)
    lease_until = models.DateTimeField()  # real time


class DemoMail(models.Model):
    """A mail of the demo, which has no mail server: kept to be read on a page. Elsewhere the table stays empty."""

    sent_at = models.DateTimeField()  # business time
    recipient = models.CharField(max_length=320)
    subject = models.CharField(max_length=256)
    text = models.TextField()
    html = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["recipient", "-id"], name="demo_mail_by_recipient")]
