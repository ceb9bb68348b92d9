/*
 * move.c
 *		Moving the primary, and waiting for members, for those who restart or hand over.
 *
 * pgha_switchover() returns, or its session ends, when the former primary goes down;
 * how that ends is asked of the new one, whose address was learnt before.  For how
 * long writes were held is measured by this program's clock: from the server's notice
 * to the first answer of the new primary that it accepts commits.
 *
 * A login that only the former primary lets in would leave that unknown: nothing is
 * begun with one.
 *
 * Ctrl-C cancels the query, which calls the switchover off if it is not too late.  It
 * decides nothing; each wait has a limit.
 */
#include "move.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "cluster.h"
#include "subcommands.h"

#define LOOK_EVERY_MS	10
#define LOOK_LIMIT_MS	2000
#define CANCEL_LIMIT_S	10
#define NAME_SIZE		64

static const char leads_query[] = "SELECT (state = 'primary' AND gate = 'open')::text FROM pgha_status()";

typedef struct Move
{
	char		target[NAME_SIZE];
	long long	heard_at;		/* when the server last told how far it is; 0: it has not begun */
	long long	held_at;		/* since when writes are held; 0: not yet */
	bool		cancelled;
	bool		silent;			/* it has not told how it ended */
} Move;

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupts = 0;

static void
handle_interrupt(int signal_number)
{
	(void) signal_number;
	if (++interrupts > 1)
		_exit(EXIT_CANCELLED);
}

void
pgha_heed_interrupts(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	(void) sigemptyset(&action.sa_mask);
	action.sa_handler = handle_interrupt;
	(void) sigaction(SIGINT, &action, NULL);
}

bool
pgha_interrupted(void)
{
	return interrupts > 0;
}

/* ---- members ---- */

char *
pgha_address_of(PGconn *conn, const char *node)
{
	char	   *address = pgha_client_query(conn, "SELECT coalesce((SELECT address FROM pgha_cluster() WHERE node = $1), '')",
											node, LOOK_LIMIT_MS);

	if (address == NULL || address[0] != '\0')
		return address;
	free(address);
	pgha_error(stderr, "See \"pgha status\".", "there is no node \"%s\"", node);
	return NULL;
}

PGconn *
pgha_connect_address(const PghaClientOptions *options, const char *address, FILE *errors)
{
	char	   *copy = strdup(address);
	PghaPlace	place;
	PGconn	   *conn = NULL;

	if (copy != NULL && pgha_client_split_address(copy, &place))
	{
		/* An address of the environment would win over the host. */
		(void) unsetenv("PGHOSTADDR");
		conn = pgha_client_try_connect(options, &place, errors);
	}
	free(copy);
	return conn;
}

bool
pgha_await_true(const PghaClientOptions *options, const char *address, PGconn **conn,
				const char *query, const char *parameter, long long deadline)
{
	PghaClientOptions reading = *options;
	FILE	   *nowhere = fopen("/dev/null", "w");
	const struct timespec pause = {0, LOOK_EVERY_MS * 1000000L};
	bool		found = false;

	reading.acts = NULL;

	while (nowhere != NULL && !found && !pgha_interrupted() && pgha_awake_ms() < deadline)
	{
		char	   *answer = NULL;

		if (*conn == NULL)
			*conn = pgha_connect_address(&reading, address, nowhere);
		if (*conn != NULL)
		{
			answer = pgha_client_try_query(*conn, query, parameter, LOOK_LIMIT_MS, nowhere);
			found = answer != NULL && strcmp(answer, "true") == 0;
			free(answer);
			if (answer == NULL)
			{
				PQfinish(*conn);
				*conn = NULL;
			}
		}
		if (!found)
			(void) nanosleep(&pause, NULL);
	}
	if (nowhere != NULL)
		(void) fclose(nowhere);
	return found;
}

int
pgha_await_streaming(const PghaClientOptions *options, PGconn **conn, const char *node)
{
	long long	began = pgha_awake_ms();
	char	   *address = *conn != NULL ? pgha_address_of(*conn, pgha_client_node(*conn)) : NULL;
	bool		streams = address != NULL &&
		pgha_await_true(options, address, conn,
						"SELECT coalesce((SELECT (reachable AND state = 'standby' AND upstream IS NOT NULL)::text"
						" FROM pgha_cluster() WHERE node = $1), 'false')",
						node, began + options->timeout * 1000LL);

	free(address);
	if (streams)
	{
		printf("\"%s\" is a standby that streams.\n", node);
		return EXIT_OK;
	}
	if (pgha_interrupted())
		return EXIT_CANCELLED;
	pgha_error(stderr, "See \"pgha status\" and the log of its agent; \"pgha recover\" brings it back.",
			   "\"%s\" does not stream after %lld seconds", node, (pgha_awake_ms() - began) / 1000);
	return EXIT_LATE;
}

/* ---- the switchover ---- */

/* The first name in quotes. */
static void
quoted_name(const char *text, char *name)
{
	const char *begin = strchr(text, '"');
	size_t		length = begin != NULL ? strcspn(begin + 1, "\"") : 0;

	if (length > 0 && length < NAME_SIZE)
		(void) snprintf(name, NAME_SIZE, "%.*s", (int) length, begin + 1);
}

static void
take_notice(void *arg, const PGresult *result)
{
	Move	   *move = arg;
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (text == NULL)
		return;
	if (strncmp(text, "handing over to \"", 17) == 0)
		quoted_name(text, move->target);
	else if (strncmp(text, "writes are held", 15) == 0)
		move->held_at = pgha_awake_ms();
	if (move->target[0] != '\0')
		move->heard_at = pgha_awake_ms();
	fputs("pgha: ", stderr);
	pgha_put(text, stderr);
	fputc('\n', stderr);
}

/* In a process of its own: it connects, and a host that is cut off would hold it up. */
static void
cancel(PGconn *conn)
{
	PGcancel   *request = PQgetCancel(conn);
	char		error[256] = "out of memory";
	pid_t		pid;

	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		(void) alarm(CANCEL_LIMIT_S);
		if (request == NULL || !PQcancel(request, error, sizeof(error)))
			pgha_error(stderr, NULL, "could not cancel: %s", error);
		_exit(0);
	}
	if (pid < 0)
		pgha_error(stderr, NULL, "could not start a process: %s", strerror(errno));
	PQfreeCancel(request);
}

/*
 * NULL if the server has not told for as long as options->timeout how it goes on: its
 * host may be frozen or cut off, and the session has no end.  The checkpoint before
 * takes as long as it takes.
 */
static PGresult *
await_result(const PghaClientOptions *options, Move *move, PGconn *conn)
{
	PGresult   *result;
	PGresult   *next;

	while (PQisBusy(conn))
	{
		struct pollfd set = {.fd = PQsocket(conn), .events = POLLIN};

		if (pgha_interrupted() && !move->cancelled)
		{
			move->cancelled = true;
			cancel(conn);
		}
		if (move->heard_at != 0 && pgha_awake_ms() - move->heard_at > options->timeout * 1000LL)
		{
			move->silent = true;
			return NULL;
		}
		if (poll(&set, 1, 100) > 0 && !PQconsumeInput(conn))
			break;
	}
	result = PQgetResult(conn);
	while ((next = PQgetResult(conn)) != NULL)
		PQclear(next);
	return result;
}

/*
 * The session that ordered it was cancelled.  The lead may have been let go of in that
 * moment: only a primary that accepts commits goes on leading.
 */
static bool
was_called_off(PGconn *conn)
{
	FILE	   *nowhere = fopen("/dev/null", "w");
	const struct timespec pause = {0, LOOK_EVERY_MS * 1000000L};
	long long	deadline = pgha_awake_ms() + CANCEL_LIMIT_S * 1000LL;
	bool		answers = nowhere != NULL;
	bool		leads = false;

	while (answers && !leads && pgha_awake_ms() < deadline)
	{
		char	   *answer = pgha_client_try_query(conn, "SELECT (state = 'primary' AND gate = 'open')::text FROM pgha_status()",
												   NULL, LOOK_LIMIT_MS, nowhere);

		answers = answer != NULL || pgha_client_may_ask_again(conn);
		leads = answer != NULL && strcmp(answer, "true") == 0;
		free(answer);
		if (answers && !leads)
			(void) nanosleep(&pause, NULL);
	}
	if (nowhere != NULL)
		(void) fclose(nowhere);
	return leads;
}

/* Has the server let go of the lead, so that the new primary must tell the rest?  Says why not. */
static bool
has_let_go(const PghaClientOptions *options, Move *move, PGconn *conn, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return true;
	if (move->silent)
		pgha_error(stderr, move->held_at != 0 ? NULL : "It is not known how the switchover ends; see \"pgha status\" at another member.",
				   "the primary has not answered for %d seconds", options->timeout);
	if (move->silent)
		return move->held_at != 0;

	if (move->cancelled && move->target[0] != '\0' && sqlstate != NULL && strcmp(sqlstate, "57014") == 0 &&
		!was_called_off(conn))
	{
		pgha_note("it is not known whether that was in time; waits for \"%s\" to lead", move->target);
		move->silent = true;
		return true;
	}

	/* Its shutdown may be faster than its answer. */
	if (move->held_at != 0 && (sqlstate == NULL || strcmp(sqlstate, "57P01") == 0))
		return true;
	pgha_client_print_error(conn, result, stderr);
	return false;
}

/* The address of the node in what pgha_cluster() said before. */
static const char *
address_in(const json_t *rows, const char *node)
{
	size_t		index;
	const json_t *row;

	json_array_foreach(rows, index, row)
	{
		if (pgha_has_text(row, "node", node))
			return json_string_value(json_object_get(row, "address"));
	}
	return NULL;
}

/* Does the login hold where it may go, too?  Says where not. */
static bool
can_ask(const PghaClientOptions *options, const json_t *rows, const char *target)
{
	PghaClientOptions reading = *options;
	size_t		index;
	const json_t *row;

	reading.acts = NULL;
	json_array_foreach(rows, index, row)
	{
		const char *node = json_string_value(json_object_get(row, "node"));
		const char *address = json_string_value(json_object_get(row, "address"));
		PGconn	   *conn;

		if (node == NULL || address == NULL ||
			!(target != NULL ? strcmp(node, target) == 0 : json_is_true(json_object_get(row, "candidate"))))
			continue;
		conn = pgha_connect_address(&reading, address, stderr);
		if (conn == NULL)
			pgha_error(stderr, "How it goes is asked of the new primary: use a role that can log in at each member's address. Nothing has changed.",
					   "\"%s\" could not be asked whether it leads", node);
		if (conn == NULL)
			return false;
		PQfinish(conn);
	}
	return true;
}

/* Waits for the new primary, and tells how long writes were held. */
static int
await_leader(const PghaClientOptions *options, const Move *move, const char *address, const char *former, PGconn **conn)
{
	/* It is too late for Ctrl-C to change anything: it only ends this program. */
	interrupts = 0;
	if (address != NULL &&
		pgha_await_true(options, address, conn,
						leads_query, NULL,
						pgha_awake_ms() + options->timeout * 1000LL))
	{
		printf("switched over from \"%s\" to \"%s\": writes were held %.2f s\n", former, move->target,
			   (double) (pgha_awake_ms() - move->held_at) / 1000);
		return EXIT_OK;
	}
	if (pgha_interrupted())
		return EXIT_CANCELLED;
	pgha_error(stderr, "See \"pgha status\" and pgha_events().",
			   move->silent ? "it is not known how far \"%s\" has come, and \"%s\" does not lead after %d seconds" :
			   "\"%s\" has handed over, but \"%s\" does not lead after %d seconds", former, move->target, options->timeout);
	return EXIT_ERROR;
}

/*
 * The session was ended by a shutdown before anything was told.  That may be the
 * switchover's own, on a busy host: then somebody leads soon, and move->target is who.
 */
static bool
has_gone_untold(const PghaClientOptions *options, Move *move, const json_t *rows, const char *target, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const struct timespec pause = {0, LOOK_EVERY_MS * 1000000L};
	long long	deadline = pgha_awake_ms() + options->timeout * 1000LL;
	size_t		index;
	const json_t *row;

	if (sqlstate == NULL || strcmp(sqlstate, "57P01") != 0 || move->held_at != 0 || move->cancelled)
		return false;
	move->held_at = pgha_awake_ms();
	while (!pgha_interrupted() && pgha_awake_ms() < deadline)
	{
		json_array_foreach(rows, index, row)
		{
			const char *node = json_string_value(json_object_get(row, "node"));
			const char *address = json_string_value(json_object_get(row, "address"));
			PGconn	   *conn = NULL;
			bool		leads = node != NULL && address != NULL &&
				(target != NULL ? strcmp(node, target) == 0 : json_is_true(json_object_get(row, "candidate"))) &&
				pgha_await_true(options, address, &conn, leads_query, NULL, pgha_awake_ms() + LOOK_EVERY_MS * 10);

			PQfinish(conn);
			if (!leads)
				continue;
			(void) snprintf(move->target, sizeof(move->target), "%s", node);
			return true;
		}
		(void) nanosleep(&pause, NULL);
	}
	move->held_at = 0;
	return false;
}

const char *
pgha_client_node(PGconn *conn)
{
	static char name[NAME_SIZE];
	char	   *node = pgha_client_query(conn, "SELECT current_setting('pgha.node')", NULL, LOOK_LIMIT_MS);

	(void) snprintf(name, sizeof(name), "%s", node != NULL ? node : "");
	free(node);
	return name;
}

int
pgha_move_primary(const PghaClientOptions *options, const char *target, PGconn **primary, char **former)
{
	const char *const values[] = {target};
	Move		move = {.held_at = 0};
	json_t	   *rows = pgha_client_query_json(*primary,
											  "SELECT coalesce(json_agg(json_build_object('node', node, 'address', address, 'candidate', candidate)), '[]')"
											  " FROM pgha_cluster()", NULL);
	PGresult   *result;
	int			code = EXIT_ERROR;

	*former = strdup(pgha_client_node(*primary));
	(void) PQsetNoticeReceiver(*primary, take_notice, &move);
	if (rows == NULL || *former == NULL || !can_ask(options, rows, target))
	{
		json_decref(rows);
		return EXIT_ERROR;
	}
	if (!PQsendQueryParams(*primary, "SELECT pgha_switchover($1)", 1, NULL, values, NULL, NULL, 0))
	{
		fputs("pgha: error: ", stderr);
		pgha_put(PQerrorMessage(*primary), stderr);
		json_decref(rows);
		return EXIT_ERROR;
	}
	result = await_result(options, &move, *primary);
	if (has_gone_untold(options, &move, rows, target, result) || has_let_go(options, &move, *primary, result))
	{
		PQfinish(*primary);
		*primary = NULL;
		if (move.held_at == 0)
			move.held_at = pgha_awake_ms();
		code = await_leader(options, &move, address_in(rows, move.target), *former, primary);
	}
	else if (move.cancelled && !move.silent)
		code = EXIT_CANCELLED;
	PQclear(result);
	json_decref(rows);
	return code;
}
