/*
 * order.h
 *		What a recovery is to do: by which method, for whom.
 */
#ifndef PGHA_ORDER_H
#define PGHA_ORDER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum PghaMethod
{
	PGHA_METHOD_AUTO,			/* start, else rewind, else clone */
	PGHA_METHOD_REJOIN,			/* start, else rewind: what auto_rejoin = rewind may do */
	PGHA_METHOD_REWIND,
	PGHA_METHOD_CLONE,
	PGHA_METHOD_START
} PghaMethod;

/* "auto", "rejoin", "rewind", "clone", "start"; false for any other word. */
extern bool pgha_method_parse(const char *word, PghaMethod *method);
extern const char *pgha_method_word(PghaMethod method);

typedef struct PghaJobOrder
{
	int64_t		id;
	PghaMethod	method;
	bool		ordered;		/* by a person or pgpool; else by the reconcile loop */
	int			leader;			/* index of the member to follow, or PGHA_NOBODY: only start */
} PghaJobOrder;

#endif							/* PGHA_ORDER_H */
