/*
 * restart.c
 *		pgha_restart(): this server's agent stops it and starts it again.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "../shmem.h"
#include "../text.h"
#include "recover.h"

PG_FUNCTION_INFO_V1(pgha_sql_restart);

/*
 * pgha_restart(mode): orders it, and returns before it is done.
 */
Datum
pgha_sql_restart(PG_FUNCTION_ARGS)
{
	const char *mode = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	PghaFailure failure;

	PghaRequireData();
	if (strcmp(mode, "fast") != 0 && strcmp(mode, "smart") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a mode that a server is restarted in", PghaClip(mode, 64)),
				 errhint("Use fast or smart.")));
	if (!PghaCommandAgent("restart", mode, &failure))
		PghaRaise(&failure);
	PG_RETURN_VOID();
}
