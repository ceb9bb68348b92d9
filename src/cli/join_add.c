/*
 * join_add.c
 *		Has a new node added to the lists of all members, by pgha_add_member().
 *
 * For `pgha join` and `pgha witness init --from`, as the members' role, which may do
 * that after `pgha create --allow`.  The agents write the files, on their hosts;
 * nothing is written here, and nothing is ever taken off a list.
 */
#include "join_add.h"

#include <stdio.h>
#include <string.h>

#include "../common/errors.h"
#include "../common/log.h"

/* A warning says which list somebody still has to write; notices only how far it is. */
static void
tell_warning(void *arg, const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	char		text[PGHA_SETUP_LIST_SIZE];

	(void) arg;
	if (severity == NULL || message == NULL || strcmp(severity, "WARNING") != 0)
		return;
	(void) snprintf(text, sizeof(text), "%s%s%s", message, hint != NULL ? ".  " : "", hint != NULL ? hint : "");
	pgha_note("%s", pgha_shown(text, false));
}

static void
tell_refusal(PghaJoin *join, PGconn *conn, const PGresult *result)
{
	PghaSetup  *setup = &join->setup;
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	(void) pgha_setup_refuse(setup, hint, "%s", message != NULL ? message : PQerrorMessage(conn));
	join->forbidden = state != NULL && (strcmp(state, "42501") == 0 || strcmp(state, "42883") == 0);
	if (join->forbidden)
		(void) snprintf(setup->hint, sizeof(setup->hint), "On the primary, as a superuser: SELECT pgha_add_member('%s', '%s'%s); then run this again.",
						setup->node, join->own, join->witness ? ", witness => true" : "");
	pgha_shown(setup->error, false);
	pgha_shown(setup->hint, false);
}

bool
pgha_join_add(PghaJoin *join)
{
	PghaSetup  *setup = &join->setup;
	const char *values[] = {setup->node, join->own};
	PGconn	   *conn;
	PGresult   *result;

	pgha_note("having \"%s\" added to the %s of all nodes", setup->node, join->witness ? "witnesses" : "members");
	conn = pgha_setup_login(setup, join->primary.host, join->primary.port);
	if (conn == NULL)
		return false;
	(void) PQsetNoticeReceiver(conn, tell_warning, NULL);
	result = PQexecParams(conn, join->witness ? "SELECT pgha_add_member($1::text, $2::text, witness => true)" :
						  "SELECT pgha_add_member($1::text, $2::text)", 2, NULL, values, NULL, NULL, 0);
	join->added = PQresultStatus(result) == PGRES_TUPLES_OK;
	if (!join->added)
		tell_refusal(join, conn, result);
	PQclear(result);
	PQfinish(conn);
	return join->added;
}
