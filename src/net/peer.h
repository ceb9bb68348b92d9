/*
 * peer.h
 *		A replication connection to another member, for the io child.
 */
#ifndef PGHA_PEER_H
#define PGHA_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

/* Ends of a request; all but OK come with a message. */
typedef enum PghaOutcome
{
	PGHA_OUTCOME_OK,
	PGHA_OUTCOME_REFUSED,		/* nothing listens there */
	PGHA_OUTCOME_SILENT,		/* no answer in time, not reachable, or cut off twice */
	PGHA_OUTCOME_STARTING,		/* starting up, in recovery, shutting down */
	PGHA_OUTCOME_ERROR,			/* it answered, but not with what was asked for */
	PGHA_OUTCOME_UNLEARNT,		/* it could not be asked, by a fault of this host's own */
	PGHA_OUTCOME_CANCELLED		/* the wait function said so; no message */
} PghaOutcome;

typedef enum PghaWait
{
	PGHA_WAIT_READY,
	PGHA_WAIT_TIMEOUT,
	PGHA_WAIT_CANCELLED
} PghaWait;

/*
 * Waits until `fd` is ready for `events` (as in poll()) or `deadline`, in
 * microseconds of pgha_clock_us(), has come.  May watch other things meanwhile
 * and cancel the request.
 */
typedef PghaWait (*PghaWaitFunction) (int fd, short events, int64_t deadline, void *arg);

typedef struct PghaPeer
{
	const char *conninfo;
	PghaWaitFunction wait;
	void	   *wait_arg;
	PGconn	   *conn;			/* NULL: not connected */
	bool		connecting;		/* it is still being made ... */
	bool		reached;		/* ... and the other side has accepted it */
	PostgresPollingStatusType next; /* what it waits for */
	int64_t		begun;			/* when that began */
	unsigned int sessions;		/* connections made so far */
	PGresult   *result;			/* of the last request that ended with OK */
	char		message[512];	/* of the last that did not: one line of printable ASCII */
	bool		unknown;		/* it did not: what was asked for is not known to that server */
	char		where[512];		/* address and port that the last answer came from, or all that the last
								 * refusal came from, with commas between; empty: neither */
} PghaPeer;

/* `conninfo` must stay where it is.  Does not connect yet. */
extern void pgha_peer_init(PghaPeer *peer, const char *conninfo,
						   PghaWaitFunction wait, void *wait_arg);

/*
 * Runs a replication command whose answer is one row, and sets *text to its
 * value in `column`, valid until the next call.  Connects first if there is no
 * connection, and once more if it turns out to be lost; the new session then
 * gets the parameter settings `options` ("-c name=value").
 *
 * Takes no longer than `limit` (microseconds) for connecting, and for the answer
 * if there was a connection; than twice that if one was made.  A connection that
 * is not made in time may be completed by the next call.
 */
extern PghaOutcome pgha_peer_ask(PghaPeer *peer, const char *command, int column,
								 const char *options, int64_t limit, const char **text);

extern void pgha_peer_close(PghaPeer *peer);

#endif							/* PGHA_PEER_H */
