/*
 * check_items.h
 *		The single checks of `pgha check`.
 */
#ifndef PGHA_CHECK_ITEMS_H
#define PGHA_CHECK_ITEMS_H

#include "check_limits.h"
#include "check_report.h"

/* What they are chosen by, and their places in PghaCheckContext.chosen and .limits. */
typedef enum PghaCheckId
{
	PGHA_CHECK_ROLE, PGHA_CHECK_PRIMARY, PGHA_CHECK_STATE, PGHA_CHECK_GATE, PGHA_CHECK_QUORUM, PGHA_CHECK_MEMBERS,
	PGHA_CHECK_REDUNDANCY, PGHA_CHECK_REPLAY_LAG, PGHA_CHECK_SYNC, PGHA_CHECK_SLOTS, PGHA_CHECK_AGENTS,
	PGHA_CHECK_RECOVERIES, PGHA_CHECK_LOST, PGHA_CHECK_ADDRESS, PGHA_CHECK_SETTINGS, PGHA_CHECK_PAUSE,
	PGHA_CHECK_COUNT
} PghaCheckId;

typedef struct PghaCheckContext
{
	PghaCheckReport report;
	const char *role;			/* --role; NULL: any */
	bool		named;			/* the check that runs was asked for by its option */
	PghaLimits	limits[PGHA_CHECK_COUNT];

	/* What the server that was asked has said; owned by the caller. */
	const json_t *cluster;		/* pgha_status_fetch() */
	const json_t *server;		/* pgha_check_fetch() */
	const json_t *waits;		/* backends that waited in both looks */
	const json_t *status;
	const json_t *members;
	const char *node;
	bool		primary;		/* the server that was asked is one */
	bool		witness;
} PghaCheckContext;

/* Of the cluster as the server sees it: check_cluster.c. */
extern void pgha_check_role(PghaCheckContext *check);
extern void pgha_check_primary(PghaCheckContext *check);
extern void pgha_check_state(PghaCheckContext *check);
extern void pgha_check_gate(PghaCheckContext *check);
extern void pgha_check_quorum(PghaCheckContext *check);
extern void pgha_check_members(PghaCheckContext *check);
extern void pgha_check_redundancy(PghaCheckContext *check);
extern void pgha_check_agents(PghaCheckContext *check);
extern void pgha_check_recoveries(PghaCheckContext *check);
extern void pgha_check_lost(PghaCheckContext *check);
extern void pgha_check_address(PghaCheckContext *check);
extern void pgha_check_pause(PghaCheckContext *check);

/* Of the server itself: check_server.c. */
extern void pgha_check_replay_lag(PghaCheckContext *check);
extern void pgha_check_sync(PghaCheckContext *check);
extern void pgha_check_slots(PghaCheckContext *check);
extern void pgha_check_settings(PghaCheckContext *check);

/*
 * What only another server knows, such as the primary: nothing to say, unless it
 * was asked for by name; then it is not known.
 */
extern void pgha_check_elsewhere(PghaCheckContext *check, const char *name, const char *why);

/* A text of an object, "" if there is none. */
extern const char *pgha_check_text(const json_t *object, const char *key);

#endif							/* PGHA_CHECK_ITEMS_H */
