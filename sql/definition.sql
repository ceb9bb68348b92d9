--
-- What the extension consists of, and what it says on a single node.
--
\set VERBOSITY terse
CREATE EXTENSION pgha;

SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'pgha';

SELECT p.oid::regprocedure AS function,
       pg_get_function_result(p.oid) <> '' AS has_result,
       p.provolatile, p.proparallel, p.proisstrict, p.prosecdef, p.proretset,
       obj_description(p.oid, 'pg_proc') IS NOT NULL AS commented
FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pgha'
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- nothing else but views (and from 17 on their row types)
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS object
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = 'pgha' AND d.deptype = 'e' AND d.classid NOT IN ('pg_proc'::regclass, 'pg_type'::regclass)
ORDER BY pg_describe_object(d.classid, d.objid, d.objsubid) COLLATE "C";

-- one row, this node
SELECT node, role, state, term > 0 AS has_term, timeline, leader, gate, sync_state,
       candidate, paused, config_error
FROM pgha_status();
SELECT flushed_lsn > '0/0' AS flushed, replayed_lsn IS NULL AS no_replay,
       last_change <= clock_timestamp() AS changed, last_change_reason <> '' AS why, reason <> '' AS reason
FROM pgha_status();

-- live values, not a copy
BEGIN;
SELECT flushed_lsn AS before FROM pgha_status() \gset
CREATE TABLE regress_pgha_wal AS SELECT generate_series(1, 1000) AS v;
COMMIT;
SELECT flushed_lsn > :'before' AS moved FROM pgha_status();
DROP TABLE regress_pgha_wal;

-- a row a member
SELECT node, address LIKE '127.0.0.1:%' AS address, role, state, reachable, term > 0 AS has_term,
       timeline, lag_bytes, upstream, candidate, paused, error
FROM pgha_cluster();
SELECT last_heard <= clock_timestamp() AS heard, lsn > '0/0' AS lsn FROM pgha_cluster();
SELECT replayed_lsn, replay_lag_bytes, time_lag, replay_paused, age, server, gate, lease_ms FROM pgha_cluster();
SELECT node, role, state, tl, lag, replay_lag, time_lag, paused, agent, age FROM pgha_nodes;
SELECT node, role, state, tl, leader, gate, replay_lag, time_lag FROM pgha_node;

-- events, oldest first
SELECT count(*) > 0 AS has_events, bool_and(node = 'solo') AS own, bool_and(kind ~ '^[a-z_-]+$') AS kinds,
       bool_and(what <> '') AS whats
FROM pgha_events();
SELECT bool_and(ordered) IS NOT FALSE AS ordered
FROM (SELECT at > lag(at) OVER () AS ordered FROM pgha_events()) s;
SELECT kind FROM pgha_events() WHERE kind = 'lead' LIMIT 1;

-- also in the target list, and more than once in a query
SELECT (pgha_status()).node, count(*) FROM pgha_cluster() a, pgha_cluster() b GROUP BY 1;

-- into another schema
CREATE SCHEMA regress_pgha;
ALTER EXTENSION pgha SET SCHEMA regress_pgha;
SELECT node FROM pgha_status();
SELECT node FROM regress_pgha.pgha_status();
DROP EXTENSION pgha;
CREATE EXTENSION pgha SCHEMA regress_pgha;
SELECT node FROM regress_pgha.pgha_cluster();

-- nothing stays behind
DROP EXTENSION pgha;
DROP SCHEMA regress_pgha;
SELECT count(*) FROM pg_proc WHERE proname LIKE 'pgha%' OR probin LIKE '%pgha%';
