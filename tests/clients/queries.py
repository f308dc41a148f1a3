"""Boto3's real clients with scripted answers: requests and answers are held to the services' models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.stub import Stubber

from clients.aws.caller import AwsCaller
from clients.limits import RATES, LocalLimiter, Rate
from clients.types import TrailQuestion
from tests.support.aws_models import aws_caller

QUESTION = TrailQuestion(
    account_id="444455556666",
    region="eu-west-1",
    starts_at=datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
    ends_at=datetime(2026, 3, 1, 23, 59, 59, 900_000, tzinfo=UTC),
    attribute="Username",
    value="ada@acme.example",
)
# What somebody could be called, or an event, to get out of a text.
HOSTILE = (
    "ada' OR '1'='1",
    "ada'; DROP TABLE trail; --",
    "ada''",
    "ada\\' OR 1=1 --",
    'ada" OR ""="',
    "ada\n' OR 1=1",
    "ada\x00",
    "ada%",
    "ada OR 1=1",
    "\uff41\uff44\uff41",  # full-width letters
    "a" * 200,
    "",
)


class OneCaller:
    """In place of AccountCallers: there is one account, and its key lasts."""

    role = "AccessPortalActivity"

    def __init__(self, caller: AwsCaller) -> None:
        self._caller = caller

    def ask[T](self, account_id: str, question: Callable[[], T]) -> T:
        return question()

    def caller(self, account_id: str, region: str, *, bucket: str, circuit: str) -> AwsCaller:
        assert (account_id, region) == ("111122223333", "eu-west-1")
        return self._caller


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """Callers of one account, and what answers them; all answers have to be used."""
    unpaced = {family: Rate(10_000, burst=10_000) for family in RATES}
    caller = aws_caller("eu-west-1", LocalLimiter(unpaced), attempts=1)
    with Stubber(caller._client(service)) as stub:
        yield OneCaller(caller), stub
        stub.assert_no_pending_responses()
