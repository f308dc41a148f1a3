"""The published shape of a file of rules: JSON Schema, from which files are checked and the field table is written.

What it can't say (that a pattern is RE2's, that an id is of somebody) is checked when a document is read.
"""

from __future__ import annotations

from typing import Any

from policy.demands import MOST_REMINDERS
from policy.hours import DAYS
from policy.scope import ATTRIBUTES

LONGEST_NAME = 128

_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_ISO_DURATION = "^P(?=[0-9T])([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+S)?)?$"
_ID_LIST = {"type": "array", "items": {"$ref": "#/$defs/id"}, "uniqueItems": True}
_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}


def _ids(description: str) -> dict[str, Any]:
    return {**_ID_LIST, "description": description}


def _texts(description: str, **items: Any) -> dict[str, Any]:
    return {**_TEXTS, "items": {**_TEXTS["items"], **items}, "description": description}  # type: ignore[dict-item]  # the literal's type is narrower than what it is


def _by_key(description: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "object", "description": description}
    if keys:
        return {**shape, "properties": dict.fromkeys(keys, _TEXTS), "additionalProperties": False}
    return {**shape, "additionalProperties": _TEXTS}


def _span(description: str) -> dict[str, Any]:
    return {"$ref": "#/$defs/duration", "description": description}


def _pattern(description: str) -> dict[str, Any]:
    one = {"type": "string", "minLength": 1, "maxLength": 200}
    many = {"type": "array", "items": one, "minItems": 1}
    return {"anyOf": [one, many], "description": description}


def _hours(description: str) -> dict[str, Any]:
    return {"$ref": "#/$defs/hours", "description": description}


def _one_or_more(shape: str) -> dict[str, Any]:
    one = {"$ref": f"#/$defs/{shape}"}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


HOURS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "days": {
            "type": "array",
            "items": {"type": "string", "enum": list(DAYS)},
            "minItems": 1,
            "description": "Days of the week; without them, all. A night belongs to the day on which it began.",
        },
        "from": {"$ref": "#/$defs/clock", "description": "When they begin."},
        "to": {
            "$ref": "#/$defs/clock",
            "description": "When they end; earlier than `from` means past midnight.",
        },
        "zone": {"type": "string", "description": "A time zone such as Europe/Berlin; without it, UTC."},
    },
    "required": ["from", "to"],
    "additionalProperties": False,
}

SCOPE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "groups": _ids("PIM groups."),
        "permission_sets": _texts("Names of permission sets."),
        "accounts": _texts(
            "AWS accounts: twelve digits in quotation marks.",
            pattern="^[0-9]{12}$",
            title="an AWS account id: twelve digits, in quotation marks",
        ),
        "units": _texts(
            "Organisational units or roots by id, with everything below them.",
            pattern="^(ou|r)-[0-9a-z-]{4,66}$",
            title="the id of an organisational unit, such as ou-ab12-cdef3456",
        ),
        "account_tags": _by_key('Tags of accounts: any of these values for each key; "*" is any value.'),
        "requester_groups": _ids("Directory groups that the requester is in, one of them at least."),
        "requester": _by_key("Attributes of the requester: any of these values for each.", ATTRIBUTES),
        "during": _hours("Only what is asked for within these hours."),
        "outside": _hours("Only what is asked for outside of these hours."),
    },
    "additionalProperties": False,
}

ESCALATION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "after": _span("Since the request was made."),
        "people": _ids("People who may decide from then on, too."),
        "groups": _ids("Directory groups whose members may decide from then on, too."),
    },
    "required": ["after"],
    "additionalProperties": False,
}

STAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "quorum": {
            "type": "integer",
            "minimum": 1,
            "default": 1,
            "description": "How many different people must agree.",
        },
        "people": _ids("People who may decide."),
        "groups": _ids("Directory groups whose members may decide, nested members too."),
        "account_owner": {
            "type": "object",
            "properties": {"tag": {"type": "string", "minLength": 1, "description": "The key of the tag."}},
            "required": ["tag"],
            "additionalProperties": False,
            "description": "Whoever a tag of each account names as its owner, by object id or sign-in name.",
        },
        "manager": {
            "type": "boolean",
            "default": False,
            "description": "Whether the requester's manager in Entra may decide.",
        },
        "on_call": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "description": "The schedule whose people on call may decide, as they are when the request is made.",
        },
        "escalation": {
            "$ref": "#/$defs/escalation",
            "description": "Who may decide too when nobody has answered for some time.",
        },
    },
    "additionalProperties": False,
}

ASSURANCE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "fresh_within": _span("How long ago the sign-in may be at most; two minutes or more."),
        "contexts": _texts(
            "Authentication contexts of Entra, all of which the sign-in proves.",
            pattern="^c[1-9][0-9]?$",
            title="an authentication context of Entra, from c1 to c99",
        ),
    },
    "additionalProperties": False,
}

STEP_UP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ask": {"$ref": "#/$defs/assurance", "description": "What the sign-in of whoever asks has to prove."},
        "decide": {
            "$ref": "#/$defs/assurance",
            "description": "What the sign-in of whoever decides has to prove.",
        },
    },
    "additionalProperties": False,
}

NAMED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "people": _ids("People."),
        "groups": _ids("Directory groups, with nested members."),
    },
    "additionalProperties": False,
}

REVIEWERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "people": _ids("People who review it. Never whoever used it."),
        "groups": _ids("Directory groups whose members review it."),
        "escalates_to": {
            "$ref": "#/$defs/named",
            "description": "Who may review it too once the review is overdue.",
        },
    },
    "additionalProperties": False,
}

EMERGENCY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "allowed": {
            **_one_or_more("named"),
            "description": "Who may use it; of several, each has to name the person.",
        },
        "longest_duration": _span("The longest that may be asked for in an emergency."),
        "reviewers": {
            **_one_or_more("reviewers"),
            "description": "Who owes a review of each use; of several, each owes one.",
        },
        "review_within": _span("Within which time it has to be reviewed; two days unless told."),
        "blocks_after": _span(
            "Unreviewed for so long, it blocks the same person's next use; seven days unless told."
        ),
    },
    "required": ["allowed", "longest_duration", "reviewers"],
    "additionalProperties": False,
}

ONLY: dict[str, Any] = {
    "type": "object",
    "properties": {
        name: SCOPE["properties"][name] for name in ("permission_sets", "accounts", "units", "account_tags")
    },
    "additionalProperties": False,
}

AUTOMATIC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "longest_duration": _span("The longest that is approved automatically."),
        "only": {
            **_one_or_more("only"),
            "description": "All that the PIM group opens has to be within this; of several, within each.",
        },
        "during": {
            **_one_or_more("hours"),
            "description": "It has to be asked for within these hours; of several, within each.",
        },
        "read_only": {
            "type": "boolean",
            "default": False,
            "description": "What the permission sets allow has to be known, and to be reading and listing only.",
        },
        "reference_required": {
            "type": "boolean",
            "default": False,
            "description": "Whether a reference has to be given for it.",
        },
    },
    "required": ["longest_duration"],
    "additionalProperties": False,
}

RULE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_NAME,
            "description": "What people call the rule; each name once. Another name is another rule.",
        },
        "applies_to": {
            "anyOf": [{"$ref": "#/$defs/scope"}, {"type": "string", "enum": ["everything"]}],
            "description": "What the rule judges: all conditions hold, by one of the values of each; or `everything`.",
        },
        "fallback": {
            "type": "boolean",
            "default": False,
            "description": "Judges only what no other rule applies to.",
        },
        "groups": _ids("PIM groups, as rules named them before `applies_to`; use that."),
        "stages": {
            "type": "array",
            "items": {"$ref": "#/$defs/stage"},
            "minItems": 1,
            "description": "Who decides, one stage after the other.",
        },
        "longest_duration": _span("The longest that may be asked for; PIM's own maximum holds in any case."),
        "shortest_justification": {
            "type": "integer",
            "minimum": 0,
            "default": 10,
            "description": "Characters that a justification has at least.",
        },
        "justification_pattern": _pattern(
            "Patterns (RE2) that the whole justification must match, all of them."
        ),
        "reference_required": {
            "type": "boolean",
            "default": False,
            "description": "Whether a reference, such as a ticket's number, must be given.",
        },
        "reference_pattern": _pattern("Patterns (RE2) that a whole reference must match, all of them."),
        "lapses_after": _span("After which time an unanswered request lapses; one day unless told."),
        "remind_after": _span(
            "After which time those who decide are reminded; each pause is twice the one before."
        ),
        "most_reminders": {
            "type": "integer",
            "minimum": 1,
            "default": MOST_REMINDERS,
            "description": "How many reminders there are at most.",
        },
        "guests_decide": {
            "type": "boolean",
            "default": False,
            "description": "Whether guests of the directory may decide, too, whose account says whose it is.",
        },
        "second_approver_outside": {
            "anyOf": [
                {"$ref": "#/$defs/hours"},
                {"type": "array", "items": {"$ref": "#/$defs/hours"}, "minItems": 1},
            ],
            "description": "Outside of these hours one more has to agree at the first stage.",
        },
        "step_up": {
            "$ref": "#/$defs/step_up",
            "description": "How people have to have signed in: lately, or with an authentication context.",
        },
        "emergency": {
            "$ref": "#/$defs/emergency",
            "description": "Who may go without an approval in an emergency, and who reviews that.",
        },
        "automatic": {
            "$ref": "#/$defs/automatic",
            "description": "Under which conditions nobody has to decide.",
        },
    },
    "required": ["name", "stages"],
    "anyOf": [{"required": ["applies_to"]}, {"required": ["groups"]}, {"required": ["fallback"]}],
    "$comment": (
        "doesn't say what it applies to. Give applies_to, or “fallback: true” for whatever has no other rule."
    ),
    "additionalProperties": False,
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Rules of the access portal",
    "description": "Who decides on access, and what is demanded of a request. People and groups are Entra object ids.",
    "type": "object",
    "properties": {
        "rules": {
            "type": "array",
            "items": {"$ref": "#/$defs/rule"},
            "minItems": 1,
            "description": "All rules: whatever is not here judges no new request.",
        }
    },
    "required": ["rules"],
    "additionalProperties": False,
    "$defs": {
        "id": {
            "type": "string",
            "pattern": _UUID,
            "title": "an Entra object id, because names can change hands",
        },
        "duration": {
            "type": "string",
            "pattern": _ISO_DURATION,
            "title": "a duration such as PT8H or P1D",
        },
        "clock": {
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
            "title": "a time such as 08:00, in quotation marks",
        },
        "hours": HOURS,
        "scope": SCOPE,
        "escalation": ESCALATION,
        "assurance": ASSURANCE,
        "step_up": STEP_UP,
        "stage": STAGE,
        "named": NAMED,
        "reviewers": REVIEWERS,
        "emergency": EMERGENCY,
        "only": ONLY,
        "automatic": AUTOMATIC,
        "rule": RULE,
    },
}
