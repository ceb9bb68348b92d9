/*
 * rows.c
 *		Result rows of SQL functions, column by column.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "../text.h"
#include "rows.h"

void
PghaPut(PghaRow *row, Datum value, bool null)
{
	Assert(row->count < PGHA_MAX_COLUMNS);
	row->value[row->count] = value;
	row->null[row->count] = null;
	row->count++;
}

void
PghaPutNull(PghaRow *row)
{
	PghaPut(row, (Datum) 0, true);
}

void
PghaPutText(PghaRow *row, const char *text)
{
	char	   *copy = pstrdup(text);

	PghaCleanShown(copy, true);
	PghaPut(row, CStringGetTextDatum(copy), false);
}

void
PghaPutTextOrNull(PghaRow *row, const char *text)
{
	if (text[0] == '\0')
		PghaPutNull(row);
	else
		PghaPutText(row, text);
}

void
PghaPutBool(PghaRow *row, bool value)
{
	PghaPut(row, BoolGetDatum(value), false);
}

void
PghaPutInt64(PghaRow *row, int64 value)
{
	PghaPut(row, Int64GetDatum(value), false);
}

void
PghaPutTimeline(PghaRow *row, TimeLineID timeline)
{
	PghaPut(row, Int32GetDatum((int32) timeline), timeline == 0);
}

void
PghaPutLsn(PghaRow *row, XLogRecPtr lsn)
{
	PghaPut(row, LSNGetDatum(lsn), XLogRecPtrIsInvalid(lsn));
}

void
PghaPutInterval(PghaRow *row, int64 microseconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = Max(microseconds, 0);
	PghaPut(row, IntervalPGetDatum(interval), microseconds < 0);
}

void
PghaPutTime(PghaRow *row, TimestampTz at)
{
	PghaPut(row, TimestampTzGetDatum(at), at == 0);
}
