--
-- The checks of the set-up.
--
-- The disks of the machine are left out.
CREATE EXTENSION pgha;
SELECT severity, "check", remedy IS NOT NULL AS has_remedy FROM pgha_doctor()
WHERE "check" NOT IN ('disk_data', 'disk_wal', 'wal_space');

-- a check has one name, and what is not in order has a remedy
SELECT count(*) FROM pgha_doctor() WHERE severity <> 'ok' AND remedy IS NULL;
SELECT count(*) FROM pgha_doctor() WHERE severity = 'ok' AND remedy IS NOT NULL;

-- it does not go by the caller's names
CREATE FUNCTION public.has_function_privilege(text, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
SET search_path = public, pg_catalog;
SELECT severity FROM public.pgha_doctor() WHERE "check" = 'extension_version';
SHOW search_path;
RESET search_path;
DROP FUNCTION public.has_function_privilege(text, oid, text);

-- what is found here, and what ends it
CREATE UNLOGGED TABLE regress_pgha_unlogged (v int);
SELECT severity, finding, remedy FROM pgha_doctor() WHERE "check" = 'unlogged_tables';
DROP TABLE regress_pgha_unlogged;
SELECT severity, finding FROM pgha_doctor() WHERE "check" = 'unlogged_tables';

SELECT slot_name FROM pg_create_physical_replication_slot('regress_forgotten', true);
SELECT severity, finding ~ '"regress_forgotten"' AS names_it, remedy FROM pgha_doctor() WHERE "check" = 'other_slots';
SELECT pg_drop_replication_slot('regress_forgotten');
SELECT severity, finding FROM pgha_doctor() WHERE "check" = 'other_slots';

-- members of pg_monitor may read it
CREATE ROLE regress_pgha_plain;
CREATE ROLE regress_pgha_monitor;
GRANT pg_monitor TO regress_pgha_monitor;
SET ROLE regress_pgha_plain;
SELECT count(*) FROM pgha_doctor();
SET ROLE regress_pgha_monitor;
SELECT count(*) > 20 AS many FROM pgha_doctor();
RESET ROLE;
DROP ROLE regress_pgha_plain, regress_pgha_monitor;

DROP EXTENSION pgha;
