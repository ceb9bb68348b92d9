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

-- events
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
SELECT rolcanlogin, rolreplication, rolsuper FROM pg_roles WHERE rolname = 'regress_pgha_agent';
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

-- from the version before, and with its functions
CREATE EXTENSION pgha VERSION '1.0';
SELECT count(*) FROM pgha_cluster();
ALTER EXTENSION pgha UPDATE TO '1.1';
SELECT count(*) FROM pgha_cluster();
DROP EXTENSION pgha;
