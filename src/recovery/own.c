/*
 * own.c
 *		What here does the leader not have?
 *
 * Asked before anything is rewound, emptied, replaced or deleted.  The answer is
 * NOTHING, or PROVEN from a position on, or UNKNOWN with a reason; and only
 * what has been seen counts: an error, a file that is not there and an answer
 * that does not come are UNKNOWN.
 *
 * Numbers of timelines and positions are not enough: servers that were promoted
 * by hand can have both alike.  So the end of the WAL here is looked for in the
 * WAL itself, and what is just in front of it compared with the leader's.
 */
#include "own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/durable.h"
#include "../host/mark.h"
#include "../host/process.h"
#include "../host/server_ctl.h"
#include "../host/state_file.h"
#include "found.h"
#include "leader.h"
#include "objects.h"

#define WALDUMP_LIMIT_MS	600000

static PghaOwn unknown(PghaOwnAnswer *answer, const char *format,...) __attribute__((format(printf, 2, 3)));

static PghaOwn
unknown(PghaOwnAnswer *answer, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(answer->reason, sizeof(answer->reason), format, args);
	va_end(args);
	if (answer->sqlstate[0] == '\0')
		memcpy(answer->sqlstate, STATE_NOT_IN_STATE, sizeof(answer->sqlstate));
	answer->own = PGHA_OWN_UNKNOWN;
	return PGHA_OWN_UNKNOWN;
}

/* The same for a reason that pgha_job_fail() was told; it is no failure of the job. */
static PghaOwn
unknown_because(PghaJobRun *run, PghaOwnAnswer *answer)
{
	memcpy(answer->sqlstate, run->sqlstate, sizeof(answer->sqlstate));
	(void) unknown(answer, "%s", run->message);
	memcpy(answer->detail, run->detail, sizeof(answer->detail));
	pgha_job_forget_failure(run);
	return PGHA_OWN_UNKNOWN;
}

/* The leader has not answered: another time it may. */
static PghaOwn
unanswered(PghaOwnAnswer *answer, const char *what)
{
	memcpy(answer->sqlstate, STATE_CONNECTION, sizeof(answer->sqlstate));
	return unknown(answer, "could not ask the primary for %s", what);
}

/* ---- terms ---- */

/* What pgha.state says of this node; ABSENT for another node's, which a copy has brought along. */
static PghaStateLook
read_state(const PghaJobRun *run, PghaStateFacts *facts)
{
	PghaStateLook look = pgha_state_file_read(run->conf->data, facts);

	if (look == PGHA_STATE_FILE_READ &&
		strcmp(facts->node, run->conf->members.member[run->conf->self].name) != 0)
		return PGHA_STATE_FILE_ABSENT;
	return look;
}

/* Is it of a term above the leader's?  Then another one leads than should. */
static bool
is_above(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer)
{
	PghaDirectory here;
	uint64_t	theirs;

	pgha_found_directory(run, run->conf->data, &here);
	if (here.unreadable)
	{
		(void) unknown(answer, "this node's file pgha.state is damaged, so that the term of its data is not known");
		return true;
	}
	if (here.term == 0)
		return false;
	theirs = pgha_found_leader_term(leader);
	if (theirs == 0)
	{
		(void) unanswered(answer, "its term");
		return true;
	}
	if (here.term <= theirs)
		return false;
	answer->above = true;
	(void) unknown(answer, "this node has data of term %llu, and \"%s\" leads in term %llu only",
				   (unsigned long long) here.term, run->conf->members.member[run->leader].name,
				   (unsigned long long) theirs);
	return true;
}

/* ---- the end of the WAL here ---- */

/* What pg_waldump reads: records that follow each other without a gap. */
typedef struct Records
{
	pgha_lsn first;				/* where the first one begins; 0: none */
	pgha_lsn last;				/* where the last one begins */
	uint32_t	length;			/* of the last one */
	bool		is_switch;		/* the last one ends its segment */
} Records;

static void
take_record(const char *line, void *arg)
{
	Records    *records = arg;
	const char *length = strstr(line, "len (rec/tot):");
	const char *lsn = strstr(line, "lsn: ");
	unsigned int data;
	unsigned int total;

	if (strncmp(line, "rmgr:", 5) != 0 || length == NULL || lsn == NULL ||
		sscanf(length + strlen("len (rec/tot):"), " %u/ %u", &data, &total) != 2)
		return;
	records->last = pgha_lsn_of(lsn + 5);
	records->length = total;
	records->is_switch = strstr(line, "desc: SWITCH") != NULL;
	if (records->first == 0)
		records->first = records->last;
}

/* Where the last record ends at the latest: pages have headers. */
static pgha_lsn
latest_end(const Records *records, const PghaControl *control)
{
	uint64_t	size = (uint64_t) control->wal_segment_size;
	pgha_lsn end = records->last + records->length;

	end += (end / 8192 - records->last / 8192 + 1) * 24 + 48;
	return records->is_switch ? (end + size) / size * size + 48 : end;
}

/* Has the file a first page that belongs to the segment?  Others wait to be used. */
static bool
is_in_use(const PghaJobRun *run, const char *name, uint32_t timeline, pgha_lsn start)
{
	char		path[PATH_MAX + 300];
	struct
	{
		uint16_t	magic;
		uint16_t	info;
		uint32_t	timeline;
		uint64_t	address;
	}			header;
	int			fd;
	bool		read_it;

	(void) snprintf(path, sizeof(path), "%s/pg_wal/%s", run->conf->data, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	read_it = pread(fd, &header, sizeof(header), 0) == (ssize_t) sizeof(header);
	(void) close(fd);
	return !read_it || (header.address == start && header.timeline == timeline);
}

/* Is there a file with WAL of the timeline, behind a position that has none? */
static bool
is_wal_behind(const PghaJobRun *run, const PghaControl *control, uint32_t timeline, pgha_lsn lsn)
{
	char		path[PATH_MAX + 32];
	char		first[32];
	uint64_t	per_id = UINT64_C(0x100000000) / (uint64_t) control->wal_segment_size;
	DIR		   *dir;
	struct dirent *entry;
	bool		found = false;

	(void) snprintf(path, sizeof(path), "%s/pg_wal", run->conf->data);
	pgha_wal_name(timeline, lsn, control, first);
	dir = opendir(path);
	if (dir == NULL)
		return true;
	while (!found && (entry = readdir(dir)) != NULL)
	{
		unsigned int id;
		unsigned int part;

		if (strlen(entry->d_name) != 24 || strspn(entry->d_name, "0123456789ABCDEF") != 24 ||
			strncmp(entry->d_name, first, 8) != 0 || strcmp(entry->d_name, first) <= 0 ||
			sscanf(entry->d_name + 8, "%8X%8X", &id, &part) != 2)
			continue;
		found = is_in_use(run, entry->d_name, timeline,
						  (id * per_id + part) * (uint64_t) control->wal_segment_size);
	}
	(void) closedir(dir);
	return found;
}

/* The last segment of a timeline that has a file, in use or not; empty if there is none. */
static void
last_segment(const PghaJobRun *run, uint32_t timeline, char *last)
{
	char		wal[PATH_MAX + 16];
	char		beginning[16];
	DIR		   *dir;
	struct dirent *entry;

	last[0] = '\0';
	(void) snprintf(beginning, sizeof(beginning), "%08X", timeline);
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	dir = opendir(wal);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		if (strlen(entry->d_name) == 24 && strspn(entry->d_name, "0123456789ABCDEF") == 24 &&
			strncmp(entry->d_name, beginning, 8) == 0 && strcmp(entry->d_name, last) > 0)
			memcpy(last, entry->d_name, 25);
	}
	if (dir != NULL)
		(void) closedir(dir);
}

/*
 * pg_waldump is given the segments: else it takes their size from any file,
 * which may be one of zeros that waits to be used.
 */
static bool
read_records(PghaJobRun *run, PghaOwnAnswer *answer, uint32_t timeline, pgha_lsn from, Records *records)
{
	char		program[PATH_MAX + 32];
	char		wal[PATH_MAX + 16];
	char		start[32];
	char		first[32];
	char		last[32];
	char	   *argv[] = {program, "-p", wal, "-s", start, first, last, NULL};
	PghaRun		dump = {.argv = argv, .limit_ms = WALDUMP_LIMIT_MS, .line = take_record, .arg = records};

	(void) snprintf(program, sizeof(program), "%s/pg_waldump", run->conf->bin);
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	(void) snprintf(start, sizeof(start), PGHA_LSN_FORMAT, PGHA_LSN_ARGS(from));
	pgha_wal_name(timeline, from, &answer->control, first);
	last_segment(run, timeline, last);
	if (!pgha_exists_in(wal, first) || last[0] == '\0')
		return true;

	/* It always ends with an error: where the WAL ends. */
	if (pgha_run(&dump) != 127 && !dump.timed_out)
		return true;
	(void) unknown(answer, "the WAL here cannot be read");
	(void) snprintf(answer->detail, sizeof(answer->detail), "%s", dump.last);
	return false;
}

/*
 * A position that the WAL here reaches on its last timeline: no record begins at
 * or behind it.  What follows the last whole record cannot be used by anybody.
 *
 * The WAL must be that of the data files: it has the checkpoint that pg_control
 * names, and goes on to where the data files are.  A receiver begins with a whole
 * segment, and writes over what this node had if the leader has another one.
 */
static bool
find_end(PghaJobRun *run, PghaOwnAnswer *answer)
{
	const PghaControl *control = &answer->control;
	uint32_t	timeline = answer->fork.own_timeline;
	pgha_lsn checkpoint = control->checkpoint_timeline == timeline ? control->checkpoint_lsn : 0;
	pgha_lsn reached = control->min_recovery_timeline == timeline ? control->min_recovery_lsn : 0;
	Records		records = {.first = 0};

	if (checkpoint == 0 && reached == 0)
		return unknown(answer, "pg_control does not tell where the WAL here ends") == PGHA_OWN_NOTHING;
	if (!read_records(run, answer, timeline, checkpoint != 0 ? checkpoint : reached, &records))
		return false;
	if (checkpoint != 0 && records.first != checkpoint)
	{
		char		wal[PATH_MAX + 16];
		char		name[32];

		(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
		pgha_wal_name(timeline, checkpoint, control, name);
		answer->parted = pgha_exists_in(wal, name);
		(void) unknown(answer, answer->parted ?
					   "the WAL here has no checkpoint at " PGHA_LSN_FORMAT ", which the data files have: it is not theirs, this node has diverged" :
					   "the WAL from the last checkpoint on, " PGHA_LSN_FORMAT ", is not here",
					   PGHA_LSN_ARGS(checkpoint));
		return false;
	}
	answer->end = records.first != 0 ? records.last + 1 : reached;
	if (records.first != 0 && reached > latest_end(&records, control))
	{
		(void) unknown(answer, "the WAL here ends at " PGHA_LSN_FORMAT ", and the data files are at " PGHA_LSN_FORMAT,
					   PGHA_LSN_ARGS(answer->end), PGHA_LSN_ARGS(reached));
		return false;
	}
	if (reached > answer->end)
		answer->end = reached;
	if (is_wal_behind(run, control, timeline, answer->end - 1))
	{
		(void) unknown(answer, "the WAL here has a gap behind " PGHA_LSN_FORMAT ": it cannot be told where it ends",
					   PGHA_LSN_ARGS(answer->end));
		return false;
	}
	return true;
}

/* ---- the answer ---- */

/*
 * The timeline that both have is not the same one: all of it may be this node's
 * own.  That can be saved if it is still here from its beginning on.
 */
static PghaOwn
own_from_beginning(PghaJobRun *run, PghaOwnAnswer *answer)
{
	PghaFork   *fork = &answer->fork;
	pgha_lsn begin = 0;
	char		wal[PATH_MAX + 16];
	char		name[32];

	for (int i = 1; i < fork->own->count; i++)
	{
		if (fork->own->entry[i].timeline == fork->timeline)
			begin = fork->own->entry[i - 1].end;
	}
	fork->lsn = begin;
	answer->parted = true;
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	pgha_wal_name(fork->timeline, begin, &answer->control, name);
	if (begin != 0 && pgha_exists_in(wal, name))
	{
		answer->own = PGHA_OWN_PROVEN;
		return PGHA_OWN_PROVEN;
	}
	return unknown(answer, "timeline %u here is not the primary's timeline of that number, and its WAL is not here from its beginning on",
				   fork->timeline);
}

/* Nothing could be compared: it has to be the same if this node has followed the leader that leads, and nobody since. */
static bool
has_followed_leader(const PghaJobRun *run)
{
	PghaStateFacts facts;

	/* Where this node leads now, what it has replaced may have led, too, and on WAL of its own. */
	return run->leader != run->conf->self &&
		read_state(run, &facts) == PGHA_STATE_FILE_READ && facts.term != 0 && !facts.diverged &&
		strcmp(facts.leader, run->conf->members.member[run->leader].name) == 0;
}

/* Both are on the same timeline, or this node is in front of the fork. */
static PghaOwn
judge_common(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer, pgha_lsn theirs)
{
	if (answer->end > theirs)
	{
		answer->above = true;
		answer->parted = pgha_wal_same(run, leader, &answer->control, &answer->fork, theirs) == PGHA_SAME_NO;
		return unknown(answer, "this node's WAL on timeline %u reaches further (" PGHA_LSN_FORMAT ") than that of the primary (" PGHA_LSN_FORMAT ")",
					   answer->fork.own_timeline, PGHA_LSN_ARGS(answer->end), PGHA_LSN_ARGS(theirs));
	}
	switch (pgha_wal_same(run, leader, &answer->control, &answer->fork, answer->end))
	{
		case PGHA_SAME_YES:
			answer->own = PGHA_OWN_NOTHING;
			return PGHA_OWN_NOTHING;
		case PGHA_SAME_NO:
			return own_from_beginning(run, answer);
		case PGHA_SAME_UNKNOWN:
			break;
	}
	if (has_followed_leader(run))
	{
		answer->own = PGHA_OWN_NOTHING;
		return PGHA_OWN_NOTHING;
	}
	return unknown(answer, "it cannot be proven that timeline %u is the same here and on the primary: the WAL in front of " PGHA_LSN_FORMAT " is gone on one of them",
				   answer->fork.timeline, PGHA_LSN_ARGS(answer->end));
}

/* This node has WAL behind the fork. */
static PghaOwn
judge_parted(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer)
{
	PghaFork   *fork = &answer->fork;
	PghaSame	same = pgha_wal_same(run, leader, &answer->control, fork, fork->lsn);
	char		name[32];
	char		wal[PATH_MAX + 16];
	bool		is_there = false;

	if (same == PGHA_SAME_NO)
		return own_from_beginning(run, answer);
	/* The first timeline is that of the system identifier. */
	if (same == PGHA_SAME_UNKNOWN && fork->timeline != 1)
		return unknown(answer, "it cannot be proven that timeline %u is the same here and on the primary", fork->timeline);
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", run->conf->data);
	for (int i = 0; i < fork->own->count; i++)
	{
		pgha_wal_name(fork->own->entry[i].timeline, fork->lsn, &answer->control, name);
		is_there |= fork->own->entry[i].timeline >= fork->timeline && pgha_exists_in(wal, name);
	}
	if (!is_there)
		return unknown(answer, "the WAL here that the primary does not have, from " PGHA_LSN_FORMAT " on, is not whole",
					   PGHA_LSN_ARGS(fork->lsn));
	answer->own = PGHA_OWN_PROVEN;
	return PGHA_OWN_PROVEN;
}

static PghaOwn
ask(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer)
{
	PghaFork   *fork = &answer->fork;
	char		error[600];
	char	   *text;
	uint64_t	system;
	pgha_lsn theirs;

	if (!pgha_server_control(run->conf, &answer->control, error, sizeof(error)))
	{
		(void) snprintf(answer->detail, sizeof(answer->detail), "%s", error);
		return unknown(answer, "the data directory \"%s\" cannot be read", run->conf->data);
	}
	text = pgha_member_query(leader, "SELECT system_identifier FROM pg_catalog.pg_control_system()", NULL,
							 error, sizeof(error));
	system = text != NULL ? strtoull(text, NULL, 10) : 0;
	free(text);
	if (system == 0 || answer->control.system_identifier != system)
		return system == 0 ? unanswered(answer, "its system identifier") :
			unknown(answer, "\"%s\" is the data directory of another cluster", run->conf->data);
	if (is_above(run, leader, answer))
		return PGHA_OWN_UNKNOWN;
	if (!pgha_fork_find(run, leader, &answer->control, fork))
		return unknown_because(run, answer);
	if (!find_end(run, answer))
		return PGHA_OWN_UNKNOWN;
	if (run->wal_end < answer->end)
		run->wal_end = answer->end;

	/* After the look at this node's, which may stream meanwhile. */
	text = pgha_member_query(leader, "SELECT pg_catalog.pg_current_wal_flush_lsn()", NULL, error, sizeof(error));
	theirs = text != NULL ? pgha_lsn_of(text) : 0;
	free(text);
	if (theirs == 0)
		return unanswered(answer, "its WAL position");
	if (fork->same_timeline)
		return judge_common(run, leader, answer, theirs);
	if (fork->own_timeline == fork->timeline && answer->end <= fork->lsn && run->wal_end <= fork->lsn)
		return judge_common(run, leader, answer, fork->lsn);
	return judge_parted(run, leader, answer);
}

/*
 * Is it a clone of this very leader that this node's jobs have put into place, and
 * that no server has begun to recover?  A start that gets that far takes
 * backup_label away.  One of another leader may be the only copy of what that had.
 */
static bool
is_unused_clone(const PghaJobRun *run, PGconn *leader)
{
	return run->old_directory[0] != '\0' && pgha_objects_has(run->conf, run->conf->data) && pgha_exists_in(run->conf->data, "backup_label") &&
		!pgha_exists_in(run->conf->data, "pgha.state") && run->placed_term != 0 &&
		strcmp(run->placed_source, run->conf->members.member[run->leader].name) == 0 &&
		run->placed_term == pgha_found_leader_term(leader);
}

PghaOwn
pgha_own_ask(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer)
{
	const char *data = run->conf->data;

	memset(answer, 0, sizeof(*answer));
	answer->own = PGHA_OWN_NOTHING;

	/* What is not whole was given up before, and saved then; without its mark it is what somebody has put there since. */
	if ((!run->data_ok && pgha_mark_is_set(data) == PGHA_MARK_SET) || is_unused_clone(run, leader) ||
		(pgha_missing_in(data, "global") && pgha_missing_in(data, "base") && pgha_missing_in(data, "pg_wal")))
		return PGHA_OWN_NOTHING;
	return ask(run, leader, answer);
}

bool
pgha_own_refuse(PghaJobRun *run, const PghaOwnAnswer *answer, const char *hint)
{
	char		sqlstate[6];

	memcpy(sqlstate, answer->sqlstate, sizeof(sqlstate));
	return pgha_job_fail(run, sqlstate, answer->detail, answer->above ?
						 "See which node is to lead: pgha_cluster() shows the terms, pgha_promote() makes it the primary. Or move the data directory away." :
						 hint, "%s", answer->reason);
}
