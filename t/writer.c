/*
 * writer.c
 *		A client that writes through failovers and remembers what it was told.
 *
 * Used by the TAP tests, the demo and the measurements (PghaCluster.pm starts
 * it).  It inserts (writer, 1), (writer, 2), ... into the table "written", one
 * row a transaction, and appends a line to its log for each thing it learns:
 *
 *		<microseconds of CLOCK_MONOTONIC> <letter> <text>
 *		C <host:port>	connected
 *		A <value> [<timeline>]	the server acknowledged the row; with --timeline: and on
 *						which timeline it wrote then
 *		U <value>		unknown: the connection ended, or the limit passed, first
 *		E <message>		the server refused the row, or the connection failed
 *
 * A value is never tried twice, so a row that is acknowledged and later not
 * found is lost, and a row of a 'U' line may or may not be there.
 *
 * A frozen server accepts connections and then says nothing, so libpq's
 * one-after-the-other multi-host connect would measure its connect_timeout.
 * This client connects to all its targets at once and takes the first that
 * accepts it (target_session_attrs in the connection string decides which ones
 * do); every step has the same limit.  It ends at SIGTERM, SIGINT, or when its
 * parent does.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_TARGETS		16

typedef struct Attempt
{
	PGconn	   *conn;			/* NULL: none under way */
	PostgresPollingStatusType wants;
	int64_t		until;			/* when it is given up, or the next one begins */
} Attempt;

static volatile sig_atomic_t stopping = 0;
static int	log_fd;
static const char *target[MAX_TARGETS];
static int	ntargets = 0;
static int	limit_ms = 1000;
static int	retry_pause_ms = 10;
static bool with_timeline = false;

static void
handle_stop(int signo)
{
	(void) signo;
	stopping = 1;
}

static void attempt_end(Attempt *attempt);

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
die(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* One line, one write: a reader never sees half a line. */
static void
note(char letter, const char *format,...)
{
	char		text[512];
	char		line[600];
	int			length;
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text[strcspn(text, "\n")] = '\0';
	length = snprintf(line, sizeof(line), "%lld %c %s\n", (long long) now_us(), letter, text);
	if (write(log_fd, line, length) != length)
		die("log");
}

static void
pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* Milliseconds until `end`, never negative. */
static int
left_ms(int64_t end)
{
	int64_t		left = (end - now_us() + 999) / 1000;

	return left > 0 ? (int) left : 0;
}

/* Begins a connection attempt, or ends it and plans the next one. */
static void
attempt_start(Attempt *attempt, const char *conninfo)
{
	attempt->conn = PQconnectStart(conninfo);
	attempt->wants = PGRES_POLLING_WRITING;
	attempt->until = now_us() + (int64_t) limit_ms * 1000;
	if (attempt->conn == NULL || PQstatus(attempt->conn) == CONNECTION_BAD)
		attempt_end(attempt);
}

static void
attempt_end(Attempt *attempt)
{
	if (attempt->conn)
		PQfinish(attempt->conn);
	attempt->conn = NULL;
	attempt->until = now_us() + retry_pause_ms * 1000;
}

/* Tries all targets, each over and over, until one accepts; NULL only at the end. */
static PGconn *
connect_any(void)
{
	Attempt		attempt[MAX_TARGETS] = {{0}};
	PGconn	   *accepted = NULL;
	int			i;

	while (!stopping && accepted == NULL)
	{
		struct pollfd fds[MAX_TARGETS];
		int			owner[MAX_TARGETS];
		int			nfds = 0;
		int			wait = limit_ms;

		for (i = 0; i < ntargets; i++)
		{
			Attempt    *a = &attempt[i];

			if (left_ms(a->until) == 0)
			{
				if (a->conn)
					attempt_end(a);
				else
					attempt_start(a, target[i]);
			}
			if (left_ms(a->until) < wait)
				wait = left_ms(a->until);
			if (a->conn == NULL)
				continue;
			fds[nfds].fd = PQsocket(a->conn);
			fds[nfds].events = a->wants == PGRES_POLLING_READING ? POLLIN : POLLOUT;
			fds[nfds].revents = 0;
			owner[nfds++] = i;
		}
		if (poll(fds, nfds, wait) <= 0)
			continue;
		for (i = 0; i < nfds && accepted == NULL; i++)
		{
			Attempt    *a = &attempt[owner[i]];

			if (fds[i].revents == 0)
				continue;
			a->wants = PQconnectPoll(a->conn);
			if (a->wants == PGRES_POLLING_FAILED)
				attempt_end(a);
			else if (a->wants == PGRES_POLLING_OK)
			{
				accepted = a->conn;
				a->conn = NULL;
			}
		}
	}
	for (i = 0; i < ntargets; i++)
		attempt_end(&attempt[i]);
	return accepted;
}

/*
 * Inserts one row.  False when the connection is of no use any more.
 */
static bool
write_row(PGconn *conn, int writer, uint64_t value)
{
	char		sql[256];
	char		timeline[32] = "";
	int64_t		end = now_us() + (int64_t) limit_ms * 1000;
	bool		acknowledged = false;
	bool		refused = false;
	PGresult   *result;

	snprintf(sql, sizeof(sql), "INSERT INTO written VALUES (%d, %llu)%s", writer, (unsigned long long) value,
			 with_timeline ? " RETURNING ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int" : "");
	if (!PQsendQuery(conn, sql))
	{
		note('E', "%s", PQerrorMessage(conn));
		return false;
	}

	for (;;)
	{
		struct pollfd fd = {.fd = PQsocket(conn),.events = POLLIN};

		while (!PQisBusy(conn))
		{
			result = PQgetResult(conn);
			if (result == NULL)
			{
				/* The server is ready for the next query: only now is it told. */
				if (acknowledged && PQstatus(conn) == CONNECTION_OK)
					note('A', "%llu%s", (unsigned long long) value, timeline);
				else if (!refused)
					note('U', "%llu", (unsigned long long) value);
				return acknowledged && PQstatus(conn) == CONNECTION_OK;
			}
			if (PQresultStatus(result) == PGRES_COMMAND_OK)
				acknowledged = true;
			else if (PQresultStatus(result) == PGRES_TUPLES_OK)
			{
				acknowledged = true;
				snprintf(timeline, sizeof(timeline), " %s", PQgetvalue(result, 0, 0));
			}
			else
			{
				const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

				/* Without an SQLSTATE the message is libpq's own: the outcome is unknown. */
				refused = code != NULL && strncmp(code, "57", 2) != 0;
				note('E', "%s", PQresultErrorMessage(result));
			}
			PQclear(result);
		}
		if (left_ms(end) == 0 || poll(&fd, 1, left_ms(end)) == 0)
		{
			note('U', "%llu", (unsigned long long) value);
			return false;
		}
		if (!PQconsumeInput(conn) && PQstatus(conn) == CONNECTION_BAD)
		{
			/* A message that arrived before the end is still worth reading. */
			while ((result = PQgetResult(conn)) != NULL)
			{
				note('E', "%s", PQresultErrorMessage(result));
				PQclear(result);
			}
			note('U', "%llu", (unsigned long long) value);
			return false;
		}
	}
}

/* The pause between two rows; false if the connection ended meanwhile. */
static bool
rest(PGconn *conn, int ms)
{
	struct pollfd fd = {.fd = PQsocket(conn),.events = POLLIN};

	if (poll(&fd, 1, ms) <= 0)
		return true;
	return PQconsumeInput(conn) && PQstatus(conn) == CONNECTION_OK;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"conninfo", required_argument, NULL, 'c'},
		{"log", required_argument, NULL, 'l'},
		{"writer", required_argument, NULL, 'w'},
		{"interval", required_argument, NULL, 'i'},
		{"timeout", required_argument, NULL, 't'},
		{"pause", required_argument, NULL, 'p'},
		{"timeline", no_argument, NULL, 'T'},
		{NULL, 0, NULL, 0}
	};
	struct sigaction action = {.sa_handler = handle_stop};
	const char *log_name = NULL;
	int			writer = 1;
	int			interval_ms = 5;
	uint64_t	value = 0;
	PGconn	   *conn = NULL;
	int			opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		switch (opt)
		{
			case 'c':
				if (ntargets < MAX_TARGETS)
					target[ntargets++] = optarg;
				break;
			case 'l':
				log_name = optarg;
				break;
			case 'w':
				writer = atoi(optarg);
				break;
			case 'i':
				interval_ms = atoi(optarg);
				break;
			case 't':
				limit_ms = atoi(optarg);
				break;
			case 'p':
				retry_pause_ms = atoi(optarg);
				break;
			case 'T':
				with_timeline = true;
				break;
			default:
				return 2;
		}
	}
	if (ntargets == 0 || log_name == NULL)
	{
		fprintf(stderr, "usage: writer --conninfo STRING [--conninfo STRING ...] --log FILE "
				"[--writer NUMBER] [--interval MS] [--timeout MS] [--pause MS] [--timeline]\n");
		return 2;
	}
	log_fd = open(log_name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log_fd < 0)
		die(log_name);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);

	while (!stopping)
	{
		if (conn == NULL)
		{
			conn = connect_any();
			if (conn == NULL)
				break;
			note('C', "%s:%s", PQhost(conn), PQport(conn));
		}
		if (!write_row(conn, writer, ++value))
		{
			/* A server that refuses writes will go on doing so: look for another one. */
			PQfinish(conn);
			conn = NULL;
			pause_ms(retry_pause_ms);
			continue;
		}
		if (interval_ms > 0 && !rest(conn, interval_ms))
		{
			PQfinish(conn);
			conn = NULL;
		}
	}
	if (conn)
		PQfinish(conn);
	return 0;
}
