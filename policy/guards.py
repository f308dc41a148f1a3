"""What Postgres itself refuses about rules: a version, once written, stays as it is."""

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
