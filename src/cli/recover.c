/*
 * recover.c
 *		`pgha recover NODE`: pgha_recover_node() on the primary, for people.
 *
 * One session runs the function.  On a terminal a second one looks four times a
 * second how far the recovery is, for a bar at the bottom; what the server says
 * meanwhile is printed above it.  Where there is no terminal, or no second
 * session to be had, the server's notices tell the progress, a line each.
 *
 * Ctrl-C cancels the query, whereupon the server has the agent give up the
 * recovery; we wait until it has.  A second Ctrl-C ends this program at once.
 * If it is ended otherwise, or loses its connection, the recovery goes on.
 */
#include "subcommands.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "client.h"
#include "cluster.h"
#include "progress.h"
#include "terminal.h"

#define LOOK_EVERY_MS	250
#define LOOK_LIMIT_MS	10000
#define SILENCE_MS		5000
/* For a recovery that was cancelled to be given up. */
#define GIVE_UP_LIMIT_MS	120000

typedef struct Recovery
{
	const PghaClientOptions *options;
	PGconn	   *order;			/* runs the function */
	PGconn	   *look;			/* sees how far it is; NULL: no bar */
	bool		bar;			/* stderr is a terminal, and there is a second session */
	bool		coloured;
	bool		asked;			/* `look` has a question that is not answered */
	long long	asked_ms;
	long long	answered_ms;
	long long	began_ms;
	bool		blind;			/* the role may not see how far recoveries are */
	json_int_t	job_before;		/* of the node, when we came; 0: none */
	PghaProgress progress;
	PghaRate	rate;
	int			drawn;			/* columns of the bar that stands there */
	long long	drawn_ms;
	char		told[128];		/* phase that a notice told last */
	bool		cancelled;		/* the cancel request was sent */
} Recovery;

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupts = 0;

static void
handle_interrupt(int signal_number)
{
	(void) signal_number;
	if (++interrupts == 1)
		return;
	if (write(STDERR_FILENO, "\n", 1) < 0)
	{
		/* Then there is nobody to tell. */
	}
	_exit(EXIT_CANCELLED);
}

static volatile sig_atomic_t resized = 0;

static void
handle_resize(int signal_number)
{
	(void) signal_number;
	resized = 1;
}

static void
set_up_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	(void) sigemptyset(&action.sa_mask);
	action.sa_handler = handle_interrupt;
	(void) sigaction(SIGINT, &action, NULL);
	action.sa_handler = handle_resize;
	(void) sigaction(SIGWINCH, &action, NULL);
}

/* ---- the bar ---- */

static void
clear_bar(Recovery *r)
{
	int			columns;
	int			rows;

	if (r->drawn == 0)
		return;
	/* A terminal that has become narrower has wrapped it. */
	pgha_terminal_size(stderr, &columns, &rows);
	if ((r->drawn - 1) / columns > 0)
		fprintf(stderr, "\033[%dA", (r->drawn - 1) / columns);
	fputs("\r\033[J", stderr);
	r->drawn = 0;
}

/* The same before something is printed to stdout: stderr is buffered, so that the bar does not flicker. */
static void
end_bar(Recovery *r)
{
	clear_bar(r);
	(void) fflush(stderr);
}

static void
draw_bar(Recovery *r)
{
	char		line[1024];
	char		silence[64] = "";
	long long	now = pgha_awake_ms();
	int			columns;
	int			rows;

	if (!r->bar)
		return;
	clear_bar(r);
	pgha_terminal_size(stderr, &columns, &rows);
	if (now - r->answered_ms > SILENCE_MS)
		(void) snprintf(silence, sizeof(silence), "no answer for %lld s  ", (now - r->answered_ms) / 1000);
	/* The last column stays free: some terminals wrap when it is written to. */
	pgha_progress_line(&r->progress, pgha_rate(&r->rate),
					   columns - 1 - (int) strlen(silence) > 10 ? columns - 1 - (int) strlen(silence) : 10,
					   line, sizeof(line));
	r->drawn = (int) strlen(silence) + pgha_text_width(line);
	fprintf(stderr, "%s%s%s%s", pgha_paint(r->coloured && *silence != '\0', PGHA_PAINT_WARN), silence,
			pgha_paint(r->coloured && *silence != '\0', PGHA_PAINT_NONE), line);
	(void) fflush(stderr);
	r->drawn_ms = now;
}

/* Draws it if that is due. */
static void
refresh_bar(Recovery *r)
{
	if (resized || pgha_awake_ms() - r->drawn_ms >= LOOK_EVERY_MS)
	{
		resized = 0;
		draw_bar(r);
	}
}

/* Takes what the primary says of our node; an earlier recovery does not count. */
static void
take_progress(Recovery *r, const json_t *rows)
{
	PghaProgress progress;
	size_t		index;
	const json_t *row;

	r->answered_ms = pgha_awake_ms();
	json_array_foreach(rows, index, row)
	{
		if (!pgha_progress_read(row, &progress) || strcmp(progress.node, r->options->node) != 0 ||
			progress.job == r->job_before)
			continue;
		r->progress = progress;
		pgha_rate_look(&r->rate, &progress, r->answered_ms);
	}
}

/* Without the second session the notices have to do. */
static void
give_up_bar(Recovery *r)
{
	end_bar(r);
	r->bar = r->asked = false;
	r->told[0] = '\0';
	PQfinish(r->look);
	r->look = NULL;
	(void) setvbuf(stderr, NULL, _IONBF, 0);
}

/* Sends the question if it is time, and takes an answer that has come. */
static void
look(Recovery *r)
{
	PGresult   *result;

	if (r->look == NULL)
		return;
	if (!r->asked && pgha_awake_ms() - r->asked_ms >= LOOK_EVERY_MS)
	{
		r->asked_ms = pgha_awake_ms();
		r->asked = pgha_recoveries_ask(r->look);
		if (!r->asked)
		{
			give_up_bar(r);
			return;
		}
	}
	if (r->asked && !PQconsumeInput(r->look))
		give_up_bar(r);
	while (r->asked && !PQisBusy(r->look))
	{
		result = PQgetResult(r->look);
		if (result == NULL)
			r->asked = false;
		else if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		{
			json_t	   *rows = pgha_client_json(PQgetvalue(result, 0, 0), NULL);

			take_progress(r, rows);
			json_decref(rows);
		}
		else
			give_up_bar(r);
		PQclear(result);
	}
}

/* ---- what the server says ---- */

/*
 * With a bar, one notice for each phase: the bar tells the rest.  A notice of
 * progress is `node "b": cloning: 34 % (350 of 1026 MB), from db-2`.
 */
static bool
is_told(Recovery *r, const char *notice)
{
	char		phase[sizeof(r->told)];
	const char *end = strncmp(notice, "node \"", 6) == 0 ? strstr(notice, "\": ") : NULL;

	if (!r->bar || end == NULL)
		return false;
	end += 3;
	end += strcspn(end, ":");
	(void) snprintf(phase, sizeof(phase), "%.*s", (int) (end - notice), notice);
	if (strcmp(phase, r->told) == 0)
		return true;
	strcpy(r->told, phase);
	return false;
}

static void
take_notice(void *arg, const PGresult *result)
{
	Recovery   *r = arg;
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (primary != NULL && is_told(r, primary))
		return;
	clear_bar(r);
	pgha_put(PQresultErrorMessage(result), stderr);
	draw_bar(r);
}

/* ---- Ctrl-C ---- */

static void
cancel(Recovery *r)
{
	PGcancel   *request = PQgetCancel(r->order);
	char		error[256] = "out of memory";

	r->cancelled = true;
	clear_bar(r);
	fprintf(stderr, "Cancels the recovery; Ctrl-C again ends this program at once.\n");
	(void) fflush(stderr);
	if (request == NULL || !PQcancel(request, error, sizeof(error)))
		pgha_error(stderr, NULL, "could not cancel: %s", error);
	PQfreeCancel(request);
	(void) fflush(stderr);
	draw_bar(r);
}

/* Waits until the function ends, and returns how. */
static PGresult *
await_result(Recovery *r)
{
	PGresult   *result;
	PGresult   *next;

	while (PQisBusy(r->order))
	{
		struct pollfd set[2] = {{.events = POLLIN}, {.events = POLLIN}};

		if (interrupts > 0 && !r->cancelled)
			cancel(r);
		look(r);
		refresh_bar(r);
		set[0].fd = PQsocket(r->order);
		set[1].fd = r->asked ? PQsocket(r->look) : -1;
		(void) poll(set, 2, LOOK_EVERY_MS);
		if (set[0].revents != 0 && !PQconsumeInput(r->order))
			break;
	}
	result = PQgetResult(r->order);
	while ((next = PQgetResult(r->order)) != NULL)
		PQclear(next);
	return result;
}

/*
 * The query is cancelled, the recovery need not have ended yet.  Waits until it
 * has; false if it has not within the limit, or nobody can be asked.
 */
static bool
await_outcome(Recovery *r)
{
	long long	deadline = pgha_awake_ms() + GIVE_UP_LIMIT_MS;
	const struct timespec pause = {0, LOOK_EVERY_MS * 1000000L};
	FILE	   *nowhere = fopen("/dev/null", "w");
	bool		ended = false;
	bool		seen = false;

	while (nowhere != NULL && !ended && pgha_awake_ms() <= deadline)
	{
		json_t	   *rows = pgha_recoveries_fetch(r->order, LOOK_LIMIT_MS, nowhere);

		seen = rows != NULL;
		if (!seen && !pgha_client_may_ask_again(r->order))
			break;
		if (seen)
			take_progress(r, rows);
		ended = seen && (r->progress.job == 0 || r->progress.outcome[0] != '\0');
		json_decref(rows);
		draw_bar(r);
		if (!ended)
			(void) nanosleep(&pause, NULL);
	}
	if (nowhere != NULL)
		(void) fclose(nowhere);
	/* Once more, aloud: what is it that cannot be asked? */
	if (!seen)
		json_decref(pgha_recoveries_fetch(r->order, LOOK_LIMIT_MS, stderr));
	return ended;
}

static int
end_cancelled(Recovery *r)
{
	bool		ended = !r->blind && await_outcome(r);
	const char *node = r->options->node;

	end_bar(r);
	if (r->blind)
	{
		printf("The recovery of node \"%s\" is being cancelled; \"pgha status\" tells how that ends.\n", node);
		return EXIT_CANCELLED;
	}
	if (!ended)
	{
		pgha_error(stderr, "It goes on if others wait for it, or if the agent has begun it by itself; see \"pgha status\".",
				   "the recovery of node \"%s\" has not ended", node);
		return EXIT_CANCELLED;
	}
	if (r->progress.job == 0)
		printf("Cancelled before anything was done to node \"%s\".\n", node);
	else if (strcmp(r->progress.outcome, "done") == 0)
	{
		printf("Node \"%s\" was recovered before that could be cancelled.\n", node);
		return EXIT_OK;
	}
	else
		printf("The recovery of node \"%s\" was cancelled%s%s.\n", node,
			   r->progress.message[0] != '\0' ? ": " : "", r->progress.message);
	return EXIT_CANCELLED;
}

/* ---- the subcommand ---- */

/* The second session, with the very server that runs the function. */
static PGconn *
connect_again(const Recovery *r)
{
	const PghaPlace place = {PQhost(r->order), PQhostaddr(r->order), PQport(r->order)};
	FILE	   *nowhere = fopen("/dev/null", "w");
	PGconn	   *conn;

	if (nowhere == NULL)
		return NULL;
	conn = pgha_client_try_connect(r->options, &place, nowhere);
	(void) fclose(nowhere);
	return conn;
}

/* Notes which recovery of the node is not ours, if it has ended; false if that cannot be seen. */
static bool
look_before(Recovery *r)
{
	FILE	   *nowhere = fopen("/dev/null", "w");
	json_t	   *rows = nowhere != NULL ? pgha_recoveries_fetch(r->order, LOOK_LIMIT_MS, nowhere) : NULL;
	size_t		index;
	const json_t *row;
	PghaProgress progress;
	bool		seen = rows != NULL;

	json_array_foreach(rows, index, row)
	{
		if (pgha_progress_read(row, &progress) && strcmp(progress.node, r->options->node) == 0 &&
			progress.outcome[0] != '\0')
			r->job_before = progress.job;
	}
	json_decref(rows);
	if (nowhere != NULL)
		(void) fclose(nowhere);
	return seen;
}

static int
run_recovery(Recovery *r)
{
	const char *const values[] = {r->options->node, r->options->method};
	PGresult   *result;
	const char *sqlstate;
	int			code = EXIT_ERROR;

	(void) PQsetNoticeReceiver(r->order, take_notice, r);
	if (!PQsendQueryParams(r->order, "SELECT pgha_recover_node($1, $2)", 2, NULL, values, NULL, NULL, 0))
	{
		fputs("pgha: error: ", stderr);
		pgha_put(PQerrorMessage(r->order), stderr);
		return EXIT_ERROR;
	}
	result = await_result(r);
	end_bar(r);
	sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		printf("%sNode \"%s\" is a standby that streams%s, after %lld s.\n", pgha_paint(r->coloured, PGHA_PAINT_GOOD),
			   r->options->node, pgha_paint(r->coloured, PGHA_PAINT_NONE), (pgha_awake_ms() - r->began_ms) / 1000);
		code = EXIT_OK;
	}
	else if (r->cancelled && sqlstate != NULL && strcmp(sqlstate, "57014") == 0)
		code = end_cancelled(r);
	else
	{
		pgha_client_print_error(r->order, result, stderr);
		if (sqlstate == NULL)
			fprintf(stderr, "HINT:  The recovery may be going on; see \"pgha status\".  To order it again joins it.\n");
	}
	PQclear(result);
	return code;
}

int
pgha_recover_main(int argc, char **argv)
{
	PghaClientOptions options;
	Recovery	r = {.options = &options};
	int			code;

	if (!pgha_client_options(argc, argv, PGHA_OPTION_RECOVER | PGHA_OPTION_COLOR, &options))
		return EXIT_USAGE;
	options.acts = "pgha_recover_node(text, text)";
	r.order = pgha_client_connect_primary(&options);
	if (r.order == NULL)
		return EXIT_ERROR;
	r.blind = !look_before(&r);
	if (!r.blind && pgha_terminal_is(stderr))
		r.look = connect_again(&r);
	r.bar = r.look != NULL;
	if (r.bar)
		(void) setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
	r.coloured = pgha_terminal_coloured(stdout, options.color);
	r.began_ms = r.answered_ms = pgha_awake_ms();
	set_up_signals();
	code = run_recovery(&r);
	if (r.look != NULL)
		PQfinish(r.look);
	PQfinish(r.order);
	return code;
}
