/* pgha--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pgha" to load this file. \quit

DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pgpool_recovery') THEN
		RAISE EXCEPTION 'extension "pgpool_recovery" is installed in this database, and has functions that pgha replaces'
			USING ERRCODE = 'duplicate_function',
				HINT = 'Run DROP EXTENSION pgpool_recovery; first.';
	END IF;
END
$$;

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
	OUT config_error text,
	OUT address_state text,
	OUT quorum text,
	OUT voters text,
	OUT lease_ms bigint,
	OUT rule text,
	OUT vote text,
	OUT promise text,
	OUT candidacy bigint,
	OUT refusal text)
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
	OUT error text,
	OUT agent boolean,
	OUT instance text,
	OUT address_state text,
	OUT witness boolean,
	OUT votes boolean,
	OUT supports text,
	OUT vote text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_cluster'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 5;

COMMENT ON FUNCTION pgha_cluster() IS
	'all members as this node sees them; of an unreachable one what it said last';

CREATE FUNCTION pgha_explain(
	OUT event text,
	OUT item text,
	OUT node text,
	OUT amount bigint,
	OUT answer text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_explain'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 20;

COMMENT ON FUNCTION pgha_explain() IS
	'what would happen if the primary were killed, or fell silent, now: who leads next, how soon, what could be lost, why others would not';

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

CREATE FUNCTION pgha_recovery_progress(
	OUT node text,
	OUT job bigint,
	OUT method text,
	OUT phase text,
	OUT done_bytes bigint,
	OUT total_bytes bigint,
	OUT percent numeric,
	OUT started timestamptz,
	OUT updated timestamptz,
	OUT outcome text,
	OUT message text,
	OUT agent boolean,
	OUT server text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_recovery_progress'
LANGUAGE C VOLATILE PARALLEL RESTRICTED
ROWS 5;

COMMENT ON FUNCTION pgha_recovery_progress() IS
	'the agents connected to this server, and how far their last recovery is; outcome is null while it runs';

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

CREATE FUNCTION pgha_switchover(target text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'pgha_sql_switchover'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_switchover(text) IS
	'hands the lead over to this standby, or to the best, and makes this primary a standby; returns its name once that is certain';

CREATE FUNCTION pgha_restart(mode text DEFAULT 'fast')
RETURNS void
AS 'MODULE_PATHNAME', 'pgha_sql_restart'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_restart(text) IS
	'has the agent stop this server (fast or smart) and start it again; returns before that is done';

CREATE FUNCTION pgha_recover_node(node text, method text DEFAULT 'auto')
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_recover_node'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_recover_node(text, text) IS
	'brings a fallen node back as a standby: auto (start, else rewind, else clone), rewind, clone or start; true, or an error';

CREATE FUNCTION pgha_setup_role(name text DEFAULT 'pgha')
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

COMMENT ON FUNCTION pgha_setup_role(text) IS
	'creates the role of pgha''s connections between members unless it exists, and grants it what they and the agent need, in this database';

-- For the agent

-- What the agent says of itself goes in, and of its job, all null if it has none:
-- an id, how far it is (bytes), and at the end the outcome (done, failed,
-- cancelled) with the reason.  It waits up to wait_ms milliseconds unless there is
-- an order that it has not taken yet, a wish to cancel, or the state of this
-- server is not seen_state.  To name an order's id as that of the job is to take
-- it.  pause_generation grows with each pause and resume, so that of two members'
-- word on it the later one is known.
CREATE FUNCTION pgha_agent_poll(
	IN node text,
	IN data_directory text,
	IN server text,
	IN seen_state text,
	IN job bigint,
	IN method text,
	IN phase text,
	IN done_bytes bigint,
	IN total_bytes bigint,
	IN message text,
	IN outcome text,
	IN sqlstate text,
	IN detail text,
	IN hint text,
	IN wait_ms integer,
	OUT state text,
	OUT in_recovery boolean,
	OUT leader text,
	OUT streaming boolean,
	OUT paused boolean,
	OUT order_id bigint,
	OUT command text,
	OUT argument text,
	OUT cancel boolean,
	OUT pause_generation bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pgha_sql_agent_poll'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_agent_poll(text, text, text, text, bigint, text, text, bigint, bigint, text, text, text, text, text, integer) IS
	'for the program "pgha agent": reports, and waits for orders';

CREATE FUNCTION pgha_agent_event(kind text, what text)
RETURNS void
AS 'MODULE_PATHNAME', 'pgha_sql_agent_event'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_agent_event(text, text) IS
	'for the program "pgha agent": adds a line to pgha_events() and the server log';

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

-- What in this server's data directory a rewind or a clone of another node must
-- know of: its directories at the top; whatever is a socket, a FIFO or a device
-- ('special'), which pg_rewind must not open; and links that pg_basebackup leaves out.
CREATE FUNCTION pgha_agent_files(OUT name text, OUT kind text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pgha_sql_agent_files'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pgha_agent_files() IS
	'for the program "pgha agent": what in the data directory cannot simply be copied';

-- For pgpool-II, in place of the extension pgpool_recovery

CREATE FUNCTION pgpool_recovery(script_name text, remote_host text, remote_data_directory text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_recovery'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_recovery(script_name text, remote_host text, remote_data_directory text,
	primary_port text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_recovery'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_recovery(script_name text, remote_host text, remote_data_directory text,
	primary_port text, remote_node integer)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_recovery'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_recovery(script_name text, remote_host text, remote_data_directory text,
	primary_port text, remote_node integer, remote_port text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_recovery'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_recovery(script_name text, remote_host text, remote_data_directory text,
	primary_port text, remote_node integer, remote_port text, primary_host text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_recovery'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_remote_start(remote_host text, remote_data_directory text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_remote_start'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_pgctl(action text, stop_mode text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_pgctl'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

CREATE FUNCTION pgpool_switch_xlog(archive_directory text)
RETURNS text
AS 'MODULE_PATHNAME', 'pgha_sql_pgpool_switch_xlog'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION pgpool_recovery(text, text, text) IS
	'for pgpool-II 3.3: brings the node at this address back; script_name is pgha, pgha:rewind, pgha:clone or pgha:start';
COMMENT ON FUNCTION pgpool_recovery(text, text, text, text) IS
	'for pgpool-II 3.4 to 3.7: brings the node at this address back; script_name is pgha, pgha:rewind, pgha:clone or pgha:start';
COMMENT ON FUNCTION pgpool_recovery(text, text, text, text, integer) IS
	'for pgpool-II 4.0: brings the node at this address back; script_name is pgha, pgha:rewind, pgha:clone or pgha:start';
COMMENT ON FUNCTION pgpool_recovery(text, text, text, text, integer, text) IS
	'for pgpool-II 4.1 and 4.2: brings the node at this address back; script_name is pgha, pgha:rewind, pgha:clone or pgha:start';
COMMENT ON FUNCTION pgpool_recovery(text, text, text, text, integer, text, text) IS
	'for pgpool-II 4.3 and newer: brings the node at this address back; script_name is pgha, pgha:rewind, pgha:clone or pgha:start';
COMMENT ON FUNCTION pgpool_remote_start(text, text) IS
	'for pgpool-II: raises what kept pgpool_recovery() from bringing the node back, else makes sure that it runs';
COMMENT ON FUNCTION pgpool_pgctl(text, text) IS
	'for pgpool-II: stop, restart or reload this server; mode smart, fast or immediate';
COMMENT ON FUNCTION pgpool_switch_xlog(text) IS
	'for pgpool-II: switches to a new WAL file and waits until the former one is archived';

-- Privileges

REVOKE ALL ON FUNCTION pgha_status() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_cluster() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_explain() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_events() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_recovery_progress() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_doctor() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_pause() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_resume() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_promote(boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_switchover(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_restart(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_recover_node(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_setup_role(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_poll(text, text, text, text, bigint, text, text, bigint, bigint, text, text, text, text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_event(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_host(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_done(bigint, boolean, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgha_agent_files() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_recovery(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_recovery(text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_recovery(text, text, text, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_recovery(text, text, text, text, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_recovery(text, text, text, text, integer, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_remote_start(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_pgctl(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgpool_switch_xlog(text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION pgha_status() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_cluster() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_explain() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_events() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_recovery_progress() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_doctor() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgha_agent_files() TO pg_monitor;
