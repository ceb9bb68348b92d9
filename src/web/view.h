/*
 * view.h
 *		What the own server said last, and how long that holds: all answers are made
 *		from it.
 */
#ifndef PGHA_WEB_VIEW_H
#define PGHA_WEB_VIEW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "../host/conf.h"
#include "shared.h"

/* Kinds of events that are counted; all of them are in doc/monitoring.md. */
#define PGHA_WEB_KINDS		24

/* Classes of answers that are counted: 1xx never, 2xx, 3xx never, 4xx, 5xx. */
#define PGHA_WEB_CLASSES	6

/* Outcomes of recoveries that are counted: done, failed, cancelled. */
#define PGHA_WEB_OUTCOMES	3

/* One answer of pgha_agent_view() and what was read with it. */
typedef struct PghaWebAnswer
{
	int64_t		asked_us;		/* pgha_clock_us() */
	int64_t		answered_us;
	int64_t		valid_until_us; /* until then commits may be acknowledged there; 0: not at all */
	bool		in_recovery;
	bool		streaming;
	int64_t		events_stamp;
	int64_t		max_failover_lag;
	char		key[256];
	char		pending_restart[1024];	/* names of settings; empty: none */
	json_t	   *status;			/* row of pgha_status() */
	json_t	   *members;		/* rows of pgha_cluster() */
	json_t	   *recoveries;		/* rows of pgha_recovery_progress() */
	json_t	   *replication;	/* who streams from here, as Patroni shows it */
	json_t	   *replay;			/* of a standby: time, paused, lag in seconds; else null */
	json_t	   *events;			/* NULL: as they were */
} PghaWebAnswer;

typedef struct PghaWebView
{
	pthread_mutex_t lock;		/* for all of it but `conf` and `shared` */
	const PghaAgentConf *conf;
	PghaWebShared *shared;
	bool		connected;		/* the session is there, and answers */
	bool		answered;		/* last is one of this server run */
	PghaWebAnswer last;
	json_t	   *events;			/* the newest rows of pgha_events(), the newest first */
	json_t	   *history;		/* of timelines, as Patroni shows it; NULL: not read yet */
	uint64_t	leader_lsn;		/* the last position of a leader that was heard of; 0: none */
	char		start_time[64]; /* of the postmaster, as Patroni shows it */
	double		start_epoch;
	int			server_version; /* 0: never connected */
	char		system_identifier[32];

	/* since this process has started */
	int			kinds;
	struct
	{
		char		kind[32];
		int64_t		count;
	}			event[PGHA_WEB_KINDS];
	char		counted_to[40]; /* time of the newest own event that was counted; "0": there was none */
	int64_t		promotions;		/* seen to have become a primary */
	int64_t		demotions;		/* ... a standby */
	int64_t		recoveries[PGHA_WEB_OUTCOMES];
	int64_t		counted_job;	/* the own node's last recovery that has ended; 0: none */
	int64_t		requests[PGHA_WEB_CLASSES];
} PghaWebView;

extern void pgha_view_init(PghaWebView *view, const PghaAgentConf *conf, PghaWebShared *shared);

/*
 * Takes over an answer, whose documents are the view's from then on; false if it is
 * another node's, of whom nothing is said here.  These two take the lock.
 */
extern bool pgha_view_take(PghaWebView *view, PghaWebAnswer *answer);

/* The session is gone: nothing is known of the server any more. */
extern void pgha_view_lost(PghaWebView *view);

/*
 * The rest is for those who hold the lock.
 *
 * May commits be acknowledged on the own server at this moment?  No as soon as the
 * lease is over, whether the server says so or not.
 */
extern bool pgha_view_leads(const PghaWebView *view, int64_t now_us);

/* How long it may, in milliseconds, if nothing is heard any more. */
extern int64_t pgha_view_valid_ms(const PghaWebView *view, int64_t now_us);

/* Has the server answered of late, so that it runs? */
extern bool pgha_view_fresh(const PghaWebView *view, int64_t now_us);

/* Is it a standby that follows, and so may be read from? */
extern bool pgha_view_follows(const PghaWebView *view, int64_t now_us);

/* Text of pgha_status(); "" for null, and for a number. */
extern const char *pgha_view_status(const PghaWebView *view, const char *column);

/* A position as bytes; 0: it is none. */
extern uint64_t pgha_view_lsn(const json_t *row, const char *column);

/* Bytes that the own standby has not replayed (or, with `received`, not received) of what the leader had; -1: not known. */
extern int64_t pgha_view_lag(const PghaWebView *view, bool received);

/* Age of the last answer in milliseconds; -1: there was none. */
extern int64_t pgha_view_age_ms(const PghaWebView *view, int64_t now_us);

#endif							/* PGHA_WEB_VIEW_H */
