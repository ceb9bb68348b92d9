/* pgha--1.1--1.2.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION pgha UPDATE" to load this file. \quit

-- Reading

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
	OUT address_state text)
RETURNS record
AS 'MODULE_PATHNAME', 'pgha_sql_status'
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
	OUT address_state text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_cluster'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 5;

COMMENT ON FUNCTION pgha_cluster() IS
	'all members as this node sees them; of an unreachable one what it said last';

CREATE FUNCTION pgha_doctor(
	OUT severity text,
	OUT "check" text,
	OUT finding text,
	OUT remedy text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_doctor'
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 60;

COMMENT ON FUNCTION pgha_doctor() IS
	'checks the set-up of this node: ok, info, warning or error, what was found, and what to write or run';

-- For the agent

-- Told to the agent's own server whenever something has changed, and when it has
-- connected: the EC2 instance ('' if there is none), and what became of
-- pgha.address ('' if it is not set).
CREATE FUNCTION pgha_agent_host(node text, instance text, address text)
RETURNS void
AS 'MODULE_PATHNAME', 'pgha_sql_agent_host'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_agent_host(text, text, text) IS
	'for the program "pgha agent": where this node runs, and what became of pgha.address';

-- The outcome of an order that pgha_agent_poll() handed out with a command whose
-- outcome is waited for: stop-instance.  False if nobody waits for it any more.
CREATE FUNCTION pgha_agent_done(order_id bigint, done boolean, message text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_agent_done'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_agent_done(bigint, boolean, text) IS
	'for the program "pgha agent": the outcome of an order';

-- Privileges

REVOKE ALL ON FUNCTION pgha_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_cluster() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_doctor() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_host(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_done(bigint, boolean, text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION pgha_status() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_cluster() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_doctor() TO pg_monitor;

CREATE OR REPLACE FUNCTION pgha_setup_role(name text DEFAULT 'pgha')
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	here text;
BEGIN
	SELECT quote_ident(n.nspname) INTO here
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pgha';
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
		EXECUTE format('CREATE ROLE %I LOGIN REPLICATION', name);
	ELSE
		EXECUTE format('ALTER ROLE %I LOGIN REPLICATION', name);
	END IF;
	IF NOT pg_has_role(name, 'pg_monitor', 'MEMBER') THEN
		EXECUTE format('GRANT pg_monitor TO %I', name);
	END IF;
	-- what pg_rewind needs on the server that it copies from
	EXECUTE format('GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean) TO %I', name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO %I', name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION pg_read_binary_file(text) TO %I', name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO %I', name);
	-- what the agent calls
	EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', here, name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s.pgha_agent_poll(text, text, text, text, bigint, text, text, bigint, bigint, text, text, text, text, text, integer) TO %I', here, name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s.pgha_agent_event(text, text) TO %I', here, name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s.pgha_agent_host(text, text, text) TO %I', here, name);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s.pgha_agent_done(bigint, boolean, text) TO %I', here, name);
END
$$;
