-- pgha_setup_operator(): who may give orders.
CREATE EXTENSION pgha;
CREATE ROLE regress_pgha_operator;
CREATE ROLE "regress_o'dd ""operator""";
SELECT pgha_setup_operator('regress_pgha_operator');
SELECT pgha_setup_operator('regress_pgha_operator');
SELECT pgha_setup_operator('regress_o''dd "operator"');
SELECT p.oid::regprocedure AS function,
	has_function_privilege('regress_pgha_operator', p.oid, 'EXECUTE') AS operator,
	has_function_privilege('regress_o''dd "operator"', p.oid, 'EXECUTE') AS odd
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'pgha' AND has_function_privilege('regress_pgha_operator', p.oid, 'EXECUTE')
	AND p.proname ~ '^pgha_(pause|resume|promote|switchover|restart|recover_node|setup_operator|setup_role|agent_poll|status|cluster|events)$'
ORDER BY p.proname COLLATE "C";
SELECT pgha_setup_operator('regress_pgha_nobody');
\set VERBOSITY sqlstate
SELECT pgha_setup_operator('regress_pgha_nobody');
\set VERBOSITY default
-- it cannot pass the right on, nor take it for itself
SET ROLE regress_pgha_operator;
SELECT pgha_setup_operator('regress_pgha_operator');
RESET ROLE;
DROP OWNED BY regress_pgha_operator, "regress_o'dd ""operator""";
DROP ROLE regress_pgha_operator, "regress_o'dd ""operator""";
DROP EXTENSION pgha;
