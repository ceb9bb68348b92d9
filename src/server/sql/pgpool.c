/*
 * pgpool.c
 *		The functions that pgpool-II's online recovery calls, without its scripts.
 *
 * pcp_recovery_node has pgpool connect to the primary and call
 *
 *		SELECT pgpool_recovery('<recovery_1st_stage_command>', host, data directory, ...)
 *		SELECT pgpool_remote_start(host, data directory)
 *
 * (src/pcp_con/recovery.c of pgpool-II; number of arguments by version: 3 in
 * 3.3, 4 up to 3.7, 5 in 4.0, 6 up to 4.2, 7 since 4.3).  Only an error of the
 * second call reaches the operator with its text, of the first one pgpool says
 * no more than that it failed, and any row counts as success.  So the first one
 * does the work, shows what went wrong as a WARNING, keeps it, and returns
 * false; the second one raises it.
 *
 * Values are pasted into those queries by pgpool; here they are only compared.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/stat.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "../../common/clock.h"
#include "../compat.h"
#include "../config.h"
#include "parting.h"
#include "recover.h"
#include "../shmem.h"
#include "../text.h"
#include "../wait.h"

/* A kept failure is of no interest to a recovery that is started later than this. */
#define KEEP_FAILURE_US		INT64CONST(600000000)

/* How long pgpool_switch_xlog() waits for archive_command. */
#define ARCHIVE_WAIT_MS		600000
#define ARCHIVE_LOOK_MS		200

PG_FUNCTION_INFO_V1(pgha_sql_pgpool_recovery);
PG_FUNCTION_INFO_V1(pgha_sql_pgpool_remote_start);
PG_FUNCTION_INFO_V1(pgha_sql_pgpool_pgctl);
PG_FUNCTION_INFO_V1(pgha_sql_pgpool_switch_xlog);

/* ---- which member is meant ---- */

static bool
is_local(const char *host)
{
	return host[0] == '\0' || host[0] == '/' || pg_strcasecmp(host, "localhost") == 0 ||
		strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0;
}

static bool
host_matches(const PghaAddress *member, const char *host)
{
	return pg_strcasecmp(member->host, host) == 0 || pg_strcasecmp(member->name, host) == 0 ||
		(is_local(member->host) && is_local(host));
}

/* What the member's agent says its data directory is; empty if unknown. */
static void
data_directory_of(const char *node, char *directory)
{
	PghaBoard  *board = PghaTheBoard();

	directory[0] = '\0';
	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		if (strcmp(board->agent[i].node, node) == 0)
			strlcpy(directory, board->agent[i].data_directory, MAXPGPATH);
	}
	LWLockRelease(board->lock);
	canonicalize_path(directory);
}

/* Members as an administrator would have to write them for pgpool. */
static void
list_members(const PghaMembers *members, char *text, size_t size)
{
	text[0] = '\0';
	for (int i = 0; i < members->count; i++)
		snprintf(text + strlen(text), size - strlen(text), "%s%s (%s port %d)", i > 0 ? ", " : "",
				 members->member[i].name, members->member[i].host, members->member[i].port);
}

/*
 * The member that pgpool calls by this host, port (0: not told) and data
 * directory.  Nothing is looked up in the DNS: that could take long.
 */
static bool
find_member(const char *host, int port, const char *data_directory, char *node, PghaFailure *failure)
{
	PghaMembers members;
	char		list[sizeof(failure->detail) - 64];
	char		wanted[MAXPGPATH];
	int			found = 0;
	int			same_directory = 0;

	LWLockAcquire(PghaShmem->lock, LW_SHARED);
	members = PghaShmem->view.members;
	LWLockRelease(PghaShmem->lock);
	strlcpy(wanted, data_directory, sizeof(wanted));
	canonicalize_path(wanted);
	PghaCleanShown(wanted, false);	/* as that of the agent was */

	for (int i = 0; i < members.count; i++)
	{
		const PghaAddress *member = &members.member[i];
		char		directory[MAXPGPATH];

		if (!host_matches(member, host) || (port != 0 && member->port != port))
			continue;
		data_directory_of(member->name, directory);
		if (directory[0] != '\0' && strcmp(directory, wanted) == 0)
		{
			if (same_directory++ == 0)
				strlcpy(node, member->name, PGHA_NAME_SIZE);
		}
		else if (found == 0 && same_directory == 0)
			strlcpy(node, member->name, PGHA_NAME_SIZE);
		found++;
	}
	if (found == 1 || same_directory == 1)
		return true;

	list_members(&members, list, sizeof(list));
	if (port != 0)
		PghaFailed(failure, ERRCODE_UNDEFINED_OBJECT, "", "%s at host \"%s\", port %d",
				   found == 0 ? "there is no member of pgha" : "there is more than one member of pgha",
				   PghaClip(host, 200), port);
	else
		PghaFailed(failure, ERRCODE_UNDEFINED_OBJECT, "", "%s at host \"%s\"",
				   found == 0 ? "there is no member of pgha" : "there is more than one member of pgha",
				   PghaClip(host, 200));
	snprintf(failure->detail, sizeof(failure->detail), "The members are: %s.", list);
	strlcpy(failure->hint, "Write backend_hostnameN, backend_portN and backend_data_directoryN of pgpool.conf as the node's address in pgha.members and its agent's data directory.",
			sizeof(failure->hint));
	return false;
}

/* ---- failures kept from the first call for the second one ---- */

static void
keep_failure(const char *host, const char *data_directory, const PghaFailure *failure)
{
	PghaBoard  *board = PghaTheBoard();
	PghaKeptFailure *oldest = &board->kept[0];

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PGHA_KEPT_FAILURES; i++)
	{
		PghaKeptFailure *kept = &board->kept[i];

		if (kept->at != 0 && strcmp(kept->host, host) == 0 && strcmp(kept->data_directory, data_directory) == 0)
		{
			oldest = kept;
			break;
		}
		if (kept->at < oldest->at)
			oldest = kept;
	}
	oldest->at = pgha_clock_us();
	PghaCopyText(oldest->host, host, sizeof(oldest->host));
	PghaCopyText(oldest->data_directory, data_directory, sizeof(oldest->data_directory));
	oldest->failure = *failure;
	LWLockRelease(board->lock);
}

/* Takes the failure kept for this node, if there is a fresh one. */
static bool
take_failure(const char *host, const char *data_directory, PghaFailure *failure)
{
	PghaBoard  *board = PghaTheBoard();
	char		kept_host[sizeof(board->kept[0].host)];
	char		kept_directory[MAXPGPATH];
	bool		found = false;

	PghaCopyText(kept_host, host, sizeof(kept_host));
	PghaCopyText(kept_directory, data_directory, sizeof(kept_directory));
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PGHA_KEPT_FAILURES; i++)
	{
		PghaKeptFailure *kept = &board->kept[i];

		if (kept->at == 0 || strcmp(kept->host, kept_host) != 0 ||
			strcmp(kept->data_directory, kept_directory) != 0)
			continue;
		found = pgha_clock_us() - kept->at <= KEEP_FAILURE_US;
		*failure = kept->failure;
		kept->at = 0;
	}
	LWLockRelease(board->lock);
	return found;
}

/* ---- recovery ---- */

/* 'pgha' and 'pgha:METHOD' name a method. */
static bool
method_of(const char *script, const char **method, PghaFailure *failure)
{
	*method = strcmp(script, "pgha") == 0 ? "auto" :
		strncmp(script, "pgha:", 5) == 0 ? script + 5 : "";
	if (PghaMethodValid(*method))
		return true;
	return PghaFailed(failure, ERRCODE_INVALID_PARAMETER_VALUE,
					  "Write recovery_1st_stage_command = 'pgha' in pgpool.conf, or 'pgha:rewind', 'pgha:clone' or 'pgha:start'.",
					  "\"%s\" is not a recovery command of pgha", PghaClip(script, 100));
}

/* Argument `n` as text, "" if there is none. */
static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return n < PG_NARGS() && !PG_ARGISNULL(n) ? text_to_cstring(PG_GETARG_TEXT_PP(n)) : "";
}

static bool
recover_for_pgpool(FunctionCallInfo fcinfo, PghaFailure *failure)
{
	const char *host = text_argument(fcinfo, 1);
	const char *data_directory = text_argument(fcinfo, 2);
	const char *port = text_argument(fcinfo, 5);
	const char *method;
	char		node[PGHA_NAME_SIZE];

	/* Of the arguments, the sixth is the port of the node; the fourth is the primary's. */
	if (!method_of(text_argument(fcinfo, 0), &method, failure) ||
		!find_member(host, atoi(port), data_directory, node, failure))
		return false;
	if (strcmp(method, "clone") != 0 && !RecoveryInProgress() && PghaNodeStreams(node))
	{
		ereport(NOTICE,
				(errmsg("node \"%s\" is a standby that streams, nothing needs to be recovered", node)));
		return true;
	}
	return PghaRecover(node, method, failure);
}

/*
 * pgpool_recovery(script, host, data directory [, primary's port [, node id
 * [, port [, primary's host]]]]): has the node brought back.
 */
Datum
pgha_sql_pgpool_recovery(PG_FUNCTION_ARGS)
{
	const char *host = text_argument(fcinfo, 1);
	const char *data_directory = text_argument(fcinfo, 2);
	PghaFailure failure;
	bool		done;

	PghaRequireData();
	(void) take_failure(host, data_directory, &failure);
	done = recover_for_pgpool(fcinfo, &failure);
	if (!done)
	{
		keep_failure(host, data_directory, &failure);
		PghaWarn(&failure);
	}
	PG_RETURN_BOOL(done);
}

/*
 * pgpool_remote_start(host, data directory): raises what kept the node from
 * being recovered; otherwise makes sure that it runs.
 */
Datum
pgha_sql_pgpool_remote_start(PG_FUNCTION_ARGS)
{
	const char *host = text_argument(fcinfo, 0);
	const char *data_directory = text_argument(fcinfo, 1);
	char		node[PGHA_NAME_SIZE];
	PghaFailure failure;

	PghaRequireData();
	if (take_failure(host, data_directory, &failure) ||
		!find_member(host, 0, data_directory, node, &failure))
		PghaRaise(&failure);
	if (!PghaNodeStreams(node) && !PghaRecover(node, "start", &failure))
		PghaRaise(&failure);
	PG_RETURN_BOOL(true);
}

/* ---- the other two ---- */

static int
stop_signal(const char *mode)
{
	if (strcmp(mode, "smart") == 0 || strcmp(mode, "s") == 0)
		return SIGTERM;
	if (mode[0] == '\0' || strcmp(mode, "fast") == 0 || strcmp(mode, "f") == 0)
		return SIGINT;
	if (strcmp(mode, "immediate") == 0 || strcmp(mode, "i") == 0)
		return SIGQUIT;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a shutdown mode", PghaClip(mode, 64)),
			 errhint("Use smart, fast or immediate.")));
	return 0;					/* keep compiler quiet */
}

static void
signal_postmaster(const char *signal)
{
	if (kill(PostmasterPid, atoi(signal)) != 0)
		ereport(WARNING,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not signal the server: %m")));
}

/*
 * pgpool_pgctl(action, mode): stops, restarts or reloads this server.  That begins
 * with the commit of the transaction; it returns before it is done, as the original
 * does, which puts pg_ctl in the background.
 */
Datum
pgha_sql_pgpool_pgctl(PG_FUNCTION_ARGS)
{
	const char *action = text_argument(fcinfo, 0);
	const char *mode = text_argument(fcinfo, 1);
	int			signal = stop_signal(mode);
	char		number[12];

	(void) snprintf(number, sizeof(number), "%d", strcmp(action, "reload") == 0 ? SIGHUP : signal);
	if (strcmp(action, "stop") == 0)
		PghaAtCommit(signal_postmaster, number);
	else if (strcmp(action, "reload") == 0)
		signal_postmaster(number);
	else if (strcmp(action, "restart") == 0)
	{
		PghaRequireData();
		PghaRestartByAgent(signal == SIGTERM ? "smart" : signal == SIGINT ? "fast" : "immediate");
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not an action of pgpool_pgctl()", PghaClip(action, 64)),
				 errhint("Use stop, restart or reload.")));
	PG_RETURN_BOOL(true);
}

/* Is the file there as a whole? */
static bool
archived(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == wal_segment_size;
}

/*
 * pgpool_switch_xlog(directory): switches to a new WAL segment, waits until the
 * former one is in the archive directory, and returns its path there.
 */
Datum
pgha_sql_pgpool_switch_xlog(PG_FUNCTION_ARGS)
{
	const char *directory = text_argument(fcinfo, 0);
	char		file[MAXFNAMELEN];
	char		path[MAXPGPATH];
	struct stat st;
	XLogRecPtr	end;
	XLogSegNo	segment;
	pgha_time	deadline = pgha_clock_us() + (pgha_time) ARCHIVE_WAIT_MS * 1000;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("pgpool_switch_xlog() can be called on the primary only.")));
	if (stat(directory, &st) != 0 || !S_ISDIR(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("\"%s\" is not a directory", PghaClip(directory, MAXPGPATH)),
				 errhint("Name the directory that archive_command copies to.")));

	end = RequestXLogSwitch(false);
	XLByteToPrevSeg(end, segment, wal_segment_size);
	XLogFileName(file, GetWALInsertionTimeLine(), segment, wal_segment_size);
	if (snprintf(path, sizeof(path), "%s/%s", directory, file) >= (int) sizeof(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of the archive directory is too long")));

	while (!archived(path))
	{
		if (!PghaLookAgain(deadline, ARCHIVE_LOOK_MS))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("WAL file \"%s\" was not archived within %d seconds", PghaClip(path, MAXPGPATH), ARCHIVE_WAIT_MS / 1000),
					 errhint("See archive_mode, archive_command and pg_stat_archiver.")));
	}
	PG_RETURN_TEXT_P(cstring_to_text(path));
}
