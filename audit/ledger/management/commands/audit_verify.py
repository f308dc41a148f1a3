"""Verify the whole audit trail against its seals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.ledger.anchored import Compared, anchored_lines
from audit.ledger.anchors import AnchorError
from audit.ledger.canonical import instant
from audit.ledger.keys import KeyFileError, TrustedKey, load_key, load_public_keys, public_path
from audit.ledger.places import readable
from audit.ledger.read_back import MOST, ReadBack, read_back
from audit.ledger.retirement import words_of
from audit.ledger.tsa_anchor import RootsError, load_roots
from audit.ledger.unexplained import further
from audit.ledger.verifying import verify


class Command(BaseCommand):
    requires_system_checks = []  # whatever is configured, the trail can be verified
    help = "Verify every event, leaf, seal and version of the audit trail; fails when anything is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--public-key",
            action="append",
            default=[],
            metavar="PATH[@SINCE..UNTIL]",
            help="a trusted public key, in PEM form, for the seals from SINCE to UNTIL, each a batch's number, an "
            "instant or nothing; repeat it for former keys (default: the one of SEALING_KEY_PATH)",
        )
        parser.add_argument(
            "--anchors",
            type=Path,
            metavar="FILE",
            help="the lines that a place outside the database has kept: every one is compared with its seal here",
        )
        parser.add_argument(
            "--objects",
            type=int,
            nargs="?",
            const=MOST,
            default=0,
            metavar="N",
            help="read back from the anchoring bucket what it holds since its Nth newest receipt, and compare it with the "
            f"receipts and the seals (without N: {MOST}, about a day)",
        )
        parser.add_argument(
            "--tsa-roots",
            type=Path,
            metavar="PEM",
            help="verify every time stamp that was receipted, against these roots (default: AUDIT_ANCHOR_TSA_ROOTS)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            keys = _trusted(options["public_key"])
            anchors: Iterable[str] | None = anchored_lines(options["anchors"]) if options["anchors"] else None
            named = options["tsa_roots"] or settings.AUDIT_ANCHOR_TSA_ROOTS
            roots = load_roots(Path(named)) if named else []
        except (KeyFileError, RootsError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The anchors can't be read: {error}") from error
        objects = self._read_objects(options["objects"])
        if options["objects"]:
            anchors = chain(anchors or (), *(found.lines for found in objects))
        found_there = [finding for found in objects for finding in found.findings]
        report = verify(keys, anchors=anchors, roots=roots, found_before=found_there, beside=further())
        self.stdout.write(f"Verified {report.events} events in {report.batches} sealed batches.")
        if report.unsealed:
            self.stdout.write(f"{report.unsealed} recent events wait for their seal.")
        if report.removed.months:
            self.stdout.write(words_of(report.removed))
        if report.anchored is not None:
            self._tell_of_anchors(report.anchored)
        if not report.words_read:
            self.stdout.write(
                "What people wrote wasn't looked at, beside events and in rows: this process may not read it. Have a worker "
                "verify it as well."
            )
        if report.sound:
            what = "Everything" if report.words_read else "Everything else"
            self.stdout.write(self.style.SUCCESS(f"{what} is as it was sealed."))
            return
        for finding in report.findings:
            self.stderr.write(f"{finding.code}: {finding.sentence}")
        if report.more_findings:
            self.stderr.write(f"and {report.more_findings} more.")
        batch = report.first_bad_batch
        where = f"The first bad batch is {batch}." if batch is not None else "Every sealed batch is sound."
        raise CommandError(f"The audit trail isn't as it was sealed. {where}")

    def _read_objects(self, most: int) -> Sequence[ReadBack]:
        """What the places that can be read hold; before the snapshot, since no call stands in a transaction."""
        if most <= 0:
            return ()
        try:
            places = readable()
            if not places:
                raise CommandError("--objects: no place in AUDIT_ANCHORS can be read back; s3 can.")
            return [read_back(place, most=most) for place in places]
        except (AnchorError, ValueError) as error:
            raise CommandError(str(error)) from error

    def _tell_of_anchors(self, compared: Compared) -> None:
        newest = compared.newest
        until = f"; the newest is seal {newest.batch} of {instant(newest.at)}" if newest else ""
        self.stdout.write(f"{compared.agreeing} anchored seals are the ones here{until}.")
        if compared.torn:
            self.stdout.write(
                f"{compared.torn} lines were cut off by a crash; later ones cover what they said."
            )


def _trusted(paths: Sequence[str]) -> Mapping[str, TrustedKey]:
    """The named keys; else the public half of the configured one, from its own file or from the private key."""
    if paths:
        return load_public_keys(paths)
    if not settings.SEALING_KEY_PATH:
        raise KeyFileError("Name the sealer's public key with --public-key PATH.")
    private = Path(settings.SEALING_KEY_PATH)
    if public_path(private).exists():
        return load_public_keys([public_path(private)])
    key = load_key(private)
    return {key.id: key.trusted}
