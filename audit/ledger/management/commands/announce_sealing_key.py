"""Announce the next sealing key in the audit trail."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.events import KEY_ANNOUNCED
from audit.ledger.keys import KeyFileError, load_public_keys
from audit.ledger.models import Seal
from audit.ledger.recorder import Actor, record_alone


class Command(BaseCommand):
    help = (
        "Write into the audit trail that another key seals it from now on. Run it as a worker, with the new key's public "
        "half, before the sealer is restarted with the private one: `audit_verify` asks for it at each change of keys."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("public_key", metavar="PATH", help="the new key's public half, in PEM form")
        parser.add_argument("--reason", required=True, help="why; stays in the history")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            (key,) = load_public_keys([options["public_key"]])
        except KeyFileError as error:
            raise CommandError(str(error)) from error
        newest = Seal.objects.order_by("-batch").first()
        if newest is not None and newest.key_id == key:
            raise CommandError(f"Key {key} seals the trail already; announce the one that follows it.")
        batch = newest.batch if newest else 0
        record_alone(
            KEY_ANNOUNCED.name,
            actor=Actor.system(),
            fields={"key": key, "former": newest.key_id if newest else None, "after_batch": batch},
            words={"reason": options["reason"]},
        )
        self.stdout.write(
            f"Announced key {key} after batch {batch}. Give the sealer its private half and restart it; the first seal "
            "that it signs is where the former key's trust ends."
        )
