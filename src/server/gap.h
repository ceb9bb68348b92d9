/*
 * gap.h
 *		What a segment switch left empty.
 */
#ifndef PGHA_GAP_H
#define PGHA_GAP_H

#include "postgres.h"

#include "../core/node.h"

/* The gap, if there is one, at the end of the last segment that is complete at `end`. */
extern void PghaGapBefore(uint32 timeline, pgha_lsn end, PghaGap *gap);

/* The gap, if there is one, that WAL received up to `end` ends in: from there to the end of the segment. */
extern void PghaGapBehind(uint32 timeline, pgha_lsn end, PghaGap *gap);

#endif							/* PGHA_GAP_H */
