/*
 * watch_reader.c
 *		One that asks a member again and again, for `pgha status --watch`.
 *
 * It is a child process, as it does what may block: it looks names up, connects,
 * asks, and writes one JSON document a line into a pipe, {"failure": "..."} when
 * nobody has answered.  When the member that it asks vanishes it connects anew: to
 * whichever host of the connection string answers, or to the one member that it
 * is there for.  Nobody waits for it; watch.c draws what has come.
 */
#include "watch_reader.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/text.h"
#include "cluster.h"
#include "subcommands.h"

#define QUERY_LIMIT_MS	5000
#define RESTART_AFTER_MS	1000
/* A member that is not reached, or lets nobody in, is asked ever less often (seconds). */
#define FIRST_PAUSE		2.0
#define LONGEST_PAUSE	30.0

/* ---- in the child ---- */

static PGconn *
connect_to(const PghaReader *reader, FILE *errors)
{
	char		address[sizeof(reader->address)];
	PghaPlace	place;

	if (reader->address[0] == '\0')
		return pgha_client_try_connect(reader->options, NULL, errors);
	(void) snprintf(address, sizeof(address), "%s", reader->address);
	if (!pgha_client_split_address(address, &place))
		return NULL;
	/* An address of the environment would win over the host. */
	(void) unsetenv("PGHOSTADDR");
	return pgha_client_try_connect(reader->options, &place, errors);
}

/* Connects if need be, and asks. */
static json_t *
ask(const PghaReader *reader, PGconn **conn, FILE *errors)
{
	json_t	   *document;

	if (*conn == NULL)
		*conn = connect_to(reader, errors);
	if (*conn == NULL)
		return NULL;
	document = pgha_status_fetch(*conn, QUERY_LIMIT_MS, errors);
	if (document == NULL)
	{
		PQfinish(*conn);
		*conn = NULL;
	}
	return document;
}

/* What to show instead of an answer: the last error, on one line. */
static json_t *
make_failure(char *text)
{
	const char *prefix = "pgha: error: ";
	const char *start = text;
	char	   *hint;

	/* Before the locale of a session is agreed on, a server says it in its own. */
	pgha_text_clean(text);
	hint = strstr(text, "HINT:");
	if (hint != NULL)
		*hint = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char) *p < ' ')
			*p = ' ';
	if (strncmp(start, prefix, strlen(prefix)) == 0)
		start += strlen(prefix);
	return json_pack("{s:s+}", "failure", start, "");
}

static json_t *
read_once(const PghaReader *reader, PGconn **conn)
{
	char	   *text = NULL;
	size_t		size;
	bool		connected = *conn != NULL;
	FILE	   *errors = open_memstream(&text, &size);
	json_t	   *document;

	if (errors == NULL)
		return NULL;
	document = ask(reader, conn, errors);
	if (document == NULL && connected)
	{
		/* The session is gone; another host may answer. */
		rewind(errors);
		document = ask(reader, conn, errors);
	}
	(void) fclose(errors);
	if (document == NULL)
		document = make_failure(text);
	free(text);
	return document;
}

static void
pause_for(double seconds)
{
	struct timespec pause = {(time_t) seconds, (long) ((seconds - (double) (time_t) seconds) * 1e9)};

	(void) nanosleep(&pause, NULL);
}

/* Asks until nobody reads any more. */
static void
ask_on(const PghaReader *reader, int output)
{
	PGconn	   *conn = NULL;
	FILE	   *out = fdopen(output, "w");
	double		pause = reader->options->watch;

	while (out != NULL)
	{
		json_t	   *document = read_once(reader, &conn);
		bool		failed = json_object_get(document, "failure") != NULL;

		if (document != NULL)
			(void) json_dumpf(document, out, JSON_COMPACT);
		json_decref(document);
		if (fputc('\n', out) == EOF || fflush(out) != 0)
			break;
		if (!failed || reader->address[0] == '\0')
			pause = reader->options->watch;
		else
			pause = pause < FIRST_PAUSE ? FIRST_PAUSE : pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
		pause_for(pause);
	}
}

/* ---- in the parent ---- */

void
pgha_reader_run(PghaReader *reader)
{
	int			fd[2];
	pid_t		parent = getpid();

	if (reader->pid > 0 || pgha_awake_ms() < reader->restart_ms)
		return;
	reader->restart_ms = pgha_awake_ms() + RESTART_AFTER_MS;
	if (pipe(fd) != 0)
		return;
	(void) fflush(NULL);
	reader->pid = fork();
	if (reader->pid == 0)
	{
		if (!pgha_end_with(parent, SIGKILL))
			_exit(EXIT_ERROR);
		pgha_default_signals();
		/* Ctrl-C and Ctrl-Z are for the parent, which ends us. */
		(void) signal(SIGINT, SIG_IGN);
		(void) signal(SIGTSTP, SIG_IGN);
		pgha_unblock_signals();
		pgha_close_files(fd[1]);
		ask_on(reader, fd[1]);
		_exit(EXIT_ERROR);
	}
	(void) close(fd[1]);
	if (reader->pid < 0)
	{
		(void) close(fd[0]);
		reader->pid = 0;
	}
	else
		reader->input = fd[0];
}

static void
stop(PghaReader *reader)
{
	if (reader->pid > 0)
	{
		(void) kill(reader->pid, SIGKILL);
		(void) waitpid(reader->pid, NULL, 0);
		(void) close(reader->input);
	}
	reader->pid = 0;
	reader->length = 0;
}

void
pgha_reader_end(PghaReader *reader)
{
	stop(reader);
	free(reader->line);
	reader->line = NULL;
}

json_t *
pgha_reader_take(PghaReader *reader)
{
	char		text[8192];
	ssize_t		got = read(reader->input, text, sizeof(text));
	char	   *longer;
	char	   *end;
	json_t	   *last = NULL;

	if (got < 0 && errno == EINTR)
		return NULL;
	longer = got > 0 ? realloc(reader->line, reader->length + (size_t) got + 1) : NULL;
	if (longer == NULL)
	{
		/* It has ended, which it never should: another one is started. */
		stop(reader);
		reader->restart_ms = pgha_awake_ms() + RESTART_AFTER_MS;
		return NULL;
	}
	reader->line = longer;
	memcpy(reader->line + reader->length, text, (size_t) got);
	reader->length += (size_t) got;
	reader->line[reader->length] = '\0';
	while ((end = strchr(reader->line, '\n')) != NULL)
	{
		json_t	   *document;

		*end = '\0';
		document = json_loads(reader->line, 0, NULL);
		if (document != NULL)
		{
			json_decref(last);
			last = document;
		}
		reader->length -= (size_t) (end + 1 - reader->line);
		memmove(reader->line, end + 1, reader->length + 1);
	}
	return last;
}
