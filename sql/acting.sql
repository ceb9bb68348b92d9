--
-- Pause, resume, promote: on a single node, which is the primary.
--
CREATE EXTENSION pgha;

SELECT pgha_pause();
SELECT paused FROM pgha_status();
SELECT paused FROM pgha_cluster();

-- again is no error
SELECT pgha_pause();
SELECT paused FROM pgha_status();

SELECT pgha_resume();
SELECT paused FROM pgha_status();
SELECT pgha_resume();

-- pausing writes nothing: allowed where writing is not, and not undone by a rollback
BEGIN READ ONLY;
SELECT pgha_pause();
ROLLBACK;
SELECT paused FROM pgha_status();
SELECT pgha_resume();

-- in the log of events
SELECT count(*) >= 4 AS told FROM pgha_events() WHERE what ~* 'pause|resume';

-- the primary cannot be promoted
SELECT pgha_promote();
\echo :LAST_ERROR_SQLSTATE
SELECT pgha_promote(true);
\echo :LAST_ERROR_SQLSTATE
SELECT pgha_promote(force => true);
\echo :LAST_ERROR_SQLSTATE
SELECT pgha_promote(NULL);
\echo :LAST_ERROR_SQLSTATE

-- still there, still writing
SELECT role, state, gate, paused FROM pgha_status();
CREATE TABLE regress_pgha_write (v int);
DROP TABLE regress_pgha_write;

DROP EXTENSION pgha;
