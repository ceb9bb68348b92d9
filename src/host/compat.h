/*
 * compat.h
 *		Differences between the versions of PostgreSQL whose programs are called,
 *		and nowhere else in the program.
 */
#ifndef PGHA_HOST_COMPAT_H
#define PGHA_HOST_COMPAT_H

/* Up to 15, pg_rewind takes a node's timeline from its last checkpoint; later ones look further. */
#define PGHA_REWIND_NEEDS_CHECKPOINT	(PGHA_PG_MAJOR <= 15)

/* The version whose data directories and programs this program is for. */
#define PGHA_OWN_MAJOR	PGHA_PG_MAJOR

#endif							/* PGHA_HOST_COMPAT_H */
