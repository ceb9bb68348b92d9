/*
 * peer_wal.c
 *		Is the WAL of a timeline the same here and on another member?
 *
 * For the io child, whose working directory is the server's data directory.  Two
 * servers that were promoted past pgha can have timelines of the same number and
 * the same beginning; their WAL is chained by its checksums and has times in it,
 * so that it does not agree by chance.  The other member sends its WAL as it
 * would to a standby; the stream is cut off as soon as enough of it has come.
 * Nothing is confirmed, so that no server takes this for a standby.
 */
#include "peer_wal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"

/* How much is compared, at most. */
#define COMPARE_SIZE	65536

#define UNDEFINED_FILE	"58P01"	/* SQLSTATE of a segment that was removed */

/* In front of the WAL in each message: 'w', where it begins, where all ends, the time. */
#define HEADER_SIZE		25

/* The piece as it is here. */
typedef struct Own
{
	uint64_t	begin;
	size_t		length;
	char		wal[COMPARE_SIZE];
} Own;

/* Reads a part of one segment from pg_wal. */
static bool
read_segment(const PghaWalPiece *piece, uint64_t from, char *out, size_t length)
{
	uint64_t	per_id = UINT64_C(0x100000000) / piece->segment_size;
	uint64_t	segment = from / piece->segment_size;
	char		path[64];
	int			fd;
	bool		done;

	(void) snprintf(path, sizeof(path), "pg_wal/%08X%08X%08X", (unsigned) piece->timeline,
					(unsigned) (segment / per_id), (unsigned) (segment % per_id));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = pread(fd, out, length, (off_t) (from % piece->segment_size)) == (ssize_t) length;
	(void) close(fd);
	return done;
}

static bool
read_own(const PghaWalPiece *piece, uint64_t begin, Own *own)
{
	own->begin = begin;
	own->length = 0;
	while (begin < piece->end)
	{
		uint64_t	next = (begin / piece->segment_size + 1) * piece->segment_size;
		size_t		length = (size_t) ((next < piece->end ? next : piece->end) - begin);

		if (!read_segment(piece, begin, own->wal + own->length, length))
			return false;
		own->length += length;
		begin += length;
	}
	return true;
}

static PghaOutcome
fail(PghaPeer *peer, PghaOutcome outcome, const char *message)
{
	(void) snprintf(peer->message, sizeof(peer->message), "%s", message);
	return outcome;
}

/* Waits until libpq has something; OK if it has. */
static PghaOutcome
await_input(PghaPeer *peer, int64_t deadline)
{
	int			unsent = PQflush(peer->conn);

	if (unsent < 0)
		return fail(peer, PGHA_OUTCOME_SILENT, "the connection was lost");
	switch (peer->wait(PQsocket(peer->conn), (short) (unsent > 0 ? POLLIN | POLLOUT : POLLIN), deadline, peer->wait_arg))
	{
		case PGHA_WAIT_TIMEOUT:
			return fail(peer, PGHA_OUTCOME_SILENT, "no answer within the time limit");
		case PGHA_WAIT_CANCELLED:
			return PGHA_OUTCOME_CANCELLED;
		case PGHA_WAIT_READY:
			break;
	}
	return PQconsumeInput(peer->conn) ? PGHA_OUTCOME_OK : fail(peer, PGHA_OUTCOME_SILENT, "the connection was lost");
}

/* The result that is due; NULL if there is none in time. */
static PGresult *
next_result(PghaPeer *peer, int64_t deadline, PghaOutcome *outcome)
{
	*outcome = PGHA_OUTCOME_OK;
	while (PQisBusy(peer->conn))
	{
		*outcome = await_input(peer, deadline);
		if (*outcome != PGHA_OUTCOME_OK)
			return NULL;
	}
	return PQgetResult(peer->conn);
}

/* No WAL came, or no more: because it is gone?  Then the connection can be used again. */
static PghaOutcome
judge_error(PghaPeer *peer, PGresult *result, int64_t deadline, const char **text)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	PghaOutcome outcome = PGHA_OUTCOME_OK;

	if (sqlstate != NULL && strcmp(sqlstate, UNDEFINED_FILE) == 0)
		*text = "gone";
	while (result != NULL && PQstatus(peer->conn) == CONNECTION_OK && *text != NULL)
	{
		PQclear(result);
		result = next_result(peer, deadline, &outcome);
	}
	PQclear(result);
	if (*text == NULL)
		return fail(peer, PGHA_OUTCOME_ERROR, "the WAL cannot be had for a comparison");
	return outcome;
}

/* Takes a message of the stream; *filled is how much was the same so far.  NULL: more is needed. */
static const char *
take_message(const Own *own, const unsigned char *message, size_t length, size_t *filled)
{
	uint64_t	at = 0;

	if (length < HEADER_SIZE || message[0] != 'w')
		return NULL;
	for (int i = 1; i <= 8; i++)
		at = at << 8 | message[i];
	if (at != own->begin + *filled)
		return "gone";
	message += HEADER_SIZE;
	length -= HEADER_SIZE;
	if (length > own->length - *filled)
		length = own->length - *filled;
	if (memcmp(own->wal + *filled, message, length) != 0)
		return "differs";
	*filled += length;
	return *filled == own->length ? "same" : NULL;
}

static PghaOutcome
compare_stream(PghaPeer *peer, const Own *own, int64_t deadline, const char **text)
{
	PghaOutcome outcome;
	size_t		filled = 0;
	PGresult   *result = next_result(peer, deadline, &outcome);

	if (outcome != PGHA_OUTCOME_OK)
		return outcome;
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
		return judge_error(peer, result, deadline, text);
	PQclear(result);
	while (outcome == PGHA_OUTCOME_OK && *text == NULL)
	{
		char	   *message = NULL;
		int			length = PQgetCopyData(peer->conn, &message, 1);

		if (length == 0)
			outcome = await_input(peer, deadline);
		else if (length < 0)
			return judge_error(peer, PQgetResult(peer->conn), deadline, text);
		else
			*text = take_message(own, (const unsigned char *) message, (size_t) length, &filled);
		PQfreemem(message);
	}
	return outcome;
}

/* From this position on; "gone" where it is not here or not there. */
static PghaOutcome
compare_from(PghaPeer *peer, const PghaWalPiece *piece, uint64_t begin, const char *options, int64_t limit, const char **text)
{
	static Own	own;
	char		command[96];
	const char *ignored;
	PghaOutcome outcome;

	*text = NULL;
	if (!read_own(piece, begin, &own))
	{
		*text = "gone";
		return PGHA_OUTCOME_OK;
	}
	outcome = pgha_peer_ask(peer, "IDENTIFY_SYSTEM", 0, options, limit / 2, &ignored);
	if (outcome != PGHA_OUTCOME_OK)
		return outcome;
	(void) snprintf(command, sizeof(command), "START_REPLICATION PHYSICAL %X/%X TIMELINE %u",
					(unsigned) (begin >> 32), (unsigned) begin, (unsigned) piece->timeline);
	outcome = PQsendQuery(peer->conn, command) ? compare_stream(peer, &own, pgha_clock_us() + limit / 2, text) :
		fail(peer, PGHA_OUTCOME_SILENT, "the connection was lost");
	if (outcome != PGHA_OUTCOME_OK || strcmp(*text, "gone") != 0)
		pgha_peer_close(peer);	/* ends the stream */
	return outcome;
}

PghaOutcome
pgha_peer_compare_wal(PghaPeer *peer, const PghaWalPiece *piece,
					  const char *options, int64_t limit, const char **text)
{
	uint64_t	first = piece->end > COMPARE_SIZE ? piece->end - COMPARE_SIZE : 0;
	uint64_t	segment = (piece->end - 1) / piece->segment_size * piece->segment_size;
	PghaOutcome outcome;

	if (first < piece->begin)
		first = piece->begin;
	outcome = compare_from(peer, piece, first, options, limit, text);

	/* Of what is in front of the segment one of the two may have let go. */
	if (outcome == PGHA_OUTCOME_OK && strcmp(*text, "gone") == 0 && first < segment)
		outcome = compare_from(peer, piece, segment, options, limit, text);

	/* A receiver would begin with the segment behind it. */
	if (outcome == PGHA_OUTCOME_OK && strcmp(*text, "gone") == 0 && piece->end % piece->segment_size == 0)
		*text = "not needed";
	return outcome;
}
