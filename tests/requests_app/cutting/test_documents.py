"""The document of denials, as a pure function of what is to be denied."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from requests_app.cutting.documents import (
    NOBODY,
    Denial,
    UnreadableDocument,
    fingerprint,
    fitted,
    merged,
    ours_in,
    principal_pattern,
    statements,
)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NAMES = {"EC2Admin", "Reader"}
OWN = {
    "Sid": "KeepOrganization",
    "Effect": "Deny",
    "Action": "organizations:LeaveOrganization",
    "Resource": "*",
}
TEXT = json.dumps({"Version": "2012-10-17", "Id": "mine", "Statement": [OWN]})


def denial(number: int = 1, **changes: object) -> Denial:
    values: dict[str, object] = {
        "id": UUID(int=number),
        "user_id": f"90677a8b12-{UUID(int=number)}",
        "account_id": "111122223333",
        "permission_set_name": "EC2Admin",
        "cut_before": None,
        "created_at": NOON + timedelta(minutes=number),
        **changes,
    }
    return Denial(**values)  # type: ignore[arg-type]


def test_one_person_one_set_one_account_no_limit() -> None:
    (row,) = statements([denial()], all_names=NAMES)
    assert row["Effect"] == "Deny"
    assert (row["Action"], row["Resource"]) == ("*", "*")
    assert row["Condition"] == {
        "StringEquals": {"identitystore:userId": [denial().user_id]},
        "ArnLike": {
            "aws:PrincipalArn": [
                "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_EC2Admin_*"
            ]
        },
    }
    assert row["Sid"].isalnum()


def test_a_limit_is_rounded_up_so_that_nothing_issued_before_slips_through() -> None:
    (row,) = statements([denial(cut_before=NOON + timedelta(milliseconds=1))], all_names=NAMES)
    assert row["Condition"]["DateLessThan"] == {"aws:TokenIssueTime": "2026-03-02T12:00:01Z"}
    (row,) = statements([denial(cut_before=NOON)], all_names=NAMES)
    assert row["Condition"]["DateLessThan"] == {"aws:TokenIssueTime": "2026-03-02T12:00:00Z"}


def test_equal_denials_share_a_statement_and_different_ones_never_do() -> None:
    same = statements([denial(1), denial(2)], all_names=NAMES)
    assert len(same) == 1
    limited = statements([denial(1), denial(2, cut_before=NOON)], all_names=NAMES)
    assert len(limited) == 2
    elsewhere = statements([denial(1), denial(2, account_id="444455556666")], all_names=NAMES)
    assert len(elsewhere) == 2, "the other person's access on that account would be cut"


def test_a_longer_name_is_not_meant() -> None:
    assert principal_pattern("1", "EC2Admin", all_names=NAMES).endswith("AWSReservedSSO_EC2Admin_*")
    pattern = principal_pattern("1", "EC2Admin", all_names=NAMES | {"EC2Admin_Reports"})
    assert pattern.endswith(f"AWSReservedSSO_EC2Admin_{'?' * 16}")


def test_statements_of_others_stay_as_they_are() -> None:
    ours = statements([denial()], all_names=NAMES)
    with_ours = merged(TEXT, ours)
    assert json.loads(with_ours) == {"Version": "2012-10-17", "Id": "mine", "Statement": [OWN, *ours]}
    assert json.loads(merged(with_ours, [])) == json.loads(TEXT)
    single = json.dumps({"Version": "2012-10-17", "Statement": OWN})
    assert json.loads(merged(single, ours))["Statement"] == [OWN, *ours]


def test_an_empty_place_gets_a_statement_for_nobody() -> None:
    assert json.loads(merged("", []))["Statement"] == [NOBODY]
    assert json.loads(merged(merged("", []), statements([denial()], all_names=NAMES)))[
        "Statement"
    ] == statements([denial()], all_names=NAMES)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"Statement": "x"}', '{"Statement": [1]}'])
def test_what_is_no_document_is_left_alone(text: str) -> None:
    with pytest.raises(UnreadableDocument, match="operator"):
        merged(text, [])


def test_the_oldest_are_left_out_first() -> None:
    many = [denial(number, account_id=f"{number:012}") for number in range(1, 30)]
    found = fitted(TEXT, many, size=len, most=2000, all_names=NAMES)
    assert len(found.document) <= 2000
    assert [each.id.int for each in found.refused] == list(range(1, len(found.refused) + 1))
    assert 0 < len(found.statements) < len(many)
    assert len(found.statements) + len(found.refused) == len(many)


_denials = st.lists(
    st.builds(
        denial,
        st.integers(1, 6),
        account_id=st.sampled_from(["111122223333", "444455556666"]),
        permission_set_name=st.sampled_from(sorted(NAMES)),
        cut_before=st.sampled_from([None, NOON, NOON + timedelta(hours=1)]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_denials, st.randoms(use_true_random=False))
def test_every_denial_is_said_and_nothing_else(denials: list[Denial], dice: object) -> None:
    rows = statements(denials, all_names=NAMES)
    said = {
        (user, pattern, row["Condition"].get("DateLessThan", {}).get("aws:TokenIssueTime", ""))
        for row in rows
        for user in row["Condition"]["StringEquals"]["identitystore:userId"]
        for pattern in row["Condition"]["ArnLike"]["aws:PrincipalArn"]
    }
    wanted = {
        (
            each.user_id,
            principal_pattern(each.account_id, each.permission_set_name, all_names=NAMES),
            f"{each.cut_before:%Y-%m-%dT%H:%M:%SZ}" if each.cut_before else "",
        )
        for each in denials
    }
    assert said == wanted
    shuffled = list(denials)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert statements(shuffled, all_names=NAMES) == rows, "the order of rows doesn't matter"
    assert fingerprint(ours_in(merged(TEXT, rows))) == fingerprint(rows)
