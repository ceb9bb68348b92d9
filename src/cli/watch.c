/*
 * watch.c
 *		`pgha status --watch`: the table again and again.
 *
 * A child does what may block: it connects, asks, and writes one JSON document
 * a line into a pipe, {"failure": "..."} when nobody has answered.  When the
 * member that it asks vanishes it connects anew, to whichever host of the
 * connection string answers.  This process only draws, and listens to keys and
 * signals, so that it is at once there whatever the network does.
 *
 * Only the primary knows of the recoveries of all nodes: when a standby
 * answers, the child asks the primary for these, if it can be reached.
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "cluster.h"
#include "page.h"
#include "subcommands.h"
#include "table.h"
#include "terminal.h"

#define QUERY_LIMIT_MS	5000
/* With an answer that is older than this beyond the interval, something is wrong. */
#define LATE_MS			3000
#define RESTART_AFTER_MS	1000

/* ---- the child that asks ---- */

typedef struct Reader
{
	const PghaClientOptions *options;
	PGconn	   *conn;
	PGconn	   *primary;		/* of conn's cluster, if conn is a standby's */
} Reader;

static void
disconnect(PGconn **conn)
{
	if (*conn != NULL)
		PQfinish(*conn);
	*conn = NULL;
}

/* Connects if need be, and asks. */
static json_t *
ask(Reader *reader, FILE *errors)
{
	json_t	   *document;

	if (reader->conn == NULL)
		reader->conn = pgha_client_try_connect(reader->options, NULL, errors);
	if (reader->conn == NULL)
		return NULL;
	document = pgha_status_fetch(reader->conn, QUERY_LIMIT_MS, errors);
	if (document == NULL)
		disconnect(&reader->conn);
	return document;
}

/* Puts the recoveries that the primary knows of into a standby's document; leaves it as it is if that fails. */
static void
add_recoveries(Reader *reader, json_t *document)
{
	const char *primary = json_string_value(json_object_get(document, "primary"));
	const char *answered = json_string_value(json_object_get(document, "answered_by"));
	FILE	   *nowhere;
	json_t	   *recoveries = NULL;

	if (primary == NULL || answered == NULL || strcmp(primary, answered) == 0)
	{
		disconnect(&reader->primary);
		return;
	}
	nowhere = fopen("/dev/null", "w");
	if (nowhere == NULL)
		return;
	if (reader->primary == NULL)
		reader->primary = pgha_client_follow(reader->conn, reader->options, nowhere);
	if (reader->primary != NULL)
		recoveries = pgha_recoveries_fetch(reader->primary, QUERY_LIMIT_MS, nowhere);
	if (recoveries == NULL)
		disconnect(&reader->primary);
	else
		(void) json_object_set_new(document, "recoveries", recoveries);
	(void) fclose(nowhere);
}

/* What to show instead of an answer: the last error, on one line. */
static json_t *
make_failure(char *text)
{
	const char *prefix = "pgha: error: ";
	const char *start = text;
	char	   *hint = strstr(text, "HINT:");

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
read_once(Reader *reader)
{
	char	   *text = NULL;
	size_t		size;
	bool		connected = reader->conn != NULL;
	FILE	   *errors = open_memstream(&text, &size);
	json_t	   *document;

	if (errors == NULL)
		return NULL;
	document = ask(reader, errors);
	if (document == NULL && connected)
	{
		/* The session is gone; another host may answer. */
		rewind(errors);
		document = ask(reader, errors);
	}
	(void) fclose(errors);
	if (document != NULL)
		add_recoveries(reader, document);
	else
		document = make_failure(text);
	free(text);
	return document;
}

/* In the child: asks until nobody reads any more. */
static void
run_reader(const PghaClientOptions *options, int output)
{
	Reader		reader = {.options = options};
	FILE	   *out = fdopen(output, "w");
	struct timespec pause = {(time_t) options->watch, (long) ((options->watch - (double) (time_t) options->watch) * 1e9)};

	while (out != NULL)
	{
		json_t	   *document = read_once(&reader);

		if (document != NULL)
			(void) json_dumpf(document, out, JSON_COMPACT);
		json_decref(document);
		if (fputc('\n', out) == EOF || fflush(out) != 0)
			break;
		(void) nanosleep(&pause, NULL);
	}
}

static pid_t
start_reader(const PghaClientOptions *options, int *input)
{
	int			fd[2];
	pid_t		parent = getpid();
	pid_t		pid;

	if (pipe(fd) != 0)
		return -1;
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		if (!pgha_end_with(parent, SIGKILL))
			_exit(EXIT_ERROR);
		pgha_default_signals();
		/* Ctrl-C and Ctrl-Z are for the parent, which ends us. */
		(void) signal(SIGINT, SIG_IGN);
		(void) signal(SIGTSTP, SIG_IGN);
		pgha_unblock_signals();
		pgha_close_files(fd[1]);
		run_reader(options, fd[1]);
		_exit(EXIT_ERROR);
	}
	(void) close(fd[1]);
	if (pid < 0)
		(void) close(fd[0]);
	*input = fd[0];
	return pid;
}

/* ---- drawing ---- */

typedef struct Watch
{
	const PghaClientOptions *options;
	bool		screen;			/* stdout is a terminal */
	bool		coloured;
	pid_t		reader;			/* 0: none */
	int			input;
	char	   *line;			/* what has come of a document */
	size_t		length;
	json_t	   *document;		/* the last answer; NULL: none yet */
	char	   *failure;		/* what came instead since then, or NULL */
	long long	answered_ms;
	time_t		answered_at;
	long long	restart_ms;
	int			printed;		/* tables, where there is no screen */
	PghaRates	rates;
} Watch;

static bool
is_late(const Watch *watch)
{
	return watch->failure != NULL ||
		pgha_awake_ms() - watch->answered_ms > (long long) (watch->options->watch * 1000) + LATE_MS;
}

static void
format_clock(time_t time, char *out, size_t size)
{
	struct tm	parts;

	if (localtime_r(&time, &parts) == NULL || strftime(out, size, "%H:%M:%S", &parts) == 0)
		out[0] = '\0';
}

/* "No answer from a since 03:12:45, 14 s ago: connection refused" */
static void
print_silence(const Watch *watch, FILE *out)
{
	char		since[16];
	long long	seconds = (pgha_awake_ms() - watch->answered_ms) / 1000;
	char		node[64];

	pgha_table_value(json_object_get(watch->document, "answered_by"), node, sizeof(node));
	format_clock(watch->answered_at, since, sizeof(since));
	fprintf(out, "%sNo answer from %s since %s, %lld s ago%s%s%s\n", pgha_paint(watch->coloured, PGHA_PAINT_BAD),
			*node != '\0' ? node : "any member", since, seconds,
			watch->failure != NULL ? ": " : "", watch->failure != NULL ? watch->failure : "",
			pgha_paint(watch->coloured, PGHA_PAINT_NONE));
}

static void
draw_screen(Watch *watch)
{
	char	   *text = NULL;
	size_t		size;
	FILE	   *out = open_memstream(&text, &size);
	char		now[16];
	int			columns;
	int			rows;

	if (out == NULL)
		return;
	pgha_terminal_size(stdout, &columns, &rows);
	format_clock(time(NULL), now, sizeof(now));
	fprintf(out, "%s  every %g s, q ends\n\n", now, watch->options->watch);
	if (is_late(watch))
	{
		print_silence(watch, out);
		fprintf(out, watch->document != NULL ? "What follows is what it said last.\n\n" : "\n");
	}
	if (watch->document != NULL)
		pgha_status_print(out, watch->document, watch->coloured, columns, &watch->rates);
	(void) fclose(out);
	if (text != NULL)
		pgha_screen_show(text);
	free(text);
}

/* Prints what has just come, one below the other. */
static bool
print_next(Watch *watch)
{
	if (watch->printed++ > 0)
		putchar('\n');
	if (watch->failure != NULL)
		print_silence(watch, stdout);
	else
		pgha_status_print(stdout, watch->document, watch->coloured, 100, &watch->rates);
	return fflush(stdout) == 0;
}

/* ---- what the child says ---- */

static void
take_document(Watch *watch, const char *line)
{
	json_t	   *document = json_loads(line, 0, NULL);
	const char *failure = json_string_value(json_object_get(document, "failure"));

	if (document == NULL)
		return;
	free(watch->failure);
	watch->failure = NULL;
	if (failure != NULL)
	{
		watch->failure = strdup(failure);
		json_decref(document);
		return;
	}
	json_decref(watch->document);
	watch->document = document;
	watch->answered_ms = pgha_awake_ms();
	watch->answered_at = time(NULL);
}

/* Reads what there is; false if standard output cannot be written to any more. */
static bool
take_input(Watch *watch)
{
	char		text[8192];
	ssize_t		got = read(watch->input, text, sizeof(text));
	char	   *longer;
	char	   *end;
	bool		written = true;

	if (got < 0 && errno == EINTR)
		return true;
	longer = got > 0 ? realloc(watch->line, watch->length + (size_t) got + 1) : NULL;
	if (longer == NULL)
	{
		/* The child has ended, which it never should: another one is started. */
		(void) kill(watch->reader, SIGKILL);
		(void) waitpid(watch->reader, NULL, 0);
		(void) close(watch->input);
		watch->reader = 0;
		watch->length = 0;
		watch->restart_ms = pgha_awake_ms() + RESTART_AFTER_MS;
		return true;
	}
	watch->line = longer;
	memcpy(watch->line + watch->length, text, (size_t) got);
	watch->length += (size_t) got;
	watch->line[watch->length] = '\0';
	while (written && (end = strchr(watch->line, '\n')) != NULL)
	{
		*end = '\0';
		take_document(watch, watch->line);
		watch->length -= (size_t) (end + 1 - watch->line);
		memmove(watch->line, end + 1, watch->length + 1);
		if (!watch->screen && (watch->document != NULL || watch->failure != NULL))
			written = print_next(watch);
	}
	return written;
}

/* ---- signals and keys ---- */

static volatile sig_atomic_t told_to_end = 0;
static volatile sig_atomic_t told_to_stop = 0;

static void
handle_signal(int signal_number)
{
	if (signal_number == SIGTSTP)
		told_to_stop = 1;
	else if (signal_number != SIGWINCH)
		told_to_end = 1;
}

/* They are blocked, but for the time of waiting, whose mask is put into *waiting. */
static void
set_up_signals(sigset_t *waiting)
{
	static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
	struct sigaction action;
	sigset_t	blocked;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handle_signal;
	(void) sigemptyset(&action.sa_mask);
	(void) sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
	{
		(void) sigaction(handled[i], &action, NULL);
		(void) sigaddset(&blocked, handled[i]);
	}
	(void) sigprocmask(SIG_BLOCK, &blocked, waiting);
}

/* Ctrl-Z: the terminal is given back until we go on. */
static void
stop_here(Watch *watch)
{
	told_to_stop = 0;
	if (watch->screen)
		pgha_screen_leave();
	(void) raise(SIGSTOP);
	if (watch->screen)
		pgha_screen_enter();
}

/* Reads keys; true if one of them says to end. */
static bool
take_keys(struct pollfd *keyboard)
{
	char		keys[64];
	ssize_t		got = read(STDIN_FILENO, keys, sizeof(keys));

	if (got <= 0)
		keyboard->fd = -1;
	for (ssize_t i = 0; i < got; i++)
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == '\003')
			return true;
	return false;
}

static int
run_watch(Watch *watch, const sigset_t *waiting)
{
	struct pollfd set[2] = {{.events = POLLIN}, {.fd = -1, .events = POLLIN}};
	const struct timespec second = {1, 0};

	if (watch->screen && isatty(STDIN_FILENO))
		set[1].fd = STDIN_FILENO;
	while (!told_to_end)
	{
		if (watch->reader <= 0 && pgha_awake_ms() >= watch->restart_ms)
			watch->reader = start_reader(watch->options, &watch->input);
		if (watch->screen)
			draw_screen(watch);
		set[0].fd = watch->reader > 0 ? watch->input : -1;
		set[0].revents = set[1].revents = 0;
		(void) ppoll(set, 2, &second, waiting);
		if (told_to_stop)
			stop_here(watch);
		if (set[0].revents != 0 && !take_input(watch))
			return EXIT_ERROR;
		if (set[1].revents != 0 && take_keys(&set[1]))
			break;
	}
	return EXIT_OK;
}

int
pgha_watch(const PghaClientOptions *options)
{
	Watch		watch = {
		.options = options,
		.screen = pgha_terminal_is(stdout),
		.coloured = pgha_terminal_coloured(stdout, options->color),
		.answered_ms = pgha_awake_ms(),
		.answered_at = time(NULL),
	};
	sigset_t	waiting;
	int			code;

	/* Nothing but a mistake of the caller ends it before it is told to. */
	if (!pgha_client_valid(options))
		return EXIT_ERROR;
	set_up_signals(&waiting);
	if (watch.screen)
		pgha_screen_enter();
	code = run_watch(&watch, &waiting);
	if (watch.reader > 0)
	{
		(void) kill(watch.reader, SIGKILL);
		(void) waitpid(watch.reader, NULL, 0);
	}
	if (watch.screen)
		pgha_screen_leave();
	json_decref(watch.document);
	free(watch.failure);
	free(watch.line);
	return code;
}
