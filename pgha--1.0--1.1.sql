/* pgha--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION pgha UPDATE TO '1.1'" to load this file. \quit

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
		'pgha_restart(text)', 'pgha_recover_node(text, text)'] LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s.%s TO %I', here, acting, role);
	END LOOP;
END
$$;

COMMENT ON FUNCTION pgha_setup_operator(text) IS
	'lets a role give orders to the cluster: the functions that act, and those that read, in this database';

REVOKE ALL ON FUNCTION pgha_setup_operator(text) FROM PUBLIC;
