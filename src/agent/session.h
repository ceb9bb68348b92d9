/*
 * session.h
 *		The agent's sessions with servers: each calls pgha_agent_poll() over and
 *		over.  Nothing here blocks.
 */
#ifndef PGHA_SESSION_H
#define PGHA_SESSION_H

#include <stdint.h>

#include <libpq-fe.h>

#include "../host/conf.h"
#include "../recovery/job.h"
#include "../host/server_ctl.h"
#include "../net/resolve.h"

/* What the server answered to a poll. */
typedef struct PghaPoll
{
	char		state[32];
	bool		in_recovery;
	char		leader[PGHA_NAME_SIZE];
	bool		streaming;
	bool		paused;
	uint64_t	pause_generation;
	int64_t		order_id;		/* 0: no order */
	char		command[32];
	char		argument[PGHA_LIST_ORDER_SIZE];
	bool		cancel;
} PghaPoll;

typedef enum PghaSessionState
{
	PGHA_SESSION_CLOSED,
	PGHA_SESSION_RESOLVING,		/* looks up the member's name */
	PGHA_SESSION_CONNECTING,
	PGHA_SESSION_PREPARING,		/* looks for the extension */
	PGHA_SESSION_READY,			/* to be given the next poll */
	PGHA_SESSION_POLLING,
	PGHA_SESSION_WAITING,		/* for news, between two polls */
	PGHA_SESSION_TELLING		/* the outcome of an order */
} PghaSessionState;

typedef struct PghaSession
{
	const char *what;			/* for the log */
	PghaSessionState state;
	int			member;			/* it is with, or was last tried with */
	const PghaAgentConf *conf;	/* that it was opened with */
	PghaResolve resolve;
	PGconn	   *conn;
	PostgresPollingStatusType wants;	/* while connecting */
	int64_t		deadline;		/* of what is under way; ms of pgha_clock_ms() */
	int64_t		asked_at;		/* when the poll was sent that is under way */
	int64_t		answer_asked_at;	/* when the one was sent that poll answers */
	int64_t		retry_at;		/* not before this time */
	int			failures;		/* in a row */
	char		schema[160];	/* of the extension, quoted */
	char		complaint[512]; /* last one logged */
	bool		answered;		/* poll holds an answer of this session */
	int			wait_ms;		/* how long it waits for news after the last poll */
	bool		waited;			/* since that answer */
	bool		waits_in_poll;	/* the server is of a version that knows nothing else */
	PghaPoll	poll;
	int64_t		sent_job;		/* job whose outcome the poll under way tells; 0: none */
	int64_t		told_job;		/* last job whose outcome this server knows */
	int64_t		telling;		/* order whose outcome is being told */
	int64_t		told_order;		/* last order whose outcome was told by pgha_session_tell() */
	int64_t		acknowledge;	/* order of the own server to be named with the next poll */
} PghaSession;

/* Begins to connect to a member. */
extern void pgha_session_open(PghaSession *session, const PghaAgentConf *conf, int member);
extern void pgha_session_close(PghaSession *session);

/* What to poll() for; -1: nothing. */
extern int	pgha_session_socket(const PghaSession *session, short *events);

/*
 * Goes on with what can be done without waiting.  True if a new answer is in
 * session->poll.  A session that fails is closed, with a line in the log unless
 * it says the same as the last time.
 */
extern bool pgha_session_advance(PghaSession *session);

/*
 * Sends the next poll of a session that is READY; wait_ms is what the server may
 * wait, and limit_ms how much longer its answer is waited for.
 */
extern void pgha_session_poll(PghaSession *session, const PghaAgentConf *conf, PghaServer server,
							  const PghaJobStatus *job, int wait_ms, int limit_ms);

/*
 * Tells the outcome of an order instead, by pgha_agent_done(); it is told when
 * session->told_order names it.
 */
extern void pgha_session_tell(PghaSession *session, int64_t order_id, bool done, const char *message);

#endif							/* PGHA_SESSION_H */
