"""What Postgres itself refuses about rules: a version, and the terms of requests, once written stay as they are."""


def _install(table: str, name: str, sentence: str) -> str:
    return f"""
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{sentence}'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER {table}_final BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {name}();
CREATE TRIGGER {table}_untruncated BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_final;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_untruncated;
"""


def _remove(table: str, name: str) -> str:
    return f"""
DROP TRIGGER {table}_final ON {table};
DROP TRIGGER {table}_untruncated ON {table};
DROP FUNCTION {name}();
"""


_VERSION = ("policy_ruleversion", "policy_ruleversion_is_final")
_TERMS = ("policy_terms", "policy_terms_are_final")
# As the check names them: each with the function that it calls.
GUARDS = {
    f"{table}.{table}_{guard}": name
    for table, name in (_VERSION, _TERMS)
    for guard in ("final", "untruncated")
}
INSTALL = _install(*_VERSION, "A rule version never changes: write the next version instead.")
REMOVE = _remove(*_VERSION)
INSTALL_TERMS = _install(*_TERMS, "The terms of a request never change: write other terms instead.")
REMOVE_TERMS = _remove(*_TERMS)
