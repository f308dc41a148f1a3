"""Verify the whole audit trail against its seals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.keys import KeyFileError, load_key, load_public_keys, public_path
from audit.ledger.verifying import verify


class Command(BaseCommand):
    requires_system_checks = []  # whatever is configured, the trail can be verified
    help = "Verify every event, leaf, seal and version of the audit trail; fails when anything is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--public-key",
            action="append",
            type=Path,
            default=[],
            metavar="PATH",
            help="a trusted public key, in PEM form; repeat it for former keys "
            "(default: the one of SEALING_KEY_PATH)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            keys = _trusted(options["public_key"])
        except KeyFileError as error:
            raise CommandError(str(error)) from error
        report = verify(keys)
        self.stdout.write(f"Verified {report.events} events in {report.batches} sealed batches.")
        if report.unsealed:
            self.stdout.write(f"{report.unsealed} recent events wait for their seal.")
        if report.sound:
            self.stdout.write(self.style.SUCCESS("Everything is as it was sealed."))
            return
        for finding in report.findings:
            self.stderr.write(f"{finding.code}: {finding.sentence}")
        if report.more_findings:
            self.stderr.write(f"and {report.more_findings} more.")
        batch = report.first_bad_batch
        where = f"The first bad batch is {batch}." if batch is not None else "Every sealed batch is sound."
        raise CommandError(f"The audit trail isn't as it was sealed. {where}")


def _trusted(paths: Sequence[Path]) -> Mapping[str, Ed25519PublicKey]:
    """The named keys; else the public half of the configured one, from its own file or from the private key."""
    if paths:
        return load_public_keys(paths)
    if not settings.SEALING_KEY_PATH:
        raise KeyFileError("Name the sealer's public key with --public-key PATH.")
    private = Path(settings.SEALING_KEY_PATH)
    if public_path(private).exists():
        return load_public_keys([public_path(private)])
    key = load_key(private)
    return {key.id: key.private.public_key()}
