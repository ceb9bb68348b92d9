--
-- What the own agent says of its host, and what it is ordered to do.
--
CREATE EXTENSION pgha;
\set SHOW_CONTEXT never

-- not told yet
SELECT node, instance, address_state FROM pgha_cluster();
SELECT address_state FROM pgha_status();

-- told
SELECT pgha_agent_host('solo', 'i-0123456789abcdef0', 'held');
SELECT node, instance, address_state FROM pgha_cluster();
SELECT address_state FROM pgha_status();
SELECT field FROM regexp_split_to_table(current_setting('pgha.report'), E'\t') f(field)
WHERE field ~ '^(ec2|address)=' ORDER BY 1;
SELECT pgha_agent_host('solo', 'i-0123456789abcdef0', E'error: two\nlines');
SELECT address_state FROM pgha_status();
SELECT pgha_agent_host('solo', 'i-0123456789abcdef0', repeat('x', 1000));
SELECT length(address_state) FROM pgha_status();

-- not on EC2, no address
SELECT pgha_agent_host('solo', '', '');
SELECT node, instance, address_state FROM pgha_cluster();

-- not known yet
SELECT pgha_agent_host('solo', 'i-0123456789abcdef0', 'held');
SELECT pgha_agent_host('solo', NULL, NULL);
SELECT node, instance, address_state FROM pgha_cluster();
SELECT pgha_agent_host('solo', '', '');

-- refused
SELECT pgha_agent_host('other', '', '');
\echo :LAST_ERROR_SQLSTATE
SELECT pgha_agent_host(NULL, '', '');
SELECT pgha_agent_host('solo', 'i-0123/4', '');
\echo :LAST_ERROR_SQLSTATE
SELECT pgha_agent_host('solo', repeat('i', 32), '');

-- an outcome that nobody waits for
SELECT pgha_agent_done(42, true, NULL);
SELECT pgha_agent_done(0, true, NULL);
SELECT pgha_agent_done(NULL, true, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT pgha_agent_done(42, NULL, 'x');

-- who may
SELECT pgha_setup_role('regress_pgha_host');
CREATE ROLE regress_pgha_monitor;
GRANT pg_monitor TO regress_pgha_monitor;
SET ROLE regress_pgha_monitor;
SELECT pgha_agent_host('solo', '', '');
SELECT pgha_agent_done(42, true, NULL);
SELECT instance, address_state FROM pgha_cluster();
RESET ROLE;
SET ROLE regress_pgha_host;
SELECT pgha_agent_host('solo', '', 'not held');
SELECT pgha_agent_done(42, true, NULL);
SELECT address_state FROM pgha_status();
RESET ROLE;
SELECT pgha_agent_host('solo', '', '');
REVOKE ALL ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
	pg_read_binary_file(text, bigint, bigint, boolean) FROM regress_pgha_host;
DROP OWNED BY regress_pgha_host;
DROP EXTENSION pgha;
DROP ROLE regress_pgha_host, regress_pgha_monitor;
