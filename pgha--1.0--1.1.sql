/* pgha--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION pgha UPDATE TO '1.1'" to load this file. \quit

-- Members come and go

CREATE FUNCTION pgha_add_member(node text, address text, witness boolean DEFAULT false, force boolean DEFAULT false)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_add_member'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_add_member(text, text, boolean, boolean) IS
	'has the agents write a new node (host:port) into pgha.members, or pgha.witnesses, everywhere; false if all have it already';

CREATE FUNCTION pgha_remove_member(node text, force boolean DEFAULT false)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_remove_member'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_remove_member(text, boolean) IS
	'has the agents take a node that is gone out of pgha.members, or pgha.witnesses, everywhere; false if none has it';

REVOKE ALL ON FUNCTION pgha_add_member(text, text, boolean, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_remove_member(text, boolean) FROM PUBLIC;

-- What is seen of the members
-- ---------------------------

-- Columns are added at the end.  A view of one's own that is made of these functions
-- must be dropped before the update and made again after it.  A function that has other
-- columns calls a C function of another name: a library of version 1.0, on a node that
-- was not restarted, would fill a row that it has not all columns of.

DROP FUNCTION pgha_status();
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
	OUT config_error text,
	OUT address_state text,
	OUT quorum text,
	OUT voters text,
	OUT lease_ms bigint,
	OUT rule text,
	OUT vote text,
	OUT promise text,
	OUT candidacy bigint,
	OUT refusal text,
	OUT replay_lag_bytes bigint,
	OUT time_lag interval,
	OUT replay_paused boolean)
RETURNS record
AS 'MODULE_PATHNAME', 'pgha_sql_status_1_1'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION pgha_status() IS
	'this node: its role and state, why it is in it, and what it last did';

DROP FUNCTION pgha_cluster();
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
	OUT error text,
	OUT agent boolean,
	OUT instance text,
	OUT address_state text,
	OUT witness boolean,
	OUT votes boolean,
	OUT supports text,
	OUT vote text,
	OUT replayed_lsn pg_lsn,
	OUT replay_lag_bytes bigint,
	OUT time_lag interval,
	OUT replay_paused boolean,
	OUT age interval,
	OUT server text,
	OUT gate text,
	OUT lease_ms bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_cluster_1_1'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 5;

COMMENT ON FUNCTION pgha_cluster() IS
	'all members as this node sees them; of an unreachable one what it said last';

REVOKE ALL ON FUNCTION pgha_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_cluster() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgha_status() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_cluster() TO pg_monitor;

-- The same, narrow enough for psql.

CREATE VIEW pgha_nodes AS
	SELECT node, role,
		CASE WHEN server = 'absent' AND NOT reachable THEN 'data lost' ELSE state END AS state,
		timeline AS tl,
		pg_catalog.pg_size_pretty(lag_bytes) AS lag,
		pg_catalog.pg_size_pretty(replay_lag_bytes) AS replay_lag,
		pg_catalog.date_trunc('milliseconds', time_lag) AS time_lag,
		replay_paused AS paused,
		agent,
		pg_catalog.date_trunc('milliseconds', age) AS age
	FROM pgha_cluster();

COMMENT ON VIEW pgha_nodes IS
	'a row for each member, few columns of pgha_cluster()';

CREATE VIEW pgha_node AS
	SELECT node, role, state, term, timeline AS tl, leader, gate,
		pg_catalog.pg_size_pretty(replay_lag_bytes) AS replay_lag,
		pg_catalog.date_trunc('milliseconds', time_lag) AS time_lag,
		last_change::timestamptz(0) AS last_change
	FROM pgha_status();

COMMENT ON VIEW pgha_node IS
	'this node, few columns of pgha_status()';

REVOKE ALL ON pgha_nodes FROM PUBLIC;
REVOKE ALL ON pgha_node FROM PUBLIC;
GRANT SELECT ON pgha_nodes TO pg_monitor;
GRANT SELECT ON pgha_node TO pg_monitor;

-- Operator: who may give orders

CREATE FUNCTION pgha_setup_operator(role text)
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	here text;
	acting text;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
		RAISE EXCEPTION 'role "%" does not exist', role
			USING ERRCODE = 'undefined_object',
				HINT = format('Create it first: CREATE ROLE %I LOGIN PASSWORD ''...'';', role);
	END IF;
	SELECT quote_ident(n.nspname) INTO here
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pgha';
	IF NOT pg_has_role(role, 'pg_monitor', 'MEMBER') THEN
		EXECUTE format('GRANT pg_monitor TO %I', role);
	END IF;
	EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', here, role);
	FOREACH acting IN ARRAY ARRAY['pgha_pause()', 'pgha_resume()', 'pgha_promote(boolean)', 'pgha_switchover(text)',
		'pgha_restart(text)', 'pgha_recover_node(text, text)',
		'pgha_add_member(text, text, boolean, boolean)', 'pgha_remove_member(text, boolean)'] LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s.%s TO %I', here, acting, role);
	END LOOP;
END
$$;

COMMENT ON FUNCTION pgha_setup_operator(text) IS
	'lets a role give orders to the cluster: the functions that act, and those that read, in this database';

REVOKE ALL ON FUNCTION pgha_setup_operator(text) FROM PUBLIC;

-- http

-- What the agent shows over HTTP.  On a primary waits at most wait_ms until `key` is another
-- one than `seen`: state, leader, term, gate, pause or the events have changed.  now_us is
-- this host's CLOCK_BOOTTIME; for valid_us from then on commits may be acknowledged
-- here, 0: not at all.  `events` changes with each new one.
CREATE FUNCTION pgha_agent_view(
	IN seen text,
	IN wait_ms integer,
	OUT key text,
	OUT now_us bigint,
	OUT valid_us bigint,
	OUT in_recovery boolean,
	OUT streaming boolean,
	OUT events bigint,
	OUT pending_restart text,
	OUT max_failover_lag bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pgha_sql_agent_view'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_agent_view(text, integer) IS
	'for the program "pgha agent": how long this server may acknowledge commits, and when there is news';

REVOKE ALL ON FUNCTION pgha_agent_view(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgha_agent_view(text, integer) TO pg_monitor;
