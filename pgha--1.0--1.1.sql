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
