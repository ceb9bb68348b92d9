-- Recovery of nodes: what is refused, and the agent's side of the board.
CREATE EXTENSION pgha;
\set SHOW_CONTEXT never

-- refused
SELECT pgha_recover_node(NULL);
SELECT pgha_recover_node('nobody');
SELECT pgha_recover_node('solo');
SELECT pgha_recover_node('solo', 'scripts');
SELECT pgha_recover_node('solo', NULL);

-- an agent that reports
SELECT state, in_recovery, leader, streaming, paused, order_id, command, argument, cancel
	FROM pgha_agent_poll('solo', '/data', 'running', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0);
SELECT node, job, phase, outcome, agent, server FROM pgha_recovery_progress();
SELECT node, agent FROM pgha_cluster();
SELECT order_id FROM pgha_agent_poll('solo', '/data', 'crashed', 'primary', 42, 'rewind', 'rewinding', 512, 1024, 'rewinds', NULL, NULL, NULL, NULL, 0);
SELECT node, job, method, phase, done_bytes, total_bytes, percent, outcome, message, server FROM pgha_recovery_progress();
SELECT order_id FROM pgha_agent_poll('solo', '/data', 'running', 'primary', 42, 'rewind', 'streaming', 0, 0, 'it is no use', 'failed', '55000', 'a detail', 'a hint', 0);
-- what comes late changes nothing
SELECT order_id FROM pgha_agent_poll('solo', '/data', 'running', 'primary', 42, 'rewind', 'cloning', 0, 0, 'again', NULL, NULL, NULL, NULL, 0);
SELECT job, phase, outcome, message FROM pgha_recovery_progress();
-- a wait that ends
SELECT state FROM pgha_agent_poll('solo', '/data', 'running', 'primary', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 20);
-- not a member; no name at all
SELECT state FROM pgha_agent_poll('nobody', '/data', 'running', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0);
SELECT state FROM pgha_agent_poll(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- this session is that of solo's agent; what it sends is shown to people
SELECT state FROM pgha_agent_poll(repeat(E'\u00e4', 100000), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0);
SELECT order_id FROM pgha_agent_poll('solo', NULL, NULL, 'primary', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0);
SELECT order_id FROM pgha_agent_poll('solo', E'/da\nta', E'\x1b[2J', '', 43, repeat('m', 100000), E'clon\ning', -1, -1024,
	repeat(E'\u00e4', 100000), 'splendid', '00000', E'two\nlines\x1b[2J', repeat('h', 100000), 0);
SELECT length(method), phase, done_bytes, total_bytes, outcome, octet_length(message), server FROM pgha_recovery_progress();

-- events
SELECT pgha_agent_event(E'te\nst', 'x');
SELECT pgha_agent_event(repeat('t', 32), 'x');
SELECT pgha_agent_event('test', NULL);
SELECT pgha_agent_event('test', E'two\nlines');
DO $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN EXISTS (SELECT FROM pgha_events() WHERE kind = 'test');
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
SELECT node, kind, what FROM pgha_events() WHERE kind = 'test';

-- the role of the connections
SELECT pgha_setup_role('regress_pgha_agent');
SELECT pgha_setup_role('regress_pgha_agent');
-- all of the extension's that it may execute
SELECT p.oid::regprocedure AS function FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgha')
	AND has_function_privilege('regress_pgha_agent', p.oid, 'EXECUTE')
	ORDER BY p.oid::regprocedure::text COLLATE "C";
-- all that was granted to it, by the functions' names and otherwise
SELECT p.oid::regprocedure AS function FROM pg_proc p, aclexplode(p.proacl) a
	WHERE a.grantee = 'regress_pgha_agent'::regrole ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = 'regress_pgha_agent'::regrole;
SELECT rolcanlogin, rolreplication, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = 'regress_pgha_agent';
SET ROLE regress_pgha_agent;
SELECT state FROM pgha_agent_poll('solo', '/data', 'running', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0);
SELECT count(*) > 0 FROM pg_ls_dir('.', true, false);
SELECT pgha_recover_node('solo');
SELECT pgha_setup_role();
RESET ROLE;
REVOKE ALL ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
	pg_read_binary_file(text, bigint, bigint, boolean) FROM regress_pgha_agent;
DROP OWNED BY regress_pgha_agent;
DROP EXTENSION pgha;
DROP ROLE regress_pgha_agent;

-- in a schema and for a role of odd names, which existed before
CREATE EXTENSION pgha;
CREATE SCHEMA "odd ""schema""; --";
ALTER EXTENSION pgha SET SCHEMA "odd ""schema""; --";
CREATE ROLE "regress_o'dd ""pgha"" %I" NOLOGIN;
SELECT "odd ""schema""; --".pgha_setup_role('regress_o''dd "pgha" %I');
SELECT rolname, rolcanlogin, rolreplication FROM pg_roles WHERE rolname LIKE 'regress_o%';
SET ROLE "regress_o'dd ""pgha"" %I";
SELECT agent FROM "odd ""schema""; --".pgha_recovery_progress();
SELECT "odd ""schema""; --".pgha_agent_event('test', 'from another schema');
SELECT "odd ""schema""; --".pgpool_pgctl('stop', 'fast');
RESET ROLE;
REVOKE ALL ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
	pg_read_binary_file(text, bigint, bigint, boolean) FROM "regress_o'dd ""pgha"" %I";
DROP OWNED BY "regress_o'dd ""pgha"" %I";
DROP EXTENSION pgha;
DROP SCHEMA "odd ""schema""; --";
DROP ROLE "regress_o'dd ""pgha"" %I";
