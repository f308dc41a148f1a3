-- Login roles and the database, for psql 14 or newer, as a superuser. Running it again changes nothing
-- but the passwords. Read by the embedded server and, as an init script, by the one of docker-compose.yml.
-- Passwords come from the environment, so that they stand in no argument list and in no file.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
-- A statement that fails must not leave a password in the server's log.
SET log_min_error_statement = panic;
SET log_statement = 'none';

\set database portal
\getenv database DATABASE_NAME
\getenv owner_password PORTAL_OWNER_PASSWORD
\getenv web_password PORTAL_WEB_PASSWORD
\getenv worker_password PORTAL_WORKER_PASSWORD
\getenv sealer_password PORTAL_SEALER_PASSWORD
\getenv remover_password PORTAL_REMOVER_PASSWORD
\getenv severer_password PORTAL_SEVERER_PASSWORD

SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['portal_owner', 'portal_web', 'portal_worker', 'portal_sealer',
                     'portal_remover', 'portal_severer']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- portal_owner owns the database and migrates it. The others get rights on tables from the migrations.
ALTER ROLE portal_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'owner_password';
ALTER ROLE portal_web LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'web_password';
ALTER ROLE portal_worker LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'worker_password';
ALTER ROLE portal_sealer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'sealer_password';
ALTER ROLE portal_remover LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'remover_password';
ALTER ROLE portal_severer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'severer_password';

-- The built-in locale sorts and folds the same on every machine and needs no library of the system.
SELECT format(
         'CREATE DATABASE %I OWNER portal_owner TEMPLATE template0 ENCODING ''UTF8'' '
         'LOCALE_PROVIDER builtin BUILTIN_LOCALE ''C.UTF-8'' LOCALE ''C''', :'database')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec

REVOKE ALL ON DATABASE postgres, template1, :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO portal_web, portal_worker, portal_sealer,
  portal_remover, portal_severer;

\connect :"database"
SET client_min_messages = warning;
-- The schema belongs to pg_database_owner, that is, to portal_owner: nobody else may create anything in it.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO portal_web, portal_worker, portal_sealer,
  portal_remover, portal_severer;
