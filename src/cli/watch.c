/*
 * watch.c
 *		`pgha status --watch`: the table again and again.
 *
 * This process only draws, and listens to keys and signals, so that it is at once
 * there whatever the network does.  Children ask (watch_reader.c): one whom the
 * options name, and one each of the other members with data, as soon as their
 * addresses are known.  Nobody is waited for.  What the first one is told is shown;
 * if that is late, what the primary says, or whoever answered last, with its age.
 *
 * Only the primary knows of the agents and recoveries of all nodes: these are taken
 * from what it has said, where another one's answer is shown.
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "cluster.h"
#include "page.h"
#include "subcommands.h"
#include "table.h"
#include "terminal.h"
#include "watch_reader.h"

/* An answer is to come within this time beyond the interval. */
#define LATE_MS			1000
/* Whom the options name, and the members. */
#define MAX_SOURCES		17

/* Who is asked, and what came. */
typedef struct Source
{
	PghaReader	reader;
	json_t	   *document;		/* the last answer; NULL: none yet */
	char	   *failure;		/* what came instead since then, or NULL */
	long long	answered_ms;
	time_t		answered_at;
} Source;

typedef struct Watch
{
	const PghaClientOptions *options;
	bool		screen;			/* stdout is a terminal */
	bool		coloured;
	Source		source[MAX_SOURCES];	/* the first one: as the options say */
	int			count;
	int			printed;		/* tables, where there is no screen */
	PghaRates	rates;
} Watch;

/* ---- whose answer is shown ---- */

static bool
is_fresh(const Watch *watch, const Source *source)
{
	return source->document != NULL && source->failure == NULL &&
		pgha_awake_ms() - source->answered_ms <= (long long) (watch->options->watch * 1000) + LATE_MS;
}

static const char *
text_of(const json_t *document, const char *key)
{
	const char *text = json_string_value(json_object_get(document, key));

	return text != NULL ? text : "";
}

static bool
is_primary(const Source *source)
{
	const char *primary = text_of(source->document, "primary");

	return *primary != '\0' && strcmp(primary, text_of(source->document, "answered_by")) == 0;
}

/* It has only just been asked for the first time. */
static bool
is_awaited(const Source *source)
{
	return source->document == NULL && source->failure == NULL && pgha_awake_ms() - source->answered_ms <= LATE_MS;
}

/* NULL: nobody has ever answered, or the first one is still given time. */
static Source *
find_shown(Watch *watch)
{
	Source	   *best = NULL;

	if (is_fresh(watch, &watch->source[0]))
		return &watch->source[0];
	if (is_awaited(&watch->source[0]))
		return NULL;
	for (int i = 0; i < watch->count; i++)
	{
		Source	   *source = &watch->source[i];

		if (is_fresh(watch, source) && is_primary(source))
			return source;
		if (source->document != NULL && (best == NULL || source->answered_ms > best->answered_ms))
			best = source;
	}
	return best;
}

/* Puts what only the primary knows into another one's answer. */
static void
add_primary_knowledge(const Watch *watch, json_t *document)
{
	size_t		index;
	json_t	   *theirs;

	for (int i = 0; i < watch->count; i++)
	{
		const Source *source = &watch->source[i];
		json_t	   *members = json_object_get(source->document, "members");

		if (source->document == document || !is_fresh(watch, source) || !is_primary(source))
			continue;
		(void) json_object_set(document, "recoveries", json_object_get(source->document, "recoveries"));
		json_array_foreach(members, index, theirs)
		{
			json_t	   *member = pgha_member_of(document, text_of(theirs, "node"));

			(void) json_object_set(member, "agent", json_object_get(theirs, "agent"));
			(void) json_object_set(member, "server", json_object_get(theirs, "server"));
		}
	}
}

/* ---- drawing ---- */

static void
format_clock(time_t time, char *out, size_t size)
{
	struct tm	parts;

	if (localtime_r(&time, &parts) == NULL || strftime(out, size, "%H:%M:%S", &parts) == 0)
		out[0] = '\0';
}

static double
age_of(const Source *source)
{
	return (double) (pgha_awake_ms() - source->answered_ms) / 1000;
}

/* "No answer from a since 03:12:45, 14 s ago: connection refused" */
static void
print_silence(const Watch *watch, const Source *source, FILE *out)
{
	char		since[16];
	char		node[64];

	pgha_table_value(json_object_get(source->document, "answered_by"), node, sizeof(node));
	if (*node == '\0' && watch->options->local != NULL && watch->options->at == NULL)
		(void) snprintf(node, sizeof(node), "%s", watch->options->local->conf.node);
	format_clock(source->answered_at, since, sizeof(since));
	fprintf(out, "%sNo answer from %s since %s, %.0f s ago%s%s%s\n", pgha_paint(watch->coloured, PGHA_PAINT_BAD),
			*node != '\0' ? node : "any member", since, age_of(source),
			source->failure != NULL ? ": " : "", source->failure != NULL ? source->failure : "",
			pgha_paint(watch->coloured, PGHA_PAINT_NONE));
}

/* The clock is that of the answer, not of this moment. */
static void
print_clock(const Watch *watch, const Source *shown, FILE *out)
{
	char		at[16];

	format_clock(shown != NULL ? shown->answered_at : time(NULL), at, sizeof(at));
	if (shown == NULL || is_fresh(watch, shown))
		fprintf(out, "%s  every %g s, q ends\n\n", at, watch->options->watch);
	else
		fprintf(out, "%s%s, as of %.0f s ago%s  every %g s, q ends\n\n", pgha_paint(watch->coloured, PGHA_PAINT_WARN),
				at, age_of(shown), pgha_paint(watch->coloured, PGHA_PAINT_NONE), watch->options->watch);
}

static void
print_page(Watch *watch, Source *shown, FILE *out, int width)
{
	const PghaLook look = {.coloured = watch->coloured, .width = width, .wide = watch->options->wide, .rates = &watch->rates};

	add_primary_knowledge(watch, shown->document);
	pgha_members_grow_older(shown->document, age_of(shown));
	pgha_status_print(out, shown->document, &look);
}

static void
draw_screen(Watch *watch)
{
	char	   *text = NULL;
	size_t		size;
	FILE	   *out = open_memstream(&text, &size);
	Source	   *asked = &watch->source[0];
	Source	   *shown = find_shown(watch);
	char		node[64];
	int			columns;
	int			rows;

	if (out == NULL)
		return;
	pgha_terminal_size(stdout, &columns, &rows);
	print_clock(watch, shown, out);
	if (!is_fresh(watch, asked) && !is_awaited(asked))
	{
		print_silence(watch, asked, out);
		pgha_table_value(json_object_get(shown != NULL ? shown->document : NULL, "answered_by"), node, sizeof(node));
		if (shown == asked)
			fprintf(out, "What follows is what it said last.\n");
		else if (shown != NULL)
			fprintf(out, "What follows is what %s %s.\n", node, is_fresh(watch, shown) ? "says" : "said last");
		fputc('\n', out);
	}
	if (shown != NULL)
		print_page(watch, shown, out, columns);
	(void) fclose(out);
	if (text != NULL)
		pgha_screen_show(text);
	free(text);
}

/* Where there is no screen: prints what has just come, one below the other. */
static bool
print_next(Watch *watch, const Source *came)
{
	Source	   *shown = find_shown(watch);
	bool		fresh = shown != NULL && is_fresh(watch, shown);

	if (fresh ? shown != came : came != &watch->source[0] || came->failure == NULL)
		return true;
	if (watch->printed++ > 0)
		putchar('\n');
	if (fresh)
		print_page(watch, shown, stdout, pgha_terminal_width(stdout));
	else
		print_silence(watch, &watch->source[0], stdout);
	return fflush(stdout) == 0;
}

/* ---- what the children say ---- */

static Source *
add_source(Watch *watch, const char *address)
{
	Source	   *source = &watch->source[watch->count++];

	source->reader.options = watch->options;
	(void) snprintf(source->reader.address, sizeof(source->reader.address), "%s", address);
	source->answered_ms = pgha_awake_ms();
	source->answered_at = time(NULL);
	return source;
}

/* Has the other members asked as well, which the answer names.  Witnesses let in nobody but members. */
static void
ask_members(Watch *watch, const json_t *document)
{
	size_t		index;
	const json_t *member;

	json_array_foreach(json_object_get(document, "members"), index, member)
	{
		const char *address = text_of(member, "address");
		bool		asked = strcmp(text_of(member, "node"), text_of(watch->source[0].document, "answered_by")) == 0;

		for (int i = 1; i < watch->count; i++)
			asked |= strcmp(watch->source[i].reader.address, address) == 0;
		if (!asked && *address != '\0' && watch->count < MAX_SOURCES && !json_is_true(json_object_get(member, "witness")))
			(void) add_source(watch, address);
	}
}

/* Those that the files of this host name need not wait for the first answer: its own server may be frozen. */
static void
ask_members_of_files(Watch *watch)
{
	const PghaLocalCluster *local = watch->options->local;
	char		address[sizeof(watch->source[0].reader.address)];

	for (int i = 0; local != NULL && watch->options->at == NULL && i < local->conf.members.count; i++)
	{
		const PghaAddress *member = &local->conf.members.member[i];

		if (i != local->self && watch->count < MAX_SOURCES &&
			snprintf(address, sizeof(address), strchr(member->host, ':') != NULL ? "[%s]:%d" : "%s:%d",
					 member->host, member->port) < (int) sizeof(address))
			(void) add_source(watch, address);
	}
}

/* Reads what there is; false if standard output cannot be written to any more. */
static bool
take_input(Watch *watch, Source *source)
{
	json_t	   *document = pgha_reader_take(&source->reader);
	const char *failure = json_string_value(json_object_get(document, "failure"));

	if (document == NULL)
		return true;
	free(source->failure);
	source->failure = NULL;
	if (failure != NULL)
	{
		source->failure = strdup(failure);
		json_decref(document);
	}
	else
	{
		json_decref(source->document);
		source->document = document;
		source->answered_ms = pgha_awake_ms();
		source->answered_at = time(NULL);
		ask_members(watch, document);
	}
	return watch->screen || print_next(watch, source);
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
	struct pollfd set[MAX_SOURCES + 1];
	struct pollfd *keyboard = &set[MAX_SOURCES];
	const struct timespec second = {1, 0};

	*keyboard = (struct pollfd) {.fd = -1, .events = POLLIN};
	if (watch->screen && isatty(STDIN_FILENO))
		keyboard->fd = STDIN_FILENO;
	while (!told_to_end)
	{
		for (int i = 0; i < MAX_SOURCES; i++)
		{
			PghaReader *reader = &watch->source[i].reader;

			if (i < watch->count)
				pgha_reader_run(reader);
			set[i] = (struct pollfd) {.fd = i < watch->count && reader->pid > 0 ? reader->input : -1, .events = POLLIN};
		}
		if (watch->screen)
			draw_screen(watch);
		keyboard->revents = 0;
		(void) ppoll(set, MAX_SOURCES + 1, &second, waiting);
		if (told_to_stop)
			stop_here(watch);
		for (int i = 0; i < MAX_SOURCES; i++)
			if (set[i].fd >= 0 && set[i].revents != 0 && !take_input(watch, &watch->source[i]))
				return EXIT_ERROR;
		if (keyboard->revents != 0 && take_keys(keyboard))
			break;
	}
	return EXIT_OK;
}

int
pgha_watch(const PghaClientOptions *options)
{
	Watch	   *watch;
	sigset_t	waiting;
	int			code;

	/* Nothing but a mistake of the caller ends it before it is told to. */
	if (!pgha_client_valid(options))
		return EXIT_ERROR;
	watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return EXIT_ERROR;
	watch->options = options;
	watch->screen = pgha_terminal_is(stdout);
	watch->coloured = pgha_terminal_coloured(stdout, options->color);
	(void) add_source(watch, "");
	ask_members_of_files(watch);
	set_up_signals(&waiting);
	if (watch->screen)
		pgha_screen_enter();
	code = run_watch(watch, &waiting);
	if (watch->screen)
		pgha_screen_leave();
	for (int i = 0; i < watch->count; i++)
	{
		pgha_reader_end(&watch->source[i].reader);
		json_decref(watch->source[i].document);
		free(watch->source[i].failure);
	}
	free(watch);
	return code;
}
