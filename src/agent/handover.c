/*
 * handover.c
 *		Has the server, which is down, handed over the lead?
 *
 * A primary that hands over writes into pgha.state that it will be a standby, and
 * shuts itself down.  That is not "stopped on purpose": the agent starts it again at
 * once.  As soon as it has been a standby, pg_control or pgha.state says something
 * else.  For the agent's loop; decides nothing but this.
 */
#include "handover.h"

#include <string.h>

#include "../host/control.h"
#include "../host/server_ctl.h"
#include "../host/state_file.h"

bool
pgha_has_handed_over(const PghaAgentConf *conf)
{
	PghaStateFacts facts;
	PghaControl control;
	char		why[PGHA_WHY_SIZE];

	return pgha_state_file_read(conf->data, &facts) == PGHA_STATE_FILE_READ &&
		facts.standby && !facts.fenced && !facts.diverged &&
		strcmp(facts.node, conf->members.member[conf->self].name) == 0 && strcmp(facts.leader, facts.node) == 0 &&
		pgha_server_control(conf, &control, why, sizeof(why)) && strcmp(control.state, "shut down") == 0;
}
