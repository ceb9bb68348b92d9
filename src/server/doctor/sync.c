/*
 * sync.c
 *		Checks of pgha_doctor() on synchronous replication: whether the list means
 *		what its author thinks, and whether the standbys are there.
 *
 * The list is looked at on every node, as each may become the primary; who
 * streams is looked at on the primary.
 */
#include "postgres.h"

#include "replication/syncrep.h"
#include "utils/builtins.h"

#include "../config.h"
#include "../sync.h"
#include "checks.h"

static const char *
next_name(const char *name)
{
	return name + strlen(name) + 1;
}

static bool
is_listed(const char *member)
{
	const char *name = SyncRepConfig->member_names;

	for (int i = 0; i < SyncRepConfig->nmembers; i++, name = next_name(name))
		if (strcmp(name, "*") == 0 || pg_strcasecmp(name, member) == 0)
			return true;
	return false;
}

static bool
is_member(const PghaView *view, const char *name)
{
	for (int i = 0; i < view->members.count; i++)
		if (pg_strcasecmp(view->members.member[i].name, name) == 0)
			return true;
	return false;
}

/* What to write: ANY k over all members. */
static const char *
advised_list(const PghaView *view, int num_sync)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < view->members.count; i++)
		PghaDoctorList(&names, psprintf("\"%s\"", view->members.member[i].name));
	return psprintf("Write synchronous_standby_names = 'ANY %d (%s)' on every node, and reload.", num_sync, names.data);
}

static void
check_names(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	StringInfoData strangers;
	StringInfoData missing;
	const char *name;
	bool		anyone = false;
	PghaSeverity wrong = PGHA_WARNING;

	initStringInfo(&strangers);
	initStringInfo(&missing);
	name = SyncRepConfig->member_names;
	for (int i = 0; i < SyncRepConfig->nmembers; i++, name = next_name(name))
	{
		if (strcmp(name, "*") == 0)
			anyone = true;
		else if (!is_member(view, name))
			PghaDoctorList(&strangers, psprintf("\"%s\"", name));
	}
	for (int i = 0; i < view->members.count; i++)
		if (!is_listed(view->members.member[i].name))
			PghaDoctorList(&missing, view->members.member[i].name);

	/* Where members vote, the rule must name whose flush counts: others' is no use to an election. */
	if (view->settings.voters > 0)
		wrong = PGHA_ERROR;
	if (anyone)
		PghaDoctorFind(doctor, wrong, advised_list(view, SyncRepConfig->num_sync),
					   "synchronous_standby_names contains *: whatever streams from here can confirm a commit, also a pg_receivewal");
	if (strangers.len > 0)
		PghaDoctorFind(doctor, wrong, advised_list(view, SyncRepConfig->num_sync),
					   "synchronous_standby_names lists what is no member: %s; a commit that only they confirmed is lost at a failover",
					   strangers.data);
	if (missing.len > 0)
		PghaDoctorFind(doctor, PGHA_WARNING, advised_list(view, SyncRepConfig->num_sync),
					   "synchronous_standby_names does not list: %s; such a node is never promoted by itself",
					   missing.data);
}

static void
check_number(PghaDoctor *doctor)
{
	const PghaView *view = doctor->view;
	PghaSync	sync;

	PghaSyncRead(&view->members, &sync);
	if (sync.num_sync > sync.num_listed)
		PghaDoctorFind(doctor, PGHA_ERROR, advised_list(view, 1),
					   "synchronous_standby_names asks for %d standbys and lists %d beside this node: no commit ever returns",
					   sync.num_sync, sync.num_listed);
	else if (sync.method == PGHA_SYNC_FIRST && sync.num_listed > sync.num_sync)
		PghaDoctorFind(doctor, PGHA_WARNING, advised_list(view, sync.num_sync),
					   "synchronous_standby_names is FIRST %d of %d: one that was cut off still believes to be synchronous, and may be promoted without the last commits",
					   sync.num_sync, sync.num_listed);
}

static void
check_list(PghaDoctor *doctor)
{
	if (SyncRepConfig == NULL)
	{
		PghaDoctorFine(doctor, "empty: replication is asynchronous");
		return;
	}
	check_names(doctor);
	check_number(doctor);
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "%s", SyncRepStandbyNames);
}

/* Enough standbys, now? */
static void
check_synchronous_standbys(PghaDoctor *doctor)
{
	int			present;

	if (SyncRepConfig == NULL)
	{
		PghaDoctorFine(doctor, "none is asked for");
		return;
	}
	(void) PghaDoctorQuery("SELECT count(*) FROM pg_catalog.pg_stat_replication"
						   " WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')");
	present = atoi(PghaDoctorField(0, 0));
	if (present < SyncRepConfig->num_sync)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "Bring the standbys back; or go on without: ALTER SYSTEM SET synchronous_standby_names = ''; and reload.",
					   "%d of %d synchronous standbys stream: commits wait", present, SyncRepConfig->num_sync);
	else
		PghaDoctorFine(doctor, "%d stream, %d are needed", present, SyncRepConfig->num_sync);
}

/* Two standbys of one name count as one, or as two, as it happens. */
static void
check_standby_names_unique(PghaDoctor *doctor)
{
	int			rows = PghaDoctorQuery("SELECT application_name, count(*), string_agg(coalesce(host(client_addr), 'local'), ', ')"
									   " FROM pg_catalog.pg_stat_replication WHERE state IN ('streaming', 'catchup')"
									   " AND application_name = ANY (%s) GROUP BY 1 HAVING count(*) > 1",
									   PghaDoctorMembers(doctor->view));

	for (int i = 0; i < rows; i++)
		PghaDoctorFind(doctor, PGHA_ERROR,
					   "Stop the one that is not this member, or give it another application_name (pg_receivewal: in its connection string).",
					   "%s standbys call themselves \"%s\" (from %s): either one's confirmation counts for the other",
					   PghaDoctorField(i, 1), PghaDoctorField(i, 0), PghaDoctorField(i, 2));
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "no two standbys stream under one member's name");
}

static bool
is_too_low(const char *value)
{
	return strcmp(value, "off") == 0 || strcmp(value, "local") == 0 || strcmp(value, "remote_write") == 0;
}

static void
check_commit_setting(PghaDoctor *doctor)
{
	/* What the server says, not this session. */
	int			rows = PghaDoctorQuery("SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'synchronous_commit'");
	const char *value = rows > 0 ? pstrdup(PghaDoctorField(0, 0)) : "";

	if (SyncRepConfig == NULL)
	{
		PghaDoctorFine(doctor, "%s, without synchronous standbys", value);
		return;
	}
	if (is_too_low(value))
		PghaDoctorFind(doctor, PGHA_WARNING, "Write synchronous_commit = on on every node, and reload.",
					   "synchronous_commit is %s: confirmed commits can be lost at a failover, in spite of synchronous_standby_names",
					   value);
	rows = PghaDoctorQuery("SELECT coalesce('database ' || d.datname, 'role ' || r.rolname), c"
						   " FROM pg_catalog.pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c"
						   " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
						   " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
						   " WHERE c ~ '^synchronous_commit=(off|local|remote_write)$'");
	for (int i = 0; i < rows; i++)
		PghaDoctorFind(doctor, PGHA_WARNING, "If that is not meant: ALTER DATABASE or ALTER ROLE ... RESET synchronous_commit;",
					   "%s has %s: its commits are not synchronous", PghaDoctorField(i, 0), PghaDoctorField(i, 1));
	if (doctor->findings == 0)
		PghaDoctorFine(doctor, "%s", value);
}

static void
check_commit_guard(PghaDoctor *doctor)
{
	const char *value = PghaDoctorSetting("pgha.commit_guard");

	if (strcmp(value, "on") == 0 || SyncRepConfig == NULL)
		PghaDoctorFine(doctor, "%s", value);
	else
		PghaDoctorFind(doctor, PGHA_WARNING, "Write pgha.commit_guard = on, and reload.",
					   "pgha.commit_guard is off: a commit that no standby confirmed can be reported as success");
}

const PghaCheck pgha_checks_sync[] = {
	{"synchronous_standby_names", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_list},
	{"synchronous_standbys", PGHA_NEEDS_OTHERS | PGHA_NEEDS_PRIMARY | PGHA_NEEDS_DATA, check_synchronous_standbys},
	{"synchronous_commit", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_commit_setting},
	{"commit_guard", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_commit_guard},
	{"standby_names_unique", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_standby_names_unique},
	{NULL, 0, NULL}
};
