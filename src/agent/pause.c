/*
 * pause.c
 *		Is failover paused?  What the agent knows of it while its server is down.
 *
 * A pause is durable: each server writes it to PGDATA/pgha.state before anybody
 * is told that it holds, with a number that grows with each pause and resume.
 * So the file speaks for a server that is down, and other members speak of what
 * was ordered since; the higher number counts, and the pause where both are
 * equal, as among the servers themselves (core/members.c).
 *
 * For the agent's loop.  It decides nothing but this.
 */
#include "pause.h"

#include <string.h>

#include "../host/state_file.h"

typedef struct Pause
{
	bool		known;
	bool		paused;
	uint64_t	generation;
} Pause;

static Pause heard;				/* from members */

static void
merge(Pause *pause, bool paused, uint64_t generation)
{
	if (!pause->known || generation > pause->generation)
		*pause = (Pause) {.known = true, .paused = paused, .generation = generation};
	else if (generation == pause->generation)
		pause->paused |= paused;
}

void
pgha_pause_heard(bool paused, uint64_t generation)
{
	merge(&heard, paused, generation);
}

void
pgha_pause_forget(void)
{
	memset(&heard, 0, sizeof(heard));
}

PghaPaused
pgha_pause_while_down(const PghaAgentConf *conf)
{
	Pause		pause = heard;
	PghaStateFacts facts;
	PghaStateLook look = pgha_state_file_read(conf->data, &facts);

	/* Another node's, which a copy has brought along, says nothing of this one. */
	if (look == PGHA_STATE_FILE_READ && strcmp(facts.node, conf->members.member[conf->self].name) == 0)
		merge(&pause, facts.paused, facts.pause_generation);

	/* Where there is nobody else to ask, a server that has left nothing behind was never paused. */
	else if (look == PGHA_STATE_FILE_ABSENT && conf->members.count < 2)
		return PGHA_PAUSED_NO;
	if (!pause.known)
		return PGHA_PAUSED_UNKNOWN;
	return pause.paused ? PGHA_PAUSED_YES : PGHA_PAUSED_NO;
}
