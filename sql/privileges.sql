--
-- Who may call what.
--
CREATE EXTENSION pgha;
CREATE ROLE regress_pgha_plain;
CREATE ROLE regress_pgha_monitor;
CREATE ROLE regress_pgha_operator;
GRANT pg_monitor TO regress_pgha_monitor;

SELECT p.oid::regprocedure AS function,
       has_function_privilege('regress_pgha_plain', p.oid, 'EXECUTE') AS plain,
       has_function_privilege('regress_pgha_monitor', p.oid, 'EXECUTE') AS monitor
FROM pg_proc p WHERE proname LIKE ANY (ARRAY['pgha\_%', 'pgpool\_%']) ORDER BY p.oid::regprocedure::text COLLATE "C";

SET ROLE regress_pgha_plain;
SELECT * FROM pgha_status();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pgha_cluster();
SELECT * FROM pgha_events();
SELECT pgha_pause();
SELECT pgha_resume();
SELECT pgha_promote();
SELECT pgha_promote(true);
SELECT node FROM pgha_nodes;
SELECT node FROM pgha_node;
SHOW pgha.report;
SELECT current_setting('pgha.report');
\set VERBOSITY sqlstate
SHOW pgha.conninfo;
\set VERBOSITY default
RESET ROLE;

SET ROLE regress_pgha_monitor;
SELECT node, state FROM pgha_status();
SELECT node FROM pgha_cluster();
SELECT count(*) > 0 AS has_events FROM pgha_events();
SELECT a.node, b.node FROM pgha_nodes a, pgha_node b;
SELECT split_part(current_setting('pgha.report'), E'\t', 2) AS report;
SELECT pgha_pause();
SELECT pgha_promote();
RESET ROLE;

-- acting is grantable
GRANT EXECUTE ON FUNCTION pgha_pause(), pgha_resume(), pgha_promote(boolean) TO regress_pgha_operator;
SET ROLE regress_pgha_operator;
SELECT pgha_pause();
SELECT pgha_resume();
SELECT pgha_promote();
SELECT node FROM pgha_status();
RESET ROLE;

REVOKE EXECUTE ON FUNCTION pgha_pause(), pgha_resume(), pgha_promote(boolean) FROM regress_pgha_operator;
DROP EXTENSION pgha;
DROP ROLE regress_pgha_plain, regress_pgha_monitor, regress_pgha_operator;
