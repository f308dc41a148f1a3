"""What stands beside a request or a grant, and facts that never change, are held to the events that said so first.

A version counts changes of a status. What a request opens, which spans a grant was given, who ended it, and what was asked
or decided in the first place has no status: it is written once, with the event that says it, and never changes.
Postgres refuses a row that comes later or without its event, and any change; `unexplained` compares what stands
with what was said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from audit.ledger.row_words import ERASURE_PASSES
from requests_app.models import RequestScope

# Of this transaction: by no other event can anything be told.
_NOW = "event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'"

# One text for all that an item opens: each value with its length before it, a row a line, in order of their bytes.
_MEASURED = "octet_length({0}) || ':' || {0}"
_COLUMNS = (
    "account_id",
    "account_name",
    "permission_set_arn",
    "permission_set_name",
    "(extract(epoch FROM session_duration)::bigint)::text",
    "content_hash",
)
_LINE = " || ".join(_MEASURED.format(each) for each in _COLUMNS)
_TEXT = f"coalesce(string_agg({_LINE}, E'\\n' ORDER BY ({_LINE}) COLLATE \"C\"), '')"
DIGEST_SQL = f"encode(sha256(convert_to({_TEXT}, 'UTF8')), 'hex')"


def scope_digest(scope: Iterable[RequestScope]) -> str:
    """What `DIGEST_SQL` makes of the same rows: goes into the event that asks for them."""
    lines = sorted(_line(row) for row in scope)
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _line(row: RequestScope) -> bytes:
    values = (
        row.account_id,
        row.account_name,
        row.permission_set_arn,
        row.permission_set_name,
        str(int(row.session_duration.total_seconds())),
        row.content_hash,
    )
    return b"".join(b"%d:%s" % (len(value), value) for value in (each.encode() for each in values))


# Columns that are said once, by table; whatever else a row has may move.
FINAL = {
    "requests_app_accessrequest": ("requester_id", "reference", "item_count", "created_at", "proof"),
    "requests_app_requestitem": (
        *(
            "request_id",
            "requester_id",
            "group_id",
            "duration",
            "wanted_start",
            "scope_hash",
            "longest_session",
        ),
        *("created_at", "lapses_at"),
    ),
    "requests_app_decision": (
        *(
            "item_id",
            "approver_id",
            "absence_id",
            "verdict",
            "duration",
            "stage",
            "shown",
            "proof",
            "submitted_at",
        ),
    ),
    "requests_app_grant": ("person_id", "group_id", "first_request_id", "created_at", "as_person"),
}
WHOLE = ("requests_app_requestscope", "requests_app_grantinterval", "requests_app_revocation")

# For the check: each with the function that it calls.
GUARDS = {
    **{f"{table}.said_once": "requests_app_said_once" for table in (*FINAL, *WHOLE)},
    **{f"{table}.untruncated": "requests_app_said_once" for table in WHOLE},
    "requests_app_requestscope.told_scope": "requests_app_scope_told",
    "requests_app_grantinterval.told_interval": "requests_app_interval_told",
    "requests_app_revocation.told_revocation": "requests_app_revocation_told",
    "requests_app_grant.session_grew": "requests_app_session_grew",
}

_FUNCTIONS = f"""
CREATE FUNCTION public.requests_app_said_once() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN{ERASURE_PASSES}
    RAISE EXCEPTION '%: what was said once stays as it was said; the % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$guard$;
CREATE FUNCTION public.requests_app_scope_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    untold uuid;
BEGIN
    SELECT item_id INTO untold FROM (SELECT DISTINCT item_id FROM added) AS each
    WHERE NOT EXISTS (
        SELECT FROM public.audit_version told JOIN public.audit_event event ON event.id = told.event_id AND {_NOW}
        WHERE told.subject_kind = 'item' AND told.subject_id = each.item_id AND told.version = 1
    ) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'scope: what item % opens is written with its event or never', untold
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
CREATE FUNCTION public.requests_app_interval_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.audit_event event
        JOIN public.requests_app_requestitem item ON item.request_id = event.request_id
        JOIN public.catalog_pimgroup pim ON pim.id = item.group_id AND pim.object_id = event.group_oid
        WHERE event.grant_id = NEW.grant_id AND item.id = NEW.item_id AND {_NOW}
          AND event.type IN ('grant.scheduled', 'grant.extended')
          AND public.audit_instant(event.data #>> '{{fields,starts_at}}') = NEW.starts_at
          AND public.audit_instant(event.data #>> '{{fields,ends_at}}') = NEW.ends_at
    ) THEN
        RAISE EXCEPTION 'interval: no audit event gives grant % this span', NEW.grant_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
CREATE FUNCTION public.requests_app_revocation_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.audit_event event LEFT JOIN public.identity_person person ON person.id = NEW.by_id
        WHERE event.grant_id = NEW.grant_id AND event.type = 'grant.revoked' AND {_NOW}
          AND event.data #>> '{{fields,end_reason}}' = NEW.kind
          AND event.actor_oid = coalesce(person.object_id, '')
    ) THEN
        RAISE EXCEPTION 'revocation: no audit event says that grant % was ended so', NEW.grant_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION public.requests_app_said_once(), public.requests_app_scope_told(),
    public.requests_app_interval_told(), public.requests_app_revocation_told() FROM PUBLIC;
CREATE TRIGGER told_scope AFTER INSERT ON public.requests_app_requestscope
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.requests_app_scope_told();
CREATE CONSTRAINT TRIGGER told_interval AFTER INSERT ON public.requests_app_grantinterval
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.requests_app_interval_told();
CREATE CONSTRAINT TRIGGER told_revocation AFTER INSERT ON public.requests_app_revocation
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.requests_app_revocation_told();
ALTER TABLE public.requests_app_requestscope ENABLE ALWAYS TRIGGER told_scope;
ALTER TABLE public.requests_app_grantinterval ENABLE ALWAYS TRIGGER told_interval;
ALTER TABLE public.requests_app_revocation ENABLE ALWAYS TRIGGER told_revocation;
"""  # noqa: S608 - of names that stand here


def _final(table: str, columns: Iterable[str]) -> str:
    was, becomes = (", ".join(f"{row}.{name}" for name in columns) for row in ("OLD", "NEW"))
    return f"""
CREATE TRIGGER said_once BEFORE UPDATE ON public.{table}
    FOR EACH ROW WHEN (({was}) IS DISTINCT FROM ({becomes})) EXECUTE FUNCTION public.requests_app_said_once();
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER said_once;
"""


def _whole(table: str) -> str:
    return f"""
CREATE TRIGGER said_once BEFORE UPDATE OR DELETE ON public.{table}
    FOR EACH ROW EXECUTE FUNCTION public.requests_app_said_once();
CREATE TRIGGER untruncated BEFORE TRUNCATE ON public.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION public.requests_app_said_once();
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER said_once;
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER untruncated;
"""


INSTALL = (
    _FUNCTIONS
    + "".join(_final(table, columns) for table, columns in FINAL.items())
    + "".join(map(_whole, WHOLE))
)
REMOVE = "".join(
    (
        *(f"DROP TRIGGER said_once ON public.{table};" for table in (*FINAL, *WHOLE)),
        *(f"DROP TRIGGER untruncated ON public.{table};" for table in WHOLE),
        "DROP TRIGGER told_scope ON public.requests_app_requestscope;",
        "DROP TRIGGER told_interval ON public.requests_app_grantinterval;",
        "DROP TRIGGER told_revocation ON public.requests_app_revocation;",
        "DROP FUNCTION public.requests_app_said_once();",
        "DROP FUNCTION public.requests_app_scope_told();",
        "DROP FUNCTION public.requests_app_interval_told();",
        "DROP FUNCTION public.requests_app_revocation_told();",
    )
)

# Later: a grant's sessions last as long as the longest of the items that it was given for, so they grow with a revision.
SESSIONS = """
CREATE FUNCTION public.requests_app_session_grew() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'grant: the longest session grows with an extension only'
        USING ERRCODE = 'integrity_constraint_violation';
END
$guard$;
REVOKE ALL ON FUNCTION public.requests_app_session_grew() FROM PUBLIC;
CREATE TRIGGER session_grew BEFORE UPDATE OF longest_session ON public.requests_app_grant FOR EACH ROW
    WHEN (NEW.longest_session <> OLD.longest_session AND NEW.revision = OLD.revision)
    EXECUTE FUNCTION public.requests_app_session_grew();
ALTER TABLE public.requests_app_grant ENABLE ALWAYS TRIGGER session_grew;
"""
NO_SESSIONS = """
DROP TRIGGER session_grew ON public.requests_app_grant;
DROP FUNCTION public.requests_app_session_grew();
"""
