"""What the portal itself goes by, from the environment: its clouds, its durations, its trail, its messages."""

from __future__ import annotations

from datetime import timedelta

from accessportal.environment import env

# --- The workers' rounds

# How often the sweeper looks for owed work, and how long a claim on a row holds (both real time).
SWEEP_EVERY = timedelta(seconds=env.int("SWEEP_SECONDS", 5))
LEASE = timedelta(seconds=60)
# How often owed readings of what was done are looked for (real time).
ACTIVITY_CHECK_EVERY = timedelta(seconds=env.int("ACTIVITY_CHECK_SECONDS", 60))

# --- Clouds (what is secret here may exist in a worker only)

ENTRA_AWS_SERVICE_PRINCIPAL_ID = env.str("ENTRA_AWS_SERVICE_PRINCIPAL_ID", "")
AWS_ACCESS_PORTAL_URL = env.str("AWS_ACCESS_PORTAL_URL", "")
AWS_SSO_REGION = env.str("AWS_REGION", env.str("AWS_DEFAULT_REGION", ""))
PORTAL_MANAGED_GROUPS_FILE = env.str("PORTAL_MANAGED_GROUPS_FILE", "")
# Recorded by an operator for `manage.py doctor`, because no API tells them: dates such as 2027-01-31.
ENTRA_AWS_CERTIFICATE_ENDS = env.str("ENTRA_AWS_CERTIFICATE_ENDS", "")
AWS_SCIM_TOKEN_ENDS = env.str("AWS_SCIM_TOKEN_ENDS", "")
# How many calls the catalogue sync has under way at once; the clients' rate limits hold in any case.
CATALOG_SYNC_CONCURRENCY = env.int("CATALOG_SYNC_CONCURRENCY", 4)

# --- The life cycle's own durations

# PIM refuses shorter assignments and removals of younger ones (entra-graph contract 1.5).
PIM_MINIMUM = timedelta(minutes=5)
# The least time that new access is asked for and approved for. Once less than PIM's minimum is left of a window, PIM takes
# it no more: the rest covers a worker's death (its lease, and a back-off), a turn in the queue, and what activation as the
# person leaves for its way and for PIM's own approval (ADR 0072). Lengthening access that is there needs none of it.
SHORTEST_ACCESS = 2 * PIM_MINIMUM
# Until when AWS may still open sessions after a membership is gone (the pattern: up to one hour).
AWS_SESSION_CACHE = timedelta(hours=1)
# One provisioning cycle, used until the removal has been read back.
PROVISIONING_CYCLE = timedelta(minutes=40)
# How far ahead a request may ask to start (business time).
LATEST_START = timedelta(days=env.int("LATEST_START_DAYS", 14))
# By when a decision is wanted, by which an approver's inbox is ordered (business time); none: half of the time that a
# request waits at most.
DECISION_TARGET = timedelta(minutes=env.int("DECISION_TARGET_MINUTES", 0))
# What leaves the portal at most in any ten seconds towards one enterprise application: Entra takes five, and people
# who activate in Entra itself use the same path. Whether PIM's assignments draw on it too is not established.
NARROW_PATH_PLACES = 4
NARROW_PATH_SPAN = timedelta(seconds=10)
NARROW_PATH_SHARED_WITH_PIM = env.bool("NARROW_PATH_SHARED_WITH_PIM", True)
# Past these (business time) a removal is overdue: after the end, and after it was read out of Entra.
OVERDUE_ENTRA = timedelta(minutes=env.int("OVERDUE_ENTRA_MINUTES", 5))
# The organisation's own way into AWS when this one is too slow or down; shown wherever an emergency is asked for.
EMERGENCY_PROCEDURE = env.str("EMERGENCY_PROCEDURE", "")
EMERGENCY_PROCEDURE_URL = env.str("EMERGENCY_PROCEDURE_URL", "")
OVERDUE_AWS = timedelta(minutes=env.int("OVERDUE_AWS_MINUTES", 60))
# How long a grant that never arrived is watched for a late arrival (business time).
LATE_ARRIVAL_WATCH = timedelta(hours=24)

# --- Taking access away in AWS (both off by default; docs/adr/ says why each has a process of its own)

# off; direct: the remover deletes the membership in IAM Identity Center; on_demand: Entra is asked to carry it now.
FAST_REMOVAL = env.str("FAST_REMOVAL", "off")
# on: the severer denies the sessions of access that is over, in the places that the operator has prepared.
SESSION_SEVERING = env.str("SESSION_SEVERING", "off")
# Where: PERMISSION_SET=PLACE, by blanks; PLACE is `inline` or `scp:POLICY-ID`; the set `*` stands for all others.
SESSION_SEVERING_PLACES = env.str("SESSION_SEVERING_PLACES", "")
# How often remover and severer look for owed work (real time).
CUTTING_EVERY = timedelta(seconds=env.int("CUTTING_SECONDS", 2))
# From the read-back of a denial until it counts as in force everywhere (AWS: "a few minutes"; business time).
SEVERING_TAKES_EFFECT = timedelta(minutes=env.int("SEVERING_TAKES_EFFECT_MINUTES", 5))
# Most characters of a service control policy, and of an inline policy without its blanks.
SEVERING_POLICY_SIZE = env.int("SEVERING_POLICY_SIZE", 5120)
SEVERING_INLINE_SIZE = 10_240

# --- What was done with access (off by default)

# on: workers read CloudTrail (clients/aws/config.py), from event_history, lake or athena (clients/activity_stores.py).
ACTIVITY = env.str("ACTIVITY", "off")
ACTIVITY_SOURCE = env.str("ACTIVITY_SOURCE", "") or "event_history"
# Regions in which people may act, by blanks: only these are read. What is global is in us-east-1.
ACTIVITY_REGIONS = list(dict.fromkeys(env.str("ACTIVITY_REGIONS", "").split()))
# By a session's name, which CloudTrail isn't documented to find; everything: all of the account, sorted out here.
ACTIVITY_LOOKUP = env.str("ACTIVITY_LOOKUP", "session_name")
# How long CloudTrail takes to deliver an event (AWS: about five minutes, on average; business time).
ACTIVITY_DELIVERY_LAG = timedelta(minutes=env.int("ACTIVITY_DELIVERY_LAG_MINUTES", 15))
# Most pages of fifty events of one account and Region; older events are cut off then.
ACTIVITY_MOST_PAGES = env.int("ACTIVITY_MOST_PAGES", 40)
ACTIVITY_KEEP = timedelta(days=env.int("ACTIVITY_KEEP_DAYS", 400))  # of summaries (business time)

SEALING_KEY_PATH = env.str("SEALING_KEY_PATH", "")
# Where seals are kept outside, by blanks: file, webhook, syslog, s3, tsa. All know which, for pages; the sealer knows where.
AUDIT_ANCHORS = env.str("AUDIT_ANCHORS", "").split()
AUDIT_ANCHOR_FILE = env.str("AUDIT_ANCHOR_FILE", "")
AUDIT_ANCHOR_WEBHOOK_URL = env.str("AUDIT_ANCHOR_WEBHOOK_URL", "")
AUDIT_ANCHOR_WEBHOOK_SECRET = env.str("AUDIT_ANCHOR_WEBHOOK_SECRET", "")
AUDIT_ANCHOR_SYSLOG = env.str("AUDIT_ANCHOR_SYSLOG", "")
AUDIT_ANCHOR_SYSLOG_CA_BUNDLE = env.str("AUDIT_ANCHOR_SYSLOG_CA_BUNDLE", "")
AUDIT_ANCHOR_BUCKET = env.str("AUDIT_ANCHOR_BUCKET", "")
AUDIT_ANCHOR_BUCKET_REGION = env.str("AUDIT_ANCHOR_BUCKET_REGION", "")
AUDIT_ANCHOR_BUCKET_PREFIX = env.str("AUDIT_ANCHOR_BUCKET_PREFIX", "seals/")
AUDIT_ANCHOR_KEPT_DAYS = env.int("AUDIT_ANCHOR_KEPT_DAYS", 2_557)  # nobody deletes a seal before
AUDIT_ANCHOR_TSA_URL = env.str("AUDIT_ANCHOR_TSA_URL", "")
AUDIT_ANCHOR_TSA_ROOTS = env.str("AUDIT_ANCHOR_TSA_ROOTS", "")
AUDIT_ANCHOR_TSA_MINUTES = env.int("AUDIT_ANCHOR_TSA_MINUTES", 60)  # for pages, too
# How long words and names beside events are kept: NAME=DAYS by blanks (audit.ledger.retention); "" for ever.
AUDIT_WORDS_KEPT_DAYS = env.str("AUDIT_WORDS_KEPT_DAYS", "")
AUDIT_EVENTS_KEPT_DAYS = env.str("AUDIT_EVENTS_KEPT_DAYS", "")  # the same of the events themselves
# At which hour of the day (UTC, business time) a worker begins to verify the whole trail, and the sealer's public keys that
# it trusts, each PATH or PATH@SINCE..UNTIL, by commas; without one, no signature is checked.
AUDIT_VERIFY_HOUR = env.int("AUDIT_VERIFY_HOUR", 3)
AUDIT_VERIFY_KEYS: list[str] = env.list("AUDIT_VERIFY_KEYS", [])

# --- The trail for other machines

# How long ago the owner of an API token may have signed in last (real time): until the next sign-in nobody hears that they
# are no auditor any more.
API_SIGN_IN_WITHIN = timedelta(days=env.int("API_SIGN_IN_DAYS", 30))

# The trail's receivers outside, by blanks: webhook, syslog, s3. Everybody knows which, so that pages can say how they
# stand; only the worker knows where.
AUDIT_STREAMS = env.str("AUDIT_STREAMS", "").split()
AUDIT_STREAM_WEBHOOK_URL = env.str("AUDIT_STREAM_WEBHOOK_URL", "")
AUDIT_STREAM_WEBHOOK_SECRET = env.str("AUDIT_STREAM_WEBHOOK_SECRET", "")
AUDIT_STREAM_SYSLOG = env.str("AUDIT_STREAM_SYSLOG", "")
AUDIT_STREAM_SYSLOG_PAYLOAD = env.str("AUDIT_STREAM_SYSLOG_PAYLOAD", "ocsf")
AUDIT_STREAM_SYSLOG_CA = env.str("AUDIT_STREAM_SYSLOG_CA", "")
AUDIT_STREAM_SYSLOG_CERTIFICATE = env.str("AUDIT_STREAM_SYSLOG_CERTIFICATE", "")
# Whether the server answers the end of a TLS session as RFC 5425 asks it to: the only acknowledgement there is.
AUDIT_STREAM_SYSLOG_CONFIRMS = env.bool("AUDIT_STREAM_SYSLOG_CONFIRMS", True)
AUDIT_STREAM_BUCKET = env.str("AUDIT_STREAM_BUCKET", "")
AUDIT_STREAM_BUCKET_REGION = env.str("AUDIT_STREAM_BUCKET_REGION", "")
AUDIT_STREAM_BUCKET_PREFIX = env.str("AUDIT_STREAM_BUCKET_PREFIX", "events/")
FORWARD_EVERY = timedelta(seconds=5)

# --- Messages to people

# For whoever has no preferences of their own: en or de, and a name of the IANA time zone database.
NOTIFY_LANGUAGE = env.str("NOTIFY_LANGUAGE", "en")
NOTIFY_TIME_ZONE = env.str("NOTIFY_TIME_ZONE", "UTC")
