--
-- The report that the other members read; no extension is needed for it.
--
SELECT split_part(field, '=', 1) AS key,
       CASE WHEN field ~ '^(node|leader|role|recovery|posted|fenced|diverged|priority|timeline|receiver|upstream|paused|sync|sync_count|sync_named|sync_listed|sync_current|slots|receiver_age)='
            THEN split_part(field, '=', 2) END AS value
FROM regexp_split_to_table(current_setting('pgha.report'), E'\t') WITH ORDINALITY f(field, n)
WHERE field NOT LIKE 'event=%'
ORDER BY n;

-- it is this server's
SELECT split_part(field, '=', 2)::numeric = (SELECT system_identifier FROM pg_control_system()) AS same
FROM regexp_split_to_table(current_setting('pgha.report'), E'\t') f(field)
WHERE field LIKE 'system=%';

-- hidden, read-only
SELECT count(*) FROM pg_settings WHERE name IN ('pgha.report', 'pgha.events_since');
SET pgha.report = 'x';
\echo :LAST_ERROR_SQLSTATE
ALTER SYSTEM SET pgha.report = 'x';
SET pgha.events_since = '1';
\echo :LAST_ERROR_SQLSTATE
ALTER SYSTEM SET pgha.events_since = '1';

-- each event is given once to a session, and to each session
\c -
SELECT count(*) > 0 AS has_events
FROM regexp_split_to_table(current_setting('pgha.report'), E'\t') f WHERE f LIKE 'event=%';
