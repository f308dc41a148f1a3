"""Nothing is said about a request without an event that says so."""

REMARK_SQL = """
CREATE CONSTRAINT TRIGGER remark_event AFTER INSERT ON requests_app_remark
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('remark');
ALTER TABLE requests_app_remark ENABLE ALWAYS TRIGGER remark_event;
"""

UNDO_SQL = """
DROP TRIGGER remark_event ON requests_app_remark;
"""
