/*
 * finding.c
 *		What a check finds, as a row of pgha_doctor(), and what it may ask.
 *
 * For the checks only.  Catalogs and views are read with the caller's rights, by
 * queries that members of pg_monitor may run.  Nothing here changes anything,
 * waits, or talks to another host.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "../config.h"
#include "../sql/rows.h"
#include "finding.h"

static char *format_text(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static char *
format_text(const char *format, va_list args)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&text, format, copy);
		va_end(copy);
		if (needed == 0)
			return text.data;
		enlargeStringInfo(&text, needed);
	}
}

static void
put_row(PghaDoctor *doctor, PghaSeverity severity, const char *finding, const char *remedy)
{
	static const char *const words[] = {"ok", "info", "warning", "error"};
	PghaRow		row = {0};

	PghaPutText(&row, words[severity]);
	PghaPutText(&row, doctor->check);
	PghaPutText(&row, finding);
	PghaPutTextOrNull(&row, remedy);
	tuplestore_putvalues(doctor->result->setResult, doctor->result->setDesc, row.value, row.null);
	doctor->findings++;
}

void
PghaDoctorFind(PghaDoctor *doctor, PghaSeverity severity, const char *remedy, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	put_row(doctor, severity, format_text(format, args), remedy);
	va_end(args);
}

void
PghaDoctorFine(PghaDoctor *doctor, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	put_row(doctor, PGHA_FINE, format_text(format, args), "");
	va_end(args);
}

int
PghaDoctorQuery(const char *format,...)
{
	va_list		args;
	char	   *query;

	va_start(args, format);
	query = format_text(format, args);
	va_end(args);
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run the query of a check: %s", query);
	return (int) SPI_processed;
}

const char *
PghaDoctorField(int row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);

	return value != NULL ? value : "";
}

bool
PghaDoctorTrue(int row, int column)
{
	return strcmp(PghaDoctorField(row, column), "t") == 0;
}

const char *
PghaDoctorSetting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value != NULL ? pstrdup(value) : "";
}

void
PghaDoctorList(StringInfo list, const char *text)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? ", " : "", text);
}

const char *
PghaDoctorMembers(const PghaView *view)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < view->members.count; i++)
		PghaDoctorList(&list, quote_literal_cstr(view->members.member[i].name));
	return psprintf("ARRAY[%s]::text[]", list.data);
}

const char *
PghaDoctorSize(uint64 bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double		amount = (double) bytes;
	int			unit = 0;

	while (amount >= 1024 && unit < (int) lengthof(units) - 1)
	{
		amount /= 1024;
		unit++;
	}
	return psprintf("%.*f %s", unit == 0 || amount >= 100 ? 0 : 1, amount, units[unit]);
}

const char *
PghaDoctorConninfo(const char *keyword)
{
	char		value[PGHA_CONNINFO_SIZE];

	return pgha_conninfo_get(pgha_conninfo, keyword, value, sizeof(value)) ? pstrdup(value) : NULL;
}
