-- The functions of pgpool-II's online recovery.
CREATE EXTENSION pgha;
\set SHOW_CONTEXT never
-- a detail tells the port, which differs
\set VERBOSITY terse

-- all signatures; nothing that is not a member, no other command
SELECT pgpool_recovery('pgha', 'elsewhere', '/data');
SELECT pgpool_recovery('pgha', 'elsewhere', '/data', '5432');
SELECT pgpool_recovery('pgha', 'elsewhere', '/data', '5432', 1);
SELECT pgpool_recovery('pgha', 'elsewhere', '/data', '5432', 1, '5433');
SELECT pgpool_recovery('pgha', 'elsewhere', '/data', '5432', 1, '5433', 'here');
\set VERBOSITY default
SELECT pgpool_recovery('recovery_1st_stage', 'elsewhere', '/data', '5432', 1, '5433', 'here');
SELECT pgpool_recovery('pgha:scripts', 'elsewhere', '/data', '5432', 1, '5433', 'here');
SELECT pgpool_recovery(NULL, 'elsewhere', '/data') IS NULL AS strict;

\set VERBOSITY terse
-- the second call raises what the first one could not do, once
SELECT pgpool_remote_start('elsewhere', '/data');
SELECT pgpool_recovery('x', 'solo', '/other', '5432', 1, '5433', 'here');
SELECT pgpool_remote_start('solo', '/other');
SELECT pgpool_remote_start('solo', '/other');

-- quotes and such are only text
SELECT pgpool_recovery('pgha', E'a''b\\"c', E'/d''e\\f', '1; DROP TABLE x', 1, 'port', E'\u00e9');

\set VERBOSITY default

-- this server
SELECT pgpool_pgctl('reload', '');
SELECT pgpool_pgctl('promote', '');
SELECT pgpool_pgctl('stop', 'quickly');
SELECT pgpool_pgctl('restart', 'fast');
-- with the commit, which a prepared transaction puts off
BEGIN;
SELECT pgpool_pgctl('stop', 'fast');
PREPARE TRANSACTION 'stop';
ROLLBACK;
SELECT pgpool_switch_xlog('/nonexistent');

-- not beside the extension that it replaces
DROP EXTENSION pgha;
CREATE EXTENSION pgpool_recovery;
CREATE EXTENSION pgha;
DROP EXTENSION pgpool_recovery;
CREATE EXTENSION pgha;
DROP EXTENSION pgha;
