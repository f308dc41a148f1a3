"""What Postgres itself refuses about rules: a version, and the terms of requests, once written stay as they are."""

INSTALL = """
CREATE FUNCTION policy_ruleversion_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A rule version never changes: write the next version instead.'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER policy_ruleversion_final BEFORE UPDATE OR DELETE ON policy_ruleversion
    FOR EACH ROW EXECUTE FUNCTION policy_ruleversion_is_final();
CREATE TRIGGER policy_ruleversion_untruncated BEFORE TRUNCATE ON policy_ruleversion
    FOR EACH STATEMENT EXECUTE FUNCTION policy_ruleversion_is_final();
ALTER TABLE policy_ruleversion ENABLE ALWAYS TRIGGER policy_ruleversion_final;
ALTER TABLE policy_ruleversion ENABLE ALWAYS TRIGGER policy_ruleversion_untruncated;
"""

REMOVE = """
DROP TRIGGER policy_ruleversion_final ON policy_ruleversion;
DROP TRIGGER policy_ruleversion_untruncated ON policy_ruleversion;
DROP FUNCTION policy_ruleversion_is_final();
"""

INSTALL_TERMS = """
CREATE FUNCTION policy_terms_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The terms of a request never change: write other terms instead.'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER policy_terms_final BEFORE UPDATE OR DELETE ON policy_terms
    FOR EACH ROW EXECUTE FUNCTION policy_terms_are_final();
CREATE TRIGGER policy_terms_untruncated BEFORE TRUNCATE ON policy_terms
    FOR EACH STATEMENT EXECUTE FUNCTION policy_terms_are_final();
ALTER TABLE policy_terms ENABLE ALWAYS TRIGGER policy_terms_final;
ALTER TABLE policy_terms ENABLE ALWAYS TRIGGER policy_terms_untruncated;
"""

REMOVE_TERMS = """
DROP TRIGGER policy_terms_final ON policy_terms;
DROP TRIGGER policy_terms_untruncated ON policy_terms;
DROP FUNCTION policy_terms_are_final();
"""
