/*
 * history.h
 *		The history of timelines, as Patroni shows it.
 */
#ifndef PGHA_WEB_HISTORY_H
#define PGHA_WEB_HISTORY_H

#include <jansson.h>

/* Parameter: a timeline.  The text of its history file, and when those of the last hundred were made. */
#define PGHA_HISTORY_QUERY \
	"SELECT encode(pg_read_binary_file('pg_wal/' || lpad(upper(to_hex($1::integer)), 8, '0') || '.history', 0, 65536, true), 'escape')," \
	" (SELECT json_object_agg(t, to_char(f.modification, 'YYYY-MM-DD\"T\"HH24:MI:SS') || '+00:00')" \
	" FROM generate_series(greatest(2, $1::integer - 100), $1::integer) t," \
	" LATERAL (SELECT (pg_stat_file('pg_wal/' || lpad(upper(to_hex(t)), 8, '0') || '.history', true)).modification) f" \
	" WHERE f.modification IS NOT NULL)"

/*
 * An array with an entry for each former timeline: its number, where it ended
 * (bytes), why, and when the next one began (left out if that is not known).
 */
extern json_t *pgha_history_json(const char *text, const char *times);

#endif							/* PGHA_WEB_HISTORY_H */
