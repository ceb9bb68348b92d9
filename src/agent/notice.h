/*
 * notice.h
 *		What is told of by pgha.notify_command: events of pgha_events(), and what the
 *		agent itself sees while its server is down.
 */
#ifndef PGHA_NOTICE_H
#define PGHA_NOTICE_H

#include <stdint.h>

#include "../common/log.h"
#include "../recovery/job.h"
#include "notified.h"

/* So many wait at most; of more the oldest are dropped. */
#define PGHA_NOTICES		100

typedef struct PghaNotice
{
	char		id[PGHA_NAME_SIZE + 64];	/* the same whoever tells it, and when */
	char		node[PGHA_NAME_SIZE];	/* where it happened */
	char		kind[24];
	PghaSeverity severity;
	uint64_t	term;			/* 0: not known */
	int64_t		at;				/* microseconds since the epoch; of an event also its number */
	char		text[1200];
	char		primary[PGHA_NAME_SIZE];	/* "": not known */
	bool		is_event;		/* of pgha_events() */
	uint64_t	failure;		/* of a recovery: which one */
} PghaNotice;

typedef struct PghaNotices
{
	int			count;
	PghaNotice	notice[PGHA_NOTICES];	/* oldest first */
	bool		look_again;		/* some are to be told by another agent, unless that does not come back */
	char		primary[PGHA_NAME_SIZE];	/* when the server was last asked */
} PghaNotices;

/*
 * Asks the own server for what is to be told by this node's agent, and takes note of
 * what is not.  False if it does not answer; what was known before then stands.
 */
extern bool pgha_notices_ask(const PghaAgentConf *conf, PghaNotified *notified, PghaNotices *notices);

/* Is there something to tell of the last recovery on this host?  Takes note if not. */
extern bool pgha_notice_of_job(const PghaAgentConf *conf, PghaNotified *notified, PghaNotice *notice);

/* Takes note that it was told. */
extern void pgha_notice_told(PghaNotified *notified, const PghaNotice *notice);

/* The object that the command reads, at most `size` bytes. */
extern bool pgha_notice_object(const PghaAgentConf *conf, const PghaNotice *notice, char *text, size_t size);

extern int64_t pgha_notice_clock_us(void);

#endif							/* PGHA_NOTICE_H */
