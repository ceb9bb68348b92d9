/*
 * explain.c
 *		`pgha explain`: what would happen if the primary were lost now.
 *
 * The member that is asked answers (pgha_explain()); here is only how it looks.
 */
#include "subcommands.h"

#include <string.h>

#include "client.h"
#include "cluster.h"
#include "table.h"

/* Any member can be asked, also one that hangs. */
static const char explain_query[] =
"SELECT json_build_object("
" 'answered_by', s.node, 'leader', s.leader, 'quorum', s.quorum,"
" 'answers', (SELECT coalesce(json_agg(e), '[]') FROM pgha_explain() e))"
" FROM pgha_status() s";

static void
print_title(const char *event, const char *leader)
{
	if (strcmp(event, "now") == 0)
		printf("\nNo primary is there.  As it is now:\n");
	else if (strcmp(event, "killed") == 0)
		printf("\nIf %s were killed (its host answers, its server does not):\n", leader);
	else
		printf("\nIf %s fell silent (host down, frozen, or cut off):\n", leader);
}

static void
print_answers(const json_t *document)
{
	char		event[32] = "";
	char		leader[256];
	char		text[2048];
	size_t		index;
	const json_t *row;

	pgha_table_value(json_object_get(document, "answered_by"), text, sizeof(text));
	printf("As %s sees it; quorum: ", text);
	pgha_table_value(json_object_get(document, "quorum"), text, sizeof(text));
	printf("%s.\n", text);
	pgha_table_value(json_object_get(document, "leader"), leader, sizeof(leader));
	json_array_foreach(json_object_get(document, "answers"), index, row)
	{
		pgha_table_value(json_object_get(row, "event"), text, sizeof(text));
		if (strncmp(text, event, sizeof(event) - 1) != 0)
		{
			(void) snprintf(event, sizeof(event), "%.31s", text);
			print_title(event, leader[0] != '\0' ? leader : "the primary");
		}

		/* Answers about a node of which the sentence does not say which it is. */
		fputs("  ", stdout);
		if (pgha_has_text(row, "item", "other") || pgha_has_text(row, "item", "voter") ||
			pgha_has_text(row, "item", "primary"))
		{
			pgha_table_value(json_object_get(row, "node"), text, sizeof(text));
			printf("%s: ", text);
		}
		else if (pgha_has_text(row, "item", "loss"))
			fputs("lost would be ", stdout);
		else if (pgha_has_text(row, "item", "votes"))
			fputs("votes: ", stdout);
		pgha_table_value(json_object_get(row, "answer"), text, sizeof(text));
		printf("%s\n", text);
	}
}

int
pgha_explain_main(int argc, char **argv)
{
	PghaClientOptions options;
	PGconn	   *conn;
	json_t	   *document;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_JSON, &options))
		return EXIT_USAGE;
	conn = pgha_client_connect(&options);
	if (conn == NULL)
		return EXIT_ERROR;
	document = pgha_client_query_json(conn, explain_query, NULL);
	PQfinish(conn);
	if (document == NULL)
		return EXIT_ERROR;
	if (options.json)
	{
		(void) json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	else if (json_array_size(json_object_get(document, "answers")) == 0)
		printf("The member that answered has not made a decision yet, or pgha does not manage it.\n");
	else
		print_answers(document);
	json_decref(document);
	return EXIT_OK;
}
