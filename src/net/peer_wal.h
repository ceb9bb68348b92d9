/*
 * peer_wal.h
 *		Is the WAL of a timeline the same here and on another member?
 */
#ifndef PGHA_PEER_WAL_H
#define PGHA_PEER_WAL_H

#include "peer.h"

/* A piece of WAL: what is just in front of `end`, but nothing before `begin`. */
typedef struct PghaWalPiece
{
	uint32_t	timeline;
	uint64_t	begin;
	uint64_t	end;
	uint64_t	segment_size;
} PghaWalPiece;

/*
 * Compares it with that in ./pg_wal; *text becomes "same", "differs" or, where
 * one of the two has it no more, "gone": "not needed" if it ends a segment.  Takes as long as pgha_peer_ask() with
 * that limit, or twice that.  Closes a connection on which WAL has come.
 */
extern PghaOutcome pgha_peer_compare_wal(PghaPeer *peer, const PghaWalPiece *piece,
										 const char *options, int64_t limit, const char **text);

#endif							/* PGHA_PEER_WAL_H */
