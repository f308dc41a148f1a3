-- Roles of the test cluster, on top of stack/bootstrap.sql, for psql as a superuser.
\set ON_ERROR_STOP on
\set QUIET on
SET log_min_error_statement = panic;
\getenv tests_password PORTAL_TESTS_PASSWORD
\getenv test_owner_password PORTAL_TEST_OWNER_PASSWORD

-- Tests log in as portal_tests, which may do nothing by itself but step into one application role at a time.
CREATE ROLE portal_tests LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'tests_password';
GRANT portal_web, portal_worker, portal_sealer, portal_remover, portal_severer TO portal_tests WITH INHERIT FALSE, SET TRUE;

-- The harness clones databases as portal_test_owner and hands them to portal_owner.
CREATE ROLE portal_test_owner LOGIN NOSUPERUSER CREATEDB NOCREATEROLE PASSWORD :'test_owner_password';
GRANT portal_owner TO portal_test_owner WITH INHERIT TRUE, SET TRUE;
GRANT CONNECT ON DATABASE postgres TO portal_test_owner;

-- Clones are kept where the keeper says, when it does.
\getenv clones CLONES_FOLDER
\if :{?clones}
CREATE TABLESPACE clones LOCATION :'clones';
GRANT CREATE ON TABLESPACE clones TO portal_test_owner;
\endif
