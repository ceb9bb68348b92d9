/*
 * wal.h
 *		WAL, timelines, and what synchronous commits wait for.
 */
#ifndef SIM_WAL_H
#define SIM_WAL_H

#include "world.h"

extern pgha_lsn sim_end_of(const SimWorld *world, const SimNode *n, int records);
extern pgha_lsn sim_end(const SimWorld *world, int node);
extern pgha_lsn sim_end_of_history(const SimWorld *world, int node);
extern uint32_t sim_timeline_of(const SimWorld *world, const SimNode *n);
extern bool sim_contains(const SimWorld *world, int whole, int part);
extern int sim_records_before(const SimWorld *world, const SimNode *n, pgha_lsn end);
extern PghaComparison sim_compare_wal(const SimNode *whole, const SimNode *part, int records);
extern bool sim_leads(const SimWorld *world, int node);
extern void sim_append(SimWorld *world, int node, uint32_t timeline, int commit);

extern uint32_t sim_newest_file(const SimNode *n);
extern uint32_t sim_find_newest(const SimNode *n, uint32_t from);
extern void sim_remove_placeholders(SimNode *n);
extern bool sim_history_of(const SimWorld *world, const SimNode *n, uint32_t timeline,
						   PghaHistory *history);
extern bool sim_lists_timeline(const PghaHistory *history, uint32_t timeline);
extern bool sim_knows_timeline(const SimWorld *world, int leader, int node);
extern void sim_learn_histories(SimNode *n, const SimNode *upstream);
extern bool sim_history_ascends(const SimWorld *world, uint32_t timeline);

extern PghaSync sim_sync_state(const SimWorld *world, int node);
extern bool sim_confirmed(const SimWorld *world, int node, int commit);
extern void sim_release_commits(SimWorld *world, int node);

#endif							/* SIM_WAL_H */
