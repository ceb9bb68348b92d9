/*
 * rows.h
 *		Result rows of SQL functions, column by column.
 */
#ifndef PGHA_ROWS_H
#define PGHA_ROWS_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#define PGHA_MAX_COLUMNS		48

/* A row in the making: columns are put in their order. */
typedef struct PghaRow
{
	int			count;
	Datum		value[PGHA_MAX_COLUMNS];
	bool		null[PGHA_MAX_COLUMNS];
} PghaRow;

extern void PghaPut(PghaRow *row, Datum value, bool null);
extern void PghaPutNull(PghaRow *row);

/*
 * A text of this node's own or of another member's making.  Messages may be
 * translated in an encoding that is not this database's, and texts be made to harm
 * a terminal: it is cleaned (text.h).
 */
extern void PghaPutText(PghaRow *row, const char *text);

/* A text that is null when empty. */
extern void PghaPutTextOrNull(PghaRow *row, const char *text);
extern void PghaPutBool(PghaRow *row, bool value);
extern void PghaPutInt64(PghaRow *row, int64 value);
extern void PghaPutTimeline(PghaRow *row, TimeLineID timeline);
extern void PghaPutLsn(PghaRow *row, XLogRecPtr lsn);

/* Null when negative. */
extern void PghaPutInterval(PghaRow *row, int64 microseconds);

/* Null when 0. */
extern void PghaPutTime(PghaRow *row, TimestampTz at);

#endif							/* PGHA_ROWS_H */
