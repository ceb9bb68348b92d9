/*
 * status.c
 *		`pgha status` and `pgha events`: the cluster as one member sees it.
 *
 * What is asked is in cluster.c, how it looks in page.c; here is who wants it how.
 */
#include "subcommands.h"

#include "client.h"
#include "cluster.h"
#include "page.h"
#include "table.h"
#include "terminal.h"
#include "watch.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* A frozen member must not keep us. */
#define STATUS_LIMIT_MS	15000

static const char events_query[] =
"SELECT coalesce(json_agg(e), '[]') FROM"
" (SELECT * FROM (SELECT * FROM pgha_events() ORDER BY at DESC LIMIT $1::int8) n ORDER BY at) e";

static const PghaColumn event_columns[] = {
	{"Time", "at", false, pgha_table_time, NULL},
	{"Node", "node", false, NULL, NULL},
	{"Kind", "kind", false, NULL, NULL},
	{"Term", "term", true, NULL, NULL},
	{"What", "what", false, NULL, NULL},
};

/* ---- status ---- */

int
pgha_status_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	json_t	   *document;
	bool		managed;
	bool		led;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_JSON | PGHA_OPTION_WATCH | PGHA_OPTION_COLOR | PGHA_OPTION_WIDE, &options))
		return EXIT_USAGE;
	if (options.watch > 0)
		return pgha_watch(&options);
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	document = pgha_status_fetch(conn, STATUS_LIMIT_MS, stderr);
	PQfinish(conn);
	if (document == NULL)
		return EXIT_ERROR;

	managed = !pgha_has_text(json_object_get(document, "status"), "state", "disabled");
	led = json_is_string(json_object_get(document, "primary"));
	if (options.json)
	{
		(void) json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	else
	{
		const PghaLook look = {
			.coloured = pgha_terminal_coloured(stdout, options.color),
			.width = pgha_terminal_width(stdout),
			.wide = options.wide
		};

		pgha_status_print(stdout, document, &look);
	}
	json_decref(document);
	return !managed ? EXIT_ERROR : led ? EXIT_OK : EXIT_NO_PRIMARY;
}

/* ---- events ---- */

int
pgha_events_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	json_t	   *events;
	char		limit[16];

	if (!pgha_client_options(argc, argv, PGHA_OPTION_JSON | PGHA_OPTION_LIMIT, &options))
		return EXIT_USAGE;
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	(void) snprintf(limit, sizeof(limit), "%d", options.limit);
	events = pgha_client_query_json(conn, events_query, limit);
	PQfinish(conn);
	if (events == NULL)
		return EXIT_ERROR;

	if (options.json)
	{
		(void) json_dumpf(events, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	else if (json_array_size(events) == 0)
		printf("No events.\n");
	else
		pgha_table_print(stdout, events, event_columns, LENGTH(event_columns), false, 0);
	json_decref(events);
	return EXIT_OK;
}
