/*
 * peer.c
 *		A replication connection to another member, for the io child.
 *
 * libpq without its blocking calls: each wait is the caller's, so that a
 * deadline holds for connecting, login and answer together, and the caller can
 * end a request.  Only the look-up of a host name blocks, in libpq's
 * PQconnectStart(); the server replaces a child that is late because of it.
 *
 * To connect and log in takes several journeys and a new process over there.
 * On a long line or a busy host that may be longer than the limit of a request,
 * and would be each time: so a request that ends before it leaves the connection
 * as it is to the next one, and one that has completed it gives the command the
 * whole limit.  Each request sends its own command: an answer is never older
 * than its request.
 *
 * What this host could not do by its own fault says nothing of the member: a name
 * that cannot be looked up, or not in time, or no descriptor for a socket.
 *
 * How a failed connect is told apart: libpq gives no SQLSTATE for it, but with
 * PQERRORS_VERBOSE it is in the error message, in front of the text, whatever
 * the language of the server.  A message without SQLSTATE is from libpq itself,
 * with the text of an errno in it; both are in the C locale, as the program
 * never calls setlocale().
 */
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../common/clock.h"
#include "compat.h"
#include "connect.h"

/*
 * How long one attempt to connect may take over several requests (us): until it
 * is accepted, no longer than the kernel takes to repeat its first packet, which
 * a new attempt sends as well; and with the login.
 */
#define ACCEPT_PATIENCE	1000000
#define LOGIN_PATIENCE	10000000
/* To begin to connect takes less, but for the look-up of a name (us). */
#define LOOK_UP_TIME	10000

#define SQLSTATE_LENGTH 5
#define CANNOT_CONNECT_NOW	"57P03"
#define UNDEFINED_OBJECT	"42704"

/* SQLSTATEs of a session that the server is about to end. */
static const char *const shutdown_states[] = {"57P01", "57P02", CANNOT_CONNECT_NOW};

/* What one attempt at an answer came to. */
typedef enum Attempt
{
	ATTEMPT_DONE,				/* with the outcome given */
	ATTEMPT_LOST				/* the connection broke */
} Attempt;

void
pgha_peer_init(PghaPeer *peer, const char *conninfo, PghaWaitFunction wait, void *wait_arg)
{
	memset(peer, 0, sizeof(*peer));
	peer->conninfo = conninfo;
	peer->wait = wait;
	peer->wait_arg = wait_arg;
}

void
pgha_peer_close(PghaPeer *peer)
{
	PQclear(peer->result);
	peer->result = NULL;
	PQfinish(peer->conn);
	peer->conn = NULL;
	peer->connecting = false;
}

/*
 * Stores a message as one line of printable ASCII: the server shows it in
 * databases of any encoding.
 */
static void
set_message(PghaPeer *peer, const char *text)
{
	char	   *to = peer->message;
	const char *end = peer->message + sizeof(peer->message) - 1;

	for (; *text != '\0' && to < end; text++)
	{
		if (*text == '\n' || *text == '\t' || *text == '\r' || *text == ' ')
		{
			if (to > peer->message && to[-1] != ' ')
				*to++ = ' ';
		}
		else
			*to++ = (*text > ' ' && *text <= '~') ? *text : '?';
	}
	if (to > peer->message && to[-1] == ' ')
		to--;
	*to = '\0';
}

static PghaOutcome
fail(PghaPeer *peer, PghaOutcome outcome, const char *message)
{
	set_message(peer, message);
	return outcome;
}

/* Waits for the connection; OK means that it is ready. */
static PghaOutcome
wait_ready(PghaPeer *peer, short events, int64_t deadline, const char *what)
{
	switch (peer->wait(PQsocket(peer->conn), events, deadline, peer->wait_arg))
	{
		case PGHA_WAIT_READY:
			return PGHA_OUTCOME_OK;
		case PGHA_WAIT_TIMEOUT:
			return fail(peer, PGHA_OUTCOME_SILENT, what);
		case PGHA_WAIT_CANCELLED:
			break;
	}
	return PGHA_OUTCOME_CANCELLED;
}

/* The SQLSTATE in a verbose error message, "FATAL:  57P03: text"; NULL if there is none. */
static const char *
find_sqlstate(const char *message)
{
	const char *p = message;

	while ((p = strstr(p, ":  ")) != NULL)
	{
		p += strlen(":  ");
		if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == SQLSTATE_LENGTH &&
			strncmp(p + SQLSTATE_LENGTH, ": ", 2) == 0)
			return p;
	}
	return NULL;
}

static bool
mentions_errno(const char *message, int number)
{
	return strstr(message, strerror(number)) != NULL;
}

/* Does the message say that the host was not reached, or cut us off? */
static bool
mentions_cut(const char *message)
{
	static const int cut[] = {
		ETIMEDOUT, EHOSTUNREACH, EHOSTDOWN, ENETUNREACH, ENETDOWN, ECONNRESET, ECONNABORTED, EPIPE
	};

	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++)
		if (mentions_errno(message, cut[i]))
			return true;
	/* The last three are said of a connection with TLS. */
	return strstr(message, "server closed the connection unexpectedly") != NULL ||
		strstr(message, "SSL SYSCALL error: EOF detected") != NULL ||
		strstr(message, "SSL connection has been closed unexpectedly") != NULL ||
		strstr(message, "unexpected eof while reading") != NULL;
}

/* Could this host not even try, so that nothing was learnt of the other one? */
static bool
mentions_own_fault(const char *message)
{
	static const int own[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (mentions_errno(message, own[i]))
			return true;
	return strstr(message, "could not translate host name") != NULL || strstr(message, "out of memory") != NULL;
}

/* Adds "<address> <port>" to `where`; what does not fit is left out as a whole. */
static void
add_where(PghaPeer *peer, const char *address, int address_length, const char *port, int port_length)
{
	size_t		length = strlen(peer->where);
	int			needed = snprintf(peer->where + length, sizeof(peer->where) - length, "%s%.*s %.*s",
								  length > 0 ? "," : "", address_length, address, port_length, port);

	if (needed < 0 || (size_t) needed >= sizeof(peer->where) - length)
		peer->where[length] = '\0';
}

/*
 * Takes the addresses that refused out of a message, of which there is a line for
 * each: connection to server at "name" (address), port number failed: why
 */
static void
note_refusals(PghaPeer *peer, const char *message)
{
	static const char start[] = "connection to server at \"";
	const char *refused = strerror(ECONNREFUSED);

	for (const char *line = message; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
	{
		int			length = (int) strcspn(line, "\n");
		const char *address = strstr(line, start);
		const char *why = strstr(line, refused);
		const char *port;
		int			address_length;

		if (address == NULL || address > line + length || why == NULL || why > line + length)
			continue;
		address += strlen(start);
		address_length = (int) strcspn(address, "\"\n");
		port = address + address_length;
		if (strncmp(port, "\" (", 3) == 0)
		{
			address = port + 3;
			address_length = (int) strcspn(address, ")\n");
			port = address + address_length;
		}
		port += strcspn(port, ",\n");
		if (strncmp(port, ", port ", 7) == 0)
			add_where(peer, address, address_length, port + 7, (int) strspn(port + 7, "0123456789"));
	}
}

/* The connection is made: where to? */
static void
note_address(PghaPeer *peer)
{
	const char *address = PQhostaddr(peer->conn);
	const char *port = PQport(peer->conn);

	peer->where[0] = '\0';
	if (address != NULL && *address != '\0' && port != NULL)
		add_where(peer, address, (int) strlen(address), port, (int) strlen(port));
}

/*
 * Stores the message of a failed connect without the SQLSTATE and without what
 * follows the line (hints of libpq, LOCATION of the verbose form).
 */
static void
set_connect_message(PghaPeer *peer, const char *message, const char *sqlstate)
{
	const char *text = sqlstate != NULL ? sqlstate + SQLSTATE_LENGTH + strlen(": ") : message;
	int			prefix = sqlstate != NULL ? (int) (sqlstate - message) : 0;
	char		line[1024];

	(void) snprintf(line, sizeof(line), "%.*s%.*s", prefix, message, (int) strcspn(text, "\n"), text);
	set_message(peer, line);
}

/* The connection broke; another one may be tried. */
static Attempt
lost(PghaPeer *peer)
{
	set_connect_message(peer, PQerrorMessage(peer->conn), NULL);
	pgha_peer_close(peer);
	return ATTEMPT_LOST;
}

/* Class of a failed connect. */
static Attempt
classify_failure(PghaPeer *peer, PghaOutcome *outcome)
{
	const char *message = PQerrorMessage(peer->conn);
	const char *sqlstate = find_sqlstate(message);

	set_connect_message(peer, message, sqlstate);
	if (sqlstate != NULL)
		*outcome = strncmp(sqlstate, CANNOT_CONNECT_NOW, SQLSTATE_LENGTH) == 0 ?
			PGHA_OUTCOME_STARTING : PGHA_OUTCOME_ERROR;
	else if (peer->reached && mentions_cut(message))
		return lost(peer);
	else if (mentions_own_fault(message))
		*outcome = PGHA_OUTCOME_UNLEARNT;
	else if (peer->reached)
		*outcome = PGHA_OUTCOME_ERROR;
	/* ENOENT: no socket file.  Of a host's addresses none may be out of reach. */
	else if (!mentions_cut(message) &&
			 (mentions_errno(message, ECONNREFUSED) || mentions_errno(message, ENOENT)))
	{
		*outcome = PGHA_OUTCOME_REFUSED;
		note_refusals(peer, message);
	}
	/* All ports of this host are in use. */
	else if (mentions_errno(message, EADDRNOTAVAIL))
		*outcome = PGHA_OUTCOME_UNLEARNT;
	/* Not reached: no sign of life. */
	else
		*outcome = PGHA_OUTCOME_SILENT;
	return ATTEMPT_DONE;
}

/* Starts to connect; ERROR if libpq cannot make sense of the connection string. */
static PghaOutcome
start_connect(PghaPeer *peer, const char *options)
{
	char		all_options[512];
	const char *const keywords[] = {"dbname", "replication", "options", NULL};
	const char *const values[] = {peer->conninfo, "true", all_options, NULL};
	char	   *error = NULL;
	PQconninfoOption *parsed = PQconninfoParse(peer->conninfo, &error);

	if (parsed == NULL)
	{
		set_message(peer, error != NULL ? error : "out of memory");
		PQfreemem(error);
		return PGHA_OUTCOME_ERROR;
	}
	PQconninfoFree(parsed);

	/* What a server allows to applications is not meant for the session of a member. */
	(void) snprintf(all_options, sizeof(all_options), "-c idle_session_timeout=0" PGHA_SETTINGS_OF_VERSION " %s", options != NULL ? options : "");
	peer->conn = pgha_connect_start_params(keywords, values, 1);
	if (peer->conn == NULL)
		return fail(peer, PGHA_OUTCOME_UNLEARNT, "out of memory");
	pgha_drop_notices(peer->conn);	/* and libpq's complaints about odd messages */
	(void) PQsetErrorVerbosity(peer->conn, PQERRORS_VERBOSE);
	peer->connecting = true;
	peer->reached = false;
	peer->next = PGRES_POLLING_WRITING;
	peer->begun = pgha_clock_us();
	return PGHA_OUTCOME_OK;
}

/* Is a connection that was not made in time worth waiting for in the next request? */
static bool
may_still_connect(const PghaPeer *peer)
{
	return pgha_clock_us() - peer->begun < (peer->reached ? LOGIN_PATIENCE : ACCEPT_PATIENCE);
}

/* One step of a connect that is neither made nor failed; SILENT at the deadline. */
static PghaOutcome
advance_connect(PghaPeer *peer, int64_t deadline)
{
	PghaOutcome outcome = wait_ready(peer, peer->next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline,
									 peer->reached ? "no answer to the login within the time limit"
									 : "no connection within the time limit");

	if (outcome != PGHA_OUTCOME_OK)
		return outcome;
	peer->next = PQconnectPoll(peer->conn);
	switch (PQstatus(peer->conn))
	{
		case CONNECTION_STARTED:
		case CONNECTION_NEEDED:
		case CONNECTION_BAD:
			break;
		default:
			peer->reached = true;
	}
	return outcome;
}

/*
 * Connects, or goes on with what an earlier request has begun.  With another
 * outcome than OK there is no connection that can be used.
 */
static Attempt
connect_peer(PghaPeer *peer, const char *options, int64_t deadline, PghaOutcome *outcome)
{
	bool		begun_before = peer->connecting;
	int64_t		before = pgha_clock_us();

	*outcome = begun_before ? PGHA_OUTCOME_OK : start_connect(peer, options);
	if (*outcome == PGHA_OUTCOME_OK && !begun_before && PQstatus(peer->conn) != CONNECTION_BAD &&
		peer->begun >= deadline && peer->begun - before >= LOOK_UP_TIME)
	{
		/* The time has gone by before anything was sent; the next request goes on with it. */
		*outcome = fail(peer, PGHA_OUTCOME_UNLEARNT, "the look-up of the host's name took longer than the time limit");
		return ATTEMPT_DONE;
	}
	while (*outcome == PGHA_OUTCOME_OK && PQstatus(peer->conn) != CONNECTION_OK)
	{
		if (PQstatus(peer->conn) == CONNECTION_BAD)
		{
			/* It may have failed before this request: that says nothing of now. */
			if (begun_before)
				return lost(peer);
			if (classify_failure(peer, outcome) == ATTEMPT_LOST)
				return ATTEMPT_LOST;
			break;
		}
		*outcome = advance_connect(peer, deadline);
		if (*outcome == PGHA_OUTCOME_SILENT && may_still_connect(peer))
			return ATTEMPT_DONE;
	}
	peer->connecting = false;
	peer->sessions++;

	/* Also keeps PQfinish() from waiting. */
	if (*outcome == PGHA_OUTCOME_OK && PQsetnonblocking(peer->conn, 1) != 0)
		return lost(peer);
	if (*outcome != PGHA_OUTCOME_OK)
		pgha_peer_close(peer);
	return ATTEMPT_DONE;
}

static bool
is_shutdown(const char *sqlstate)
{
	for (size_t i = 0; sqlstate != NULL && i < sizeof(shutdown_states) / sizeof(shutdown_states[0]); i++)
		if (strcmp(sqlstate, shutdown_states[i]) == 0)
			return true;
	return false;
}

/* Judges the answer to a command, and takes it over if it is good. */
static Attempt
judge_result(PghaPeer *peer, PGresult *result, int column, PghaOutcome *outcome)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (PQresultStatus(result) == PGRES_TUPLES_OK &&
		PQntuples(result) == 1 && PQnfields(result) > column &&
		(size_t) PQgetlength(result, 0, column) == strlen(PQgetvalue(result, 0, column)))
	{
		peer->result = result;
		*outcome = PGHA_OUTCOME_OK;
		return ATTEMPT_DONE;
	}

	if (PQstatus(peer->conn) == CONNECTION_BAD || is_shutdown(sqlstate))
	{
		PQclear(result);
		return lost(peer);
	}
	peer->unknown = sqlstate != NULL && strcmp(sqlstate, UNDEFINED_OBJECT) == 0;
	*outcome = fail(peer, PGHA_OUTCOME_ERROR,
					message != NULL ? message : "the answer is not of the form expected");
	PQclear(result);
	return ATTEMPT_DONE;
}

/*
 * Sends the command and waits for its answer.  A connection on which an answer
 * may still come is closed.
 */
static Attempt
run_command(PghaPeer *peer, const char *command, int column, int64_t deadline, PghaOutcome *outcome)
{
	PGresult   *first = NULL;

	if (!PQsendQuery(peer->conn, command))
		return lost(peer);
	for (;;)
	{
		int			unsent = PQflush(peer->conn);

		if (unsent == 0 && !PQisBusy(peer->conn))
		{
			PGresult   *result = PQgetResult(peer->conn);

			if (result == NULL)
				break;
			if (first == NULL)
				first = result;
			else
				PQclear(result);
			continue;
		}

		if (unsent < 0)
		{
			PQclear(first);
			return lost(peer);
		}
		*outcome = wait_ready(peer, (short) (unsent > 0 ? POLLIN | POLLOUT : POLLIN), deadline,
							  "no answer within the time limit");
		if (*outcome != PGHA_OUTCOME_OK)
		{
			PQclear(first);
			pgha_peer_close(peer);
			return ATTEMPT_DONE;
		}
		if (!PQconsumeInput(peer->conn))
		{
			PQclear(first);
			return lost(peer);
		}
	}
	return first != NULL ? judge_result(peer, first, column, outcome) : lost(peer);
}

/* `start`: when the request began.  The limit is explained in peer.h. */
static Attempt
try_once(PghaPeer *peer, const char *command, int column, const char *options,
		 int64_t start, int64_t limit, PghaOutcome *outcome)
{
	int64_t		deadline = start + limit;

	*outcome = PGHA_OUTCOME_OK;
	if (peer->conn == NULL || peer->connecting)
	{
		if (connect_peer(peer, options, deadline, outcome) == ATTEMPT_LOST)
			return ATTEMPT_LOST;
		deadline += limit;
	}
	if (*outcome != PGHA_OUTCOME_OK)
		return ATTEMPT_DONE;
	return run_command(peer, command, column, deadline, outcome);
}

PghaOutcome
pgha_peer_ask(PghaPeer *peer, const char *command, int column,
			  const char *options, int64_t limit, const char **text)
{
	int64_t		start = pgha_clock_us();
	PghaOutcome outcome;

	PQclear(peer->result);
	peer->result = NULL;
	peer->where[0] = '\0';
	peer->unknown = false;

	/* Once more: the connection may have been lost since the last request. */
	if (try_once(peer, command, column, options, start, limit, &outcome) == ATTEMPT_LOST &&
		try_once(peer, command, column, options, start, limit, &outcome) == ATTEMPT_LOST)
		return PGHA_OUTCOME_SILENT;
	if (outcome == PGHA_OUTCOME_OK)
	{
		note_address(peer);
		*text = PQgetvalue(peer->result, 0, column);
	}
	return outcome;
}
