"""The ledger's tables in SQL: partitions, generated columns and guards, for which Django has no words.

Everything that can be derived from `canon` is derived by Postgres, so that whoever may insert an
event can make neither its columns nor its version row say anything else than the text that is sealed.
"""

# The functions and tables are named with their schema, so that no search_path can redirect a guard.

REFUSE_CHANGE = """
CREATE FUNCTION public.audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail only grows: % on % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;
"""

# Reading an ISO 8601 instant depends on settings only when the text leaves something open. Ours ends in Z
# and says everything, which makes the result immutable, as a generated column demands.
INSTANT = """
CREATE FUNCTION public.audit_instant(iso text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF iso !~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z$' THEN
        RAISE EXCEPTION 'Not an instant in UTC with microseconds: %', iso USING ERRCODE = 'check_violation';
    END IF;
    RETURN iso::timestamptz;
END
$$;
"""

EVENT = """
CREATE TABLE public.audit_event (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    canon text NOT NULL CHECK (octet_length(canon) <= 262144),
    data jsonb GENERATED ALWAYS AS (canon::jsonb) STORED,
    business_at timestamptz NOT NULL
        GENERATED ALWAYS AS (public.audit_instant(canon::jsonb ->> 'business_at')) STORED,
    type text NOT NULL GENERATED ALWAYS AS (canon::jsonb ->> 'type') STORED,
    outcome text NOT NULL GENERATED ALWAYS AS (canon::jsonb ->> 'outcome') STORED
        CHECK (outcome IN ('done', 'refused', 'failed')),
    actor_kind text NOT NULL GENERATED ALWAYS AS (canon::jsonb #>> '{actor,kind}') STORED
        CHECK (actor_kind IN ('person', 'worker', 'system', 'anonymous')),
    actor_oid text NOT NULL GENERATED ALWAYS AS (coalesce(canon::jsonb #>> '{actor,oid}', '')) STORED,
    about_oid text NOT NULL GENERATED ALWAYS AS (coalesce(canon::jsonb ->> 'about', '')) STORED,
    group_oid text NOT NULL GENERATED ALWAYS AS (coalesce(canon::jsonb ->> 'group', '')) STORED,
    request_id uuid GENERATED ALWAYS AS ((canon::jsonb ->> 'request')::uuid) STORED,
    grant_id uuid GENERATED ALWAYS AS ((canon::jsonb ->> 'grant')::uuid) STORED,
    ip text NOT NULL GENERATED ALWAYS AS (coalesce(canon::jsonb #>> '{actor,ip}', '')) STORED,
    session text NOT NULL GENERATED ALWAYS AS (coalesce(canon::jsonb #>> '{actor,session}', '')) STORED,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);

-- Newest first everywhere: partitions follow each other in `at`, so a page reads as few of them as it needs.
CREATE INDEX audit_event_newest ON public.audit_event (at DESC, id DESC);
CREATE INDEX audit_event_actor ON public.audit_event (actor_oid, at DESC, id DESC) WHERE actor_oid <> '';
CREATE INDEX audit_event_about ON public.audit_event (about_oid, at DESC, id DESC) WHERE about_oid <> '';
CREATE INDEX audit_event_group ON public.audit_event (group_oid, at DESC, id DESC) WHERE group_oid <> '';
CREATE INDEX audit_event_type ON public.audit_event (type, at DESC, id DESC);
CREATE INDEX audit_event_outcome ON public.audit_event (outcome, at DESC, id DESC) WHERE outcome <> 'done';
CREATE INDEX audit_event_request ON public.audit_event (request_id, at DESC, id DESC)
    WHERE request_id IS NOT NULL;
CREATE INDEX audit_event_grant ON public.audit_event (grant_id, at DESC, id DESC) WHERE grant_id IS NOT NULL;

CREATE TRIGGER audit_event_unchanged BEFORE UPDATE OR DELETE ON public.audit_event
    FOR EACH ROW EXECUTE FUNCTION public.audit_refuse_change();
CREATE TRIGGER audit_event_untruncated BEFORE TRUNCATE ON public.audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change();
"""

# One row per change of a guarded thing. Written by the database itself from the event's own text, so that
# no version can be claimed without the event that says so; the key allows one event a change.
VERSION = """
CREATE TABLE public.audit_version (
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    event_id bigint NOT NULL UNIQUE,
    PRIMARY KEY (subject_kind, subject_id, version)
);

CREATE FUNCTION public.audit_write_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.audit_version (subject_kind, subject_id, version, event_id)
    VALUES (NEW.data #>> '{subject,kind}', (NEW.data #>> '{subject,id}')::uuid,
            (NEW.data #>> '{subject,version}')::integer, NEW.id);
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_event_version AFTER INSERT ON public.audit_event
    FOR EACH ROW WHEN (NEW.data ? 'subject')
    EXECUTE FUNCTION public.audit_write_version();
"""

# Words and names of people, beside the ledger. The event holds sha256(salt || words) only, so a row here
# can be deleted one day and every proof still holds; until then it can't be changed.
PII = """
CREATE TABLE public.audit_pii (
    event_id bigint NOT NULL,
    field text NOT NULL,
    salt bytea NOT NULL CHECK (octet_length(salt) = 16),
    words text NOT NULL,
    PRIMARY KEY (event_id, field)
);
CREATE TRIGGER audit_pii_unchanged BEFORE UPDATE ON public.audit_pii
    FOR EACH ROW EXECUTE FUNCTION public.audit_refuse_change();
CREATE TRIGGER audit_pii_untruncated BEFORE TRUNCATE ON public.audit_pii
    FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change();
"""

SEALS = """
CREATE TABLE public.audit_leaf (
    event_id bigint PRIMARY KEY,
    at timestamptz NOT NULL, -- the event's, so that it is found in its partition
    batch bigint NOT NULL,
    idx integer NOT NULL CHECK (idx >= 0),
    leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
    UNIQUE (batch, idx)
);
CREATE TABLE public.audit_seal (
    batch bigint PRIMARY KEY CHECK (batch > 0),
    n integer NOT NULL CHECK (n >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    prev_seal bytea NOT NULL CHECK (octet_length(prev_seal) = 32),
    seal bytea NOT NULL UNIQUE CHECK (octet_length(seal) = 32),
    key_id text NOT NULL,
    signature bytea NOT NULL CHECK (octet_length(signature) = 64),
    at timestamptz NOT NULL
);
"""

# For these, too, UPDATE, DELETE and TRUNCATE are refused to everyone.
APPEND_ONLY = ("audit_version", "audit_leaf", "audit_seal")
RECEIPTS = "audit_anchor"  # of a later migration than the others
ACTOR_GUARD = "audit_event.audit_event_actor"  # likewise
ROWS_GUARD = "audit_event.audit_event_rows"  # likewise
WORDS_GUARD = "audit_pii.audit_pii_event"  # likewise
# Likewise; the second is a constraint.
COLUMNS_GUARDS = ("audit_event.audit_event_derived", "audit_event.audit_event_says")
SEALER_SETTINGS = "audit_sealer_settings"  # likewise
GUARDED_TABLES = ("audit_event", "audit_pii", *APPEND_ONLY, RECEIPTS, SEALER_SETTINGS)
# Triggers that must never be off, as table.trigger, and a constraint.
GUARDS = frozenset(
    {f"{table}.{table}_{guard}" for table in GUARDED_TABLES for guard in ("unchanged", "untruncated")}
    | {"audit_event.audit_event_version", ACTOR_GUARD, ROWS_GUARD, WORDS_GUARD, *COLUMNS_GUARDS}
)


def append_only(table: str) -> str:
    """The triggers that let a table only grow."""
    return f"""
CREATE TRIGGER {table}_unchanged BEFORE UPDATE OR DELETE ON public.{table}
    FOR EACH ROW EXECUTE FUNCTION public.audit_refuse_change();
CREATE TRIGGER {table}_untruncated BEFORE TRUNCATE ON public.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change();
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER {table}_unchanged;
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER {table}_untruncated;
"""


# ALWAYS: a session that pretends to be a replica doesn't get past them either.
ALWAYS = """
ALTER TABLE public.audit_event ENABLE ALWAYS TRIGGER audit_event_unchanged;
ALTER TABLE public.audit_event ENABLE ALWAYS TRIGGER audit_event_untruncated;
ALTER TABLE public.audit_event ENABLE ALWAYS TRIGGER audit_event_version;
ALTER TABLE public.audit_pii ENABLE ALWAYS TRIGGER audit_pii_unchanged;
ALTER TABLE public.audit_pii ENABLE ALWAYS TRIGGER audit_pii_untruncated;
"""

# Partitions by month. The first reaches back to the beginning of time and the default one catches what lies
# beyond the last, so no event ever finds no place. Made apart and attached: that locks out no writer.
# Statement triggers aren't inherited, so each partition gets its own against TRUNCATE.
MONTHS = """
CREATE FUNCTION public.audit_make_months(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    this_month timestamptz := date_trunc('month', clock_timestamp());
    month timestamptz;
    name text;
    lower_bound text;
    made integer := 0;
BEGIN
    IF ahead NOT BETWEEN 0 AND 60 THEN
        RAISE EXCEPTION 'Months ahead must be between 0 and 60, not %.', ahead;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_make_months', 0));
    FOR i IN 0..ahead LOOP
        month := this_month + make_interval(months => i);
        name := 'audit_event_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        lower_bound := quote_literal(month);
        IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'public.audit_event'::regclass
                       AND inhrelid IS DISTINCT FROM to_regclass('public.audit_event_beyond')) THEN
            lower_bound := 'MINVALUE';
        END IF;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_event INCLUDING DEFAULTS '
                       'INCLUDING GENERATED INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE public.audit_event ATTACH PARTITION public.%I '
                       'FOR VALUES FROM (%s) TO (%L)', name, lower_bound, month + interval '1 month');
        PERFORM public.audit_guard_partition(name);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION public.audit_guard_partition(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER audit_event_untruncated BEFORE TRUNCATE ON public.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER audit_event_untruncated', name);
END
$$;

CREATE TABLE public.audit_event_beyond PARTITION OF public.audit_event DEFAULT;
SELECT public.audit_guard_partition('audit_event_beyond');
SELECT public.audit_make_months(24);

REVOKE ALL ON FUNCTION public.audit_guard_partition(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION public.audit_make_months(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.audit_make_months(integer) TO portal_sealer;
"""

# A month that the default partition holds events of can't be attached any more: they are of a day when the database's clock
# was wrong, or when nobody had made months. It is passed by, and all its events find their place where those are. Who may
# read the events may look which those are.
_ALL_OTHERS = "        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;\n"
_PASS_BY = f"""{_ALL_OTHERS}        CONTINUE WHEN EXISTS (SELECT FROM public.audit_event_beyond
                              WHERE at >= month AND at < month + interval '1 month');
"""
_MAKE_MONTHS = MONTHS.partition("CREATE FUNCTION public.audit_guard_partition")[0].replace(
    "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
)
MONTHS_PASSED_BY = f"""
{_MAKE_MONTHS.replace(_ALL_OTHERS, _PASS_BY)}
GRANT SELECT ON public.audit_event_beyond TO portal_web, portal_worker, portal_sealer, portal_remover, portal_severer;
"""
MONTHS_NOT_PASSED_BY = f"""
{_MAKE_MONTHS}
REVOKE SELECT ON public.audit_event_beyond FROM portal_web, portal_worker, portal_sealer, portal_remover, portal_severer;
"""  # noqa: S608 - ours

# For other tables: AFTER INSERT OR UPDATE constraint trigger, DEFERRABLE INITIALLY DEFERRED, with the
# subject's kind as its argument; the table has `id uuid` and `version integer`.
REQUIRE_EVENT = """
CREATE FUNCTION public.audit_require_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.audit_version
                   WHERE subject_kind = TG_ARGV[0] AND subject_id = NEW.id AND version = NEW.version) THEN
        RAISE EXCEPTION 'No audit event says how % % came to version %; the change is refused.',
            TG_ARGV[0], NEW.id, NEW.version
            USING ERRCODE = 'integrity_constraint_violation',
                  HINT = 'Write the event with audit.ledger.recorder.record in the same transaction.';
    END IF;
    RETURN NULL;
END
$$;
"""

# What the words in a text are, for searching: in lower case, whatever language, parted at white space and at any ASCII
# punctuation, so that "CHG-123" is found by either part. Only so much of a text that Postgres never refuses the row.
# Erased words leave the index with their row; a reference is a fact of its event, and stays.
SEARCHED_WORDS = ("answer", "comment", "justification", "question", "reason")
WORDS = f"""
CREATE FUNCTION public.audit_words(words text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.to_tsvector('pg_catalog.simple'::pg_catalog.regconfig, pg_catalog.translate(
        pg_catalog.left(words, 100000), '!"#$%&''()*+,-./:;<=>?@[\\]^_`{{|}}~', pg_catalog.repeat(' ', 32)))
$$;
CREATE FUNCTION public.audit_reference_words(data jsonb) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT public.audit_words(nullif(data #>> '{{fields,reference}}', ''))
$$;
GRANT EXECUTE ON FUNCTION public.audit_words(text), public.audit_reference_words(jsonb) TO PUBLIC;
CREATE INDEX audit_pii_words ON public.audit_pii USING gin (public.audit_words(words))
    WHERE field IN ({", ".join(f"'{name}'" for name in SEARCHED_WORDS)});
CREATE INDEX audit_event_reference ON public.audit_event USING gin (public.audit_reference_words(data))
    WHERE public.audit_reference_words(data) IS NOT NULL;
"""
DROP_WORDS = """
DROP INDEX public.audit_event_reference, public.audit_pii_words;
DROP FUNCTION public.audit_reference_words(jsonb), public.audit_words(text);
"""

# Workers and the portal itself act from no address, and so cost nothing here.
ADDRESS = "CREATE INDEX audit_event_address ON public.audit_event (ip, at DESC, id DESC) WHERE ip <> '';"
DROP_ADDRESS = "DROP INDEX public.audit_event_address;"

# The whole of an event in one call: its text, and the words beside it. It has its caller's rights and no more. A session
# prepares the two statements once; sent as one statement, they would be parsed and planned with each event, which costs
# more than all the trail's indexes. `kept`: [{"field": ..., "salt": hex, "words": ...}].
RECORD = """
CREATE FUNCTION public.audit_record(said text, kept text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    event bigint;
BEGIN
    INSERT INTO public.audit_event (canon) VALUES (said) RETURNING id INTO event;
    IF kept <> '[]' THEN
        INSERT INTO public.audit_pii (event_id, field, salt, words)
        SELECT event, each.field, pg_catalog.decode(each.salt, 'hex'), each.words
        FROM pg_catalog.jsonb_to_recordset(kept::jsonb) AS each (field text, salt text, words text);
    END IF;
    RETURN event;
END
$$;
REVOKE ALL ON FUNCTION public.audit_record(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.audit_record(text, text)
    TO portal_web, portal_worker, portal_remover, portal_severer;
"""
DROP_RECORD = "DROP FUNCTION public.audit_record(text, text);"

# Asked of each event that is written: PL/pgSQL answers for those without a reference in a tenth of the time.
QUICK_REFERENCE = """
CREATE OR REPLACE FUNCTION public.audit_reference_words(data jsonb) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN public.audit_words(nullif(data #>> '{fields,reference}', ''));
END
$$;
"""
SLOW_REFERENCE = """
CREATE OR REPLACE FUNCTION public.audit_reference_words(data jsonb) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT public.audit_words(nullif(data #>> '{fields,reference}', ''))
$$;
"""

# What a page filters by without reading the events themselves, each of which is a kilobyte and more: the requests of an
# account, whose events are few among many, and business time.
_COVERED = ("newest (at DESC, id DESC)", "type (type, at DESC, id DESC)")
COVERING = "".join(
    f"DROP INDEX public.audit_event_{name}; "
    f"CREATE INDEX audit_event_{name} ON public.audit_event {columns} INCLUDE (request_id, business_at);\n"
    for name, _, columns in (each.partition(" ") for each in _COVERED)
)
NOT_COVERING = COVERING.replace(" INCLUDE (request_id, business_at)", "")

CREATE = "".join(
    (
        REFUSE_CHANGE,
        INSTANT,
        EVENT,
        VERSION,
        PII,
        SEALS,
        *(append_only(table) for table in APPEND_ONLY),
        ALWAYS,
        MONTHS,
        REQUIRE_EVENT,
    )
)

# Which seal a place outside the database was given, and its answer. One row a place and batch.
ANCHORS = f"""
CREATE TABLE public.audit_anchor (
    place text NOT NULL CHECK (place <> '' AND octet_length(place) <= 100),
    -- No reference: what a place was given stays known, whatever becomes of the seal here.
    batch bigint NOT NULL CHECK (batch > 0),
    seal bytea NOT NULL CHECK (octet_length(seal) = 32),
    receipt text NOT NULL CHECK (octet_length(receipt) <= 2000),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (place, batch)
);
CREATE INDEX audit_anchor_batch ON public.audit_anchor (batch);
{append_only(RECEIPTS)}
"""
DROP_ANCHORS = "DROP TABLE public.audit_anchor;"

# What the sealer says of its own settings, a row for each time that they were others: a worker writes the event of it.
SETTINGS_OF_SEALER = f"""
CREATE TABLE public.{SEALER_SETTINGS} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    told jsonb NOT NULL CHECK (jsonb_typeof(told) = 'object' AND octet_length(told::text) <= 50000)
);
{append_only(SEALER_SETTINGS)}
"""
DROP_SETTINGS_OF_SEALER = f"DROP TABLE public.{SEALER_SETTINGS};"

# A time stamp is a receipt that holds the authority's certificates.
LONG_RECEIPTS = """
ALTER TABLE public.audit_anchor DROP CONSTRAINT audit_anchor_receipt_check,
    ADD CONSTRAINT audit_anchor_receipt_check CHECK (octet_length(receipt) <= 40000);
"""
SHORT_RECEIPTS = """
ALTER TABLE public.audit_anchor DROP CONSTRAINT audit_anchor_receipt_check,
    ADD CONSTRAINT audit_anchor_receipt_check CHECK (octet_length(receipt) <= 2000);
"""

# What the facets count of a PIM group's newest ten thousand events, which lie as many pages apart.
GROUP_COVERING = """
DROP INDEX public.audit_event_group;
CREATE INDEX audit_event_group ON public.audit_event (group_oid, at DESC, id DESC)
    INCLUDE (type, outcome, actor_oid, business_at) WHERE group_oid <> '';
"""
GROUP_NOT_COVERING = GROUP_COVERING.replace("INCLUDE (type, outcome, actor_oid, business_at) ", "")

# What each column is of the text that was parsed, `said`, and its type.
DERIVED = {
    "data": ("said", "jsonb"),
    "business_at": ("public.audit_instant(said ->> 'business_at')", "timestamptz"),
    "type": ("said ->> 'type'", "text"),
    "outcome": ("said ->> 'outcome'", "text"),
    "actor_kind": ("said #>> '{actor,kind}'", "text"),
    "actor_oid": ("coalesce(said #>> '{actor,oid}', '')", "text"),
    "about_oid": ("coalesce(said ->> 'about', '')", "text"),
    "group_oid": ("coalesce(said ->> 'group', '')", "text"),
    "request_id": ("(said ->> 'request')::uuid", "uuid"),
    "grant_id": ("(said ->> 'grant')::uuid", "uuid"),
    "ip": ("coalesce(said #>> '{actor,ip}', '')", "text"),
    "session": ("coalesce(said #>> '{actor,session}', '')", "text"),
}


def _says(more: str) -> str:
    """The function that the constraint asks whether an event's columns say what its text says, and `more`."""
    return f"""
CREATE FUNCTION public.audit_says(canon text, {", ".join(f"{name} {kind}" for name, (_, kind) in DERIVED.items())})
RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    said pg_catalog.jsonb := canon;
BEGIN
    RETURN {" AND ".join(f"{name} IS NOT DISTINCT FROM {how}" for name, (how, _) in DERIVED.items())}{more};
END
$$;
"""


_ADD_SAYS = (
    f"ADD CONSTRAINT audit_event_says CHECK (public.audit_says(canon, {', '.join(DERIVED)})) NOT VALID"
)
# Generated columns parse the text each for itself, and are planned anew with each event. A trigger writes them instead,
# and isn't believed: a constraint derives them once more, whoever wrote them. NOT VALID: what is there was generated.
DERIVE = f"""
ALTER TABLE public.audit_event {", ".join(f"ALTER {name} DROP EXPRESSION" for name in DERIVED)};
CREATE FUNCTION public.audit_derive() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said pg_catalog.jsonb := NEW.canon;
BEGIN
    {"".join(f"NEW.{name} := {how};{chr(10)}    " for name, (how, _) in DERIVED.items())}RETURN NEW;
END
$$;
{_says("")}
CREATE TRIGGER audit_event_derived BEFORE INSERT ON public.audit_event
    FOR EACH ROW EXECUTE FUNCTION public.audit_derive();
ALTER TABLE public.audit_event ENABLE ALWAYS TRIGGER audit_event_derived;
ALTER TABLE public.audit_event {_ADD_SAYS};
"""

# Everybody who reads the trail expects as much of an event, so nobody writes one of another form: its type can stand in any
# header, its facts and promises are objects, the promises are texts, and no number is larger than a float (JSON may say
# 1e99999, which Postgres keeps and Python refuses to read). What isn't there at all is no fault. Three constraints of the
# table are part of it now: apart, they cost as much as all of this. It is made anew, so that it is asked of no event that is
# here, not even in months that were made since it was made first.
TYPE_FORM = r"^[a-z][a-z_]*\.[a-z][a-z_]*$"
_PLAIN = {
    "canon": "octet_length(canon) <= 262144",
    "outcome": "outcome IN ('done', 'refused', 'failed')",
    "actor_kind": "actor_kind IN ('person', 'worker', 'system', 'anonymous')",
}
_FORMED = f""" AND {" AND ".join(_PLAIN.values())}
    AND type ~ '{TYPE_FORM}' AND NOT said @? 'strict $ ? (
        @.fields.type() != "object" || @.commitments.type() != "object"
        || exists(@.commitments.* ? (@.type() != "string"))
        || exists(@.** ? (@ > 1e300 || @ < -1e300)))'"""
FORM = f"""
{_says(_FORMED).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")}
ALTER TABLE public.audit_event {", ".join(f"DROP CONSTRAINT audit_event_{name}_check" for name in _PLAIN)},
    DROP CONSTRAINT audit_event_says, {_ADD_SAYS};
"""
NO_FORM = f"""
{_says("").replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")}
ALTER TABLE public.audit_event
    {", ".join(f"ADD CONSTRAINT audit_event_{name}_check CHECK ({what}) NOT VALID" for name, what in _PLAIN.items())},
    DROP CONSTRAINT audit_event_says, {_ADD_SAYS};
"""

# Words stand beside the event that their session wrote last, and no other: whoever may add some could otherwise take the
# places of coming events, none of which could be recorded then. Compared by the trigger's condition, which costs an event
# next to nothing; a session that wrote no event has no last one, and is refused by Postgres itself. It looks at the
# sequence with its caller's rights, so those who write words may read it.
WORDS_OF_EVENT = """
CREATE FUNCTION public.audit_refuse_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Words stand beside the event that was just written; those beside event % are refused.', NEW.event_id
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
DO $$
DECLARE
    numbers text := pg_catalog.pg_get_serial_sequence('public.audit_event', 'id');
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE TRIGGER audit_pii_event BEFORE INSERT ON public.audit_pii FOR EACH ROW '
        'WHEN (NEW.event_id IS DISTINCT FROM pg_catalog.currval(%L)) EXECUTE FUNCTION public.audit_refuse_words()',
        numbers);
    EXECUTE pg_catalog.format(
        'GRANT SELECT ON SEQUENCE %s TO portal_web, portal_worker, portal_remover, portal_severer', numbers);
END
$$;
ALTER TABLE public.audit_pii ENABLE ALWAYS TRIGGER audit_pii_event;
"""
DROP_WORDS_OF_EVENT = """
DROP TRIGGER audit_pii_event ON public.audit_pii;
DROP FUNCTION public.audit_refuse_words();
DO $$
BEGIN
    EXECUTE pg_catalog.format(
        'REVOKE SELECT ON SEQUENCE %s FROM portal_web, portal_worker, portal_remover, portal_severer',
        pg_catalog.pg_get_serial_sequence('public.audit_event', 'id'));
END
$$;
"""

DROP = """
DROP TABLE public.audit_event, public.audit_version, public.audit_pii, public.audit_leaf, public.audit_seal;
DROP FUNCTION public.audit_require_event(), public.audit_make_months(integer),
    public.audit_guard_partition(text), public.audit_write_version(), public.audit_instant(text),
    public.audit_refuse_change();
"""
