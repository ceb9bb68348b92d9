/*
 * io.c
 *		`pgha io peer`: the child that asks another member on the server's behalf.
 *		(`pgha io archive`, which asks the archive, is in archive.c.)
 *
 * Started by the server's monitor, and by the postmaster for its check at boot,
 * with a socket as stdin and stdout.  Lines of fields (fields.h):
 *
 *		conninfo <connection string>					once, first
 *		<id> <limit in ms> report <events since>		the peer's report
 *		<id> <limit in ms> changed <events since>		the same, as soon as it has changed
 *		<id> <limit in ms> soon <events since>			the same, or after a moment
 *		<id> <limit in ms> check <events since>			as "report", then disconnect
 *		<id> <limit in ms> history <timeline>			a timeline history file
 *		<id> <limit in ms> compare <timeline> <begin> <end> <segment size>
 *														WAL here with the peer's (peer_wal.c)
 *
 * and for each request one answer
 *
 *		<id> ok <text> <where> [<how>]
 *		<id> refused|silent|starting|error|unlearnt <message> <where>
 *
 * where <where> is the address and port that answered, "<address> <port>", or all
 * that refused, with commas between; and <how> is "plain" if the peer is of an older
 * version that answers at once whatever it is asked.
 *
 * One request at a time.  The child ends with exit code 0 when the socket is at
 * its end, also in the middle of a request; when it is told to end by a signal;
 * and when it cannot make sense of a line.  It never ends in another way if it
 * can help it: where the postmaster is process 1 it inherits the child, and
 * would take another exit code for the crash of a backend.  It writes nothing
 * to stderr, starts no thread, and never calls setlocale() (see peer.c).
 */
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/fields.h"
#include "../common/program.h"
#include "archive.h"
#include "io_line.h"
#include "peer.h"
#include "peer_wal.h"

/* A limit above this is not one that the server sends. */
#define MAX_LIMIT_MS	(3600 * 1000)

#define PLAIN_REPORT	"SHOW pgha.report"

/*
 * The connection string says where to connect.  The environment of the server,
 * which is ours, must not change that; settings such as PGSSLROOTCERT stay.
 */
static void
clean_environment(void)
{
	static const char *const names[] = {
		"PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGTARGETSESSIONATTRS",
		"PGLOADBALANCEHOSTS"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void) unsetenv(names[i]);
}

/* Rounded up, as waking too early would only mean to wait again. */
static int
milliseconds_until(int64_t deadline)
{
	int64_t		left = deadline - pgha_clock_us();

	return left <= 0 ? 0 : (int) ((left + 999) / 1000);
}

/*
 * PghaWaitFunction: waits for the connection and for the end of the input.
 * Requests that come in early are kept.
 */
static PghaWait
wait_for_peer(int fd, short events, int64_t deadline, void *arg)
{
	PghaIoInput *input = arg;

	for (;;)
	{
		struct pollfd set[2] = {{.fd = fd, .events = events}, {.fd = STDIN_FILENO, .events = POLLIN}};

		if (pgha_io_told_to_end())
			return PGHA_WAIT_CANCELLED;
		if (poll(set, 2, milliseconds_until(deadline)) < 0)
		{
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return PGHA_WAIT_CANCELLED;
		}
		if (set[1].revents != 0)
		{
			pgha_io_read(input);
			if (input->ended)
				return PGHA_WAIT_CANCELLED;
		}
		if (set[0].revents != 0)
			return PGHA_WAIT_READY;
		if (pgha_clock_us() >= deadline)
			return PGHA_WAIT_TIMEOUT;
	}
}

/*
 * A history's younger part, if it is longer than a line may be: the reader is
 * told that there was more.  Escaping makes text longer; half of a line is sure
 * to fit.  Changes `text`.
 */
static char *
shorten_history(char *text)
{
	const size_t mark = strlen(PGHA_HISTORY_SHORTENED);
	size_t		length = strlen(text);
	char	   *line;

	if (length < PGHA_LINE_SIZE / 2)
		return text;
	line = strchr(text + length - PGHA_LINE_SIZE / 2 + 256, '\n');
	if (line == NULL)
		return text;			/* no history is like that: it does not fit */
	line = line + 1 - mark;
	memcpy(line, PGHA_HISTORY_SHORTENED, mark);
	return line;
}

/* A request, taken apart. */
typedef struct Request
{
	char	   *id;
	int64_t		limit;			/* microseconds */
	bool		disconnect;
	uint64_t	events_since;	/* kept for the other requests, which may have to connect too */
	PghaWalPiece piece;			/* to be compared; timeline 0: none */
	bool		waits;			/* for news ... */
	bool		plain;			/* ... but the peer is of an older version, and does not */
	int			column;			/* of the answer */
	char		command[64];
	char		options[64];
} Request;

/* The arguments of a comparison after the timeline. */
static bool
parse_piece(char *cursor, PghaWalPiece *piece)
{
	uint64_t   *const fields[] = {&piece->begin, &piece->end, &piece->segment_size};

	for (int i = 0; i < 3; i++)
	{
		char	   *field = pgha_line_next(&cursor);

		if (field == NULL || !pgha_parse_uint64(field, fields[i]))
			return false;
	}
	return cursor == NULL && piece->begin < piece->end && piece->segment_size >= 1024 * 1024 &&
		piece->segment_size <= 1024 * 1024 * 1024;
}

static bool
parse_request(char *line, Request *request)
{
	char	   *cursor = line;
	char	   *limit;
	char	   *what;
	char	   *argument;
	uint64_t	id;
	uint64_t	limit_ms;
	uint64_t	number;
	bool		history;
	bool		compare;

	request->id = pgha_line_next(&cursor);
	limit = pgha_line_next(&cursor);
	what = pgha_line_next(&cursor);
	argument = pgha_line_next(&cursor);
	if (argument == NULL ||
		!pgha_parse_uint64(request->id, &id) ||
		!pgha_parse_uint64(limit, &limit_ms) || limit_ms > MAX_LIMIT_MS ||
		!pgha_parse_uint64(argument, &number))
		return false;

	request->limit = (int64_t) limit_ms * 1000;
	request->disconnect = (strcmp(what, "check") == 0);
	request->waits = (strcmp(what, "changed") == 0 || strcmp(what, "soon") == 0);
	history = (strcmp(what, "history") == 0);
	compare = (strcmp(what, "compare") == 0);
	if (!history && !compare && !request->disconnect && !request->waits && strcmp(what, "report") != 0)
		return false;
	if (compare ? !parse_piece(cursor, &request->piece) : cursor != NULL)
		return false;
	if ((history || compare) && (number == 0 || number > UINT32_MAX))
		return false;
	request->piece.timeline = compare ? (uint32_t) number : 0;

	if (history)
		(void) snprintf(request->command, sizeof(request->command),
						"TIMELINE_HISTORY %llu", (unsigned long long) number);
	else if (!compare)
	{
		(void) snprintf(request->command, sizeof(request->command), PLAIN_REPORT "%s%s",
						request->waits ? "_" : "", request->waits ? what : "");
		request->events_since = number;
	}
	(void) snprintf(request->options, sizeof(request->options), "-c pgha.events_since=%llu",
					(unsigned long long) request->events_since);
	/* The history's first column is the file name. */
	request->column = history ? 1 : 0;
	return true;
}

static bool
is_connected(const PghaPeer *peer)
{
	return peer->conn != NULL && !peer->connecting;
}

/*
 * Asks what is to be asked; and once more, for the plain report, if that was in vain.
 * A peer that knows no other is asked for nothing else in this session; one whose
 * answer was cancelled, as by a conflict with recovery, is the next time.
 */
static PghaOutcome
ask(PghaPeer *peer, Request *request, const char **text)
{
	static unsigned int plain_session = 0;
	const char *command = request->waits ? PLAIN_REPORT : request->command;

	request->plain = request->waits && is_connected(peer) && plain_session == peer->sessions;
	if (request->waits && !request->plain)
	{
		PghaOutcome outcome = pgha_peer_ask(peer, request->command, request->column, request->options, request->limit, text);

		if (outcome != PGHA_OUTCOME_ERROR || !is_connected(peer))
			return outcome;
		request->plain = peer->unknown;
		if (request->plain)
			plain_session = peer->sessions;
	}
	return pgha_peer_ask(peer, command, request->column, request->options, request->limit, text);
}

/* Serves one request; false when it is time to end. */
static bool
serve(PghaPeer *peer, Request *request)
{
	static const char *const names[] = {
		[PGHA_OUTCOME_OK] = "ok",
		[PGHA_OUTCOME_REFUSED] = "refused",
		[PGHA_OUTCOME_SILENT] = "silent",
		[PGHA_OUTCOME_STARTING] = "starting",
		[PGHA_OUTCOME_ERROR] = "error",
		[PGHA_OUTCOME_UNLEARNT] = "unlearnt",
	};
	const char *text = NULL;
	char	   *history = NULL;
	PghaOutcome outcome;
	bool		sent;

	outcome = request->piece.timeline != 0 ?
		pgha_peer_compare_wal(peer, &request->piece, request->options, request->limit, &text) :
		ask(peer, request, &text);
	if (outcome == PGHA_OUTCOME_CANCELLED)
		return false;
	if (outcome == PGHA_OUTCOME_OK && request->column == 1 && (history = strdup(text)) != NULL)
		text = shorten_history(history);
	sent = pgha_io_send_answer(request->id, names[outcome],
					   outcome == PGHA_OUTCOME_OK ? text : peer->message, peer->where,
					   request->plain ? "plain" : NULL);
	free(history);
	if (request->disconnect)
		pgha_peer_close(peer);
	return sent;
}

int
pgha_io_main(int argc, char **argv)
{
	PghaIoInput input = {.length = 0};
	char		conninfo_line[PGHA_LINE_SIZE];
	char		line[PGHA_LINE_SIZE];
	char	   *cursor = conninfo_line;
	char	   *keyword;
	char	   *conninfo;
	PghaPeer	peer;
	Request		request = {.events_since = 0};

	if (argc != 2 || (strcmp(argv[1], "peer") != 0 && strcmp(argv[1], "archive") != 0))
		return pgha_usage_error("io", "the server starts this as \"pgha io peer\" or \"pgha io archive\"");

	pgha_io_set_up_signals();
	if (strcmp(argv[1], "archive") == 0)
	{
		pgha_io_archive(&input);
		return EXIT_OK;
	}
	clean_environment();

	if (!pgha_io_next_line(&input, conninfo_line))
		return EXIT_OK;
	keyword = pgha_line_next(&cursor);
	conninfo = pgha_line_next(&cursor);
	if (conninfo == NULL || cursor != NULL || strcmp(keyword, "conninfo") != 0)
		return EXIT_OK;

	pgha_peer_init(&peer, conninfo, wait_for_peer, &input);
	while (pgha_io_next_line(&input, line) && parse_request(line, &request) && serve(&peer, &request))
		;
	pgha_peer_close(&peer);
	return EXIT_OK;
}
