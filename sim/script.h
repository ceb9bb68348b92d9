/*
 * script.h
 *		Scenarios as text, with the conversation that is expected.
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "world.h"

typedef bool SimTransitions[PGHA_STATE_COUNT][PGHA_STATE_COUNT];

/*
 * Runs a scenario; false if the conversation is another than written there.
 * Notes the transitions that were made.
 */
extern bool sim_script(const char *path, bool rewrite, bool verbose, SimTransitions made);

#endif							/* SIM_SCRIPT_H */
