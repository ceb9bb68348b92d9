/* pgha--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION pgha UPDATE TO '1.1'" to load this file. \quit

-- http

-- What the agent shows over HTTP.  Waits at most wait_ms until `key` is another one
-- than `seen`: state, leader, term, gate, pause or the events have changed.  now_us is
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
