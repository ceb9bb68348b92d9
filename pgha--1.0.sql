/* pgha--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pgha" to load this file. \quit

-- Reading

CREATE FUNCTION pgha_status(
	OUT node text,
	OUT role text,
	OUT state text,
	OUT term bigint,
	OUT timeline integer,
	OUT flushed_lsn pg_lsn,
	OUT replayed_lsn pg_lsn,
	OUT leader text,
	OUT gate text,
	OUT sync_state text,
	OUT candidate boolean,
	OUT reason text,
	OUT last_change timestamptz,
	OUT last_change_reason text,
	OUT paused boolean,
	OUT config_error text)
RETURNS record
AS 'MODULE_PATHNAME', 'pgha_sql_status'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION pgha_status() IS
	'this node: its role and state, why it is in it, and what it last did';

CREATE FUNCTION pgha_cluster(
	OUT node text,
	OUT address text,
	OUT role text,
	OUT state text,
	OUT reachable boolean,
	OUT term bigint,
	OUT timeline integer,
	OUT lsn pg_lsn,
	OUT lag_bytes bigint,
	OUT upstream text,
	OUT candidate boolean,
	OUT paused boolean,
	OUT last_heard timestamptz,
	OUT error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_cluster'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 5;

COMMENT ON FUNCTION pgha_cluster() IS
	'all members as this node sees them; of an unreachable one what it said last';

CREATE FUNCTION pgha_events(
	OUT at timestamptz,
	OUT node text,
	OUT kind text,
	OUT term bigint,
	OUT what text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_events'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 500;

COMMENT ON FUNCTION pgha_events() IS
	'what happened on all members, oldest first';

-- Acting

CREATE FUNCTION pgha_pause()
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pause'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_pause() IS
	'no automatic failover on any member until pgha_resume(); true if all members confirmed';

CREATE FUNCTION pgha_resume()
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_resume'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_resume() IS
	'ends pgha_pause(); true if all members confirmed';

CREATE FUNCTION pgha_promote(force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'pgha_sql_promote'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_promote(boolean) IS
	'makes this standby the primary; refused while a primary is there, unless forced';

-- Privileges

REVOKE ALL ON FUNCTION pgha_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_cluster() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_events() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_pause() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_resume() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_promote(boolean) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION pgha_status() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_cluster() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_events() TO pg_monitor;
